/** Streams through `provider-auth proxy`: as they come, no faster than they are read, and ended on both sides. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, request as httpRequest } from 'node:http'
import { after, before, test } from 'node:test'
import { brotliCompressSync, createGzip, gzipSync } from 'node:zlib'
import { raw, startProxy } from './support/proxy.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { until } from './support/until.mjs'

const MIB = 1024 * 1024
const STREAMS = 100
const EVENTS = 500

/** What the test says that the provider does with the next requests. */
let play
const upstream = createServer((request, response) => play(request, response))
await once(upstream.listen(0, '127.0.0.1'), 'listening')
const origin = `http://127.0.0.1:${upstream.address().port}`
const sandbox = createSandbox({ name: 'proxy-streams', config: { providers: { openai: { origins: [origin] } } } })
after(() => {
  upstream.closeAllConnections()
  upstream.close()
  sandbox.cleanup()
})

let proxy
before(async () => {
  await sandbox.output(`await auth.addApiKey({ provider: 'openai', apiKey: 'sk-of-ada' })`)
  proxy = await startProxy(sandbox)
})

const ask = (options = {}) =>
  raw(proxy, { path: '/openai/x', ...options, headers: { authorization: `Bearer ${proxy.token}`, ...options.headers } })
/** A request whose body and answer the test handles itself. */
const open = (options = {}) =>
  httpRequest({
    port: proxy.port,
    host: '127.0.0.1',
    path: '/openai/x',
    agent: false,
    ...options,
    headers: { authorization: `Bearer ${proxy.token}`, ...options.headers },
  })
const event = (text) => `data: {"choices":[{"index":0,"delta":{"content":"${text}"}}]}\n\n`
const EVENT_STREAM = { 'content-type': 'text/event-stream' }

/** Resolves to all that comes, or rejects with what broke it; `text` is what came before. */
async function readAll(request) {
  const [response] = await once(request, 'response')
  let text = ''
  try {
    for await (const chunk of response.setEncoding('utf8')) text += chunk
  } catch (error) {
    throw Object.assign(error, { text })
  }
  return text
}

/** The megabytes that a process has in memory. */
const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024

test('an event is handed on before the next one is sent', async () => {
  let next
  play = async (_, response) => {
    response.writeHead(200, EVENT_STREAM)
    for (const text of ['a', 'b', 'c']) {
      response.write(event(text))
      await new Promise((resolve) => (next = resolve))
    }
    response.end('data: [DONE]\n\n')
  }
  const request = open({ method: 'POST' }).end('{}')
  const [response] = await once(request, 'response')
  let text = ''
  response.setEncoding('utf8').on('data', (chunk) => (text += chunk))
  for (const letter of ['a', 'b', 'c']) {
    await until(`the event ${letter}`, () => text.endsWith(event(letter)))
    next()
  }
  await once(response, 'end')
  assert.equal(text, `${event('a')}${event('b')}${event('c')}data: [DONE]\n\n`)
})

test('a hundred streams of 500 events at a time come whole, each its own', async () => {
  play = async (request, response) => {
    const name = request.headers['x-name']
    response.writeHead(200, EVENT_STREAM)
    for (let number = 0; number < EVENTS; number += 1) {
      if (!response.write(event(`${name}-${number}`))) await once(response, 'drain')
      if (number % 25 === 0) await new Promise(setImmediate)
    }
    response.end('data: [DONE]\n\n')
  }
  const texts = await Promise.all(
    Array.from({ length: STREAMS }, (_, name) =>
      readAll(open({ method: 'POST', headers: { 'x-name': String(name) } }).end('{"stream":true}')),
    ),
  )
  for (const [name, text] of texts.entries()) {
    const wanted = Array.from({ length: EVENTS }, (_, number) => event(`${name}-${number}`)).join('')
    assert.ok(text === `${wanted}data: [DONE]\n\n`, `stream ${name}`)
  }
})

test('a client that reads slowly holds the provider back', { skip: process.platform !== 'linux' }, async () => {
  const chunk = Buffer.alloc(MIB, 'x')
  let written = 0
  let isHeldBack = false
  play = async (_, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    for (; written < 400; written += 1)
      if (!response.write(chunk)) {
        const isDrained = await Promise.race([once(response, 'drain').then(() => true), pauseOf(500).then(() => false)])
        if (!isDrained) isHeldBack = true
        if (!isDrained) await once(response, 'drain')
      }
    response.end()
  }
  const request = open().end()
  const [response] = await once(request, 'response')
  const before = resident(proxy.pid)
  await until('the provider is held back', () => isHeldBack)
  assert.ok(written < 100, `${written} MiB were sent to a client that reads nothing`)
  assert.ok(resident(proxy.pid) - before < 100, 'the proxy grows with what is not read')
  let size = 0
  for await (const part of response) size += part.length
  assert.equal(size, 400 * MIB)
})

test('a long upload is passed on as it comes, and held back by a slow provider', {
  skip: process.platform !== 'linux',
}, async () => {
  const chunk = Buffer.alloc(MIB, 'x')
  const size = 300
  let arrived
  let release
  play = async (request, response) => {
    arrived = request
    await new Promise((resolve) => (release = resolve))
    let length = 0
    for await (const part of request) length += part.length
    response.end(JSON.stringify({ length, said: request.headers['content-length'] }))
  }
  const request = open({ method: 'POST', headers: { 'content-length': String(size * MIB) } })
  const answer = readAll(request)
  const before = resident(proxy.pid)
  let sent = 0
  let isHeldBack = false
  const upload = (async () => {
    for (; sent < size; sent += 1)
      if (!request.write(chunk)) {
        const isDrained = await Promise.race([once(request, 'drain').then(() => true), pauseOf(500).then(() => false)])
        if (!isDrained) isHeldBack = true
        if (!isDrained) await once(request, 'drain')
      }
    request.end()
  })()
  await until('the client is held back', () => isHeldBack)
  assert.ok(arrived, 'the provider has the beginning of it')
  assert.ok(sent < 150, `${sent} MiB were taken`)
  assert.ok(resident(proxy.pid) - before < 250, 'it is kept in memory')
  release()
  await upload
  assert.deepEqual(JSON.parse(await answer), { length: size * MIB, said: String(size * MIB) })
})

test('when a client goes away its request ends at the provider', async () => {
  for (const begin of [() => {}, (response) => response.writeHead(200, EVENT_STREAM).write(event('a'))]) {
    let isGone = false
    let isThere = false
    play = (request, response) => {
      isThere = true
      response.once('close', () => (isGone = true))
      begin(response, request)
    }
    const request = open({ method: 'POST' }).end('{}')
    request.on('error', () => {})
    request.on('response', (response) => response.on('error', () => {}))
    await until('the request has arrived', () => isThere)
    request.destroy()
    await until('the provider is told', () => isGone)
  }
  // In the middle of its own body, too.
  let isAborted = false
  play = (request) => request.on('error', () => (isAborted = true)).resume()
  const upload = open({ method: 'POST', headers: { 'content-length': String(100 * MIB) } })
  upload.on('error', () => {})
  upload.write(Buffer.alloc(40 * MIB))
  await until('the beginning has been sent', () => upload.writableLength === 0)
  upload.destroy()
  await until('the provider is told', () => isAborted)
})

test('an answer that breaks off is broken for the client, too', async () => {
  const lengths = { 'content-type': 'application/json', 'content-length': '1000' }
  for (const headers of [EVENT_STREAM, lengths, { 'content-type': 'text/plain' }]) {
    play = (_, response) => {
      response.writeHead(200, headers).write(event('a'))
      setTimeout(() => response.destroy(), 200)
    }
    const broken = await readAll(open({ method: 'POST' }).end('{}')).catch((error) => error)
    assert.equal(broken.code, 'ECONNRESET', JSON.stringify(headers))
    // A JSON answer is handed on once it is clear that it is more than an error.
    if (headers !== lengths) assert.equal(broken.text, event('a'))
  }
})

test('bodies, statuses and methods come as they are', async () => {
  const body = '{"hello":"world"}'
  for (const [encoding, bytes] of [
    ['gzip', gzipSync(body)],
    ['br', brotliCompressSync(body)],
    [undefined, Buffer.from(body)],
  ]) {
    play = (_, response) =>
      response
        .writeHead(200, {
          ...(encoding && { 'content-encoding': encoding }),
          'content-length': bytes.length,
          etag: '"1"',
        })
        .end(bytes)
    const answer = await ask({ headers: { 'accept-encoding': 'zstd, br, gzip' } })
    assert.deepEqual([answer.text, answer.headers['content-encoding'], answer.headers.etag], [body, undefined, '"1"'])
    assert.equal(answer.headers['content-length'], encoding ? undefined : String(body.length))
  }
  for (const status of [204, 304]) {
    play = (_, response) => response.writeHead(status, { etag: '"2"' }).end()
    const answer = await ask()
    assert.deepEqual([answer.status, answer.text, answer.headers.etag], [status, '', '"2"'])
  }
  play = (request, response) =>
    response.writeHead(201, 'Made', { 'content-length': 5, 'x-method': request.method }).end('12345')
  const head = await ask({ method: 'HEAD' })
  assert.deepEqual([head.text, head.headers['x-method'], head.headers['content-length']], ['', 'HEAD', '5'])
  for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const answer = await ask({ method, ...(method.startsWith('P') && { body: 'x' }) })
    assert.deepEqual([answer.status, answer.headers['x-method']], [201, method])
  }
  play = async (request, response) => {
    let length = 0
    for await (const part of request) length += part.length
    response.writeHead(200).end(JSON.stringify({ length, headers: request.headers }))
  }
  const empty = JSON.parse((await ask({ method: 'POST', headers: { 'content-length': '0' } })).text)
  assert.deepEqual([empty.length, empty.headers['content-length']], [0, '0'])
  const chunked = JSON.parse(
    (await ask({ method: 'POST', headers: { 'transfer-encoding': 'chunked' }, body: 'abc' })).text,
  )
  assert.deepEqual([chunked.length, chunked.headers['content-length']], [3, '3'])
})

test('a compressed stream is handed on event by event', async () => {
  let next
  play = (_, response) => {
    response.writeHead(200, { ...EVENT_STREAM, 'content-encoding': 'gzip' })
    const gzip = createGzip()
    gzip.pipe(response)
    gzip.write(event('a'))
    gzip.flush()
    next = () => gzip.end(event('b'))
  }
  const [response] = await once(open({ method: 'POST' }).end('{}'), 'response')
  let text = ''
  response.setEncoding('utf8').on('data', (chunk) => (text += chunk))
  await until('the first event', () => text === event('a'))
  next()
  await once(response, 'end')
  assert.equal(text, event('a') + event('b'))
})

test('a client that asks whether its body may come is answered', async () => {
  play = async (request, response) => {
    let text = ''
    for await (const part of request) text += part
    response.end(`${request.headers.expect}:${text}`)
  }
  const request = open({ method: 'POST', headers: { expect: '100-continue', 'content-length': '4' } })
  request.flushHeaders()
  await once(request, 'continue')
  request.end('body')
  assert.equal(await readAll(request), 'undefined:body')

  const stranger = open({
    method: 'POST',
    headers: { authorization: 'no', expect: '100-continue', 'content-length': '4' },
  })
  let isAsked = false
  stranger.on('continue', () => (isAsked = true))
  stranger.flushHeaders()
  const [{ statusCode, headers }] = await once(stranger, 'response')
  assert.deepEqual([statusCode, headers.connection, isAsked], [401, 'close', false])
  stranger.destroy()
})

test('an answer of HTTP/1.0 that breaks off does not look whole', async () => {
  const { connect } = await import('node:net')
  const readOld = (path) =>
    new Promise((resolve) => {
      const socket = connect(proxy.port, '127.0.0.1', () =>
        socket.write(
          `GET ${path} HTTP/1.0\r\nhost: 127.0.0.1:${proxy.port}\r\nauthorization: Bearer ${proxy.token}\r\n\r\n`,
        ),
      )
      let error
      socket.on('error', ({ code }) => (error = code)).resume()
      socket.on('close', () => resolve(error))
    })
  play = (_, response) => response.writeHead(200).end('whole')
  assert.equal(await readOld('/openai/x'), undefined)
  play = (_, response) => {
    response.writeHead(200).write('half')
    setTimeout(() => response.destroy(), 50)
  }
  assert.equal(await readOld('/openai/x'), 'ECONNRESET')
})

function pauseOf(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
