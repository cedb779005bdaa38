/** A `fetch` that is not the runtime's own: its responses, bodies and errors are of another package. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import nodeFetch, { Request as NodeRequest } from 'node-fetch'
import * as undici from 'undici'
import { chat, openDesk, rejection } from './support/desk.mjs'
import { until } from './support/until.mjs'
import { bodies, throttle } from './support/upstream.mjs'

const { upstream, elsewhere, openPool } = await openDesk()
const output = 'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
const limited = 'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error"}}\n\n'

/** A response that shares nothing with the runtime's own: names as they were sent, a body of an iterator, no iterator of headers. */
function bare(response) {
  const entries = [...response.headers].map(([name, value]) => [name.replace(/(^|-)./g, (c) => c.toUpperCase()), value])
  const find = (name) => entries.find(([other]) => other.toLowerCase() === name.toLowerCase())?.[1] ?? null
  const { status, statusText, ok, url, redirected, body } = response
  async function* chunks() {
    for await (const chunk of body ?? []) yield Buffer.from(chunk).toString('latin1')
  }
  const headers = {
    get: find,
    *[Symbol.iterator]() {
      yield* entries
    },
  }
  const text = () => response.text()
  return {
    ...{ status, statusText, ok, url, redirected, headers, text },
    type: 'default',
    body: body === null ? null : chunks(),
    json: async () => JSON.parse(await text()),
    clone: () => bare(response.clone()),
  }
}

const fetches = {
  undici: { fetch: undici.fetch, Request: undici.Request },
  'node-fetch': { fetch: nodeFetch, Request: NodeRequest },
  'one of its own': { fetch: async (input, init) => bare(await globalThis.fetch(input, init)), Request },
}

for (const [name, { fetch: given, Request: Own }] of Object.entries(fetches)) {
  const open = (names) => openPool(names, { fetch: given })

  test(`${name}: an answer is its own, and can be cloned`, async () => {
    const { fetch, accounts } = await open(['ada'])
    const response = await fetch(upstream.chatUrl, chat())
    assert.equal(response.url, upstream.chatUrl)
    const clone = response.clone()
    const [text, again] = await Promise.all([clone.text(), response.text()])
    assert.match(text, new RegExp(accounts[0]))
    assert.equal(again, text)
  })

  test(`${name}: a limit moves to the next account, and the last answer can be read`, async () => {
    const { fetch, served, accounts } = await open(['ada', 'bob'])
    upstream.plan(accounts[0], throttle(40))
    assert.match(await (await fetch(upstream.chatUrl, chat())).text(), new RegExp(accounts[1]))
    assert.deepEqual(served(), accounts)
    upstream.plan(accounts[1], throttle(90))
    const response = await fetch(upstream.chatUrl, chat())
    assert.equal(response.status, 429)
    assert.equal(response.ok, false)
    assert.equal(response.url, upstream.chatUrl)
    // Less by what the test has taken since.
    assert.ok(Number(response.headers.get('retry-after')) > 10)
    const clone = response.clone()
    assert.equal(clone.url, upstream.chatUrl)
    assert.deepEqual(await clone.json(), bodies.throttled)
    assert.deepEqual(await response.json(), bodies.throttled)
  })

  test(`${name}: a large error body arrives whole and at once`, async () => {
    const { fetch, accounts } = await open(['ada'])
    const body = JSON.stringify({ error: { message: 'x'.repeat(300_000) } })
    upstream.plan(accounts[0], { status: 400, body })
    const start = performance.now()
    const response = await fetch(upstream.chatUrl, chat())
    assert.equal(await response.text(), body)
    assert.ok(performance.now() - start < 15_000)
  })

  test(`${name}: a stream passes byte for byte; an error in it moves on, or is told`, async () => {
    const { fetch, served, accounts } = await open(['ada', 'bob', 'cyd'])
    upstream.plan(accounts[0], { sse: [limited], times: 9 })
    upstream.plan(accounts[1], { sse: [': wait\n\n', output, limited], times: 9 })
    const response = await fetch(upstream.chatUrl, chat({ stream: true }))
    assert.equal(response.headers.get('content-type'), 'text/event-stream')
    assert.equal(await response.text(), `: wait\n\n${output}${limited}`)
    assert.match(await (await fetch(upstream.chatUrl, chat({ stream: true }))).text(), new RegExp(accounts[2]))
    assert.deepEqual(served(), accounts)
  })

  test(`${name}: a stream that breaks tells its reader`, async () => {
    const { fetch, accounts } = await open(['ada'])
    upstream.plan(accounts[0], { sse: [output], end: 'drop', gapMs: 20 })
    const response = await fetch(upstream.chatUrl, chat({ stream: true }))
    await rejection(response.text())
  })

  test(`${name}: redirects are followed, here with the credential and elsewhere without`, async () => {
    const { fetch, accounts, seen } = await open(['ada'])
    upstream.plan(accounts[0], { redirect: '/echo/moved' })
    const response = await fetch(`${upstream.origin}/echo`)
    assert.equal(response.redirected, true)
    assert.equal(response.url, `${upstream.origin}/echo/moved`)
    const clone = response.clone()
    assert.equal(clone.redirected, true)
    assert.equal((await clone.json()).path, '/echo/moved')
    assert.equal(seen().at(-1).headers.authorization, `Bearer key-of-${accounts[0]}`)
    upstream.plan(accounts[0], { redirect: `${elsewhere.openUrl}x` })
    const foreign = await (await fetch(`${upstream.origin}/echo`)).json()
    assert.equal(foreign.headers.authorization, undefined)
  })

  test(`${name}: a Request is taken, its own and the runtime's`, async () => {
    const { fetch, seen } = await open(['ada'])
    for (const Kind of [Own, Request]) {
      const request = new Kind(`${upstream.origin}/echo`, {
        method: 'PUT',
        headers: { 'x-trace': 'one' },
        body: 'payload',
      })
      assert.equal((await (await fetch(request)).json()).body, 'payload')
      assert.deepEqual([seen().at(-1).method, seen().at(-1).headers['x-trace']], ['PUT', 'one'])
    }
  })

  test(`${name}: a dropped connection is tried again, and its error is the one that comes`, async () => {
    const { fetch, served, accounts } = await open(['ada'])
    upstream.plan(accounts[0], { drop: true })
    assert.equal((await fetch(upstream.chatUrl, chat())).status, 200)
    upstream.plan(accounts[0], { drop: true, times: 9 })
    const [ours, plain] = [
      await rejection(fetch(upstream.chatUrl, chat())),
      await rejection(given('http://127.0.0.1:1/')),
    ]
    assert.equal(ours.constructor, plain.constructor)
    assert.equal(served().length, 5)
  })

  test(`${name}: an abort ends it with its reason`, async () => {
    const { fetch, accounts, seen } = await open(['ada'])
    upstream.plan(accounts[0], { hang: true })
    const reason = new RangeError('mine')
    const controller = new AbortController()
    const outcome = rejection(fetch(upstream.chatUrl, { ...chat(), signal: controller.signal }))
    await until('the request is at the server', () => seen().length === 1)
    controller.abort(reason)
    assert.equal(await outcome, reason)
  })
}

test('a stream of Node as a body is sent again through node-fetch', async () => {
  const { fetch, accounts, seen } = await openPool(['ada', 'bob'], { fetch: nodeFetch })
  upstream.plan(accounts[0], throttle(30))
  const response = await fetch(`${upstream.origin}/echo`, {
    method: 'POST',
    body: Readable.from([Buffer.from('pay'), Buffer.from('load')]),
  })
  assert.equal((await response.json()).body, 'payload')
  assert.equal(seen().length, 2)
})
