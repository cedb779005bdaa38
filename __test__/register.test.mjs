/** `provider-auth/register`: a program's own `fetch` reaches providers with accounts of the vault, and all else as before. */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createSandbox } from './support/sandbox.mjs'
import { startUpstream } from './support/upstream.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const tool = (name) => join(root, 'node_modules/.bin', name)
const [upstream, elsewhere] = [await startUpstream(), await startUpstream()]
const sandbox = createSandbox({
  name: 'register',
  config: {
    providers: {
      alone: { origins: [elsewhere.origin] },
      desk: { origins: [upstream.origin], rotation: { maxWaitMs: 0 } },
      empty: { origins: [upstream.origin] },
    },
  },
})
// So that no package.json in a folder above says which package this is.
writeFileSync(join(sandbox.work, 'package.json'), '{}')
mkdirSync(join(sandbox.work, 'node_modules'))
for (const name of ['openai', 'provider-auth'])
  symlinkSync(name === 'openai' ? join(root, 'node_modules', name) : root, join(sandbox.work, 'node_modules', name))
after(async () => {
  sandbox.cleanup()
  await upstream.close()
  await elsewhere.close()
})

const add = (label) => `await auth.addApiKey({ provider: 'desk', label: '${label}', apiKey: 'key-of-${label}' })`
upstream.admit('key-of-ada', 'ada')
upstream.admit('key-of-bob', 'bob')
upstream.admit('own', 'program')
elsewhere.admit('own', 'program')
await sandbox.output(add('ada'))

const CALL = `fetch(${JSON.stringify(upstream.chatUrl)}, {
  method: 'POST', headers: { authorization: 'Bearer own' }, body: '{"model":"small-1"}' })`

let scripts = 0
/** Runs a program to its end. */
function run(source, { type = 'mjs', preload = ['--import', 'provider-auth/register'], ...options } = {}) {
  const name = `app-${++scripts}.${type}`
  writeFileSync(join(sandbox.work, name), source)
  return sandbox.spawn(name, { nodeArgs: preload, ...options }).ended
}

/** Runs a program that must succeed; resolves to what it printed, as JSON. */
async function told(source, options) {
  const { code, stdout, stderr } = await run(source, options)
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout)
}

/** The accounts that were asked since the last look. */
function asked(server = upstream) {
  const accounts = server.accounts()
  server.forget()
  return accounts
}

test('an unmodified OpenAI SDK is served, by every way to register', async () => {
  const esm = `import OpenAI from 'openai'
    const client = new OpenAI({ apiKey: 'placeholder', baseURL: ${JSON.stringify(upstream.baseURL)}, maxRetries: 0 })
    const answer = await client.chat.completions.create({ model: 'small-1', messages: [{ role: 'user', content: 'hi' }] })
    console.log(JSON.stringify(answer.choices[0].message.content))
    process.exit()`
  const first = `import 'provider-auth/register'\n${esm}`
  const cjs = `require('provider-auth/register')
    import('openai').then(async ({ default: OpenAI }) => {${esm.slice(esm.indexOf('\n'))} })`
  const bun = { command: tool('bun') }
  const deno = { command: tool('deno'), env: { DENO_NO_UPDATE_CHECK: '1' } }
  const denoRun = ['run', '-A', '--node-modules-dir=manual', '--no-config']
  const ways = {
    import: [esm, {}],
    require: [esm, { preload: ['--require', 'provider-auth/register'] }],
    'first import': [first, { preload: [] }],
    'first require': [cjs, { preload: [], type: 'cjs' }],
    'bun --preload': [esm, { ...bun, preload: ['--preload', 'provider-auth/register'] }],
    'bun, first import': [first, { ...bun, preload: [] }],
    'deno, first import': [first, { ...deno, preload: denoRun }],
  }
  for (const [way, [source, options]] of Object.entries(ways)) {
    assert.equal(await told(source, options), 'served by ada', way)
    const [request, ...others] = upstream.requests
    assert.equal(request.headers.authorization, 'Bearer key-of-ada', way)
    assert.equal(others.length, 0, way)
    upstream.forget()
  }
})

test('every form of a call is served, and a refused account changes within it', async () => {
  await sandbox.output(add('bob'))
  upstream.plan('ada', { status: 429, headers: { 'retry-after': '1' }, body: '{"error":{"type":"rate_limit_error"}}' })
  const url = JSON.stringify(`${upstream.origin}/v1/models`)
  const statuses = await told(`
    const all = [await ${CALL}, await fetch(new URL(${url})), await fetch(new Request(${url})),
      await fetch(new Request(${JSON.stringify(upstream.chatUrl)}, { method: 'POST', body: '{"model":"small-1"}' })),
      await fetch({ toString: () => ${url} }, { headers: { authorization: 'Bearer own' } })]
    console.log(JSON.stringify(all.map(({ status }) => status)))`)
  assert.deepEqual(statuses, [200, 200, 200, 200, 200])
  const accounts = asked()
  assert.deepEqual(accounts.slice(0, 2), ['ada', 'bob'])
  // An object of another class is `fetch`'s to read.
  assert.deepEqual([accounts.includes('program'), accounts.length], [true, 6])
})

test('requests elsewhere reach the very fetch that was there, with what was passed, and no call of the addon', async () => {
  const source = `
    // Every function of the addon counts its calls.
    let calls = 0
    const { dlopen } = process
    process.dlopen = (module, ...rest) => {
      dlopen(module, ...rest)
      const counted = (native) => (...args) => { calls += 1; return native(...args) }
      const exported = Object.entries(module.exports)
      module.exports = Object.fromEntries(exported.map(([name, native]) => [name, counted(native)]))
    }
    const seen = []
    const original = function fetch(...args) { seen.push([this, args]); return promise }
    const promise = Promise.resolve(7)
    globalThis.fetch = original
    await import('provider-auth/register')
    const registered = globalThis.fetch
    const body = { get body() { throw new Error('the body was read') } }
    await registered('https://example.com/', body)
    const before = calls
    const same = []
    for (let i = 0; i < 10000; i += 1) same.push(registered.call(seen, 'https://example.com/' + i, body) === promise)
    const last = seen.at(-1)
    console.log(JSON.stringify({ before: before > 0, calls: calls - before, same: same.every(Boolean), self: last[0] === seen, args: last[1][1] === body,
      count: seen.length, name: registered.name, length: registered.length, replaced: registered !== original }))`
  assert.deepEqual(await told(source, { preload: [] }), {
    before: true,
    calls: 0,
    same: true,
    self: true,
    args: true,
    count: 10_001,
    name: 'fetch',
    length: 0,
    replaced: true,
  })
})

test('a provider without an account is left to the program, until there is one', async () => {
  const call = CALL.replace(upstream.origin, elsewhere.origin)
  const add = `await auth.addApiKey({ provider: 'alone', apiKey: 'key-of-eve' })`
  elsewhere.admit('key-of-eve', 'eve')
  const { child, line, ended } = sandbox.spawn(
    write(`await ${call}; console.log('first'); for await (const _ of process.stdin); await ${call}`),
    { nodeArgs: ['--import', 'provider-auth/register'], input: null },
  )
  await line(/first/)
  await sandbox.output(add)
  child.stdin.end()
  assert.equal((await ended).code, 0)
  assert.deepEqual(asked(elsewhere), ['program', 'eve'])
  await sandbox.output(`const [{ id }] = await auth.listAccounts({ provider: 'alone' }); await auth.removeAccount(id)`)
})

test('no vault is made where there is none', async () => {
  const env = { PROVIDER_AUTH_DIR: join(sandbox.dir, 'none') }
  const source = `import { existsSync } from 'node:fs'
    await ${CALL}; console.log(existsSync(process.env.PROVIDER_AUTH_DIR))`
  assert.equal(await told(source, { env }), false)
  assert.deepEqual(asked(), ['program'])
})

test('a vault that does not open fails the requests of its providers, and no other', async () => {
  const env = { PROVIDER_AUTH_KEY: Buffer.alloc(32, 7).toString('base64') }
  const other = JSON.stringify(`${elsewhere.origin}/open/`)
  const source = `const code = await ${CALL}.catch(({ code }) => code)
    console.log(JSON.stringify([code, (await fetch(${other.replace('127.0.0.1', 'localhost')})).status]))`
  assert.deepEqual(await told(source, { env }), ['VAULT_KEY_MISMATCH', 200])
  assert.deepEqual(asked(), [])
  elsewhere.forget()
})

test('PROVIDER_AUTH_REGISTER narrows it, and an unknown name stops the program at its start', async () => {
  const named = (names) => ({ env: { PROVIDER_AUTH_REGISTER: names } })
  await told(`await ${CALL}; console.log(1)`, named('empty'))
  assert.deepEqual(asked(), ['program'])
  await told(`await ${CALL}; console.log(1)`, named(' empty, desk '))
  assert.notDeepEqual(asked(), ['program'])
  for (const [names, code] of [
    ['desk,dsek', 'UNKNOWN_PROVIDER'],
    ['', 'INVALID_ARGUMENT'],
    ['desk,', 'INVALID_ARGUMENT'],
  ]) {
    const { code: exit, stdout, stderr } = await run(`console.log('it ran')`, named(names))
    assert.deepEqual([exit, stdout], [1, ''], names)
    assert.match(stderr, new RegExp(`PROVIDER_AUTH_REGISTER: [^]*${code}`), names)
  }
})

test('a second registration, and a fetch of createAuthFetch over it, choose an account once', async () => {
  const copy = join(sandbox.work, 'copy')
  mkdirSync(copy)
  const source = `import { createAuthFetch, subscribe } from 'provider-auth'
    const registered = globalThis.fetch
    await import(import.meta.resolve('provider-auth/register') + '?second')
    let chosen = 0
    subscribe(({ type }) => type === 'chosen' && (chosen += 1))
    await ${CALL}
    await createAuthFetch({ provider: 'desk' })(${JSON.stringify(`${upstream.origin}/v1/models`)})
    const outer = globalThis.fetch
    globalThis.fetch = (input, init) => outer(input, { ...init })
    await createAuthFetch({ provider: 'desk' })(${JSON.stringify(`${upstream.origin}/v1/models`)})
    await new Promise((resolve) => setTimeout(resolve, 50))
    console.log(JSON.stringify([chosen, registered === outer]))`
  assert.deepEqual(await told(source), [3, true])
  assert.equal(asked().length, 3)
})

test('worker threads are registered too', async () => {
  const worker = write(`import { parentPort } from 'node:worker_threads'
    parentPort.postMessage((await ${CALL}).status)`)
  const source = `import { Worker } from 'node:worker_threads'
    new Worker(${JSON.stringify(worker)}).once('message', (status) => console.log(status))`
  assert.equal(await told(source), 200)
  assert.notDeepEqual(asked(), ['program'])
})

test('a project file that is not trusted has no effect, and does from when it is trusted', async () => {
  const cwd = join(sandbox.work, 'project')
  mkdirSync(cwd)
  const providers = { theirs: { origins: [elsewhere.origin] } }
  writeFileSync(join(cwd, 'provider-auth.jsonc'), JSON.stringify({ providers }))
  const call = CALL.replace(upstream.origin, elsewhere.origin)
  const source = `import { addApiKey, trustProject } from 'provider-auth'
    await ${call}
    await trustProject()
    await addApiKey({ provider: 'theirs', apiKey: 'key-of-eve' })
    await ${call}
    console.log(1)`
  const file = join(cwd, 'app.mjs')
  writeFileSync(file, source)
  const { code, stderr } = await sandbox.spawn(file, { cwd, nodeArgs: ['--import', 'provider-auth/register'] }).ended
  assert.equal(code, 0, stderr)
  assert.deepEqual(asked(elsewhere), ['program', 'eve'])
})

test('a configuration with a fault is told once, and requests go out as they are', async () => {
  const file = join(sandbox.dir, 'faulty.jsonc')
  writeFileSync(file, '{ "providers": 7 }')
  const { code, stderr } = await run(`await ${CALL}; await ${CALL}`, { env: { PROVIDER_AUTH_CONFIG: file } })
  assert.equal(code, 0, stderr)
  assert.equal(stderr.match(/INVALID_CONFIG/g)?.length, 1, stderr)
  assert.match(stderr, /faulty\.jsonc/)
  assert.deepEqual(asked(), ['program', 'program'])
})

test('where `fetch` was frozen before, the program ends with what is wrong and what helps', async () => {
  const freeze = [
    `Object.defineProperty(globalThis, 'fetch', { value: globalThis.fetch, writable: false, configurable: false })`,
    'Object.preventExtensions(globalThis)',
  ]
  for (const source of freeze) {
    const preload = ['--import', write(source), '--import', 'provider-auth/register']
    const { code, stderr } = await run('console.log(1)', { preload })
    assert.equal(code, 1)
    assert.match(stderr, /globalThis\.fetch: provider-auth\/register cannot replace it.*createAuthFetch\(\)/)
    assert.match(stderr, /code: 'INVALID_CONFIG'/)
  }
  // What may not be written to can be replaced all the same.
  const readOnly = `Object.defineProperty(globalThis, 'fetch', { value: globalThis.fetch, writable: false, configurable: true })`
  const preload = ['--import', write(readOnly), '--import', 'provider-auth/register']
  assert.equal(await told(`const { status } = await ${CALL}; console.log(status)`, { preload }), 200)
  const [account] = asked()
  assert.ok(['ada', 'bob'].includes(account), account)
})

function write(source) {
  const file = join(sandbox.work, `app-${++scripts}.mjs`)
  writeFileSync(file, source)
  return file
}
