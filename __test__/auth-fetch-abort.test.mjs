/** An abort ends every wait at once, with the signal's own reason, and blames no account. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { chat, openDesk, rejection } from './support/desk.mjs'
import { throttle } from './support/upstream.mjs'

const { library, upstream, openPool } = await openDesk({ rotation: { maxWaitMs: 30_000 } })

/** Measured from the abort; the promise is 50 ms, and a busy machine gets the rest. */
const PATIENCE_MS = 50 + 100

/** Aborts a call after a while and checks that it ends at once with the given reason. */
async function check(call, { abortAfterMs = 100 } = {}) {
  const controller = new AbortController()
  const reason = new Error('the user pressed escape')
  let abortedAt
  setTimeout(() => {
    abortedAt = performance.now()
    controller.abort(reason)
  }, abortAfterMs)
  const error = await rejection(call(controller.signal))
  const elapsed = performance.now() - abortedAt
  assert.equal(error, reason)
  assert.ok(elapsed < PATIENCE_MS, `${Math.round(elapsed)} ms after the abort`)
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
}

test('a_signal_that_is_aborted_already_makes_no_request', async () => {
  const { fetch, seen } = await openPool(['ada'])
  const reason = new Error('too late')
  assert.equal(await rejection(fetch(upstream.chatUrl, { ...chat(), signal: AbortSignal.abort(reason) })), reason)
  assert.equal(seen().length, 0)
})

test('an_abort_while_the_server_thinks_ends_the_call', async () => {
  const { fetch, accounts, namespace } = await openPool(['ada'])
  upstream.plan(accounts[0], { hang: true })
  await check((signal) => fetch(upstream.chatUrl, { ...chat(), signal }))
  const [account] = await library.listAccounts({ namespace })
  assert.equal(account.state, 'ready')
})

test('an_abort_while_a_cooldown_is_waited_for_ends_the_call', async () => {
  const { fetch, accounts } = await openPool(['ada'])
  upstream.plan(accounts[0], throttle(4))
  await check((signal) => fetch(upstream.chatUrl, { ...chat(), signal }), { abortAfterMs: 300 })
})

test('an_abort_while_the_first_account_cools_ends_the_call', async () => {
  const { fetch, accounts } = await openPool(['ada'])
  upstream.plan(accounts[0], throttle(20, 1))
  const first = new AbortController()
  setTimeout(() => first.abort(), 200)
  await rejection(fetch(upstream.chatUrl, { ...chat(), signal: first.signal }))
  await check((signal) => fetch(upstream.chatUrl, { ...chat(), signal }))
})

test('an_abort_while_a_stream_is_held_ends_the_call', async () => {
  const { fetch, accounts } = await openPool(['ada'])
  upstream.plan(accounts[0], { sse: [': waiting\n\n'], end: 'hang' })
  await check((signal) => fetch(upstream.chatUrl, { ...chat({ stream: true }), signal }))
})

test('an_abort_while_an_error_body_stalls_ends_the_call', async () => {
  const stalling = async () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) }), { status: 400 })
  const { fetch } = await openPool(['ada'], { fetch: stalling })
  await check((signal) => fetch(upstream.chatUrl, { ...chat(), signal }))
})

test('an_abort_while_a_stream_body_is_read_ends_the_call_and_the_stream', async () => {
  const { fetch } = await openPool(['ada'])
  let cancelled
  const body = new ReadableStream({
    pull: () => new Promise(() => {}),
    cancel: (reason) => {
      cancelled = reason
    },
  })
  await check((signal) => fetch(upstream.chatUrl, { method: 'POST', body, duplex: 'half', signal }))
  assert.equal(cancelled?.message, 'the user pressed escape')
})

test('an_abort_after_delivery_breaks_the_stream_and_blames_nobody', async () => {
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
