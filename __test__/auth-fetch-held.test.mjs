/** Answers that say "200" and fail: held until there is output, judged by their codes, and told when it is too late. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chat, openDesk, rejection } from './support/desk.mjs'
import { until } from './support/until.mjs'

const { library, upstream, openPool } = await openDesk()

const event = (data, name) => `${name === undefined ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`
const typed = (data) => event(data, data.type)
const delta = (fields, rest = {}) =>
  event({ object: 'chat.completion.chunk', choices: [{ index: 0, delta: fields, finish_reason: null }], ...rest })

const limited = { type: 'rate_limit_error', code: 'rate_limit_exceeded', message: 'slow down' }
const failed = (code) => ({
  type: 'response.failed',
  response: { id: 'r', status: 'failed', error: { code, message: 'm' } },
})
const created = { type: 'response.created', response: { id: 'r', status: 'in_progress', error: null, output: [] } }
const inProgress = { ...created, type: 'response.in_progress' }
const messageStart = {
  type: 'message_start',
  message: { id: 'm', role: 'assistant', content: [], usage: { input_tokens: 9 } },
}
const role = delta({ role: 'assistant', content: '', refusal: null })
const ping = typed({ type: 'ping' })

/** What comes before an error without being output. */
const preambles = {
  'the beginning of a response': [typed(created), typed(inProgress), typed(failed('rate_limit_exceeded'))],
  'the beginning of a response, by type alone': [
    event(created),
    event(inProgress),
    event(failed('rate_limit_exceeded')),
  ],
  'the beginning of a response, by name alone': [
    event({ response: {} }, 'response.created'),
    event({ response: { error: { code: 'rate_limit_exceeded' } } }, 'response.failed'),
  ],
  'an empty item and an empty part of a response': [
    typed(created),
    typed({
      type: 'response.output_item.added',
      output_index: 0,
      item: { id: 'i', type: 'message', status: 'in_progress', role: 'assistant', content: [] },
    }),
    typed({ type: 'response.content_part.added', part: { type: 'output_text', text: '', annotations: [] } }),
    typed(failed('rate_limit_exceeded')),
  ],
  'an empty reasoning item': [
    typed(created),
    typed({ type: 'response.output_item.added', item: { id: 'rs_1', type: 'reasoning', summary: [] } }),
    typed({ type: 'error', code: 'rate_limit_exceeded', message: 'm' }),
  ],
  'the beginning of a message': [
    typed(messageStart),
    ping,
    typed({ type: 'error', error: { type: 'rate_limit_error' } }),
  ],
  'the beginning of a message, by type alone': [
    event(messageStart),
    event({ type: 'ping' }),
    event({ type: 'error', error: { type: 'rate_limit_error' } }),
  ],
  'an empty block of a message': [
    typed(messageStart),
    typed({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
    ping,
    typed({ type: 'error', error: { type: 'rate_limit_error' } }),
  ],
  'an empty block of thinking': [
    typed(messageStart),
    typed({ type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } }),
    typed({ type: 'error', error: { type: 'rate_limit_error' } }),
  ],
  'a role': [role, event({ error: limited })],
  'a chunk without choices': [
    event({
      choices: [],
      prompt_filter_results: [{ prompt_index: 0, content_filter_results: { hate: { filtered: false } } }],
    }),
    role,
    event({ error: limited }),
  ],
  'a role, with the error beside an empty delta': [
    role,
    delta({ content: '' }, { error: { code: 'rate_limit_exceeded' } }),
  ],
  'a candidate without text': [
    event({ candidates: [{ index: 0, content: { role: 'model', parts: [{ text: '' }] } }] }),
    event({ error: { code: 429, status: 'RESOURCE_EXHAUSTED' } }),
  ],
  'a list with the error in it': [event([{ error: { code: 429, status: 'RESOURCE_EXHAUSTED' } }])],
}

for (const [what, events] of Object.entries(preambles)) {
  for (const [how, sent] of [
    ['in pieces', events],
    ['at once', [events.join('')]],
  ]) {
    test(`an error after ${what} moves to the next account, ${how}`, async () => {
      const { fetch, served, accounts, namespace } = await openPool(['ada', 'bob'])
      upstream.plan(accounts[0], { sse: sent, times: 9 })
      const text = await (await fetch(upstream.chatUrl, chat({ stream: true }))).text()
      assert.match(text, new RegExp(accounts[1]))
      assert.deepEqual(served(), accounts)
      await (await fetch(upstream.chatUrl, chat({ stream: true }))).text()
      assert.deepEqual(served(), [...accounts, accounts[1]])
      const [ada] = (await library.listAccounts({ namespace })).filter(({ label }) => label === accounts[0])
      assert.deepEqual([ada.successes, ada.cooldowns.length], [0, 1])
    })
  }
}

test('an overloaded service is asked again before it has said anything', async () => {
  const { fetch, served, accounts } = await openPool(['ada', 'bob'])
  upstream.plan(accounts[0], { sse: [typed(created), typed(failed('server_is_overloaded'))] })
  assert.match(await (await fetch(upstream.chatUrl, chat({ stream: true }))).text(), new RegExp(accounts[0]))
  assert.deepEqual(served(), [accounts[0], accounts[0]])
})

/** What is output, though little: the stream is not asked for again. */
const outputs = {
  'a word': [role, delta({ content: 'hi' })],
  'a space': [delta({ content: ' ' })],
  'a call of a tool': [
    delta({ role: 'assistant', tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: '' } }] }),
  ],
  'the end': [event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })],
  'the end of the stream': ['data: [DONE]\n\n'],
  'a tool of a message': [
    typed(messageStart),
    typed({ type: 'content_block_start', content_block: { type: 'tool_use', id: 't', name: 'f', input: {} } }),
  ],
  'a function of a response': [
    typed(created),
    typed({ type: 'response.output_item.added', item: { id: 'i', type: 'function_call', name: 'f', arguments: '' } }),
  ],
  'a tool of a response that failed': [typed({ type: 'response.mcp_call.failed', item_id: 'i' })],
  'an unknown event': [event({ type: 'something.new' })],
  'no JSON': ['data: error\n\n'],
  'what programs say to programs': [
    event({ jsonrpc: '2.0', id: 1, error: { code: -32601, message: 'no such method' } }),
  ],
}

for (const [what, events] of Object.entries(outputs)) {
  test(`an error after ${what} is handed on, and the next turn goes elsewhere`, async () => {
    const { fetch, served, accounts, seen } = await openPool(['ada', 'bob'])
    const sent = [...events, event({ type: 'error', error: { type: 'rate_limit_error' } }, 'error')]
    upstream.plan(accounts[0], { sse: sent, times: 9 })
    assert.equal(await (await fetch(upstream.chatUrl, chat({ stream: true }))).text(), sent.join(''))
    assert.equal(seen().length, 1)
    assert.match(await (await fetch(upstream.chatUrl, chat({ stream: true }))).text(), new RegExp(accounts[1]))
    assert.deepEqual(served(), accounts)
  })
}

test('an error in the same piece as output is told too', async () => {
  const { fetch, served, accounts } = await openPool(['ada', 'bob'])
  upstream.plan(accounts[0], { sse: [delta({ content: 'hi' }) + typed(failed('rate_limit_exceeded'))], times: 9 })
  for (let turn = 0; turn < 2; turn += 1) await (await fetch(upstream.chatUrl, chat({ stream: true }))).text()
  assert.deepEqual(served(), accounts)
})

test('a late error is one failure, and no refusal of the call', async () => {
  const { fetch, accounts, namespace } = await openPool(['ada', 'bob'])
  const events = []
  const stop = library.subscribe((event) => event.namespace === namespace && events.push(event))
  upstream.plan(accounts[0], {
    sse: [delta({ content: 'hi' }), event({ error: limited }), event({ error: limited })],
    end: 'drop',
    gapMs: 10,
  })
  const response = await fetch(upstream.chatUrl, chat({ stream: true }))
  await response.text().catch(() => {})
  await until('the cooldown is told', () => events.at(-1)?.type === 'cooldown')
  // The second error of the same stream may not be told at all.
  await library.listAccounts({ namespace })
  stop()
  assert.deepEqual(
    events.map(({ type, reason, action }) => [type, reason, action]),
    [
      ['chosen', undefined, undefined],
      ['served', 'ok', undefined],
      ['failed', 'rate_limited', 'deliver'],
      ['cooldown', 'rate_limited', undefined],
    ],
  )
})

for (const [what, value] of [
  ['an empty text', ''],
  ['an empty object', {}],
  ['null', null],
  ['false', false],
  ['an empty list', []],
  ['an object of nothing', { message: '', code: null }],
]) {
  test(`an error of ${what} beside a delta is none`, async () => {
    const { fetch, accounts, seen, namespace } = await openPool(['ada', 'bob'])
    const sent = [delta({ content: 'hi' }, { error: value }), 'data: [DONE]\n\n']
    upstream.plan(accounts[0], { sse: sent, times: 9 })
    assert.equal(await (await fetch(upstream.chatUrl, chat({ stream: true }))).text(), sent.join(''))
    assert.equal(seen().length, 1)
    const body = JSON.stringify({ choices: [{ message: { content: 'hi' } }], error: value })
    upstream.behave(accounts[0])
    upstream.plan(accounts[0], { status: 200, body })
    assert.equal(await (await fetch(upstream.chatUrl, chat())).text(), body)
    assert.equal(seen().length, 2)
    const states = (await library.listAccounts({ namespace })).map(({ state }) => state)
    assert.deepEqual(states, ['ready', 'ready'])
  })
}

for (const [what, sent] of [
  ['anything', []],
  ['any event', [': waiting\n\n', ping]],
  ['any output', [typed(created), role]],
]) {
  test(`a stream that ends before ${what} is asked for once more`, async () => {
    const { fetch, accounts, served } = await openPool(['ada', 'bob'])
    upstream.plan(accounts[0], { sse: sent })
    assert.match(await (await fetch(upstream.chatUrl, chat({ stream: true }))).text(), /\[DONE\]/)
    upstream.plan(accounts[0], { sse: sent, times: 9 })
    assert.equal(await (await fetch(upstream.chatUrl, chat({ stream: true }))).text(), sent.join(''))
    assert.deepEqual(served(), Array(4).fill(accounts[0]))
  })
}

const headers = (body) => ({ 'content-length': String(Buffer.byteLength(JSON.stringify(body))) })

/** Bodies of a 200 that are an error and nothing else: what they are judged as. */
for (const [what, body, expected] of [
  ['a known code', { error: limited }, 'next'],
  [
    'a known code beside plain values',
    { error: { code: 'rate_limit_exceeded' }, user_id: 'u', request_id: 'r' },
    'next',
  ],
  ['a status in its place', { error: { code: 429, message: 'm' } }, 'next'],
  ['a type', { type: 'error', error: { type: 'rate_limit_error', message: 'm' }, request_id: 'r' }, 'next'],
  ['a list', [{ error: { code: 429, status: 'RESOURCE_EXHAUSTED' } }], 'next'],
  ['an unknown code', { error: { code: 'odd', message: 'm' } }, 'again'],
  ['a text', { error: 'something went wrong' }, 'again'],
  ['the fault of the request', { error: { type: 'invalid_request_error' } }, 'delivered'],
  ['an answer of programs', { jsonrpc: '2.0', id: 1, error: { code: -32000, message: 'm' } }, 'delivered'],
  [
    'a batch that failed',
    { id: 'b', object: 'batch', status: 'failed', error: { code: 'rate_limit_exceeded' } },
    'delivered',
  ],
  ['a job that failed', { id: 'j', status: 'failed', error: { code: 'rate_limit_exceeded' } }, 'delivered'],
  ['an answer that has output', { choices: [{ message: { content: 'hi' } }], error: limited }, 'delivered'],
]) {
  for (const [how, extra] of [
    ['in pieces', {}],
    ['of a known length', headers(body)],
  ]) {
    test(`a 200 that is only an error with ${what}, ${how}: ${expected}`, async () => {
      const { fetch, accounts, served } = await openPool(['ada', 'bob'])
      upstream.plan(accounts[0], { status: 200, body, headers: extra, times: 9 })
      const answer = await (await fetch(upstream.chatUrl, chat())).json()
      if (expected === 'next') assert.equal(answer.choices[0].message.content, `served by ${accounts[1]}`)
      else assert.deepEqual(answer, body)
      const asked = { next: accounts, again: [accounts[0], accounts[0]], delivered: [accounts[0]] }
      assert.deepEqual(served(), asked[expected])
    })
  }
}

test('what an MCP server says is handed on as it is', async () => {
  const { fetch, accounts, seen } = await openPool(['ada', 'bob'], { provider: 'desk-mcp' })
  const sent = event({ type: 'error', error: { type: 'rate_limit_error' } }, 'error')
  upstream.plan(accounts[0], { sse: [sent] }, { sse: [] }, { status: 200, body: { error: limited } })
  assert.equal(await (await fetch(upstream.chatUrl, chat())).text(), sent)
  assert.equal(await (await fetch(upstream.chatUrl, chat())).text(), '')
  assert.deepEqual(await (await fetch(upstream.chatUrl, chat())).json(), { error: limited })
  assert.equal(seen().length, 3)
})

test('a JSON answer is not held until it ends', async () => {
  const first = new TextEncoder().encode(`[{"candidates":${JSON.stringify('x'.repeat(300))}}`)
  const hanging = async () =>
    new Response(new ReadableStream({ start: (controller) => controller.enqueue(first) }), {
      headers: { 'content-type': 'application/json' },
    })
  const { fetch } = await openPool(['ada'], { fetch: hanging })
  const reader = (await fetch(upstream.chatUrl, chat())).body.getReader()
  assert.deepEqual((await reader.read()).value, first)
  await reader.cancel()
})

test('without looking at streams an error in a 200 is delivered', async () => {
  const { fetch, accounts, seen } = await openPool(['ada', 'bob'], { peekStream: false })
  upstream.plan(accounts[0], { status: 200, body: { error: limited } })
  assert.deepEqual(await (await fetch(upstream.chatUrl, chat())).json(), { error: limited })
  assert.equal(seen().length, 1)
})

for (const [what, fault, times] of [
  [
    'no headers in time',
    Object.assign(new Error('m'), { name: 'HeadersTimeoutError', code: 'UND_ERR_HEADERS_TIMEOUT' }),
    1,
  ],
  ['a timeout without a code', new DOMException('m', 'TimeoutError'), 1],
  ['a socket that timed out while reading', Object.assign(new Error('m'), { code: 'ETIMEDOUT', syscall: 'read' }), 1],
  [
    'no connection in time',
    Object.assign(new Error('m'), { name: 'ConnectTimeoutError', code: 'UND_ERR_CONNECT_TIMEOUT' }),
    3,
  ],
  ['a connection that timed out', Object.assign(new Error('m'), { code: 'ETIMEDOUT', syscall: 'connect' }), 3],
  [
    'several addresses that timed out',
    Object.assign(new AggregateError([Object.assign(new Error('m'), { code: 'ETIMEDOUT', syscall: 'connect' })]), {
      code: 'ETIMEDOUT',
    }),
    3,
  ],
  ['a connection that was refused', Object.assign(new Error('m'), { code: 'ECONNREFUSED', syscall: 'connect' }), 3],
  ['a connection that was reset', Object.assign(new Error('m'), { code: 'ECONNRESET', syscall: 'read' }), 3],
]) {
  test(`${what}: ${times === 1 ? 'the work may be under way, and is not sent again' : 'it is sent again'}`, async () => {
    for (const thrown of [fault, new TypeError('fetch failed', { cause: fault })]) {
      let calls = 0
      const failing = async () => {
        calls += 1
        throw thrown
      }
      const { fetch } = await openPool(['ada', 'bob'], { fetch: failing })
      assert.equal(await rejection(fetch(upstream.chatUrl, chat())), thrown)
      assert.equal(calls, times)
    }
  })
}

test('a body that is not what its integrity says is fetched once', async () => {
  let calls = 0
  const counting = (...args) => {
    calls += 1
    return globalThis.fetch(...args)
  }
  const { fetch, seen } = await openPool(['ada'], { fetch: counting })
  const init = { integrity: `sha256-${'A'.repeat(43)}=` }
  const ours = await rejection(fetch(`${upstream.origin}/echo`, init))
  assert.equal(ours.name, (await rejection(globalThis.fetch(upstream.openUrl, init))).name)
  assert.deepEqual([calls, seen().length], [1, 1])
})
