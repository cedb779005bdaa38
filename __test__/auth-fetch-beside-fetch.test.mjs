/** What a caller does with an answer comes out as with the runtime's own `fetch`: given up, handed on, read in other ways. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { createSandbox } from './support/sandbox.mjs'

const ANSWER = JSON.stringify({ text: 'grün' })
const EVENT = 'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
const JSON_TYPE = { 'content-type': 'application/json' }

const answers = {
  'long-error': (response) => response.writeHead(502, { 'content-type': 'text/html' }).end('x'.repeat(300_000)),
  'long-refusal': (response) => response.writeHead(400, { 'content-type': 'text/html' }).end('x'.repeat(300_000)),
  pieces(response) {
    response.writeHead(200, JSON_TYPE)
    for (const letter of ANSWER) response.write(letter)
    response.end()
  },
  gzip: (response) => response.writeHead(200, { ...JSON_TYPE, 'content-encoding': 'gzip' }).end(gzipSync(ANSWER)),
  empty: (response) => response.writeHead(200, { ...JSON_TYPE, 'content-length': 0 }).end(),
  open: (response) => response.end(String(sockets.size)),
  'stays-open': (response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).write(EVENT),
  begins: (response) => response.writeHead(200, JSON_TYPE).write(`{"text":"${'x'.repeat(1000)}`),
  named: (response) => response.writeHead(307, { location: `http://user:word@${server.host}/json` }).end(),
  umlaut: (response) => response.writeHead(302, { location: Buffer.from('/echo?ü').toString('latin1') }).end(),
  echo: (response, { url, headers }) =>
    response.writeHead(200, JSON_TYPE).end(JSON.stringify([url, headers.cookie, headers['x-own']])),
  json: (response) =>
    response.writeHead(200, { ...JSON_TYPE, 'content-length': Buffer.byteLength(ANSWER) }).end(ANSWER),
}

const seen = []
const sockets = new Set()
const server = createServer((request, response) => {
  const route = /^\/([\w-]*)/.exec(request.url)[1]
  seen.push(route)
  request.resume().once('end', () => answers[route](response, request))
})
server.on('connection', (socket) => {
  sockets.add(socket)
  socket.once('close', () => sockets.delete(socket))
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
server.host = `127.0.0.1:${server.address().port}`
const origin = `http://${server.host}`
const sandbox = createSandbox({ name: 'beside', config: { providers: { desk: { origins: [origin] } } } })
await sandbox.output("await auth.addApiKey({ provider: 'desk', apiKey: 'key-of-desk' })")
after(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  sandbox.cleanup()
})

const bin = (name) => fileURLToPath(new URL(`../node_modules/.bin/${name}`, import.meta.url))
const RUNTIMES = {
  node: { nodeArgs: ['--expose-gc'] },
  bun: { command: bin('bun') },
  deno: { command: bin('deno'), nodeArgs: ['run', '--quiet', '--allow-all', '--v8-flags=--expose-gc'] },
}

/** Runs code with `authFetch`, `plain` (its own `fetch` with the same key) and `origin`; returns what it says. */
async function run(runtime, code) {
  const before = `
    const origin = ${JSON.stringify(origin)}
    const authFetch = auth.createAuthFetch({ provider: 'desk' })
    const plain = (input, init) => fetch(input, init)
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
    const attempt = async (work) => {
      try { return await work() } catch (error) { return error?.name + ': ' + error?.message }
    }
    const say = (what) => console.log(JSON.stringify(what))
  `
  const printed = await sandbox.output(`${before}\n${code}\nprocess.exit(0)`, RUNTIMES[runtime])
  return printed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

for (const runtime of Object.keys(RUNTIMES)) {
  test(`${runtime}: a call that is given up beside a long error does not end the process`, async () => {
    const said = await run(
      runtime,
      `
      await (await authFetch(origin + '/json')).text()
      const wait = AbortSignal.timeout(150)
      say(await attempt(async () => (await authFetch(origin + '/long-error', { signal: wait })).status))
      const given = new AbortController()
      const refused = await authFetch(origin + '/long-refusal', { signal: given.signal })
      given.abort()
      await pause(200)
      say(refused.status)
      `,
    )
    assert.match(String(said[0]), /^TimeoutError|^502$/)
    assert.equal(said[1], 400)
  })

  test(`${runtime}: an abort ends an answer that has begun`, async () => {
    const [ends] = await run(
      runtime,
      `
      const ends = {}
      for (let time = 0; time < 250; time += 1) {
        const controller = new AbortController()
        const read = attempt(async () => (await authFetch(origin + '/begins', { signal: controller.signal })).text())
        await pause((time % 12) * 0.5)
        controller.abort()
        const end = await Promise.race([read, pause(2000).then(() => 'goes on')])
        ends[end] = (ends[end] ?? 0) + 1
      }
      say(Object.entries(ends).filter(([end]) => !end.startsWith('AbortError')))
      `,
    )
    assert.deepEqual(ends, [])
  })

  test(`${runtime}: methods of an answer on something else say what the runtime says`, async () => {
    const [ours, plain] = await run(
      runtime,
      `
      for (const ask of [authFetch, plain]) {
        const { text, clone } = await ask(origin + '/json')
        say([await attempt(() => text.call({})), await attempt(() => clone.call({}))])
      }
      `,
    )
    assert.deepEqual(ours, plain)
  })

  test(`${runtime}: an empty answer of JSON reads as it does without us`, async () => {
    const [ours, plain] = await run(
      runtime,
      `for (const ask of [authFetch, plain]) say(await attempt(async () => (await ask(origin + '/empty')).json()))`,
    )
    assert.deepEqual(ours, plain)
  })

  test(`${runtime}: options and headers that are not usual`, async () => {
    const [ours, plain] = await run(
      runtime,
      `
      const calls = [
        { headers: [['cookie', 'a=1'], ['cookie', 'b=2'], ['x-own', ' 1 '], ['x-own', ' 2']] },
        { headers: { Cookie: 'a=1', cookie: 'b=2' } },
        { headers: new Headers([['x-own', '1'], ['X-Own', '2']]) },
        { headers: { 'x-\\u212a': '1' } },
        { headers: [['x-own']] },
        { headers: 'x' },
        { redirect: 'errror' },
        { signal: 'x' },
      ]
      for (const ask of [authFetch, plain]) {
        const ends = []
        for (const init of calls) {
          const end = await attempt(async () => (await ask(origin + '/echo', init)).json())
          ends.push(typeof end === 'string' ? end.split(':')[0] : end)
        }
        say(ends)
      }
      `,
    )
    assert.deepEqual(ours, plain)
  })

  test(`${runtime}: a redirect to letters that are not Latin`, async () => {
    const [ours, plain] = await run(
      runtime,
      `for (const ask of [authFetch, plain]) say(await (await ask(origin + '/umlaut')).json())`,
    )
    assert.deepEqual(ours, plain)
  })

  test(`${runtime}: a redirect with a password in it is not followed, and the call made once`, async () => {
    const before = seen.length
    const [end] = await run(
      runtime,
      `say(await attempt(() => authFetch(origin + '/named', { method: 'POST', body: '{}' })))`,
    )
    assert.equal(end, 'TypeError: fetch failed')
    assert.deepEqual(seen.slice(before), ['named'])
  })
}

for (const runtime of ['bun', 'deno']) {
  test(`${runtime}: the connections of answers that nobody holds are closed`, async () => {
    const before = sockets.size
    const printed = await sandbox.output(
      `
      const authFetch = auth.createAuthFetch({ provider: 'desk' })
      for (let time = 0; time < 100; time += 1) await authFetch(${JSON.stringify(`${origin}/stays-open`)})
      for (let time = 0; time < 15; time += 1) {
        globalThis.Bun?.gc(true)
        globalThis.gc?.()
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      console.log(await (await authFetch(${JSON.stringify(`${origin}/open`)})).text())
      process.exit(0)
      `,
      RUNTIMES[runtime],
    )
    const open = Number(printed) - before
    assert.ok(open < 30, `${open} of 100 connections are open`)
  })
}

const SERVERS = {
  node: `
    const { serve } = await import(${JSON.stringify(import.meta.resolve('@hono/node-server'))})
    const listen = (handle) =>
      new Promise((resolve) => serve({ port: 0, hostname: '127.0.0.1', fetch: handle }, ({ port }) => resolve(port)))
  `,
  bun: "const listen = async (handle) => Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: handle }).port",
  deno: `
    const listen = async (handle) =>
      Deno.serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, handle).addr.port
  `,
}

for (const [runtime, listen] of Object.entries(SERVERS)) {
  test(`${runtime}: a server hands an answer on as it does without us`, async () => {
    const [ours, plain] = await run(
      runtime,
      `
      ${listen}
      const asks = { ours: authFetch, plain }
      const port = await listen((request) => {
        const [, ask, route] = new URL(request.url).pathname.split('/')
        return asks[ask](origin + '/' + route)
      })
      for (const ask of Object.keys(asks)) {
        const ends = []
        // Node and Bun send this one on as if it were still compressed, which no client can read.
        for (const route of ['json', 'pieces', ...('Deno' in globalThis ? ['gzip'] : [])])
          ends.push(await attempt(async () => (await fetch('http://127.0.0.1:' + port + '/' + ask + '/' + route)).text()))
        say(ends)
      }
      `,
    )
    assert.deepEqual(ours, plain)
    assert.equal(plain[1], ANSWER)
  })
}
