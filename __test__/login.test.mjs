/** Logging in, in every way there is, at a real OpenID provider; and what becomes of an account afterwards. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { signIn } from './support/agent.mjs'
import { rejection } from './support/desk.mjs'
import { openStage } from './support/stage.mjs'
import { until } from './support/until.mjs'

const neighbour = await startNeighbour()
const { oidc, upstream, sandbox, library, logIn, inChild } = await openStage({
  name: 'login',
  providers: ({ oidc, upstream: { origin } }) => ({
    office: oidc.config({ client: 'basic', origins: [origin], clientSecret: '{env:OFFICE_SECRET}' }),
    lab: oidc.config({ client: 'post', origins: [origin], clientSecret: '{file:~/lab-secret}' }),
    curve: oidc.config({ client: 'ec', origins: [origin], privateKey: '{env:CURVE_KEY}' }),
    prime: oidc.config({ client: 'rsa', origins: [origin], privateKey: '{file:~/prime-key.pem}' }),
    'old-prime': oidc.config({ client: 'rsa', origins: [origin], privateKey: '{env:OLD_PRIME_KEY}' }),
    registered: oidc.config({ origins: [origin], redirectUri: neighbour.redirectUri }),
    keys: { origins: [origin] },
    'no-client': { issuer: oidc.issuer, origins: [origin] },
    'no-server': { clientId: 'desk-public', origins: [origin] },
  }),
})
process.env.OFFICE_SECRET = oidc.clients.basic.clientSecret
writeFileSync(join(sandbox.env.HOME, 'lab-secret'), `${oidc.clients.post.clientSecret}\n`)
const pem = (client, type = 'pkcs8') => oidc.clients[client].keys.privateKey.export({ format: 'pem', type })
process.env.CURVE_KEY = pem('ec')
process.env.OLD_PRIME_KEY = pem('rsa', 'pkcs1')
writeFileSync(join(sandbox.env.HOME, 'prime-key.pem'), pem('rsa'))

let people = 0
const somebody = () => {
  people += 1
  return `person-${people}`
}
const serves = async (user, provider = 'local') => {
  const { headers } = await library.getAuthHeaders({ provider, account: user, url: upstream.chatUrl })
  return oidc.owner(headers.authorization.replace('Bearer ', ''))
}

test('a browser login comes back over the loopback callback, with PKCE, and the page says so', async () => {
  const user = somebody()
  const session = await library.startLogin({ provider: 'local', method: 'browser', label: user, loginHint: user })
  const page = new URL(session.url)
  assert.equal(session.method, 'browser')
  assert.equal(page.searchParams.get('code_challenge_method'), 'S256')
  assert.equal(page.searchParams.get('login_hint'), user)
  assert.match(page.searchParams.get('redirect_uri'), /^http:\/\/127\.0\.0\.1:\d+\/callback$/)
  assert.equal(session.callback, page.searchParams.get('redirect_uri'))
  assert.deepEqual(session.progress(), { step: 'waiting' })
  assert.ok(session.expiresAt > Date.now() + 290_000 && session.expiresAt <= Date.now() + 300_000)

  const [account, last] = await Promise.all([session.finish(), signIn(session, { user })])
  assert.equal(last.status, 200)
  assert.match(last.url, /^http:\/\/127\.0\.0\.1:\d+\/callback\?/)
  const { identity, kind, label, refreshable, state } = account
  assert.deepEqual(
    { kind, label, refreshable, state },
    { kind: 'oauth', label: user, refreshable: true, state: 'ready' },
  )
  assert.deepEqual(identity, { issuer: oidc.issuer, subject: user, email: `${user}@local.test` })
  assert.equal(await serves(user), user)
})

for (const [provider, client] of [
  ['office', 'basic'],
  ['lab', 'post'],
  ['curve', 'ES256'],
  ['prime', 'RS256'],
  ['old-prime', 'RS256, PKCS#1'],
]) {
  test(`a confidential client signs in, renews and revokes with its secret or key (${client})`, async () => {
    const user = somebody()
    const { id } = await logIn(user, { provider })
    await library.refreshAccount(id, { force: true })
    assert.equal(await serves(user, provider), user)
    assert.equal(await library.removeAccount(id, { revoke: true }), true)
  })
}

test('a device login ends when the user has entered the code, and slows down when told to', async () => {
  const user = somebody()
  const polls = () => oidc.requests.filter(({ grant }) => grant?.endsWith('device_code'))
  oidc.requests.length = 0
  oidc.setFault('slow-down')
  const session = await library.startLogin({ provider: 'local', method: 'device', label: user })
  assert.equal(session.method, 'device')
  assert.match(session.userCode, /^\w{4}-?\w{4}$/)
  assert.ok(session.url.startsWith(oidc.issuer) && session.url.includes(session.userCode))
  assert.ok(session.instructions.includes(session.userCode))
  const finished = session.finish()
  await until('it polls', () => polls().length === 1)
  oidc.setFault(undefined)

  await signIn(session, { user })
  assert.equal((await finished).identity.subject, user)
  const [first, second] = polls()
  assert.equal(polls().length, 2)
  assert.ok(second.at - first.at >= 5_900, `the second poll came after ${second.at - first.at} ms`)
})

test('a client with a key signs each poll of a device login anew', async () => {
  const user = somebody()
  const session = await library.startLogin({ provider: 'curve', method: 'device', label: user })
  const finished = session.finish()
  const polls = () => oidc.requests.filter(({ grant }) => grant?.endsWith('device_code'))
  const before = polls().length
  await until('it polls twice more', () => polls().length > before + 1)
  await signIn(session, { user })
  assert.equal((await finished).identity.subject, user)
})

for (const [what, pick] of [
  ['whole address', (url) => url.href],
  ['query', (url) => url.search],
  ['code#state', (url) => `${url.searchParams.get('code')}#${url.searchParams.get('state')}`],
  ['bare code', (url) => ` ${url.searchParams.get('code')}\n`],
]) {
  test(`a pasted login takes the ${what}`, async () => {
    const user = somebody()
    let shown
    const onPrompt = (prompt) => {
      shown = prompt
    }
    const readCode = async () => pick(await addressToPaste(shown, user))
    const options = { provider: 'local', method: 'paste', label: user, onPrompt, readCode }
    assert.equal((await library.login(options)).identity.subject, user)
    assert.equal(shown.method, 'paste')
    assert.equal(await serves(user), user)
  })
}

test('a paste that cannot be used leaves the login open for the right one', async () => {
  const user = somebody()
  const session = await library.startLogin({ provider: 'local', method: 'paste', label: user })
  const { href } = await addressToPaste(session, user)
  for (const wrong of ['', 'https://elsewhere.test/', 'code#state', href.replace(/state=[^&]+/, 'state=another')]) {
    const error = await rejection(session.finish(wrong))
    assert.equal(error.code, 'LOGIN_FAILED', wrong)
    assert.ok(error.message.length > 20, error.message)
  }
  assert.equal((await session.finish(href)).identity.subject, user)
})

test('a browser on another machine ends on an address that can be pasted instead', async () => {
  const user = somebody()
  let shown
  const onPrompt = (prompt) => {
    shown = prompt
  }
  const readCode = async () => (await addressToPaste(shown, user)).href
  const account = await library.login({ provider: 'local', method: 'browser', label: user, onPrompt, readCode })
  assert.equal(account.identity.subject, user)
  await until('the callback port is closed', async () => !(await isOpen(shown)))
})

test('an API key is a login too', async () => {
  const account = await library.login({ provider: 'keys', method: 'api-key', apiKey: 'sk-of-keys', label: 'the key' })
  assert.equal(account.kind, 'api')
  const { headers } = await library.getAuthHeaders({ provider: 'keys', url: upstream.chatUrl })
  assert.equal(headers.authorization, 'Bearer sk-of-keys')
  const again = await library.addApiKey({ provider: 'keys', apiKey: 'sk-of-keys' })
  assert.equal(again.id, account.id)
  assert.equal(again.label, 'the key')
  assert.equal((await rejection(library.startLogin({ provider: 'keys', method: 'api-key' }))).code, 'INVALID_ARGUMENT')
})

test('the second login of one person updates the account, and another namespace has its own', async () => {
  const user = somebody()
  const first = await logIn(user)
  await library.updateAccount(first.id, { priority: 3, label: 'mine' })
  const second = await logIn(user, { method: 'device', label: undefined })
  assert.equal(second.id, first.id)
  assert.equal(second.createdAt, first.createdAt)
  assert.deepEqual([second.priority, second.label], [3, 'mine'])
  const elsewhere = await logIn(user, { namespace: 'elsewhere' })
  assert.notEqual(elsewhere.id, first.id)
  const all = await library.listAccounts({ provider: 'local' })
  assert.equal(all.filter(({ identity }) => identity.subject === user).length, 2)
})

test('without a wish, the method is what this machine can show', async () => {
  const method = (env) =>
    inChild(
      `const { method, cancel } = await auth.startLogin({ provider: 'local' })
      cancel()
      console.log(JSON.stringify(method))`,
      { env },
    )
  assert.equal(await method({}), 'device')
  assert.equal(await method({ DISPLAY: ':0' }), 'browser')
  assert.equal(await method({ DISPLAY: ':0', SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22' }), 'device')
})

test('a token that is good is renewed on demand only, and what has no renewal says so', async () => {
  const { id, expiresAt } = await logIn(somebody())
  const before = oidc.counters.refreshRequests
  assert.equal((await library.refreshAccount(id)).expiresAt, expiresAt)
  assert.equal(oidc.counters.refreshRequests, before)
  assert.ok((await library.refreshAccount(id, { force: true })).expiresAt > expiresAt)
  assert.equal(oidc.counters.refreshRequests, before + 1)
  const key = await library.addApiKey({ provider: 'keys', apiKey: 'sk-plain', namespace: 'plain' })
  for (const call of [() => library.refreshAccount(key.id), () => library.removeAccount(key.id, { revoke: true })])
    assert.equal((await rejection(call())).code, 'INVALID_ARGUMENT')
})

test('an account can be named, ranked, moved and switched off', async () => {
  const user = somebody()
  const { id } = await logIn(user)
  const changes = { label: 'the first', priority: -2, namespace: 'team', enabled: false }
  const { label, priority, namespace, enabled, state } = await library.updateAccount(id, changes)
  assert.deepEqual({ label, priority, namespace, enabled, state }, { ...changes, state: 'disabled' })
  const request = { provider: 'local', namespace: 'team', url: upstream.chatUrl }
  assert.equal((await rejection(library.getAuthHeaders(request))).code, 'NO_ACCOUNT')
  await library.updateAccount(id, { enabled: true })
  assert.equal((await library.getAuthHeaders({ ...request, account: 'the first' })).accountId, id)
})

test('an account that was signed out serves again after a login, under the same id', async () => {
  const user = somebody()
  const { id } = await logIn(user)
  oidc.revokeGrants(user)
  const error = await rejection(library.refreshAccount(id, { force: true }))
  assert.equal(error.code, 'NEEDS_LOGIN')
  assert.equal(error.accountId, id)
  const one = async () => (await library.listAccounts()).find((account) => account.id === id)
  assert.equal((await one()).state, 'needs_login')
  assert.equal((await logIn(user)).id, id)
  assert.equal((await one()).state, 'ready')
  assert.equal(await serves(user), user)
})

test('a user who refuses ends the login', async () => {
  for (const method of ['browser', 'device']) {
    const session = await library.startLogin({ provider: 'local', method })
    const [error] = await Promise.all([
      rejection(session.finish()),
      signIn(session, { user: somebody(), consent: false }),
    ])
    assert.equal(error.code, 'LOGIN_DENIED', method)
  }
})

test('an abort, a cancel and the end of patience each end a login and close its port', async () => {
  const abort = new AbortController()
  const [aborted, cancelled, late] = await Promise.all([
    library.startLogin({ provider: 'local', method: 'browser', signal: abort.signal }),
    library.startLogin({ provider: 'local', method: 'browser' }),
    library.startLogin({ provider: 'local', method: 'browser', timeoutMs: 300 }),
  ])
  const ends = [aborted, cancelled, late].map((session) => rejection(session.finish()))
  for (const session of [aborted, cancelled]) assert.equal(await isOpen(session), true)
  abort.abort()
  cancelled.cancel()
  cancelled.cancel()
  const codes = (await Promise.all(ends)).map(({ code }) => code)
  assert.deepEqual(codes, ['LOGIN_CANCELLED', 'LOGIN_CANCELLED', 'LOGIN_TIMEOUT'])
  for (const session of [aborted, cancelled, late])
    await until('the callback port is closed', async () => !(await isOpen(session)))
  const options = { provider: 'local', method: 'browser', signal: AbortSignal.abort() }
  assert.equal((await rejection(library.login(options))).code, 'LOGIN_CANCELLED')
})

test('a registered redirect URI is used as it is, and its port must be free', async () => {
  const busy = await rejection(library.startLogin({ provider: 'registered', method: 'browser' }))
  assert.equal(busy.code, 'CALLBACK_PORT_BUSY')
  assert.ok(busy.message.includes(neighbour.port))
  await neighbour.close()
  const user = somebody()
  let redirectUri
  let page
  const onPrompt = (prompt) => {
    redirectUri = new URL(prompt.url).searchParams.get('redirect_uri')
    page = signIn(prompt, { user })
  }
  await library.login({ provider: 'registered', method: 'browser', label: user, onPrompt })
  await page
  assert.equal(redirectUri, neighbour.redirectUri)
})

test('a login that is not possible is refused before a page opens', async () => {
  const refusal = async (provider) => rejection(library.startLogin({ provider, method: 'browser' }))
  const nameless = await refusal('no-client')
  assert.equal(nameless.code, 'CLIENT_ID_REQUIRED')
  assert.match(nameless.message, /providers\.no-client\.clientId/)
  const homeless = await refusal('no-server')
  assert.equal(homeless.code, 'INVALID_ARGUMENT')
  assert.match(homeless.message, /providers\.no-server\.issuer/)
  assert.equal((await refusal('nobody')).code, 'UNKNOWN_PROVIDER')
})

test('removing an account with revoke ends the login at the provider', async () => {
  const user = somebody()
  const { id } = await logIn(user)
  const { headers } = await library.getAuthHeaders({ provider: 'local', account: id, url: upstream.chatUrl })
  const before = oidc.counters.revocations
  assert.equal(await library.removeAccount(id, { revoke: true }), true)
  assert.equal(oidc.counters.revocations, before + 1)
  assert.equal(oidc.owner(headers.authorization.replace('Bearer ', '')), undefined)
  await assert.rejects(library.removeAccount(id), { code: 'UNKNOWN_ACCOUNT' })
  const error = await rejection(library.getAuthHeaders({ provider: 'local', account: id, url: upstream.chatUrl }))
  assert.equal(error.code, 'UNKNOWN_ACCOUNT')
})

/** Tells whether the callback port of a login takes connections. */
function isOpen({ url }) {
  const { port } = new URL(new URL(url).searchParams.get('redirect_uri'))
  return new Promise((resolve) => {
    const socket = connect(Number(port), '127.0.0.1')
    const settle = (open) => () => {
      socket.destroy()
      resolve(open)
    }
    socket.once('connect', settle(true)).once('error', settle(false))
  })
}

/** Signs in with a browser that cannot reach the callback, and returns the address on which it ends. */
async function addressToPaste(prompt, user) {
  const unreachable = new URL(prompt.url).searchParams.get('redirect_uri')
  return new URL((await signIn(prompt.url, { user, unreachable })).url)
}

/** Another program on this machine, which sits on a port. */
async function startNeighbour() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const port = String(server.address().port)
  const close = () => new Promise((resolve) => server.close(resolve))
  after(close)
  return { port, close, redirectUri: `http://127.0.0.1:${port}/callback` }
}
