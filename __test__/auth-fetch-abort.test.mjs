/** An abort ends every wait at once, with the signal's own reason, and blames no account. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { chat, openDesk, rejection } from './support/desk.mjs'
import { until } from './support/until.mjs'
import { throttle } from './support/upstream.mjs'

const { library, upstream, openPool } = await openDesk({ rotation: { maxWaitMs: 30_000 } })

/** What is aborted here would go on for 4 s at least, and mostly for ever. A busy machine gets this long. */
const AT_ONCE_MS = 2000
/** The promise, which the fastest of all aborts keeps even there. */
const PROMISED_MS = 50
const times = []

/** Aborts a call once it waits, and checks that it ends at once with the given reason. */
async function check(call, isWaiting) {
  const controller = new AbortController()
  const reason = new Error('the user pressed escape')
  const outcome = rejection(call(controller.signal))
  await until('the call waits', isWaiting)
  const abortedAt = performance.now()
  controller.abort(reason)
  const error = await outcome
  const elapsed = performance.now() - abortedAt
  times.push(elapsed)
  assert.equal(error, reason)
  assert.ok(elapsed < AT_ONCE_MS, `${Math.round(elapsed)} ms after the abort`)
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
}

/** Counts the calls of a pool that wait for an account. */
function waitsIn(namespace) {
  let waits = 0
  library.subscribe((event) => {
    if (event.namespace === namespace && event.type === 'waiting') waits += 1
  })
  return () => waits
}

test('a_signal_that_is_aborted_already_makes_no_request', async () => {
  const { fetch, seen } = await openPool(['ada'])
  const reason = new Error('too late')
  assert.equal(await rejection(fetch(upstream.chatUrl, { ...chat(), signal: AbortSignal.abort(reason) })), reason)
  assert.equal(seen().length, 0)
})

test('an_abort_while_the_server_thinks_ends_the_call', async () => {
  const { fetch, accounts, namespace, seen } = await openPool(['ada'])
  upstream.plan(accounts[0], { hang: true })
  await check(
    (signal) => fetch(upstream.chatUrl, { ...chat(), signal }),
    () => seen().length === 1,
  )
  const [account] = await library.listAccounts({ namespace })
  assert.equal(account.state, 'ready')
})

test('an_abort_while_a_cooldown_is_waited_for_ends_the_call', async () => {
  const { fetch, accounts, namespace } = await openPool(['ada'])
  const waits = waitsIn(namespace)
  upstream.plan(accounts[0], throttle(4))
  await check(
    (signal) => fetch(upstream.chatUrl, { ...chat(), signal }),
    () => waits() === 1,
  )
})

test('an_abort_while_the_first_account_cools_ends_the_call', async () => {
  const { fetch, accounts, namespace, seen } = await openPool(['ada'])
  const waits = waitsIn(namespace)
  upstream.plan(accounts[0], throttle(20, 1))
  for (const turn of [1, 2]) {
    await check(
      (signal) => fetch(upstream.chatUrl, { ...chat(), signal }),
      () => waits() === turn,
    )
  }
  assert.equal(seen().length, 1)
})

test('an_abort_while_a_stream_is_held_ends_the_call', async () => {
  const { fetch, accounts, seen } = await openPool(['ada'])
  upstream.plan(accounts[0], { sse: [': waiting\n\n'], end: 'hang' })
  await check(
    (signal) => fetch(upstream.chatUrl, { ...chat({ stream: true }), signal }),
    () => seen().length === 1,
  )
})

test('an_abort_while_an_error_body_stalls_ends_the_call', async () => {
  let isRead = false
  const pull = () => {
    isRead = true
    return new Promise(() => {})
  }
  const stalling = async () => new Response(new ReadableStream({ pull }, { highWaterMark: 0 }), { status: 400 })
  const { fetch } = await openPool(['ada'], { fetch: stalling })
  await check(
    (signal) => fetch(upstream.chatUrl, { ...chat(), signal }),
    () => isRead,
  )
})

test('an_abort_while_a_stream_body_is_read_ends_the_call_and_the_stream', async () => {
  const { fetch } = await openPool(['ada'])
  let isRead = false
  let cancelled
  const source = {
    pull() {
      isRead = true
      return new Promise(() => {})
    },
    cancel(reason) {
      cancelled = reason
    },
  }
  const body = new ReadableStream(source, { highWaterMark: 0 })
  await check(
    (signal) => fetch(upstream.chatUrl, { method: 'POST', body, duplex: 'half', signal }),
    () => isRead,
  )
  assert.equal(cancelled?.message, 'the user pressed escape')
})

test('an_abort_after_delivery_breaks_the_stream_and_blames_no_account', async () => {
  const { fetch, accounts, namespace } = await openPool(['ada'])
  upstream.plan(accounts[0], { sse: ['data: {"a":1}\n\n'], end: 'hang' })
  const controller = new AbortController()
  const response = await fetch(upstream.chatUrl, { ...chat({ stream: true }), signal: controller.signal })
  const reader = response.body.getReader()
  await reader.read()
  controller.abort(new Error('enough'))
  assert.equal((await rejection(reader.read())).message, 'enough')
  const [account] = await library.listAccounts({ namespace })
  assert.equal(account.failures, 0)
})

test('the_fastest_of_these_aborts_kept_the_promise', () => {
  const fastest = Math.min(...times)
  assert.ok(fastest < PROMISED_MS, `${fastest} ms`)
})
