/** What becomes of a call, and of its account, for each way in which a provider can answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rejection } from './support/desk.mjs'
import { openStage } from './support/stage.mjs'
import { until } from './support/until.mjs'
import { bodies, throttle } from './support/upstream.mjs'

const { oidc, upstream, library, openPool } = await openStage({
  name: 'reactions',
  rotation: { maxWaitMs: 5000 },
  providers: ({ upstream: { origin } }) => ({ keys: { origins: [origin] } }),
})

const minutesLeft = ({ until }) => Math.round((until - Date.now()) / 60_000)

test('a 401 is answered by one refresh and one more try', async () => {
  const { users, ask, served } = await openPool(['ada', 'bob'])
  oidc.expireAccess(users[0])
  const before = oidc.counters.refreshRequests
  assert.equal((await ask()).status, 200)
  assert.deepEqual(served(), [users[0], users[0]])
  assert.equal(oidc.counters.refreshRequests, before + 1)
})

test('a 401 for a fresh token moves the call on and rests the account; a second one asks for a login', async () => {
  const { users, ids, ask, served, account } = await openPool(['ada', 'bob'])
  const [ada, bob] = users
  upstream.plan(ada, { status: 401, times: 4 })
  assert.equal((await ask({ session: 'one' })).status, 200)
  assert.deepEqual(served(), [ada, ada, bob])
  const { state, cooldowns } = await account()
  assert.equal(state, 'cooling')
  assert.deepEqual([cooldowns[0].scope, cooldowns[0].reason], ['account', 'token_expired'])

  await library.clearCooldowns({ account: ids[0] })
  assert.equal((await ask({ session: 'two' })).status, 200)
  assert.deepEqual(served(), [ada, ada, bob, ada, ada, bob])
  assert.equal((await account()).state, 'needs_login')
})

test('a login that was revoked is left out from then on, and kept', async () => {
  const { users, ids, ask, served, account } = await openPool(['ada', 'bob'])
  const [ada, bob] = users
  oidc.revokeGrants(ada)
  oidc.expireAccess(ada)
  for (let turn = 0; turn < 3; turn += 1) assert.equal((await ask()).status, 200)
  assert.deepEqual(served(), [ada, bob, bob, bob])
  assert.equal((await account()).state, 'needs_login')
  assert.equal((await account()).id, ids[0])
})

test('when every login was revoked, the error says who must sign in', async () => {
  const { users, ids, namespace, ask } = await openPool(['ada'])
  oidc.revokeGrants(users[0])
  oidc.expireAccess(users[0])
  assert.equal((await ask()).status, 401)
  const error = await rejection(library.getAuthHeaders({ provider: 'local', namespace, url: upstream.chatUrl }))
  assert.deepEqual([error.code, error.provider, error.accountId], ['NEEDS_LOGIN', 'local', ids[0]])
  assert.match(error.message, /local .*sign in again/)
})

test('an API key that is refused is not tried again, and the next key answers', async () => {
  upstream.admit('key-good', 'good')
  for (const [priority, apiKey] of ['key-bad', 'key-good'].entries()) {
    const { id } = await library.addApiKey({ provider: 'keys', apiKey, label: apiKey })
    await library.updateAccount(id, { priority })
  }
  const fetch = library.createAuthFetch({ provider: 'keys' })
  upstream.forget()
  for (let turn = 0; turn < 3; turn += 1) assert.equal((await fetch(`${upstream.origin}/v1/models`)).status, 200)
  assert.deepEqual(upstream.accounts(), [undefined, 'good', 'good', 'good'])
  const states = (await library.listAccounts({ provider: 'keys' })).map(({ label, state }) => [label, state])
  assert.deepEqual(Object.fromEntries(states), { 'key-bad': 'needs_login', 'key-good': 'ready' })
})

for (const [what, plan, expected] of [
  ['402', { status: 402 }, { state: 'out_of_credit', reason: 'out_of_credit', scope: 'account', minutes: 1 }],
  [
    '403 without a known reason',
    { status: 403 },
    { state: 'cooling', reason: 'forbidden', scope: 'account', minutes: 5 },
  ],
  [
    '429 with a wait of hours',
    { status: 429, headers: { 'retry-after': '7200' }, body: bodies.throttled },
    { state: 'ready', reason: 'quota_exhausted', scope: 'small-1', minutes: 120 },
  ],
  [
    "429 with the code of the account's quota",
    { status: 429, headers: { 'retry-after': '7200' }, body: bodies.spent },
    { state: 'exhausted', reason: 'quota_exhausted', scope: 'account', minutes: 120 },
  ],
  [
    '429 about money',
    { status: 429, headers: { 'retry-after': '1' }, body: bodies.quota },
    { state: 'out_of_credit', reason: 'out_of_credit', scope: 'account', minutes: 60 },
  ],
  [
    '429 with a date',
    { status: 429, headers: { 'retry-after': new Date(Date.now() + 600_000).toUTCString() } },
    { state: 'ready', reason: 'quota_exhausted', scope: 'small-1', minutes: 10 },
  ],
  ['429 that says nothing', { status: 429 }, { state: 'ready', reason: 'rate_limited', scope: 'small-1', minutes: 0 }],
]) {
  test(`a ${what} moves the call on and rests the account as long as that deserves`, async () => {
    const { users, ask, served, account } = await openPool(['ada', 'bob'])
    upstream.plan(users[0], plan)
    assert.equal((await ask()).status, 200)
    assert.deepEqual(served(), users)
    const { state, cooldowns } = await account()
    const [cooldown] = cooldowns
    assert.ok(minutesLeft(cooldown) - expected.minutes <= 1, `${minutesLeft(cooldown)} min`)
    assert.ok(minutesLeft(cooldown) >= expected.minutes - 1, `${minutesLeft(cooldown)} min`)
    const { minutes: _, ...told } = expected
    assert.deepEqual({ state, reason: cooldown.reason, scope: cooldown.scope }, told)
  })
}

for (const headers of [{ 'retry-after': '1' }, { 'retry-after-ms': '700' }]) {
  test(`a wait of ${Object.entries(headers).join(' ')} is sat out on the same account`, async () => {
    const { users, ask, served } = await openPool(['ada', 'bob'])
    upstream.plan(users[0], { status: 429, headers, body: bodies.throttled })
    const askedAt = performance.now()
    assert.equal((await ask()).status, 200)
    assert.deepEqual(served(), [users[0], users[0]])
    assert.ok(performance.now() - askedAt >= 690)
  })
}

for (const status of [500, 503, 529]) {
  test(`a ${status} is tried again on the same account, which is not to blame`, async () => {
    const { users, ask, served, account } = await openPool(['ada', 'bob'])
    upstream.plan(users[0], { status, times: 2 })
    assert.equal((await ask()).status, 200)
    assert.deepEqual(served(), Array(3).fill(users[0]))
    const { state, cooldowns } = await account()
    assert.deepEqual({ state, cooldowns }, { state: 'ready', cooldowns: [] })
  })
}

test('a service that stays overloaded gets three tries, one on another account, and the caller its own words', async () => {
  const { users, ask, served } = await openPool(['ada', 'bob'])
  for (const user of users) upstream.plan(user, { status: 529, body: bodies.overloaded, times: Infinity })
  const response = await ask()
  assert.equal(response.status, 529)
  assert.deepEqual(await response.json(), bodies.overloaded)
  assert.deepEqual(served().slice(0, 4), [users[0], users[0], users[0], users[1]])
  assert.ok(!served().slice(3).includes(users[0]), 'it hops once')
})

test('a connection that breaks is tried again on the same account, and fails as fetch does after three tries', async () => {
  const { users, ask, served } = await openPool(['ada', 'bob'])
  upstream.plan(users[0], { drop: true, times: 2 })
  assert.equal((await ask()).status, 200)
  assert.deepEqual(served(), Array(3).fill(users[0]))
  upstream.plan(users[0], { drop: true, times: 3 })
  assert.match((await rejection(ask())).message, /fetch failed/)
  assert.deepEqual(served(), Array(6).fill(users[0]))
})

test('a pinned call stays with its account, come what may', async () => {
  const { users, ids, namespace, served } = await openPool(['ada', 'bob'])
  upstream.plan(users[1], throttle(600))
  const fetch = library.createAuthFetch({ provider: 'local', namespace, account: ids[1] })
  assert.equal((await fetch(upstream.chatUrl, { method: 'POST', body: '{}' })).status, 429)
  assert.deepEqual(served(), [users[1]])
})

test('a call that waits for the only account is answered by one that is added meanwhile', async () => {
  const { users, namespace, ask, served } = await openPool(['ada'])
  const { attempt } = await library.getAuthHeaders({ provider: 'local', namespace, url: upstream.chatUrl })
  const verdict = await library.reportResponse({ attempt, status: 429, headers: { 'retry-after': '4' } })
  assert.deepEqual([verdict.action, verdict.reason], ['retry', 'throttled'])
  assert.ok(verdict.delayMs > 3900 && verdict.delayMs < 4300, `${verdict.delayMs} ms`)

  const waiting = nextEvent(namespace, 'waiting')
  const answer = ask()
  const { until: soonest } = await waiting
  assert.ok(soonest > Date.now())
  upstream.admit(`key-${namespace}`, 'late')
  await library.addApiKey({ provider: 'local', namespace, apiKey: `key-${namespace}` })
  assert.equal((await (await answer).json()).choices[0].message.content, 'served by late')
  assert.ok(Date.now() < soonest, 'it did not wait to the end')
  assert.deepEqual(served(), [], `${users} was left in peace`)
})

test('each decision is told to those who listen, without a secret', async () => {
  const events = []
  const stop = library.subscribe((event) => events.push(event))
  library.subscribe(() => {
    throw new Error('a listener of no use')
  })
  const { users, ids, namespace, ask, status } = await openPool(['ada', 'bob'])
  upstream.plan(users[0], { ...throttle(600), body: bodies.spent })
  await ask()
  await library.refreshAccount(ids[1], { force: true })
  upstream.plan(users[1], { ...throttle(600), body: bodies.spent })
  await ask()
  await ask()
  await library.removeAccount(ids[0])
  await until('the removal is told', () => events.at(-1)?.type === 'account_removed')
  stop()
  await ask()

  const told = events.filter((event) => event.namespace === namespace)
  const by = (id) => ['ada', 'bob'][ids.indexOf(id)] ?? 'all'
  assert.deepEqual(
    told.map(({ type, accountId }) => `${type} ${by(accountId)}`),
    [
      'account_added ada',
      'account_added bob',
      'chosen ada',
      'failed ada',
      'cooldown ada',
      'chosen bob',
      'rotated bob',
      'served bob',
      'refreshed bob',
      'chosen bob',
      'failed bob',
      'cooldown bob',
      'exhausted all',
      'exhausted all',
      'account_removed ada',
    ],
  )
  const cooldown = told.find(({ type }) => type === 'cooldown')
  assert.deepEqual([cooldown.provider, cooldown.reason, cooldown.model], ['local', 'quota_exhausted', 'small-1'])
  assert.ok(cooldown.until > cooldown.at && cooldown.at <= Date.now())
  const text = JSON.stringify(told)
  for (const secret of [...oidc.issuedTokens(), ...users]) assert.ok(!text.includes(secret))

  const { requests, attempts, rotations, refreshes, exhausted, retryAt } = await status()
  assert.deepEqual(
    { requests, attempts, rotations, refreshes, exhausted },
    {
      requests: 4,
      attempts: 3,
      rotations: 1,
      refreshes: 1,
      exhausted: 3,
    },
  )
  assert.ok(retryAt > Date.now() + 590_000)
})

/** Resolves at the next event of this type. */
function nextEvent(namespace, type) {
  return new Promise((resolve) => {
    const stop = library.subscribe((event) => {
      if (event.namespace !== namespace || event.type !== type) return
      stop()
      resolve(event)
    })
  })
}

test('the use of a quota that headers tell of is shown with the account', async () => {
  const { namespace, account } = await openPool(['ada'])
  assert.deepEqual((await account()).quota, [])
  const { attempt } = await library.getAuthHeaders({ provider: 'local', namespace, url: upstream.chatUrl })
  const reset = Math.floor(Date.now() / 1000) + 3600
  const headers = {
    'anthropic-ratelimit-unified-5h-status': 'allowed_warning',
    'anthropic-ratelimit-unified-5h-utilization': '0.92',
    'anthropic-ratelimit-unified-5h-reset': String(reset),
  }
  await library.reportResponse({ attempt, status: 200, headers })
  const [{ window, usedPercent, resetAt, observedAt, ...more }] = (await account()).quota
  assert.deepEqual({ window, usedPercent, more }, { window: '5h', usedPercent: 92, more: {} })
  assert.ok(Math.abs(resetAt - reset * 1000) < 1500 && observedAt <= Date.now())
  const [pool] = await library.poolStatus({ provider: 'local', namespace })
  assert.deepEqual(pool.accounts[0].quota, (await account()).quota)
})
