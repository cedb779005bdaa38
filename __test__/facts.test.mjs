/** The hard facts of rotation and refresh: real logins, a real token endpoint, and a chat endpoint that counts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { rejection } from './support/desk.mjs'
import { openStage } from './support/stage.mjs'
import { throttle } from './support/upstream.mjs'

const { oidc, upstream, library, openPool } = await openStage({ name: 'facts', rotation: { maxWaitMs: 100 } })

test('a 429 with retry-after 30 is answered by the other account in the same call, and the next 20 calls go there at once', async () => {
  const { users, ids, ask, served, account } = await openPool(['ada', 'bob'])
  const [ada, bob] = users
  upstream.plan(ada, throttle(30))

  const askedAt = Date.now()
  const response = await ask({ session: 'talk' })
  assert.equal(response.status, 200)
  assert.equal((await response.json()).choices[0].message.content, `served by ${bob}`)
  assert.deepEqual(served(), [ada, bob])

  const [cooldown] = (await account(0)).cooldowns
  assert.equal(cooldown.reason, 'throttled')
  assert.equal(cooldown.source, 'header')
  const seconds = (cooldown.until - askedAt) / 1000
  assert.ok(seconds >= 30 && seconds < 35, `the account rests for ${seconds} s`)

  upstream.forget()
  for (let turn = 0; turn < 20; turn += 1) assert.equal((await ask({ session: 'talk' })).status, 200)
  assert.deepEqual(served(), Array(20).fill(bob))

  // As after the 30 s, but at once: the account is free again, and the conversation stays where its cache is.
  upstream.behave()
  upstream.forget()
  assert.equal(await library.clearCooldowns({ provider: 'local', account: ids[0] }), 1)
  for (let turn = 0; turn < 5; turn += 1) await ask({ session: 'talk' })
  assert.deepEqual(served(), Array(5).fill(bob))
})

test('when a cooldown has run out, conversations stay with the account that took over and new ones come back', async () => {
  const { users, ask, served, account } = await openPool(['ada', 'bob'])
  const [ada, bob] = users
  upstream.plan(ada, throttle(6, 1))
  await ask({ session: 'old' })
  assert.deepEqual(served(), [ada, bob])

  const [{ until }] = (await account(0)).cooldowns
  await sleep(until - Date.now() + 50)
  assert.equal((await account(0)).state, 'ready')
  upstream.forget()
  for (let turn = 0; turn < 5; turn += 1) await ask({ session: 'old' })
  await ask({ session: 'new' })
  assert.deepEqual(served(), [...Array(5).fill(bob), ada])
})

test('200 calls with an expired access token make one refresh request and get 200 answers', async () => {
  oidc.setAccessTokenSeconds(1)
  const { ask, account } = await openPool(['ada'])
  oidc.setAccessTokenSeconds(3600)
  await sleep((await account()).expiresAt - Date.now() + 50)

  const before = { ...oidc.counters }
  const responses = await Promise.all(Array.from({ length: 200 }, () => ask()))
  assert.deepEqual(
    responses.map(({ status }) => status),
    Array(200).fill(200),
  )
  assert.equal(oidc.counters.refreshRequests - before.refreshRequests, 1)
  assert.equal(oidc.counters.tokenGenerations - before.tokenGenerations, 1)
  assert.equal(oidc.counters.invalidGrants, 0)
})

test('50 calls whose token the server has ended early make one refresh request and get 50 answers', async () => {
  const { users, ask, served } = await openPool(['ada'])
  oidc.expireAccess(users[0])
  const before = oidc.counters.refreshRequests
  upstream.forget()
  const responses = await Promise.all(Array.from({ length: 50 }, () => ask()))
  assert.ok(responses.every(({ status }) => status === 200))
  assert.equal(oidc.counters.refreshRequests - before, 1)
  assert.ok(served().length <= 100, 'each call was sent twice at most')
})

test('a token that is about to expire serves on while it is renewed behind the call', async () => {
  // So long that a busy machine asks within the part of its life that is meant.
  const life = 16_000
  oidc.setAccessTokenSeconds(life / 1000)
  const { users, ask, account } = await openPool(['ada'])
  oidc.setAccessTokenSeconds(3600)
  const tokens = () =>
    upstream.requests.filter((entry) => entry.account === users[0]).map(({ headers }) => headers.authorization)
  await ask()
  const { id, expiresAt } = await account()
  const refreshed = new Promise((resolve) => {
    const stop = library.subscribe(({ type, accountId }) => {
      if (type === 'refreshed' && accountId === id) resolve(stop())
    })
  })

  // In the last quarter of its life, and before the last tenth.
  await sleep(expiresAt - Date.now() - 0.24 * life)
  assert.equal((await ask()).status, 200)
  await refreshed
  assert.equal((await ask()).status, 200)
  const [first, second, third] = tokens()
  assert.equal(second, first)
  assert.notEqual(third, first)
  assert.ok((await account()).expiresAt > expiresAt + 3_000_000)
})

test('when every account cools, one 429 comes back and the next call reaches no server', async () => {
  const { users, ask, served, account, namespace, status } = await openPool(['ada', 'bob'])
  upstream.plan(users[0], throttle(50))
  upstream.plan(users[1], throttle(40))
  const soonest = async () =>
    Math.min(...(await Promise.all([account(0), account(1)])).map((one) => one.cooldowns[0].until))
  let askedAt
  const near = (response, until) => {
    const [seconds, millis] = ['retry-after', 'retry-after-ms'].map((name) => Number(response.headers.get(name)))
    assert.ok(millis >= until - Date.now() - 1 && millis <= until - askedAt + 1, `${millis} ms`)
    assert.equal(seconds, Math.ceil(millis / 1000))
  }

  askedAt = Date.now()
  const first = await ask()
  assert.equal(first.status, 429)
  assert.deepEqual(served(), users)
  near(first, await soonest())

  upstream.forget()
  askedAt = Date.now()
  const second = await ask()
  assert.equal(second.status, 429)
  near(second, await soonest())
  const { error } = await second.json()
  assert.equal(error.type, 'rate_limit_error')
  assert.equal(error.code, 'all_accounts_cooling')
  assert.equal(error.retry_at, await soonest())
  assert.deepEqual(upstream.requests, [])

  const request = { provider: 'local', namespace, url: upstream.chatUrl, model: 'small-1' }
  const refusal = await rejection(library.getAuthHeaders(request))
  assert.equal(refusal.code, 'EXHAUSTED')
  assert.equal(refusal.retryAt, await soonest())
  assert.equal(refusal.provider, 'local')
  assert.equal((await status()).exhausted, 3)
})
