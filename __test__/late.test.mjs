/** What is told late: errors of a stream whose output is with the caller, and reports of good answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createParser, isError } from '../npm/build/events.js'
import { watchFor } from '../npm/build/late.js'
import { chat, openDesk } from './support/desk.mjs'
import { createSandbox } from './support/sandbox.mjs'

const { library, upstream, openPool } = await openDesk()

const KIND = { silent: new Map(), failed: new Set(['error', 'response.failed']), chunks: [], labels: new Set() }
const EVENTS = [
  'data: {"text":"an error that is none"}',
  'data: {"text":"grüße 世界 😀"}',
  'event: error\ndata: {"message":"one"}',
  'data: {"error":{"message":"two"}}',
  'event: response.failed\ndata: {}',
  'data: {"type":"response.failed",\ndata: "error":{"message":"three"}}',
  ': error\nid: 3',
  `data: {"error":{"message":"${'x'.repeat(70_000)}"}}`,
]

const encode = (text) => new TextEncoder().encode(text)

/** The data of the first error, and with which chunk it is whole, as the parser of all chunks tells. */
function parsed(chunks) {
  const [parse, decoder] = [createParser(), new TextDecoder()]
  for (const [place, chunk] of chunks.entries()) {
    const error = parse(decoder.decode(chunk, { stream: true })).find((event) => isError(event, KIND))
    if (error !== undefined) return [place, error.data]
  }
  return undefined
}

function watched(chunks) {
  const errorIn = watchFor(KIND, encode(''))
  for (const [place, chunk] of chunks.entries()) {
    const error = errorIn(chunk)
    if (error !== undefined) return [place, error]
  }
  return undefined
}

for (const [name, end] of [
  ['LF', '\n'],
  ['CRLF', '\r\n'],
  ['CR', '\r'],
]) {
  test(`an error is found wherever the chunks of a stream with ${name} end`, () => {
    for (const [place, event] of EVENTS.entries()) {
      const text = [EVENTS[1], event, EVENTS[0], EVENTS[1]].map((each) => `${each}\n\n`).join('')
      const bytes = encode(text.replaceAll('\n', end))
      for (const size of [1, 2, 3, 5, 7, 16, 33, 64, 1_000, 16_384, bytes.byteLength]) {
        if (size < 16 && bytes.byteLength > 10_000) continue
        const chunks = []
        for (let at = 0; at < bytes.byteLength; at += size) chunks.push(bytes.subarray(at, at + size))
        assert.deepEqual(watched(chunks), parsed(chunks), `${place} in chunks of ${size}`)
      }
    }
  })
}

test('an error of which the hold has seen the beginning is found', () => {
  const errorIn = watchFor(KIND, encode('data: {"text":"a"}\n\nevent: err'))
  assert.equal(errorIn(encode('or\ndata: {"message":"one"}\n')), undefined)
  assert.equal(errorIn(encode('\ndata: {}')), '{"message":"one"}')
})

test('who looks at a pool after an answer sees that it was served', async () => {
  const { fetch, namespace, provider } = await openPool(['ada'])
  const events = []
  for (let call = 1; call <= 3; call += 1) {
    await fetch(upstream.chatUrl, chat())
    const [{ attempts, requests }] = await library.poolStatus({ provider, namespace })
    assert.deepEqual([attempts, requests], [call, call])
  }
  await fetch(upstream.chatUrl, chat())
  // What was served before is not told, and what was served until the end is.
  const stop = library.subscribe((event) => event.namespace === namespace && events.push(event.type))
  await fetch(upstream.chatUrl, chat())
  stop()
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.deepEqual(
    events.filter((type) => type === 'served'),
    ['served'],
  )
})

test('a process that ends at once after an answer leaves its conversation to its account', async (t) => {
  const sandbox = createSandbox({ name: 'late', config: { providers: { desk: { origins: ['https://api.test'] } } } })
  t.after(() => sandbox.cleanup())
  const ask = (name, more) => `
    const sent = []
    const fetch = async (url, init) => (sent.push(init.headers.authorization), new Response('{}'))
    const ours = auth.createAuthFetch({ provider: 'desk', fetch })
    ${name}
    await ours('https://api.test/v1', { headers: { 'x-session-id': 'talk' }, ${more} })
    console.log(sent[0])
    process.exit()`
  const add = `for (const apiKey of ['one', 'two']) await auth.addApiKey({ provider: 'desk', label: apiKey, apiKey })`
  assert.match(await sandbox.output(ask(add, `providerAuth: { account: 'two' }`)), /Bearer two/)
  assert.match(await sandbox.output(ask('', '')), /Bearer two/)
})
