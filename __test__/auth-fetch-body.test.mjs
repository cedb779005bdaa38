/** Request bodies arrive byte for byte, also at the second account. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { openDesk, rejection } from './support/desk.mjs'
import { throttle } from './support/upstream.mjs'

const { upstream, openPool } = await openDesk()
const url = `${upstream.origin}/echo`
const text = 'grüße, 世界'.repeat(1000)
const bytes = new TextEncoder().encode(text)

const streamOf = (...chunks) =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })

const form = (field) => {
  const data = new FormData()
  data.set('field', field)
  data.set('file', new Blob([bytes]), 'file.bin')
  return data
}

for (const [kind, make] of [
  ['a_string', () => ({ body: text })],
  ['bytes', () => ({ body: bytes })],
  ['an_array_buffer', () => ({ body: bytes.buffer })],
  ['a_blob', () => ({ body: new Blob([bytes]) })],
  ['a_stream', () => ({ body: streamOf(bytes.subarray(0, 7), bytes.subarray(7)), duplex: 'half' })],
  ['an_async_iterable', () => ({ body: Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]), duplex: 'half' })],
]) {
  test(`${kind}_is_sent_again_as_it_was`, async () => {
    const { fetch, seen, served, accounts } = await openPool(['ada', 'bob'])
    upstream.plan(accounts[0], throttle(30))
    const response = await fetch(url, { method: 'POST', ...make() })
    assert.equal((await response.json()).body, text)
    assert.deepEqual(served(), accounts)
    assert.deepEqual(
      seen().map(({ body }) => body),
      [text, text],
    )
  })
}

test('a_request_object_is_sent_again_as_it_was', async () => {
  const { fetch, seen, accounts } = await openPool(['ada', 'bob'])
  upstream.plan(accounts[0], throttle(30))
  const request = new Request(url, { method: 'POST', body: text, headers: { 'content-type': 'text/plain' } })
  assert.equal((await fetch(request)).status, 200)
  assert.deepEqual(
    seen().map(({ body }) => body),
    [text, text],
  )
  assert.deepEqual(
    seen().map(({ headers }) => headers['content-type']),
    ['text/plain', 'text/plain'],
  )
})

test('form_data_is_sent_again_with_its_boundary', async () => {
  const { fetch, seen, accounts } = await openPool(['ada', 'bob'])
  upstream.plan(accounts[0], throttle(30))
  assert.equal((await fetch(url, { method: 'POST', body: form('value') })).status, 200)
  for (const { headers, body } of seen()) {
    const parsed = await new Response(body, { headers: { 'content-type': headers['content-type'] } }).formData()
    assert.equal(parsed.get('field'), 'value')
    assert.equal(await parsed.get('file').text(), text)
  }
  assert.equal(seen().length, 2)
})

test('url_search_params_are_sent_again_with_their_type', async () => {
  const { fetch, seen, accounts } = await openPool(['ada', 'bob'])
  upstream.plan(accounts[0], throttle(30))
  assert.equal((await fetch(url, { method: 'POST', body: new URLSearchParams({ q: 'ü' }) })).status, 200)
  assert.deepEqual(
    seen().map(({ body }) => body),
    ['q=%C3%BC', 'q=%C3%BC'],
  )
  assert.ok(seen().every(({ headers }) => headers['content-type'].startsWith('application/x-www-form-urlencoded')))
})

test('a_stream_beyond_the_limit_is_sent_once_and_whole', async () => {
  const { fetch, served, seen, accounts } = await openPool(['ada', 'bob'], { maxReplayBytes: 1000 })
  upstream.plan(accounts[0], throttle(30))
  const response = await fetch(url, {
    method: 'POST',
    body: streamOf(bytes.subarray(0, 600), bytes.subarray(600, 1200), bytes.subarray(1200)),
    duplex: 'half',
  })
  assert.equal(response.status, 429)
  assert.deepEqual(served(), [accounts[0]])
  assert.equal(seen()[0].body, text)
})

test('a_stream_that_fails_rejects_with_the_error_of_fetch', async () => {
  const { fetch } = await openPool(['ada'])
  const broken = () =>
    new ReadableStream({
      pull(controller) {
        controller.error(new Error('disk on fire'))
      },
    })
  const ours = await rejection(fetch(url, { method: 'POST', body: broken(), duplex: 'half' }))
  const plain = await rejection(globalThis.fetch(url, { method: 'POST', body: broken(), duplex: 'half' }))
  assert.equal(ours.message, plain.message)
  assert.equal(ours.name, plain.name)
})
