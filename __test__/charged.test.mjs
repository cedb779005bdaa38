/** To whom a refusal is charged, and what is answered when no account can serve. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openStage } from './support/stage.mjs'
import { bodies, throttle } from './support/upstream.mjs'

const { upstream, library, sandbox, inChild } = await openStage({
  name: 'charged',
  rotation: { maxWaitMs: 0 },
  providers: ({ upstream: { origin } }) => ({ keys: { origins: [origin] } }),
})

const models = `${upstream.origin}/v1/models`

/** A pool of keys; each is an account of its own name. */
async function openKeys(namespace, ...names) {
  const ids = []
  for (const [priority, name] of names.entries()) {
    upstream.admit(`key-${name}`, name)
    const { id } = await library.addApiKey({ provider: 'keys', namespace, apiKey: `key-${name}`, label: name })
    await library.updateAccount(id, { priority })
    ids.push(id)
  }
  const fetch = library.createAuthFetch({ provider: 'keys', namespace })
  const chat = (model = 'small-1') => fetch(upstream.chatUrl, { method: 'POST', body: JSON.stringify({ model }) })
  const states = async () => (await library.listAccounts({ provider: 'keys', namespace })).map(({ state }) => state)
  upstream.forget()
  return { ids, fetch, chat, states, namespace }
}

const restricted = { status: 401, body: { error: { message: 'no', type: 'invalid_request_error', code: null } } }

test('restricted keys that may not list the models chat on', async () => {
  const { fetch, chat, states } = await openKeys('restricted', 'ra', 'rb')
  for (let turn = 0; turn < 3; turn += 1) {
    for (const name of ['ra', 'rb']) upstream.plan(name, restricted)
    const refused = await fetch(models)
    assert.equal(refused.status, 401)
    assert.deepEqual(await refused.json(), restricted.body)
    assert.equal((await chat()).status, 200)
  }
  assert.deepEqual(await states(), ['ready', 'ready'])
})

test('the only key rests for that endpoint, which is shown and answered as what it is', async () => {
  const { ids, fetch, chat, states, namespace } = await openKeys('lonely', 'la')
  for (let turn = 0; turn < 2; turn += 1) {
    upstream.plan('la', restricted)
    assert.equal((await fetch(models)).status, 401)
  }
  assert.equal((await chat()).status, 200)
  assert.deepEqual(await states(), ['ready'])
  const [{ cooldowns }] = await library.listAccounts({ provider: 'keys', namespace })
  assert.deepEqual(
    cooldowns.map(({ scope, reason }) => [scope, reason]),
    [['/v1/models', 'token_expired']],
  )
  const asked = upstream.requests.length
  const local = await fetch(models)
  assert.equal(upstream.requests.length, asked, 'no account was asked')
  assert.deepEqual([local.status, local.headers.get('retry-after')], [401, null])
  const { error } = await local.json()
  assert.deepEqual([error.type, error.code], ['authentication_error', 'credentials_refused'])
  assert.deepEqual(
    error.accounts.map(({ id, state, reason, scope, status }) => [id, state, reason, scope, status]),
    [[ids[0], 'resting', 'token_expired', '/v1/models', 401]],
  )
  const trace = await library.explain({ provider: 'keys', namespace, url: models })
  assert.deepEqual([trace.outcome, trace.reason], ['exhausted', 'token_expired'])
  assert.deepEqual([trace.accounts[0].scope, trace.accounts[0].status], ['/v1/models', 401])
})

for (const [how, act] of [
  ['clearCooldowns', ({ namespace }) => library.clearCooldowns({ provider: 'keys', namespace })],
  [
    'switching it off and on',
    async ({ ids }) => {
      await library.updateAccount(ids[0], { enabled: false })
      await library.updateAccount(ids[0], { enabled: true })
    },
  ],
]) {
  test(`a key that is dead by two endpoints is tried again after ${how}`, async () => {
    const name = `dead-${how.length}`
    const pool = await openKeys(name, name)
    upstream.plan(name, restricted, restricted)
    await pool.fetch(models)
    await pool.chat()
    assert.deepEqual(await pool.states(), ['needs_login'])
    await act(pool)
    assert.deepEqual(await pool.states(), ['ready'])
    assert.equal((await pool.chat()).status, 200)
  })
}

for (const [what, answer, status] of [
  [
    'a moderation',
    { status: 403, body: { error: { code: 403, metadata: { flagged_input: 'x', reasons: ['y'] } } } },
    403,
  ],
  ['a page of a CDN', { status: 403, headers: { 'content-type': 'text/html' }, body: '<html>blocked</html>' }, 403],
  ['a 403 of both', { status: 403, body: { error: { message: 'no' } } }, 403],
  ['a 413 with the code of a limit', { status: 413, body: bodies.throttled }, 413],
  ['a 400 with the code of a limit', { status: 400, body: bodies.throttled }, 400],
  ['a 402 for what it would cost', { status: 402, body: { error: { code: 402, message: 'fewer tokens' } } }, 402],
]) {
  test(`${what} is delivered, and good requests are served at once`, async () => {
    const names = [1, 2].map((number) => `${what.replaceAll(' ', '-')}-${number}`)
    const { chat } = await openKeys(what, ...names)
    for (let turn = 0; turn < 3; turn += 1) {
      for (const name of names) upstream.plan(name, answer)
      assert.equal((await chat()).status, status)
      for (const name of names) upstream.behave(name)
      assert.equal((await chat()).status, 200)
    }
  })
}

test('a model that is not there is answered by the provider again, in its own words', async () => {
  const { chat, states } = await openKeys('missing', 'ma', 'mb')
  const body = { error: { code: 'model_not_found', message: 'there is no such model', type: 'invalid_request_error' } }
  for (const name of ['ma', 'mb']) upstream.plan(name, { status: 404, body })
  for (let turn = 0; turn < 3; turn += 1) {
    const response = await chat('typo')
    assert.equal(response.status, 404)
    assert.deepEqual(await response.json(), body)
    assert.equal(response.headers.get('retry-after'), null)
  }
  assert.equal(upstream.requests.length, 2, 'each was asked once')
  assert.equal((await chat()).status, 200)
  assert.deepEqual(await states(), ['ready', 'ready'])
})

test('an answer that repeats the key is not kept', async () => {
  const { chat } = await openKeys('echo', 'key-echo')
  upstream.plan('key-echo', {
    status: 404,
    body: { error: { code: 'model_not_found', message: 'sent with key-key-echo' } },
  })
  assert.equal((await chat('typo')).status, 404)
  const local = await chat('typo')
  assert.equal(local.status, 404)
  assert.equal((await local.json()).error.code, 'model_not_available')
})

test('an account without credit is said to be that, and no time is promised', async () => {
  const { chat } = await openKeys('poor', 'pa')
  upstream.plan('pa', { status: 429, body: bodies.quota })
  await chat()
  const local = await chat()
  assert.deepEqual([local.status, local.headers.get('retry-after')], [402, null])
  assert.equal((await local.json()).error.type, 'billing_error')
})

test('only a limit is said to be one, with the time of the soonest account', async () => {
  const { chat } = await openKeys('limited', 'xa')
  upstream.plan('xa', { ...throttle(600), times: 1 })
  await chat()
  assert.equal((await chat('small-2')).status, 200)
  const local = await chat()
  assert.equal(local.status, 429)
  assert.ok(Number(local.headers.get('retry-after')) > 590)
  const { error } = await local.json()
  assert.deepEqual([error.type, error.code], ['rate_limit_error', 'all_accounts_cooling'])
})

test('the log names the cause of each failure, what is charged, and why a request was refused here', async () => {
  const { ids, namespace } = await openKeys('logged', 'lo')
  upstream.plan('lo', restricted, restricted)
  const file = join(sandbox.dir, 'charged.log')
  await inChild(
    `const fetch = auth.createAuthFetch({ provider: 'keys', namespace: '${namespace}' })
     for (let turn = 0; turn < 3; turn += 1) await fetch('${models}')
     console.log('{}')`,
    { env: { PROVIDER_AUTH_LOG: 'info', PROVIDER_AUTH_LOG_FILE: file } },
  )
  const lines = readFileSync(file, 'utf8').split('\n')
  const failed = lines.filter((line) => line.includes('an attempt failed'))
  assert.equal(failed.length, 2)
  for (const said of [ids[0], '"status":401', '"reason":"token_expired"', '"charged":"/v1/models"']) {
    assert.ok(failed[0].includes(said), `${said}: ${failed[0]}`)
  }
  const [here] = lines.filter((line) => line.includes('a request was refused here'))
  assert.ok(here.includes('"reason":"token_expired"') && here.includes('refuses the credentials'), here)
  assert.ok(!lines.some((line) => line.includes('key-lo')))
})
