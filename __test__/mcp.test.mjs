/**
 * MCP servers: found, signed in to, renewed and called. Each against a strict server of its own on loopback; at the end
 * once against the certified `oidc-provider`.
 */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, describe, test } from 'node:test'
import { signIn } from './support/agent.mjs'
import { rejection } from './support/desk.mjs'
import { startMcp } from './support/dialects/mcp.mjs'
import { visit } from './support/dialects/strict.mjs'
import { startOidcProvider } from './support/oidc.mjs'
import { createSandbox, LIBRARY_URL } from './support/sandbox.mjs'
import { until } from './support/until.mjs'

const OAUTH = '/.well-known/oauth-authorization-server'
const OPENID = '/.well-known/openid-configuration'
const RESOURCE = '/.well-known/oauth-protected-resource'

const ends = []
const start = async (settings) => {
  const mcp = await startMcp(settings)
  ends.push(mcp.close)
  return mcp
}
const known = await start()
const byHand = await start({ metadata: { registration_endpoint: undefined } })
byHand.clients.set('by-hand', { client_id: 'by-hand', redirect_uris: ['http://127.0.0.1:8976/callback'] })
const oidc = await startRealServer()
const config = {
  providers: {
    known: { extends: 'mcp', resource: known.url },
    'by-hand': { extends: 'mcp', resource: byHand.url, clientId: 'by-hand', scopes: ['notes:all'] },
    real: { extends: 'mcp', resource: oidc.url },
    acme: { origins: [known.origin] },
  },
}
const sandbox = createSandbox({ name: 'mcp', config })
sandbox.enter()
const library = await import(LIBRARY_URL)
after(async () => {
  await Promise.all(ends.map((end) => end()))
  sandbox.cleanup()
})

let names = 0
const freshName = () => {
  names += 1
  return `server-${names}`
}
/** Signs in to an MCP server as a browser does that is signed in already; returns the account and the page's address. */
async function signedIn(mcp, options = {}) {
  const provider = options.provider ?? freshName()
  const session = await library.startLogin({ provider, resource: mcp.url, method: 'browser', ...options })
  const finished = session.finish()
  finished.catch(() => {})
  const last = await visit(session.url)
  if (last.status !== 200) session.cancel()
  return { provider, page: new URL(session.url), account: await finished, session }
}
const refusedLogin = async (mcp, options = {}) =>
  rejection(library.startLogin({ provider: freshName(), resource: mcp.url, method: 'browser', ...options }))
const call = (provider, mcp, options = {}) =>
  library.createAuthFetch({ provider })(mcp.url, { method: 'POST', body: '{"method":"tools/list"}', ...options })
const find = async (id) => (await library.listAccounts()).find((one) => one.id === id)

describe('discovery', () => {
  for (const [what, settings, expect] of [
    [
      'named by the challenge',
      { place: '/about' },
      { resource: ['/about'], login: [OAUTH], scope: 'notes:read notes:write' },
    ],
    [
      'at the path of the server',
      { challenge: 'Bearer realm="notes"' },
      { resource: [`${RESOURCE}/mcp`], login: [OAUTH], scope: 'notes:read' },
    ],
    [
      'at the root, for all of its paths',
      { challenge: '', place: RESOURCE, root: true },
      { resource: [`${RESOURCE}/mcp`, RESOURCE], login: [OAUTH], scope: 'notes:read' },
    ],
    [
      'with an issuer that has a path (RFC 8414)',
      { issuerPath: '/tenant', description: { scopes_supported: undefined }, challenge: 'Bearer' },
      { resource: [`${RESOURCE}/mcp`], login: [`${OAUTH}/tenant`], scope: null },
    ],
    [
      'with an issuer of OpenID Connect, path inserted',
      { issuerPath: '/tenant', issuerPlace: `${OPENID}/tenant` },
      {
        resource: [`${RESOURCE}/mcp`],
        login: [`${OAUTH}/tenant`, `${OPENID}/tenant`],
        scope: 'notes:read notes:write',
      },
    ],
    [
      'with an issuer of OpenID Connect, path appended',
      { issuerPath: '/tenant', issuerPlace: `/tenant${OPENID}` },
      {
        resource: [`${RESOURCE}/mcp`],
        login: [`${OAUTH}/tenant`, `${OPENID}/tenant`, `/tenant${OPENID}`],
        scope: 'notes:read notes:write',
      },
    ],
    [
      'by nothing, as of 2025-03-26: the server’s own origin',
      { own: true, place: 'none', challenge: 'Bearer' },
      { resource: [`${RESOURCE}/mcp`, RESOURCE, OAUTH], scope: null },
    ],
    [
      'with a scope for refresh tokens',
      { metadata: { scopes_supported: ['offline_access'] } },
      { resource: [`${RESOURCE}/mcp`], login: [OAUTH], scope: 'notes:read notes:write offline_access' },
    ],
  ]) {
    test(`a server is found ${what}`, async () => {
      const mcp = await start(settings)
      if (settings.root) mcp.settings.description = { resource: mcp.origin }
      const { provider, page, account } = await signedIn(mcp)
      const asked = mcp.asked().filter((line) => line.startsWith('GET /') && !line.startsWith('GET /authorize'))
      assert.deepEqual(
        asked,
        [...expect.resource, ...(expect.login ?? [])].map((path) => `GET ${path}`),
      )
      assert.equal(page.searchParams.get('scope'), expect.scope)
      assert.equal(page.searchParams.get('resource'), settings.root ? mcp.origin : mcp.url)
      assert.deepEqual(
        { kind: account.kind, label: account.label, state: account.state, refreshable: account.refreshable },
        { kind: 'mcp', label: provider, state: 'ready', refreshable: true },
      )
      assert.equal((await call(provider, mcp)).status, 200)
      await library.refreshAccount(account.id, { force: true })
      assert.equal((await call(provider, mcp)).status, 200)
    })
  }
})

describe('trust', () => {
  const big = 'x'.repeat(2 * 1024 * 1024)
  for (const [what, settings, pattern] of [
    ['a description of another resource', { description: { resource: 'https://bank.example' } }, /bank\.example/],
    ['a description of a resource beside it', { beside: '/other' }, /\/other/],
    ['a login server that is not https', { description: { authorization_servers: ['http://id.example'] } }, /https/],
    ['a description that is not https', { challenge: 'Bearer resource_metadata="http://id.example/x"' }, /https/],
    ['an endpoint that is not https', { metadata: { token_endpoint: 'http://id.example/token' } }, /https/],
    ['a page that is no page', { metadata: { authorization_endpoint: 'javascript:alert(1)' } }, /https/],
    ['metadata of another issuer', { metadata: { issuer: 'https://id.example' } }, /describes https:\/\/id\.example/],
    ['a login server without PKCE', { metadata: { code_challenge_methods_supported: undefined } }, /PKCE/],
    ['a login server with plain PKCE only', { metadata: { code_challenge_methods_supported: ['plain'] } }, /PKCE/],
    ['a description of wrong types', { describes: [200, { resource: ['x'] }] }, /resource/],
    ['login servers of wrong types', { description: { authorization_servers: [{}] } }, /authorization_servers/],
    ['a description of 2 MiB', { describes: [200, { resource: big }] }, /too large/],
    ['a description that is out of order', { describes: [503, 'later'] }, /503/],
    ['metadata of wrong types', { metadata: { token_endpoint: 7 } }, /token_endpoint/],
    ['pages instead of anything', { describes: [200, '<!doctype html>'], challenge: 'Bearer' }, /Not Found/],
  ]) {
    test(`${what} ends the login before anything is sent`, async () => {
      const mcp = await start(settings)
      if (settings.beside) mcp.settings.description = { resource: mcp.origin + settings.beside }
      const { code, message } = await refusedLogin(mcp)
      assert.equal(code, 'LOGIN_FAILED')
      assert.match(message, pattern)
      assert.ok(message.length < 600 && !message.includes(big.slice(0, 200)), message.slice(0, 600))
      assert.ok(mcp.asked().every((line) => line.startsWith('GET /.well-known/') || line === 'POST /mcp'))
    })
  }

  test('an answer of another issuer leaves the login open', async () => {
    const mcp = await start({ iss: 'https://id.example' })
    const session = await library.startLogin({ provider: 'other-issuer', resource: mcp.url, method: 'browser' })
    assert.equal((await visit(session.url)).status, 400)
    session.cancel()
    assert.equal((await rejection(session.finish())).code, 'LOGIN_CANCELLED')
    assert.ok(!mcp.asked().includes('POST /token'))
  })

  test('the name of another provider, or of another server, is refused', async () => {
    for (const provider of ['anthropic', 'acme']) {
      const { code, message } = await refusedLogin(known, { provider })
      assert.equal(code, 'INVALID_ARGUMENT')
      assert.match(message, new RegExp(`${provider} is the name of a provider that is no MCP server`))
    }
    const another = await start()
    assert.equal((await refusedLogin(another, { provider: 'known' })).code, 'INVALID_ARGUMENT')
    const { provider } = await signedIn(await start())
    const { code, message } = await refusedLogin(another, { provider })
    assert.equal(code, 'INVALID_ARGUMENT')
    assert.match(message, /belong elsewhere/)
  })

  for (const resource of [
    '',
    'mcp.example',
    'http://mcp.example',
    'https://user:S3CRET@mcp.example',
    'file:///etc',
    7,
  ]) {
    test(`no login is begun at ${JSON.stringify(resource)}`, async () => {
      const error = await rejection(library.startLogin({ provider: 'x', resource, method: 'paste' }))
      assert.equal(error.code, 'INVALID_ARGUMENT')
      assert.match(error.message, /^resource: /)
      assert.doesNotMatch(error.message, /S3CRET/)
    })
  }

  test('the query of an address is left out: it may hold a key, and names no other server', async () => {
    const mcp = await start()
    const { provider, page } = await signedIn({ url: `${mcp.url}?key=S3CRET` })
    assert.equal(page.searchParams.get('resource'), mcp.url)
    assert.equal((await call(provider, mcp)).status, 200)
    assert.doesNotMatch(JSON.stringify(await library.listAccounts({ provider })), /S3CRET/)
  })

  test('the token goes to the origin of the server and nowhere else', async () => {
    const { provider } = await signedIn(await start())
    for (const url of [known.url, 'https://elsewhere.example/mcp']) {
      const error = await rejection(library.getAuthHeaders({ provider, url }))
      assert.equal(error.code, 'ORIGIN_NOT_ALLOWED')
    }
  })
})

describe('registration', () => {
  test('a client is registered once for a server, and used again by the next login', async () => {
    const mcp = await start()
    const first = await signedIn(mcp)
    assert.equal(mcp.clients.size, 1)
    const second = await signedIn(mcp, { provider: first.provider })
    assert.equal(mcp.clients.size, 1)
    assert.equal(second.page.searchParams.get('redirect_uri'), first.page.searchParams.get('redirect_uri'))
    assert.equal(second.account.id, first.account.id, 'the server does not say who it is: the name does')
    const { account } = await signedIn(mcp, { provider: first.provider, label: 'another' })
    assert.notEqual(account.id, first.account.id)
  })

  test('when its port is taken, another client is registered for another port', async () => {
    const mcp = await start()
    const { provider, page } = await signedIn(mcp)
    const { port } = new URL(page.searchParams.get('redirect_uri'))
    // For a moment after a login its port says that one is signed in already.
    const neighbour = await listening(port)
    await signedIn(mcp, { provider })
    neighbour.close()
    assert.equal(mcp.clients.size, 2)
  })

  test('a registered secret is used for the grant, and a client whose secret has ended is registered anew', async () => {
    const registration = { client_secret: 'S3CRET of the client', token_endpoint_auth_method: 'client_secret_post' }
    const mcp = await start({ registration: { ...registration, client_secret_expires_at: 0 } })
    const { provider, account } = await signedIn(mcp)
    await library.refreshAccount(account.id, { force: true })
    assert.equal((await call(provider, mcp)).status, 200)
    await signedIn(mcp, { provider })
    assert.equal(mcp.clients.size, 1)
    mcp.settings.registration = { ...registration, client_secret_expires_at: Math.floor(Date.now() / 1000) + 60 }
    mcp.clients.clear()
    // Signing in again at the page of a server that has forgotten the client shows nothing but its refusal.
    assert.equal((await rejection(signedIn(mcp, { provider }))).code, 'LOGIN_CANCELLED')
    for (const clients of [1, 2]) {
      await signedIn(mcp, { provider })
      assert.equal(mcp.clients.size, clients)
    }
  })

  test('a server that has forgotten the client ends the login, and the next one registers another', async () => {
    const mcp = await start()
    const { provider, account } = await signedIn(mcp)
    mcp.clients.clear()
    assert.equal((await rejection(library.refreshAccount(account.id, { force: true }))).code, 'NEEDS_LOGIN')
    assert.equal((await find(account.id)).state, 'needs_login')
    mcp.asked()
    assert.equal((await rejection(call(provider, mcp))).code, 'NEEDS_LOGIN')
    assert.deepEqual(mcp.asked(), [], 'nobody asks again')
    const again = await signedIn(mcp, { provider })
    assert.deepEqual([again.account.id, again.account.state], [account.id, 'ready'])
    assert.equal(mcp.clients.size, 1)
  })

  test('where no client is registered, one of one’s own is asked for', async () => {
    const mcp = await start({ metadata: { registration_endpoint: undefined } })
    const { code, message } = await refusedLogin(mcp)
    assert.equal(code, 'CLIENT_ID_REQUIRED')
    assert.match(message, /"extends": "mcp"/)
    const refusing = await start({ refusesToRegister: [403, { error: 'access_denied', error_description: 'ask us' }] })
    const refused = await refusedLogin(refusing)
    assert.equal(refused.code, 'LOGIN_FAILED')
    assert.match(refused.message, /access_denied \(ask us\).*clientId/)
  })

  test('a configured client and configured scopes win', async () => {
    const { page, account } = await pasted('by-hand')
    assert.equal(page.searchParams.get('client_id'), 'by-hand')
    assert.equal(page.searchParams.get('scope'), 'notes:all')
    assert.equal(account.kind, 'mcp')
    assert.equal((await call('by-hand', byHand)).status, 200)
  })
})

/** A login whose answer is pasted. */
async function pasted(provider, options = {}) {
  const session = await library.startLogin({ provider, method: 'paste', ...options })
  const page = new URL(session.url)
  const response = await fetch(page, { redirect: 'manual' })
  return { page, account: await session.finish(response.headers.get('location')), session }
}

describe('use', () => {
  test('a configured server is signed in to by its name; a paste works as well', async () => {
    const { account, session } = await pasted('known')
    assert.equal(account.kind, 'mcp')
    assert.match(session.instructions, new RegExp(`^The MCP server ${known.url} has you sign in at 127\\.0\\.0\\.1\\.`))
    assert.equal((await call('known', known)).status, 200)
    assert.equal((await pasted('known', { resource: known.url })).account.id, account.id)
    const { methods } = (await library.configuredProviders()).find(({ id }) => id === 'known')
    assert.deepEqual(methods, ['browser', 'paste', 'device', 'api-key'])
  })

  test('a server without configuration is known again by its name, in another process too', async () => {
    const mcp = await start()
    const { provider, account } = await signedIn(mcp)
    const source = `
      const fetch = auth.createAuthFetch({ provider: '${provider}' })
      const { status } = await fetch('${mcp.url}', { method: 'POST', body: '{"file_id":"x"}' })
      const session = await auth.startLogin({ provider: '${provider}', method: 'paste' })
      const { headers } = await globalThis.fetch(session.url, { redirect: 'manual' })
      const { id } = await session.finish(headers.get('location'))
      console.log(JSON.stringify({ status, id }))`
    const { stdout, stderr } = await sandbox.run(source)
    assert.deepEqual(JSON.parse(stdout || '{}'), { status: 200, id: account.id }, stderr)
    assert.equal(
      (await rejection(library.startLogin({ provider: 'nobody', method: 'paste' }))).code,
      'UNKNOWN_PROVIDER',
    )
  })

  test('a server has no list of models to ask for', async () => {
    const mcp = await start()
    const { provider } = await signedIn(mcp)
    mcp.asked()
    assert.equal((await rejection(library.discoverModels({ provider }))).code, 'INVALID_ARGUMENT')
    assert.deepEqual(mcp.asked(), [])
  })

  test('a 401 renews the token within the same call', async () => {
    const mcp = await start()
    const { provider, account } = await signedIn(mcp)
    mcp.memory.expire()
    mcp.asked()
    assert.equal((await call(provider, mcp)).status, 200)
    assert.deepEqual(mcp.asked(), ['POST /mcp', 'POST /mcp', 'POST /token'])
    mcp.memory.end()
    assert.equal((await call(provider, mcp)).status, 401)
    assert.equal((await rejection(call(provider, mcp))).code, 'NEEDS_LOGIN')
    assert.equal((await find(account.id)).state, 'needs_login')
  })

  test('a 403 for want of a scope is delivered, and the account serves on', async () => {
    const mcp = await start()
    const { provider, account } = await signedIn(mcp)
    mcp.asked()
    const more = { 'www-authenticate': 'Bearer error="insufficient_scope", scope="notes:write"' }
    mcp.api.plan(403, {}, more)
    const response = await call(provider, mcp)
    assert.equal(response.status, 403)
    assert.match(response.headers.get('www-authenticate'), /insufficient_scope/)
    assert.equal((await find(account.id)).state, 'ready')
    assert.equal((await call(provider, mcp)).status, 200)
    assert.deepEqual(mcp.asked(), ['POST /mcp', 'POST /mcp'])
    const { attempt } = await library.getAuthHeaders({ provider, url: mcp.url })
    const verdict = await library.reportResponse({ attempt, status: 403, headers: more, body: '{}' })
    assert.deepEqual([verdict.action, verdict.reason], ['deliver', 'forbidden'])
  })

  test('a 429 rests the account as long as the server says', async () => {
    const mcp = await start()
    const { provider, account } = await signedIn(mcp)
    mcp.api.plan(429, {}, { 'retry-after': '600' })
    const response = await call(provider, mcp)
    assert.equal(response.status, 429)
    assert.notEqual((await find(account.id)).state, 'ready')
  })

  test('removing an account with revoke ends the grant at its login server', async () => {
    const mcp = await start()
    const { account } = await signedIn(mcp)
    mcp.asked()
    assert.equal(await library.removeAccount(account.id, { revoke: true }), true)
    assert.deepEqual(mcp.asked(), ['POST /revoke'])
  })

  test('the server is strict: what does not follow the rules it refuses', async () => {
    const mcp = await start()
    const { page } = await signedIn(mcp)
    const good = Object.fromEntries(page.searchParams)
    assert.equal((await mcp.authorize(good)).status, 302)
    for (const [what, change] of [
      ['without a resource', { resource: '' }],
      ['of another resource', { resource: known.url }],
      ['without PKCE', { code_challenge: '' }],
      ['with plain PKCE', { code_challenge_method: 'plain' }],
      ['of an unknown client', { client_id: 'nobody' }],
      ['to another redirect URI', { redirect_uri: 'http://127.0.0.1:1/callback' }],
    ])
      assert.ok((await mcp.authorize({ ...good, ...change })).status >= 400, what)
    const { client_id, resource } = good
    const issued = mcp.memory.issue({ user: 'eve' })
    const refresh = { grant_type: 'refresh_token', refresh_token: issued.refresh_token, client_id, resource }
    assert.equal((await mcp.send('/token', { ...refresh, resource: '' })).status, 400)
    assert.equal((await mcp.send('/token', refresh)).status, 200)
    assert.equal((await mcp.send('/token', refresh)).status, 400, 'a refresh token is good for one use')
  })
})

test('at a certified OpenID provider a client registers itself, and the token is for the server that was named', async () => {
  const session = await library.startLogin({ provider: 'real', method: 'browser', label: 'ada' })
  const finished = session.finish()
  await signIn(session, { user: 'ada' })
  const account = await finished
  assert.deepEqual([account.kind, account.refreshable, account.state], ['mcp', true, 'ready'])
  assert.equal((await call('real', oidc)).status, 200)
  await library.refreshAccount(account.id, { force: true })
  assert.equal((await call('real', oidc)).status, 200)
  assert.deepEqual(oidc.audiences(), [oidc.url, oidc.url])
  assert.equal(await library.removeAccount(account.id, { revoke: true }), true)
})

/** An MCP server whose tokens `oidc-provider` issues, with registration and resource indicators. */
async function startRealServer() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${server.address().port}`
  const url = `${origin}/mcp`
  const provider = await startOidcProvider({ resource: url })
  const audiences = []
  server.on('request', (request, response) => {
    const answer = (status, body, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
    }
    const about = `/.well-known/oauth-protected-resource/mcp`
    request.resume()
    if (request.url === about)
      return answer(200, { resource: url, authorization_servers: [provider.issuer], scopes_supported: ['notes'] })
    const claims = claimsOf(request.headers.authorization)
    if (claims?.aud !== url)
      return answer(401, {}, { 'www-authenticate': `Bearer resource_metadata="${origin}${about}"` })
    audiences.push(claims.aud)
    return answer(200, {})
  })
  ends.push(provider.close, () => new Promise((resolve) => server.close(resolve)))
  return { url, audiences: () => audiences }
}

/** What a token that is a JWT says. */
function claimsOf(header) {
  try {
    return JSON.parse(Buffer.from(header.split(' ')[1].split('.')[1], 'base64url'))
  } catch {
    return undefined
  }
}

/** A server on this port, as soon as it is free. */
function listening(port) {
  return until(`port ${port} is free`, async () => {
    const server = createServer()
    const error = await new Promise((resolve) => {
      server.once('error', resolve).listen(port, '127.0.0.1', () => resolve())
    })
    if (error === undefined) return server
    assert.equal(error.code, 'EADDRINUSE')
  })
}
