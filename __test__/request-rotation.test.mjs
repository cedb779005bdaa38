/** What one `fetch`, or one request for headers, says of the rotation of its pool: two projects in one process differ. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chat, openDesk, rejection } from './support/desk.mjs'
import { throttle } from './support/upstream.mjs'

const { library, upstream, openPool } = await openDesk({ rotation: { maxWaitMs: 0 } })

test('two fetches over one pool rotate each in its own way', async () => {
  const { accounts, namespace, provider, fetch, served } = await openPool(['ada', 'bob'])
  const alone = library.createAuthFetch({ provider, namespace, rotation: { rotate: false } })
  upstream.plan(accounts[0], { ...throttle(600), times: 1 })
  const refused = await alone(upstream.chatUrl, chat())
  assert.equal(refused.status, 429)
  assert.equal((await alone(upstream.chatUrl, chat())).status, 429)
  assert.deepEqual(served(), [accounts[0]])
  assert.equal((await fetch(upstream.chatUrl, chat())).status, 200)
  assert.deepEqual(served(), accounts)
})

test('a mode that no account has is refused, by fetch, getAuthHeaders and explain alike', async () => {
  const { namespace, provider, fetch } = await openPool(['ada'])
  const rotation = { mode: 'subscription' }
  const ask = { provider, namespace, url: upstream.chatUrl }
  const logins = library.createAuthFetch({ provider, namespace, rotation })
  assert.equal((await rejection(logins(upstream.chatUrl, chat()))).code, 'NO_ACCOUNT')
  assert.equal((await rejection(library.getAuthHeaders({ ...ask, rotation }))).code, 'NO_ACCOUNT')
  assert.equal((await library.explain({ ...ask, rotation })).outcome, 'no_account')
  assert.equal((await library.explain({ ...ask, rotation: undefined })).outcome, 'serve')
  assert.equal((await fetch(upstream.chatUrl, chat())).status, 200)
})

test('a retry keeps what its first attempt was told', async () => {
  const { accounts, namespace, provider, seen } = await openPool(['ada', 'bob', 'cyd'])
  const twice = library.createAuthFetch({ provider, namespace, rotation: { maxAttempts: 2 } })
  for (const account of accounts) upstream.plan(account, { ...throttle(600), times: 1 })
  assert.equal((await twice(upstream.chatUrl, chat())).status, 429)
  assert.equal(seen().length, 2)

  const ask = { provider, namespace, url: upstream.chatUrl }
  await library.clearCooldowns({ namespace })
  const first = await library.getAuthHeaders({ ...ask, rotation: { maxAttempts: 2 } })
  const again = await library.reportResponse({ attempt: first.attempt, status: 500 })
  assert.equal(again.action, 'retry')
  const second = await library.getAuthHeaders({ ...ask, retryOf: first.attempt })
  const last = await library.reportResponse({ attempt: second.attempt, status: 500 })
  assert.equal(last.action, 'deliver')
})

test('what createAuthFetch was given counts as it was then', async () => {
  const { namespace, provider } = await openPool(['ada'])
  const rotation = { mode: 'api' }
  const fetch = library.createAuthFetch({ provider, namespace, rotation })
  rotation.mode = 'subscription'
  assert.equal((await fetch(upstream.chatUrl, chat())).status, 200)
})

test('the strategy of a request is the one that explains it', async () => {
  const { namespace, provider } = await openPool(['ada', 'bob'])
  const ask = { provider, namespace, url: upstream.chatUrl }
  for (const strategy of ['balanced', 'round-robin', 'fill-first', 'earliest-reset', 'sticky']) {
    assert.equal((await library.explain({ ...ask, rotation: { strategy } })).strategy, strategy)
  }
})
