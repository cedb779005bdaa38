/** Providers that only configuration describes: a server that does little as the standards say, and one that knows no people. */
import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { after, test } from 'node:test'
import { rejection } from './support/desk.mjs'
import {
  ANY,
  bearerOf,
  createApi,
  createMemory,
  form,
  header,
  json,
  query,
  refusal,
  startServer,
  visit,
} from './support/dialects/strict.mjs'
import { newKeyPair } from './support/key-pair.mjs'
import { createSandbox, LIBRARY_URL } from './support/sandbox.mjs'

const odd = await startOdd()
const robot = await startRobot()
const sandbox = createSandbox({
  name: 'generic',
  config: { providers: { odd: odd.config, robot: robot.config } },
})
sandbox.enter()
const library = await import(LIBRARY_URL)
after(async () => {
  await Promise.all([odd.server.close(), robot.server.close()])
  sandbox.cleanup()
})

const call = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"model":"m"}' }

test('a login follows the dialect: nested discovery, a JSON exchange with state, fields of other names, a checked id token', async () => {
  const account = await odd.logIn({ namespace: 'login' })
  assert.deepEqual(account.identity, {
    issuer: `${odd.server.origin}/`,
    subject: 'u-1',
    organization: 'o-1',
    email: 'ada@odd.example',
  })
  assert.ok(account.expiresAt > Date.now() + 3_500_000 && account.refreshable)
  const { url, headers, strip } = await library.getAuthHeaders({ provider: 'odd', namespace: 'login', url: odd.url })
  assert.equal(new URL(url ?? odd.url).origin, odd.server.origin)
  assert.ok(strip.includes('x-odd-key') && headers.authorization.startsWith('Bearer '))
  const { id } = await library.refreshAccount(account.id, { force: true })
  assert.equal(id, account.id)
})

for (const [what, change] of [
  ['signed by a stranger', { key: newKeyPair('rsa', { modulusLength: 2048 }).privateKey }],
  ['of another issuer', { claims: { iss: 'https://evil.example' } }],
  ['for another client', { claims: { aud: 'another' } }],
  ['of another login', { claims: { nonce: 'another' } }],
  ['that has ended', { claims: { exp: 1 } }],
]) {
  test(`a login with an id token ${what} is refused`, async () => {
    Object.assign(odd.settings, change)
    const error = await rejection(odd.logIn({ namespace: 'refused' }))
    Object.assign(odd.settings, { key: odd.key, claims: {} })
    assert.equal(error.code, 'LOGIN_FAILED')
    assert.deepEqual(await library.listAccounts({ namespace: 'refused' }), [])
  })
}

test('a refusal means what the configuration says, for as long as the body says', async () => {
  const { id } = await odd.logIn({ namespace: 'limits' })
  const report = async (status, body) => {
    const { attempt } = await library.getAuthHeaders({ provider: 'odd', namespace: 'limits', url: odd.url, model: 'm' })
    const { action, reason } = await library.reportResponse({
      attempt,
      status,
      headers: {},
      body: JSON.stringify(body),
    })
    const account = (await library.listAccounts({ namespace: 'limits' })).find((one) => one.id === id)
    await library.clearCooldowns({ account: id })
    return { action, reason, account }
  }
  const resetAt = Math.floor(Date.now() / 1000) + 7_200
  const spent = await report(429, { code: 1302, resetAt })
  assert.equal(spent.reason, 'quota_exhausted')
  const [cooldown] = spent.account.cooldowns
  assert.equal(cooldown.source, 'body')
  assert.ok(Math.abs(cooldown.until - resetAt * 1000) < 60_000 + 7_200_000 / 10, String(cooldown.until))
  // Of the same status, another code is what it is for everybody.
  assert.equal((await report(429, { code: 1303 })).reason, 'rate_limited')
  // And the same code with another status.
  assert.equal((await report(400, { code: 1302 })).reason, 'client_error')
  assert.equal((await report(418, {})).reason, 'overloaded')
})

test('a client signs in for itself, and renews by asking again', async () => {
  const { kind, label, refreshable, id } = await library.login({
    provider: 'robot',
    method: 'client-credentials',
    label: 'ci',
  })
  assert.deepEqual({ kind, label, refreshable }, { kind: 'oauth', label: 'ci', refreshable: true })
  const fetch = library.createAuthFetch({ provider: 'robot' })
  assert.equal((await fetch(robot.url, call)).status, 200)
  robot.memory.expire()
  assert.equal((await fetch(robot.url, call)).status, 200)
  assert.equal(robot.asked(), 2)
  const again = await library.login({ provider: 'robot', method: 'client-credentials', label: 'ci' })
  assert.equal(again.id, id)
  robot.settings.refuses = true
  const error = await rejection(library.refreshAccount(id, { force: true }))
  robot.settings.refuses = false
  assert.equal(error.code, 'REFRESH_FAILED')
  const [account] = await library.listAccounts({ provider: 'robot' })
  assert.equal(account.state, 'ready')
})

test('what the configuration does not allow is no way to log in', async () => {
  for (const [provider, method] of [
    ['robot', 'device'],
    ['robot', 'browser'],
    ['odd', 'client-credentials'],
  ])
    assert.equal(
      (await rejection(library.startLogin({ provider, method }))).code,
      'INVALID_ARGUMENT',
      `${provider} ${method}`,
    )
  const methods = Object.fromEntries((await library.configuredProviders()).map(({ id, methods }) => [id, methods]))
  assert.deepEqual(methods.robot, ['api-key'])
})

/** A server that differs from the standards in whatever a configuration can say. */
async function startOdd() {
  const memory = createMemory()
  const { privateKey: key, publicKey } = newKeyPair('rsa', { modulusLength: 2048 })
  const settings = { key, claims: {} }
  const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const idToken = (nonce) => {
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: 'https://shared.example',
      aud: 'ours',
      sub: 'x',
      iat: now,
      exp: now + 600,
      nonce,
      ...settings.claims,
    }
    const signed = `${encoded({ alg: 'RS256', kid: 'k' })}.${encoded(claims)}`
    return `${signed}.${sign('sha256', Buffer.from(signed), settings.key).toString('base64url')}`
  }
  const answer = ({ access_token: accessToken, refresh_token: refreshToken }, extra) => [
    200,
    {
      accessToken,
      refreshToken,
      life: '3600',
      user: { id: 'u-1', org: 'o-1', mail: 'ada@odd.example' },
      api: server.origin,
      ...extra,
    },
  ]
  const api = createApi({ admits: (call) => memory.owner(bearerOf(call)) !== undefined, refused: [401, {}] })
  const server = await startServer({
    'GET /idcs': () => {
      const { origin } = server
      const endpoints = {
        authorization_endpoint: `${origin}/authorize`,
        token_endpoint: `${origin}/token`,
        jwks_uri: `${origin}/jwks`,
      }
      return [
        200,
        { issuer: 'https://evil.example', 'openid-configuration': { issuer: 'https://shared.example', ...endpoints } },
      ]
    },
    'GET /authorize': (call) => {
      const asked = query(call, {
        response_type: 'code',
        client_id: 'ours',
        redirect_uri: ANY,
        scope: 'openid',
        state: ANY,
        nonce: ANY,
        code_challenge: ANY,
        code_challenge_method: 'S256',
      })
      const { code_challenge: challenge, redirect_uri: redirect, state, nonce } = asked
      const code = memory.code({ user: 'ada', challenge, redirect, state, nonce })
      const iss = 'https://shared.example'
      return [302, '', { location: `${redirect}?${new URLSearchParams({ code, state, iss })}` }]
    },
    'POST /token': (call) => {
      if (call.headers['content-type'] !== 'application/json')
        return answer(
          memory.renew(
            form(call, { grant_type: 'refresh_token', refresh_token: ANY, client_id: 'ours' }).refresh_token,
          ),
        )
      header(call, 'x-odd', 'yes')
      const wanted = {
        grant_type: 'authorization_code',
        code: ANY,
        redirect_uri: ANY,
        code_verifier: ANY,
        client_id: 'ours',
        state: ANY,
      }
      const login = memory.spend(json(call, wanted))
      return answer(memory.issue(login), { idToken: idToken(login.nonce) })
    },
    'GET /jwks': (call) => {
      if (memory.owner(bearerOf(call)) === undefined)
        throw refusal('invalid_token', 'keys are for those who signed in', 401)
      return [200, { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] }]
    },
    'POST /v1/chat': api.route,
  })
  const { origin } = server
  const config = {
    issuer: origin,
    clientId: 'ours',
    scopes: ['openid'],
    origins: [origin],
    strip: ['X-Odd-Key'],
    dialect: {
      discovery: { url: `${origin}/idcs`, key: 'openid-configuration' },
      issuers: ['https://shared.example'],
      encoding: { token: 'json' },
      headers: { token: { 'x-odd': 'yes' } },
      stateInTokenBody: true,
      idToken: 'full',
      jwksNeedsToken: true,
      fields: { access_token: 'accessToken', refresh_token: 'refreshToken', id_token: 'idToken', expires_in: 'life' },
      identity: { subject: ['/user/id'], organization: ['/user/org'], email: ['/user/mail'] },
      apiUrl: '/api',
    },
    limits: [
      { status: 429, path: '/code', value: '1302', means: 'quota_exhausted', waitPath: '/resetAt' },
      { status: 418, means: 'overloaded' },
    ],
  }
  const logIn = async (options) => {
    const session = await library.startLogin({ provider: 'odd', method: 'browser', ...options })
    const finished = session.finish()
    const [outcome] = await Promise.allSettled([finished, visit(session.url)])
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  }
  return { server, config, settings, key, memory, logIn, url: `${origin}/v1/chat` }
}

/** A server of clients that act for themselves. */
async function startRobot() {
  const memory = createMemory()
  const settings = { refuses: false }
  const basic = `Basic ${Buffer.from('robot:s3%3Acret').toString('base64')}`
  let asked = 0
  const api = createApi({ admits: (call) => memory.owner(bearerOf(call)) !== undefined, refused: [401, {}] })
  const server = await startServer({
    'POST /token': (call) => {
      header(call, 'authorization', basic)
      form(call, { grant_type: 'client_credentials', scope: 'use:it', audience: 'api' })
      if (settings.refuses) throw refusal('invalid_client', 'another secret', 401)
      asked += 1
      const { access_token } = memory.issue({ user: 'robot' })
      return [200, { access_token, token_type: 'Bearer', expires_in: 3600 }]
    },
    'POST /v1/chat': api.route,
  })
  const { origin } = server
  const config = {
    tokenEndpoint: `${origin}/token`,
    clientId: 'robot',
    clientSecret: 's3:cret',
    grants: ['client_credentials'],
    scopes: ['use:it'],
    params: { token: { audience: 'api' } },
    origins: [origin],
  }
  return { server, config, settings, memory, asked: () => asked, url: `${origin}/v1/chat` }
}
