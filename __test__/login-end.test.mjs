/** A login ends the moment it is told to, whatever server it waits for. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import { rejection } from './support/desk.mjs'
import { createSandbox, LIBRARY_URL } from './support/sandbox.mjs'
import { until } from './support/until.mjs'

/** Far below every patience of a request (30 s), far above what a busy machine takes. */
const SOON_MS = 10_000

/** A server that answers until it gets to `silent`, and that request never, or once `release` is called. */
let silent = ''
let release = () => {}
const arrivals = new Map()
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, origin)
  const answer = (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  const go = () => {
    if (pathname.includes('oauth-protected-resource')) return response.writeHead(404).end()
    if (pathname.includes('.well-known')) return answer(described)
    if (pathname === '/register') return answer({ client_id: 'registered' })
    if (pathname === '/device')
      return answer({ device_code: 'd', user_code: 'AB', verification_uri: `${origin}/enter`, interval: 1 })
    if (pathname === '/token') return answer({ access_token: 'access', token_type: 'Bearer', expires_in: 3600 })
    return response.writeHead(404).end()
  }
  arrivals.get(pathname)?.()
  if (pathname !== silent) return go()
  release = go
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const origin = `http://127.0.0.1:${server.address().port}`
const described = {
  issuer: origin,
  authorization_endpoint: `${origin}/authorize`,
  token_endpoint: `${origin}/token`,
  device_authorization_endpoint: `${origin}/device`,
  registration_endpoint: `${origin}/register`,
  code_challenge_methods_supported: ['S256'],
}
const sandbox = createSandbox({
  name: 'login-end',
  config: { providers: { local: { issuer: origin, clientId: 'app', origins: [origin] } } },
})
sandbox.enter()
const library = await import(LIBRARY_URL)
after(() => {
  server.closeAllConnections()
  server.close()
  sandbox.cleanup()
})

const arrived = (path) => new Promise((resolve) => arrivals.set(path, resolve))
const mcp = { provider: 'notes', resource: `${origin}/mcp` }
const local = { provider: 'local' }
const steps = {
  'the challenge of an MCP server': ['/mcp', mcp],
  'its description': ['/.well-known/oauth-protected-resource/mcp', mcp],
  discovery: ['/.well-known/openid-configuration', local],
  registration: ['/register', mcp],
  'the start of a device login': ['/device', { ...local, method: 'device' }],
}

for (const [name, [path, options]] of Object.entries(steps)) {
  test(`an abort and the end of its time end a login at once while it waits for ${name}`, async () => {
    silent = path
    for (const start of [library.login, library.startLogin]) {
      const abort = new AbortController()
      const comes = arrived(path)
      const ended = rejection(start({ method: 'paste', ...options, signal: abort.signal }))
      await comes
      let began = performance.now()
      abort.abort()
      assert.equal((await ended).code, 'LOGIN_CANCELLED')
      assert.ok(performance.now() - began < SOON_MS)
      began = performance.now()
      const late = await rejection(start({ method: 'paste', ...options, timeoutMs: 100 }))
      assert.equal(late.code, 'LOGIN_TIMEOUT')
      assert.ok(performance.now() - began < SOON_MS)
    }
  })
}

for (const end of ['signal', 'timeoutMs', 'cancel']) {
  test(`${end} ends a login at once while its code is exchanged, and what that brings is kept`, async () => {
    silent = '/token'
    const label = `by ${end}`
    const abort = new AbortController()
    const session = await library.startLogin({
      ...local,
      method: 'paste',
      label,
      ...(end === 'signal' && { signal: abort.signal }),
      ...(end === 'timeoutMs' && { timeoutMs: 400 }),
    })
    const comes = arrived('/token')
    const ended = rejection(session.finish('the-code'))
    await comes
    const began = performance.now()
    if (end === 'signal') abort.abort()
    if (end === 'cancel') session.cancel()
    assert.equal((await ended).code, end === 'timeoutMs' ? 'LOGIN_TIMEOUT' : 'LOGIN_CANCELLED')
    assert.ok(performance.now() - began < SOON_MS)
    release()
    const labels = async () => (await library.listAccounts()).map((account) => account.label)
    await until('what the exchange brings is kept', async () => (await labels()).includes(label))
  })
}

test('a poll of a device login ends at once', async () => {
  silent = '/token'
  const session = await library.startLogin({ ...local, method: 'device' })
  const comes = arrived('/token')
  const ended = rejection(session.finish())
  await comes
  const began = performance.now()
  session.cancel()
  assert.equal((await ended).code, 'LOGIN_CANCELLED')
  assert.ok(performance.now() - began < SOON_MS)
})
