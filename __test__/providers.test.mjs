/**
 * Every built-in provider against a strict server of its dialect: login, headers, models, an ended token, refresh, and what
 * its refusals mean. A row is a way to authenticate; each row runs through each of the steps that apply to it.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { rejection } from './support/desk.mjs'
import { startAnthropic } from './support/dialects/anthropic.mjs'
import { startAzure, startCursor, startGithub, startOci, startQwen } from './support/dialects/devices.mjs'
import { startGoogle } from './support/dialects/google.mjs'
import { startOpenai } from './support/dialects/openai.mjs'
import { createSandbox, LIBRARY_URL } from './support/sandbox.mjs'

const starts = [startAnthropic, startOpenai, startGoogle, startGithub, startQwen, startCursor, startOci, startAzure]
const rows = (await Promise.all(starts.map((start) => start()))).flat()
const sandbox = createSandbox({
  name: 'providers',
  config: { providers: Object.fromEntries(rows.map(({ provider, config }) => [provider, config])) },
})
sandbox.enter()
for (const { env } of rows) Object.assign(process.env, env)
const library = await import(LIBRARY_URL)
after(async () => {
  await Promise.all(rows.map(({ server }) => server.close()))
  sandbox.cleanup()
})

/** What an SDK puts where a key goes; none of it may reach a provider. */
const PLACEHOLDERS = { authorization: 'Bearer unused', 'x-api-key': 'unused', 'api-key': 'unused' }

const call = (row, headers = {}) => [
  row.url,
  {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...PLACEHOLDERS, ...headers },
    body: JSON.stringify({ model: 'm' }),
  },
]

const row = (provider) => rows.find((one) => one.provider === provider)

/** Adds the account of a row, once. */
const accounts = new Map()
function account(one) {
  if (!accounts.has(one)) {
    const { provider, key } = one
    accounts.set(one, key === undefined ? one.logIn(library) : library.addApiKey({ provider, apiKey: key }))
  }
  return accounts.get(one)
}

// The device logins wait for their servers' pauses: all rows begin at once.
for (const one of rows) account(one).catch(() => {})

for (const one of rows) {
  const { name, provider, key, refusals = {}, wrongs = [] } = one
  describe(name, () => {
    test('an account is added, and it is known who it is', async () => {
      const { kind, state, identity, refreshable } = await account(one)
      assert.deepEqual({ kind, state, refreshable }, { kind: key ? 'api' : 'oauth', state: 'ready', refreshable: !key })
      assert.deepEqual(identity, one.identity)
    })

    test('the headers are those that the provider wants, and no placeholder reaches it', async () => {
      await account(one)
      const fetch = library.createAuthFetch({ provider })
      const response = await fetch(...call(one, one.callerHeaders))
      assert.equal(response.status, 200, await response.clone().text())
      const { headers } = await response.json()
      for (const [header, wanted] of Object.entries(one.headers)) {
        const value = headers[header]?.replaceAll(/,\s+/g, ',')
        assert.equal(value, wanted, header)
      }
      if (one.servedAt) assert.equal(response.url, one.servedAt)
    })

    test('its models are listed, to whom the provider knows and from then on without asking again', async () => {
      await account(one)
      const before = Date.now()
      const { models, fetchedAt, stale } = await library.discoverModels({ provider })
      assert.deepEqual({ models, stale }, { models: one.models, stale: false })
      assert.ok(fetchedAt >= before && fetchedAt <= Date.now())
      const asked = one.api.listed()
      assert.deepEqual(await library.discoverModels({ provider }), { models, fetchedAt, stale })
      assert.equal(one.api.listed(), asked)
      const { status } = await fetch(one.listUrl, { headers: { accept: 'application/json' } })
      assert.equal(status, 401)
    })

    for (const [what, [status, body, headers, reason]] of Object.entries(refusals)) {
      test(`${what} (${status}) is ${reason}`, async () => {
        const { id } = await account(one)
        const { attempt } = await library.getAuthHeaders({ provider, url: one.url, model: what })
        const report = { attempt, status, headers, body: JSON.stringify(body) }
        let verdict = await library.reportResponse(report)
        // A login is renewed once before a 403 is believed.
        if (reason === 'forbidden' && verdict.action === 'retry' && !key) verdict = { ...verdict, reason: 'forbidden' }
        assert.equal(verdict.reason, reason)
        await heal(one, id)
      })
    }

    test(key ? 'a 401 asks for another key' : 'a 401 renews the token within the same call', async () => {
      const { id } = await account(one)
      const fetch = library.createAuthFetch({ provider })
      if (key !== undefined) {
        one.api.plan(...(one.refused ?? [401, { error: { type: 'authentication_error', code: 'invalid_api_key' } }]))
        const response = await fetch(...call(one))
        assert.equal(response.status, one.refused?.[0] ?? 401)
        assert.equal((await find(id)).state, 'needs_login')
        await library.addApiKey({ provider, apiKey: key })
        assert.equal((await find(id)).state, 'ready')
      } else {
        one.memory.expire()
        const response = await fetch(...call(one))
        assert.equal(response.status, 200, await response.clone().text())
      }
    })

    if (key === undefined) {
      test('a renewal on demand brings another token', async () => {
        const { id } = await account(one)
        const credential = async () => (await library.getAuthHeaders({ provider, url: one.url })).headers.authorization
        const before = await credential()
        await library.refreshAccount(id, { force: true })
        assert.notEqual(await credential(), before)
      })
    }

    if (wrongs.length > 0) {
      test('the server is strict: what it does not speak it refuses', async () => {
        for (const [what, method, path, body, type] of wrongs) {
          const isText = typeof body === 'string'
          const headers = { accept: 'application/json' }
          if (body !== undefined)
            headers['content-type'] = type ?? (isText ? 'application/x-www-form-urlencoded' : 'application/json')
          const { origin } = new URL(one.config.tokenEndpoint ?? one.server.origin)
          const options = { method, headers, redirect: 'manual' }
          if (body !== undefined) options.body = isText ? body : JSON.stringify(body)
          const { status } = await fetch(origin + path, options)
          assert.ok(status >= 400, `${what}: ${status}`)
        }
      })
    }
  })
}

test('a second login of the same identity updates the account', async () => {
  const ways = rows.filter(({ key, identity }) => key === undefined && identity !== undefined)
  for (const one of ways.filter(({ provider }) => ['anthropic-own', 'openai', 'google-own'].includes(provider))) {
    const first = await account(one)
    const second = await one.logIn(library)
    assert.equal(second.id, first.id, one.name)
  }
})

test('where the provider does not say who signed in, the label tells accounts apart', async () => {
  const { id } = await account(row('anthropic-workload'))
  const again = (label) => library.login({ provider: 'anthropic-workload', method: 'assertion', label })
  assert.equal((await again('ci')).id, id)
  assert.notEqual((await again('another')).id, id)
})

test('a code is good for one exchange, and a refresh token for one refresh', async () => {
  const { memory } = row('anthropic-own')
  const issued = memory.issue({ user: 'eve' })
  const next = memory.renew(issued.refresh_token)
  assert.throws(
    () => memory.renew(issued.refresh_token),
    (answer) => answer[1].error === 'invalid_grant',
  )
  assert.equal(memory.owner(next.access_token), undefined)
  const code = memory.code({ user: 'eve', challenge: 'x', redirect: 'r' })
  for (const _ of [1, 2]) assert.throws(() => memory.spend({ code, code_verifier: 'v', redirect_uri: 'r' }))
})

test('Sign in with ChatGPT: the issued client serves later logins, and an answer for another one is none', async () => {
  const one = row('openai')
  await account(one)
  const session = await library.startLogin({ provider: 'openai', method: 'browser', loginHint: 'bea' })
  const page = new URL(session.url)
  assert.ok(one.clients.has(page.searchParams.get('client_id')))
  assert.equal(page.searchParams.get('agent_name_hint'), null)
  const back = new URL(page.searchParams.get('redirect_uri'))
  back.search = new URLSearchParams({
    code: 'x',
    state: page.searchParams.get('state'),
    client_id: 'oaiapp_of_another',
  })
  assert.equal((await fetch(back)).status, 400)
  session.cancel()
  const { instructions, cancel } = await library.startLogin({ provider: 'openai', method: 'paste' })
  cancel()
  assert.match(instructions, /providers\.openai\.rotation\.rotate/)
})

test('Sign in with ChatGPT: no refresh is tried before the server allows it', async () => {
  const one = row('openai')
  const { id } = await account(one)
  for (const earliest of [Math.floor(Date.now() / 1000) + 600, String(Math.floor(Date.now() / 1000) + 600)]) {
    one.settings.earliest = earliest
    const { id: another } = await one.logIn(library)
    assert.equal(another, id)
    const error = await rejection(library.refreshAccount(id, { force: true }))
    assert.equal(error.code, 'REFRESH_FAILED')
    // By our clock, from the whole seconds of the server's.
    assert.ok(Math.abs(error.retryAt - Number(earliest) * 1000) < 2000, String(error.retryAt))
  }
  assert.equal(one.spentEarly(), 0)
  one.settings.earliest = null
  await one.logIn(library)
})

for (const [what, change, undo] of [
  ['signed by a stranger', { forged: true }, { forged: false }],
  ['for another audience', { audience: 'oaiapp_of_another' }, { audience: undefined }],
  ['without the scope of the plan', { scope: 'openid profile email' }, { scope: undefined }],
]) {
  test(`Sign in with ChatGPT: a login ${what} is refused`, async () => {
    const one = row('openai')
    await account(one)
    const { scope } = one.settings
    Object.assign(one.settings, change)
    const error = await rejection(one.logIn(library, { namespace: 'refused' }))
    Object.assign(one.settings, undo, { scope })
    assert.equal(error.code, 'LOGIN_FAILED')
    assert.deepEqual(await library.listAccounts({ namespace: 'refused' }), [])
  })
}

test('GitHub Copilot: where tokens are not exchanged, the login’s own serves at the first host', async () => {
  const one = row('github-copilot')
  const { id } = await account(one)
  const call = async () => {
    const response = await library.createAuthFetch({ provider: 'github-copilot' })(one.url, {
      method: 'POST',
      body: '{}',
    })
    assert.equal(response.status, 200, await response.clone().text())
    return { url: response.url, token: (await response.json()).headers.authorization }
  }
  const { token: exchanged } = await call()
  one.settings.exchanges = false
  one.memory.expire()
  const { url, token } = await call()
  assert.equal(url, one.url)
  assert.match(token, /^Bearer gho_/)
  const { models } = await library.discoverModels({ provider: 'github-copilot' })
  assert.deepEqual(models, one.models)
  const direct = await one.logIn(library, { namespace: 'direct' })
  assert.deepEqual({ state: direct.state, expiresAt: direct.expiresAt }, { state: 'ready', expiresAt: undefined })
  await library.removeAccount(direct.id)
  one.settings.exchanges = true
  await library.refreshAccount(id, { force: true })
  const { url: seat, token: again } = await call()
  assert.equal(seat, one.servedAt)
  assert.match(again, /^Bearer tid=/)
  assert.notEqual(again, exchanged)
})

test('GitHub Copilot: a host that was not allowed gets no token, and a lost seat is no lost login', async () => {
  const one = row('github-copilot')
  const { id } = await account(one)
  one.settings.api = 'https://api.evil.example'
  await library.refreshAccount(id, { force: true })
  const { url } = await library.getAuthHeaders({ provider: 'github-copilot', url: one.url })
  assert.equal(url, one.servedAt)
  one.settings.api = undefined
  one.settings.seat = false
  assert.equal((await rejection(library.refreshAccount(id, { force: true }))).code, 'REFRESH_FAILED')
  one.settings.seat = true
  await library.refreshAccount(id, { force: true })
  one.login.end()
  assert.equal((await rejection(library.refreshAccount(id, { force: true }))).code, 'NEEDS_LOGIN')
})

test('Cursor: a good answer that says to log out ends the login', async () => {
  const one = row('cursor-own')
  const { id } = await account(one)
  one.settings.dead = true
  assert.equal((await rejection(library.refreshAccount(id, { force: true }))).code, 'NEEDS_LOGIN')
})

test('removing an account ends it at the provider where the provider can do that, and says so where it cannot', async () => {
  for (const one of rows.filter(({ key }) => key === undefined)) {
    const { id } = await account(one)
    const removed = library.removeAccount(id, { revoke: true })
    if (one.revokes) assert.equal(await removed, true, one.name)
    else assert.equal((await rejection(removed)).code, 'INVALID_ARGUMENT', one.name)
  }
})

for (const provider of ['anthropic', 'qwen', 'cursor', 'google', 'github-copilot', 'oci-oidc']) {
  test(`without a client of one’s own, a login of ${provider} says what its terms are`, async () => {
    const plain = createSandbox({ name: 'terms' })
    const { stdout } = await plain.run(
      `const error = await auth.startLogin({ provider: '${provider}', method: 'browser' }).catch((error) => error)
      console.log(JSON.stringify({ code: error.code, message: error.message }))`,
    )
    plain.cleanup()
    const { code, message } = JSON.parse(stdout)
    assert.equal(code, 'CLIENT_ID_REQUIRED')
    assert.match(message, /https:\/\//)
  })
}

const find = async (id) => (await library.listAccounts()).find((one) => one.id === id)

/** Undoes what a refusal left behind. */
async function heal(one, id) {
  await library.clearCooldowns({ account: id })
  if ((await find(id)).state === 'ready') return
  if (one.key === undefined) await one.logIn(library)
  else await library.addApiKey({ provider: one.provider, apiKey: one.key })
}
