/** Event streams: an error before any output can still rotate, and everything else passes byte for byte. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { chat, openDesk, rejection } from './support/desk.mjs'

const { library, upstream, openPool } = await openDesk()

const anthropicError =
  'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}\n\n'
const openaiError = 'data: {"error":{"type":"rate_limit_error","code":"rate_limit_exceeded","message":"slow down"}}\n\n'
const output = 'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'

for (const [shape, ...events] of [
  ['a_named_error_event', anthropicError],
  ['an_error_in_the_data', openaiError],
  ['an_error_after_pings_and_comments', ': waiting\n\n', 'event: ping\ndata: {"type":"ping"}\n\n', anthropicError],
  [
    'an_error_with_crlf_in_pieces',
    'event: error\r',
    '\ndata: {"type":"error",',
    '"error":{"type":"rate_limit_error"}}\r\n',
    '\r\n',
  ],
]) {
  test(`${shape}_before_any_output_moves_to_the_next_account`, async () => {
    const { fetch, served, accounts } = await openPool(['ada', 'bob'])
    upstream.plan(accounts[0], { sse: events, times: 9 })
    const text = await (await fetch(upstream.chatUrl, chat({ stream: true }))).text()
    assert.match(text, new RegExp(accounts[1]))
    assert.doesNotMatch(text, /slow down/)
    assert.equal(served().at(-1), accounts[1])
  })
}

test('a_stream_passes_byte_for_byte_with_its_pings', async () => {
  const { fetch, accounts, seen } = await openPool(['ada'])
  const events = [
    ': hello\r\n\r\n',
    'event: ping\ndata: {}\n\n',
    output,
    'data: grüße 世',
    '界\n\n',
    'data: [DONE]\n\n',
  ]
  upstream.plan(accounts[0], { sse: events, headers: { 'x-request-id': 'r9' } })
  const response = await fetch(upstream.chatUrl, chat({ stream: true }))
  assert.equal(response.status, 200)
  assert.equal(response.url, upstream.chatUrl)
  assert.equal(response.type, 'basic')
  assert.equal(response.headers.get('x-request-id'), 'r9')
  assert.equal(await response.text(), events.join(''))
  assert.equal(seen().length, 1)
})

test('an_error_after_output_is_left_to_the_caller', async () => {
  const { fetch, accounts, seen } = await openPool(['ada', 'bob'])
  upstream.plan(accounts[0], { sse: [output, anthropicError] })
  const text = await (await fetch(upstream.chatUrl, chat({ stream: true }))).text()
  assert.equal(text, output + anthropicError)
  assert.equal(seen().length, 1)
})

test('a_stream_that_breaks_after_output_errors_and_is_not_replayed', async () => {
  const { fetch, accounts, seen } = await openPool(['ada', 'bob'])
  upstream.plan(accounts[0], { sse: [output], end: 'drop', gapMs: 20 })
  const response = await fetch(upstream.chatUrl, chat({ stream: true }))
  const reader = response.body.getReader()
  assert.equal(new TextDecoder().decode((await reader.read()).value), output)
  assert.equal((await rejection(reader.read())).name, 'TypeError')
  assert.equal(seen().length, 1)
})

test('a_stream_that_breaks_before_output_is_tried_again', async () => {
  const { fetch, accounts, seen } = await openPool(['ada'])
  upstream.plan(accounts[0], { sse: [': waiting\n\n'], end: 'drop', gapMs: 20 })
  const text = await (await fetch(upstream.chatUrl, chat({ stream: true }))).text()
  assert.match(text, /\[DONE\]/)
  assert.equal(seen().length, 2)
})

test('the_caller_gets_the_first_event_before_the_stream_goes_on', async () => {
  const { fetch, accounts } = await openPool(['ada'])
  upstream.plan(accounts[0], { sse: [output], end: 'hang' })
  const response = await fetch(upstream.chatUrl, chat({ stream: true }))
  const reader = response.body.getReader()
  assert.equal(new TextDecoder().decode((await reader.read()).value), output)
  await reader.cancel()
})

test('a_caller_that_stops_reading_stops_the_server', async () => {
  const pulled = []
  const endless = async () => {
    const body = new ReadableStream(
      {
        pull(controller) {
          pulled.push(Date.now())
          controller.enqueue(new TextEncoder().encode(output))
        },
      },
      { highWaterMark: 0 },
    )
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  }
  const { fetch } = await openPool(['ada'], { fetch: endless })
  const response = await fetch(upstream.chatUrl, chat({ stream: true }))
  const reader = response.body.getReader()
  await reader.read()
  await reader.read()
  await sleep(50)
  assert.ok(pulled.length <= 3, `${pulled.length} chunks were pulled for two reads`)
  await reader.cancel()
})

test('without_peeking_the_error_event_is_delivered', async () => {
  const { fetch, accounts, seen } = await openPool(['ada', 'bob'], { peekStream: false })
  upstream.plan(accounts[0], { sse: [anthropicError] })
  const text = await (await fetch(upstream.chatUrl, chat({ stream: true }))).text()
  assert.equal(text, anthropicError)
  assert.equal(seen().length, 1)
})

test('a_pool_is_still_whole_after_a_stream_that_a_caller_cancelled', async () => {
  const { fetch, accounts, namespace } = await openPool(['ada'])
  upstream.plan(accounts[0], { sse: [output], end: 'hang' })
  await (await fetch(upstream.chatUrl, chat({ stream: true }))).body.cancel()
  const [account] = await library.listAccounts({ namespace })
  assert.equal(account.state, 'ready')
})
