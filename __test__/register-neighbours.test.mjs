/** `provider-auth/register` beside what else programs do with `fetch`, and other ways to send a request. */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createSandbox } from './support/sandbox.mjs'
import { startUpstream } from './support/upstream.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const [ours, foreign] = [await startUpstream(), await startUpstream()]
const sandbox = createSandbox({ name: 'register', config: { providers: { desk: { origins: [ours.origin] } } } })
// Deno finds a preloaded package only where it is a dependency.
writeFileSync(join(sandbox.work, 'package.json'), '{"dependencies":{"provider-auth":"*"}}')
mkdirSync(join(sandbox.work, 'node_modules'))
symlinkSync(root, join(sandbox.work, 'node_modules/provider-auth'))
symlinkSync(join(root, 'node_modules/undici'), join(sandbox.work, 'node_modules/undici'))
after(async () => {
  sandbox.cleanup()
  await ours.close()
  await foreign.close()
})
ours.admit('key-of-ada', 'ada')
await sandbox.output(`await auth.addApiKey({ provider: 'desk', label: 'ada', apiKey: 'key-of-ada' })`)

const OURS = JSON.stringify(ours.chatUrl)
const REGISTER = ['--import', 'provider-auth/register']

let scripts = 0
/** Runs a program that must succeed; resolves to what it printed, as JSON. */
async function told(source, { nodeArgs = REGISTER, ...options } = {}) {
  const file = join(sandbox.work, `app-${++scripts}.mjs`)
  writeFileSync(file, source)
  const { code, stdout, stderr } = await sandbox.spawn(file, { nodeArgs, ...options }).ended
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout)
}

/** The credentials that a server was sent, in order. */
const sent = (server) => server.requests.map(({ headers }) => headers.authorization)

beforeEach(() => {
  ours.forget()
  foreign.forget()
})

test('a call that is not a request to a provider does what it does without us', async () => {
  const source = `
    const blob = URL.createObjectURL(new Blob(['of a blob']))
    const calls = [
      () => fetch('/v1/models'), () => fetch('//api.example'), () => fetch(''), () => fetch(), () => fetch(undefined),
      () => fetch('data:text/plain,of%20data'), () => fetch(blob), () => fetch('about:blank'), () => fetch('ftp://127.0.0.1/'),
      () => fetch(Symbol('x')), () => fetch('http://127.0.0.1:1/'), () => fetch('http://user:pass@127.0.0.1/'),
      () => fetch(null), () => fetch(7), () => fetch({}), () => fetch(new URL('data:,x')),
      () => fetch('data:,x', { method: 'no method' }), () => fetch('data:,x', null), () => fetch('data:,x', 7),
      () => fetch('data:,x', { signal: AbortSignal.abort(new Error('over')) }),
    ]
    const outcomes = []
    for (const call of calls) {
      try {
        const answer = call()
        if (!(answer instanceof Promise)) throw 'no promise'
        outcomes.push(await (await answer).text())
      } catch (error) { outcomes.push(String(error?.stack ?? error).split('\\n')[0]) }
    }
    console.log(JSON.stringify(outcomes))`
  const [with_, without] = [await told(source), await told(source, { nodeArgs: [] })]
  assert.deepEqual(with_, without)
  assert.deepEqual([with_[5], with_[6]], ['of data', 'of a blob'])
})

test('a redirect from elsewhere brings no credential to a provider, and one from a provider takes none elsewhere', async () => {
  const own = `{ headers: { authorization: 'Bearer own' } }`
  foreign.plan('*', { redirect: `${ours.origin}/echo/`, status: 302 })
  await told(`console.log((await fetch(${JSON.stringify(`${foreign.origin}/a`)}, ${own})).status)`)
  assert.deepEqual([sent(foreign), sent(ours)], [['Bearer own'], [undefined]])

  ours.forget()
  foreign.forget()
  ours.plan('ada', { redirect: foreign.openUrl, status: 307 })
  await told(`console.log((await fetch(${JSON.stringify(`${ours.origin}/echo/`)}, ${own})).status)`)
  assert.deepEqual([sent(ours), sent(foreign)], [['Bearer key-of-ada'], [undefined]])

  ours.forget()
  foreign.forget()
  ours.plan('*', { redirect: foreign.openUrl, status: 302 })
  foreign.plan('*', { redirect: `${ours.origin}/echo/`, status: 302 })
  const there = `await fetch(${JSON.stringify(`${foreign.origin}/a`)}, ${own})`
  assert.equal(await told(`console.log((${there}).status)`), 200)
  assert.deepEqual([sent(foreign), sent(ours)], [['Bearer own', undefined], [undefined]])
})

test('an address is compared as an address, however it is written', async () => {
  const { port } = new URL(ours.origin)
  const written = [
    `HTTP://127.0.0.1:${port}/v1/models`,
    ` http://127.0.0.1:${port}/v1/models\\n`,
    `http:\\\\127.0.0.1:${port}\\v1/models`,
  ]
  written.push(
    `http://127.0.0.1:${port}?/v1/models`,
    `http://127.0.0.1:${port}#/v1/models`,
    `http://0x7f.1:${port}/v1/models`,
    `http://127.1:${port}/v1/models`,
  )
  await told(`for (const url of ${JSON.stringify(written)}) await fetch(url); console.log(1)`)
  assert.deepEqual(
    sent(ours),
    written.map(() => 'Bearer key-of-ada'),
  )
})

test('a name that only begins or ends like an origin of a provider is another place', async () => {
  const { port } = new URL(ours.origin)
  const written = [
    `http://127.0.0.1.example:${port}/`,
    `http://127.0.0.1:${port}@localhost:1/`,
    `http://127.0.0.1:${port}0/`,
    `https://127.0.0.1:${port}/`,
  ]
  const source = `
    const seen = []
    const original = globalThis.fetch = async (url, init) => { seen.push([url, init]); return new Response('') }
    await import('provider-auth/register')
    const others = []
    for (const url of ${JSON.stringify(written)}) {
      // So that the one before went to the provider.
      await fetch('${ours.origin}/v1/models')
      seen.length = 0
      await fetch(url)
      others.push(...seen)
    }
    console.log(JSON.stringify(others))`
  assert.deepEqual(
    await told(source, { nodeArgs: [] }),
    written.map((url) => [url, null]),
  )
})

test('a framework that puts its own fetch over ours is served, by whatever it hands on', async () => {
  // As Next.js does: it keeps the fetch it found, adds options of its own, and passes a Request or an address on.
  const source = `
    const origin = globalThis.fetch
    globalThis.fetch = Object.assign(async function fetch(input, init) {
      if (!(input instanceof Request)) input = new Request(input, init)
      const clone = new Request(input, { body: input.body, duplex: 'half' })
      return origin(clone, { ...init, body: undefined, method: undefined, headers: undefined, next: { revalidate: 60, fetchType: 'default' }, cache: 'no-store' })
    }, { __nextPatched: true, _nextOriginalFetch: origin })
    const answer = await fetch(${OURS}, { method: 'POST', headers: { authorization: 'Bearer own', 'x-mine': '1' }, body: '{"model":"small-1"}', next: { tags: ['a'] } })
    const { choices } = await answer.json()
    console.log(JSON.stringify(choices[0].message.content))`
  assert.equal(await told(source), 'served by ada')
  const [request] = ours.requests
  assert.deepEqual([request.headers['x-mine'], request.body], ['1', '{"model":"small-1"}'])
})

test('another client than the global fetch is not reached', async () => {
  const source = `
    import http from 'node:http'
    import { fetch as imported, request } from 'undici'
    const options = { method: 'POST', headers: { authorization: 'Bearer own' }, body: '{"model":"small-1"}' }
    const statuses = [(await imported(${OURS}, options)).status, (await request(${OURS}, options)).statusCode]
    statuses.push(await new Promise((resolve) => http.request(${OURS}, options, (answer) => resolve(answer.resume().statusCode)).end('{}')))
    console.log(JSON.stringify(statuses))`
  assert.deepEqual(await told(source), [401, 401, 401])
  assert.deepEqual(sent(ours), ['Bearer own', 'Bearer own', 'Bearer own'])
})

test('deno --preload registers too', async () => {
  const nodeArgs = ['run', '-A', '--node-modules-dir=manual', '--no-config', '--preload', 'npm:provider-auth/register']
  const source = `console.log((await fetch(${OURS}, { method: 'POST', body: '{"model":"small-1"}' })).status)`
  const deno = { command: join(root, 'node_modules/.bin/deno'), env: { DENO_NO_UPDATE_CHECK: '1' } }
  assert.equal(await told(source, { ...deno, nodeArgs }), 200)
  assert.deepEqual(sent(ours), ['Bearer key-of-ada'])
})

test('a realm of its own, as a test runner makes one, is served where it has the fetch of the process', async () => {
  const source = `
    import vm from 'node:vm'
    const context = vm.createContext({ fetch, URL, console })
    const code = 'fetch(new URL(url), { method: "POST", body: "{}", headers: { authorization: "Bearer own" } })'
    const { status } = await vm.runInContext(code, Object.assign(context, { url: ${OURS} }))
    console.log(status)`
  assert.equal(await told(source), 200)
  assert.deepEqual(sent(ours), ['Bearer key-of-ada'])
})

test('a server that fetches for its clients in parallel keeps each answer with its request', async () => {
  const source = `
    const calls = Array.from({ length: 60 }, (_, i) => i % 2 === 0
      ? fetch('${ours.origin}/echo/' + i) : fetch('${foreign.openUrl}' + i))
    const answers = await Promise.all(calls.map(async (call) => (await (await call).json()).path))
    console.log(JSON.stringify(answers.map((path) => Number(path.split('/').at(-1)))))`
  assert.deepEqual(
    await told(source),
    Array.from({ length: 60 }, (_, i) => i),
  )
  assert.deepEqual(new Set(sent(ours)), new Set(['Bearer key-of-ada']))
  assert.deepEqual(new Set(sent(foreign)), new Set([undefined]))
})
