/**
 * Mix-up (RFC 9700 §4.4): an MCP server names a login server of its own whose page is that of an honest one, to be handed the
 * code that the honest one issues.
 */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import { rejection } from './support/desk.mjs'
import { visit } from './support/dialects/strict.mjs'
import { createSandbox, LIBRARY_URL } from './support/sandbox.mjs'

const sandbox = createSandbox({ name: 'mix-up', config: { providers: {} } })
sandbox.enter()
const library = await import(LIBRARY_URL)
const ends = []
after(async () => {
  await Promise.all(ends.map((end) => end()))
  sandbox.cleanup()
})

/** An MCP server that is its own login server. Its page takes the clients in `clients`, by their exact redirect URI. */
async function startServer({ metadata = {}, clientId, clients = new Map(), iss = false } = {}) {
  const calls = []
  const server = createServer((request, response) => {
    const url = new URL(request.url, origin)
    const answer = (status, body, headers = {}) =>
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      calls.push({ path: url.pathname, body })
      if (url.pathname === '/.well-known/oauth-authorization-server') return answer(200, described())
      if (url.pathname === '/register') {
        const id = clientId ?? 'client-of-this-server'
        clients.set(id, JSON.parse(body).redirect_uris[0])
        return answer(201, { client_id: id })
      }
      if (url.pathname === '/token')
        return answer(200, { access_token: `access-${calls.length}`, token_type: 'Bearer', expires_in: 3600 })
      if (url.pathname !== '/authorize') return answer(404, {})
      const asked = Object.fromEntries(url.searchParams)
      const known = clients.get(asked.client_id)
      if (known !== 'any' && known !== asked.redirect_uri) return answer(400, { error: 'another redirect URI' })
      const back = new URL(asked.redirect_uri)
      back.search = new URLSearchParams({ code: 'the-code', state: asked.state, ...(iss && { iss: origin }) })
      return answer(302, {}, { location: back.href })
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => new Promise((resolve) => server.close(resolve)))
  const origin = `http://127.0.0.1:${server.address().port}`
  const described = () => ({
    issuer: origin,
    authorization_endpoint: `${origin}/authorize`,
    token_endpoint: `${origin}/token`,
    registration_endpoint: `${origin}/register`,
    code_challenge_methods_supported: ['S256'],
    ...metadata,
  })
  const tokenCalls = () => calls.filter(({ path }) => path === '/token')
  return { origin, url: `${origin}/mcp`, clients, tokenCalls }
}

let names = 0
async function begin(server) {
  names += 1
  const session = await library.startLogin({ provider: `server-${names}`, resource: server.url, method: 'browser' })
  const finished = session.finish()
  finished.catch(() => {})
  return { session, finished, redirect: new URL(new URL(session.url).searchParams.get('redirect_uri')) }
}

async function callOff({ session, finished }) {
  session.cancel()
  assert.equal((await rejection(finished)).code, 'LOGIN_CANCELLED')
}

test('an honest server does not know the address that another issuer’s login comes back to', async () => {
  const honest = await startServer()
  const first = await begin(honest)
  assert.equal((await visit(first.session.url)).status, 200)
  await first.finished
  // The attacker knows the client id of the honest server: it is no secret.
  const page = { authorization_endpoint: `${honest.origin}/authorize` }
  const evil = await startServer({ metadata: page, clientId: 'client-of-this-server' })
  const login = await begin(evil)
  assert.notEqual(login.redirect.pathname, first.redirect.pathname)
  assert.equal((await visit(login.session.url)).status, 400)
  // Even on the very port: the path alone tells them apart.
  honest.clients.set('client-of-this-server', `${login.redirect.origin}${first.redirect.pathname}`)
  assert.equal((await visit(login.session.url)).status, 400)
  await callOff(login)
  assert.deepEqual(evil.tokenCalls(), [])
})

test('an honest server that says who it is ends it whatever its addresses are', async () => {
  const honest = await startServer({ clients: new Map([['anybody', 'any']]), iss: true })
  const page = { authorization_endpoint: `${honest.origin}/authorize` }
  const evil = await startServer({ metadata: page, clientId: 'anybody' })
  const login = await begin(evil)
  assert.equal((await visit(login.session.url)).status, 400)
  await callOff(login)
  assert.deepEqual(evil.tokenCalls(), [])
})

test('an answer that comes to another issuer’s path does not count, and leaves the login open', async () => {
  const [one, other] = [await begin(await startServer()), await begin(await startServer())]
  const answer = new URL(one.redirect)
  answer.search = new URLSearchParams({ code: 'x', state: new URL(one.session.url).searchParams.get('state') })
  for (const path of [other.redirect.pathname, '/callback', `${one.redirect.pathname}/`]) {
    const wrong = new URL(answer)
    wrong.pathname = path
    assert.equal((await fetch(wrong)).status, 404, path)
  }
  await callOff(other)
  assert.equal((await visit(one.session.url)).status, 200)
  assert.equal((await one.finished).state, 'ready')
})

test('the logins at one issuer share a path, and the client that was registered for it', async () => {
  const server = await startServer()
  const first = await begin(server)
  assert.equal((await visit(first.session.url)).status, 200)
  const { id } = await first.finished
  const { provider } = (await library.listAccounts()).find((account) => account.id === id)
  const again = await library.startLogin({ provider, method: 'browser' })
  assert.equal(new URL(again.url).searchParams.get('redirect_uri'), first.redirect.href)
  const finished = again.finish()
  assert.equal((await visit(again.url)).status, 200)
  assert.equal((await finished).id, id)
  const elsewhere = await begin(server)
  assert.equal(elsewhere.redirect.pathname, first.redirect.pathname)
  await callOff(elsewhere)
})
