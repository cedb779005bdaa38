/** What one call may say to its pool, and how a choice is explained. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chat, openDesk, rejection } from './support/desk.mjs'
import { until } from './support/until.mjs'
import { throttle } from './support/upstream.mjs'

const { library, upstream, openPool } = await openDesk({ rotation: { maxWaitMs: 0 } })

for (const [way, call] of [
  ['init', (overrides) => ({ ...chat(), providerAuth: overrides })],
  [
    'headers',
    (overrides) => {
      const headers = Object.entries(overrides).map(([name, value]) => [`X-Provider-Auth-${name}`, value])
      return { ...chat(), headers: [['content-type', 'application/json'], ...headers] }
    },
  ],
]) {
  test(`a_call_pins_its_account_by_${way}`, async () => {
    const { fetch, served, seen, accounts } = await openPool(['ada', 'bob'])
    await fetch(upstream.chatUrl, call({ account: accounts[1] }))
    assert.deepEqual(served(), [accounts[1]])
    assert.ok(!JSON.stringify(seen()[0].headers).includes('provider-auth'))
    const error = await rejection(fetch(upstream.chatUrl, call({ account: 'nobody' })))
    assert.equal(error.code, 'UNKNOWN_ACCOUNT')
  })

  test(`a_call_names_its_session_by_${way}`, async () => {
    const { fetch, served, accounts, namespace } = await openPool(['ada', 'bob'])
    await fetch(upstream.chatUrl, call({ session: 'one', account: accounts[1] }))
    await fetch(upstream.chatUrl, call({ session: 'one' }))
    await fetch(upstream.chatUrl, call({ session: 'two' }))
    assert.deepEqual(served(), [accounts[1], accounts[1], accounts[0]])
    assert.equal((await library.listAccounts({ namespace })).length, 2)
  })

  test(`a_call_names_its_model_by_${way}`, async () => {
    const { fetch, served, accounts } = await openPool(['ada', 'bob'])
    upstream.plan(accounts[0], { ...throttle(30), times: 1 })
    await fetch(upstream.chatUrl, call({ model: 'other', session: 'one' }))
    await fetch(upstream.chatUrl, call({ session: 'two' }))
    assert.deepEqual(served(), [accounts[0], accounts[1], accounts[0]])
  })
}

test('an_object_with_its_own_address_says_what_a_call_may_say', async () => {
  const { fetch, served, accounts } = await openPool(['ada', 'bob'])
  const config = (extra) => ({ url: upstream.chatUrl, ...chat(), ...extra })
  const pinned = config({ providerAuth: { account: accounts[1], session: 'one' } })
  await fetch(pinned.url, pinned)
  const bound = config({ providerAuth: { session: 'one' } })
  await fetch(bound.url, bound)
  const headed = config({ headers: { 'x-session-id': 'one' } })
  await fetch(headed.url, headed)
  const other = config({ providerAuth: { session: 'two' } })
  await fetch(other.url, other)
  assert.deepEqual(served(), [accounts[1], accounts[1], accounts[1], accounts[0]])
})

test('headers_of_a_request_object_say_the_same_and_are_not_sent', async () => {
  const { fetch, served, seen, accounts } = await openPool(['ada', 'bob'])
  const headers = { 'x-provider-auth-account': accounts[1], 'x-own': 'kept' }
  await fetch(new Request(`${upstream.origin}/echo`, { headers }))
  assert.deepEqual(served(), [accounts[1]])
  const [{ headers: sent }] = seen()
  assert.equal(sent['x-own'], 'kept')
  assert.equal(sent['x-provider-auth-account'], undefined)
})

test('a_fetch_below_never_sees_the_overrides_of_init', async () => {
  let seen
  const fetch = (url, init) => {
    seen = init
    return globalThis.fetch(url, init)
  }
  const pool = await openPool(['ada'], { fetch })
  await pool.fetch(upstream.chatUrl, { ...chat(), providerAuth: { session: 's' }, dispatcherOfTheHost: 1 })
  assert.equal('providerAuth' in seen, false)
  assert.equal(seen.dispatcherOfTheHost, 1)
})

test('each_attempt_can_be_explained', async () => {
  const traces = []
  const pool = await openPool(['ada', 'bob', 'cyd'], { onTrace: (trace) => traces.push(trace) })
  const { accounts, namespace } = pool
  const ids = await idsOf(namespace)
  await library.updateAccount(ids[accounts[2]], { enabled: false })
  upstream.plan(accounts[0], { ...throttle(600), times: 1 })
  assert.equal((await pool.fetch(upstream.chatUrl, chat())).status, 200)
  const told = traces.map(({ outcome, accountId, rule }) => [outcome, accountId, rule])
  assert.deepEqual(told, [
    ['serve', ids[accounts[0]], 'strategy'],
    ['serve', ids[accounts[1]], 'switched'],
  ])
  const [first, second] = traces.map(({ accounts: all }) => new Map(all.map((entry) => [entry.accountId, entry])))
  assert.equal(first.get(ids[accounts[0]]).chance, 'eligible')
  assert.equal(first.get(ids[accounts[2]]).chance, 'disabled')
  const { chance, reason, until } = second.get(ids[accounts[0]])
  assert.deepEqual([chance, reason], ['resting', 'quota_exhausted'])
  assert.ok(until > Date.now() + 590_000)
})

test('a_listener_for_traces_that_throws_does_not_end_the_call', async () => {
  const onTrace = () => {
    throw new Error('mine')
  }
  const { fetch } = await openPool(['ada'], { onTrace })
  assert.equal((await fetch(upstream.chatUrl, chat())).status, 200)
})

test('a_choice_is_explained_without_being_made', async () => {
  const { accounts, namespace, provider } = await openPool(['ada', 'bob'])
  const ids = await idsOf(namespace)
  const ask = { provider, namespace, url: upstream.chatUrl }
  const trace = await library.explain({ ...ask, account: accounts[1] })
  assert.equal(trace.outcome, 'serve')
  assert.equal(trace.rule, 'pinned')
  assert.equal(trace.accountId, ids[accounts[1]])
  assert.equal(trace.accounts.find(({ accountId }) => accountId === ids[accounts[0]]).chance, 'not_pinned')
  const [{ attempts, requests }] = await library.poolStatus({ provider, namespace })
  assert.deepEqual([attempts, requests], [0, 0])
  assert.equal((await library.explain({ ...ask, namespace: 'nobody' })).outcome, 'no_account')
  assert.equal((await rejection(library.explain({ ...ask, provider: 'nobody' }))).code, 'UNKNOWN_PROVIDER')
})

test('where_every_account_is_switched_off_that_is_said_with_how_to_switch_one_on', async () => {
  const { fetch, namespace, provider, served } = await openPool(['ada', 'bob'])
  const ids = (await library.listAccounts({ namespace })).map(({ id }) => id)
  for (const id of ids) await library.updateAccount(id, { enabled: false })
  const ask = { provider, namespace, url: upstream.chatUrl }
  for (const call of [() => fetch(upstream.chatUrl, chat()), () => library.getAuthHeaders(ask)]) {
    const { code, message, accountId } = await rejection(call())
    assert.equal(code, 'NO_ACCOUNT')
    assert.match(message, /^all 2 accounts of desk in the namespace .* are switched off; switch one on/)
    assert.ok(message.endsWith(`updateAccount("${accountId}", { enabled: true })`), message)
    assert.ok(ids.includes(accountId))
  }
  assert.deepEqual(served(), [])
})

test('every_decision_of_a_request_is_an_event_with_ids_only', async () => {
  const { fetch, accounts, namespace } = await openPool(['ada', 'bob'])
  const events = []
  const stop = library.subscribe((event) => event.namespace === namespace && events.push(event))
  upstream.plan(accounts[0], { ...throttle(600), times: 1 })
  await fetch(upstream.chatUrl, chat())
  await until('it is served', () => events.at(-1)?.type === 'served')
  stop()
  const ids = await idsOf(namespace)
  const [ada, bob] = accounts.map((name) => ids[name])
  assert.deepEqual(
    events.map(({ type, accountId, rule, reason, action }) => [type, accountId, rule ?? reason, action]),
    [
      ['chosen', ada, 'strategy', undefined],
      ['failed', ada, 'quota_exhausted', 'retry'],
      ['cooldown', ada, 'quota_exhausted', undefined],
      ['chosen', bob, 'switched', undefined],
      ['rotated', bob, 'switched', undefined],
      ['served', bob, 'ok', undefined],
    ],
  )
  assert.ok(!JSON.stringify(events).includes('key-of-'))
})

async function idsOf(namespace) {
  const accounts = await library.listAccounts({ namespace })
  return Object.fromEntries(accounts.map(({ id, label }) => [label, id]))
}
