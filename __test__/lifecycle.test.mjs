/** Worker threads, contexts, copies, forks and exits: whatever a process does with the library, a login lives on. */
import assert from 'node:assert/strict'
import { copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { addonName } from '../scripts/lib/build.mjs'
import { createSandbox, importUrl, LIBRARY_URL } from './support/sandbox.mjs'
import { until } from './support/until.mjs'

const require = createRequire(import.meta.url)
const { startHost } = require('./conformance/host.cjs')
const steps = fileURLToPath(new URL('./conformance/steps.cjs', import.meta.url))
const root = fileURLToPath(new URL('..', import.meta.url))
/** Where a process may end in the middle of a refresh. */
const RUNTIMES = {
  'Node.js': {},
  Bun: { command: join(root, 'node_modules/.bin/bun') },
  Deno: { command: join(root, 'node_modules/.bin/deno'), nodeArgs: ['run', '--allow-all'] },
}
const POOLS = 24
/** So long that a process gets its signal while the server has the refresh. */
const REFRESH_MS = 800

let spent = 0
const host = await startHost({
  refreshMs: REFRESH_MS,
  onRefresh: () => {
    spent += 1
  },
})
const person = {
  clientId: 'conformance',
  deviceAuthorizationEndpoint: `${host.origin}/device`,
  tokenEndpoint: `${host.origin}/token`,
  origins: [host.origin],
}
const sandbox = createSandbox({ name: 'lifecycle', config: { providers: { person } } })
sandbox.enter()
const library = await import(LIBRARY_URL)
const url = `${host.origin}/v1/refreshes`
after(async () => {
  await host.close()
  sandbox.cleanup()
})

/** Opened all at once, since a login waits for seconds. */
const pools = await Promise.all(Array.from({ length: POOLS }, (_, index) => openPool(`pool-${index}`)))
const takePool = () => pools.pop()

/** A pool with one login, whose access token has ended. */
async function openPool(namespace) {
  const options = { provider: 'person', namespace, method: 'device', onPrompt: () => {} }
  const { id, expiresAt } = await library.login(options)
  await until('the access token has ended', () => expiresAt <= Date.now())
  return { id, namespace, asked: JSON.stringify({ provider: 'person', namespace, url }) }
}

/** How often the server renewed the pool's login, as the token says that the vault has now; it serves, or this rejects. */
async function refreshesOf({ namespace }) {
  const response = await library.createAuthFetch({ provider: 'person', namespace })(url)
  assert.equal(response.status, 200)
  return (await response.json()).refreshes
}

const lines = async (source, options) => (await sandbox.output(source, options)).trim().split('\n')

test('processes of fork and of cluster, worker threads and this process share one refresh', async () => {
  const pool = takePool()
  const ask = `
    const asked = ${pool.asked}
    const answers = await Promise.all(Array.from({ length: 10 }, () => auth.getAuthHeaders(asked)))
    const tokens = new Set(answers.map(({ headers }) => headers.authorization))
    console.log('asked', tokens.size)`
  const isChild = `process.env.CHILD === 'yes'`
  const forks = `
    import { fork } from 'node:child_process'
    import { fileURLToPath } from 'node:url'
    if (${isChild}) {${ask}
      process.disconnect()
    } else {
      const env = { ...process.env, CHILD: 'yes' }
      for (let i = 0; i < 2; i += 1) fork(fileURLToPath(import.meta.url), { env })
    }`
  const cluster = `
    import cluster from 'node:cluster'
    if (cluster.isPrimary) for (let i = 0; i < 2; i += 1) cluster.fork()
    else {${ask}
      process.disconnect()
    }`
  const threads = `
    import { isMainThread, Worker } from 'node:worker_threads'
    if (isMainThread) for (let i = 0; i < 3; i += 1) new Worker(new URL(import.meta.url))
    ${ask}`
  const printed = await Promise.all([forks, cluster, threads].map((source) => lines(source)))
  assert.deepEqual(
    printed.map((all) => all.length),
    [2, 2, 4],
  )
  for (const line of printed.flat()) assert.equal(line, 'asked 1')
  assert.equal(await refreshesOf(pool), 1)
})

test('workers that are terminated in the middle of a refresh take neither the process nor the login along', async () => {
  const pool = takePool()
  const before = spent
  const child = sandbox.start(`
    import { isMainThread, Worker } from 'node:worker_threads'
    if (isMainThread) {
      const workers = Array.from({ length: 4 }, () => new Worker(new URL(import.meta.url)))
      process.on('SIGUSR2', async () => {
        await Promise.all(workers.map((worker) => worker.terminate()))
        const { headers } = await auth.getAuthHeaders(${pool.asked})
        console.log(Object.keys(headers).join())
        process.exit(0)
      })
      console.log('ready')
    } else await auth.getAuthHeaders(${pool.asked})`)
  await child.line(/ready/)
  await until('the refresh is at the server', () => spent > before)
  child.child.kill('SIGUSR2')
  const { code, stdout, stderr } = await child.ended
  assert.deepEqual([code, stdout], [0, 'ready\nauthorization\n'], stderr)
  assert.equal(await refreshesOf(pool), 1)
})

for (const [how, ending] of [
  ['by process.exit', `process.on('SIGUSR2', () => process.exit(0)); setInterval(() => {}, 1000)`],
  ['by process.exit in answer to SIGTERM', `process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1000)`],
  ['at its natural end', ''],
  [
    'by a rejection that nothing handles',
    `process.on('SIGUSR2', () => { Promise.reject(new Error('the end')) }); setInterval(() => {}, 1000)`,
  ],
  [
    'by an error that nothing catches',
    `process.on('SIGUSR2', () => setTimeout(() => { throw new Error('the end') })); setInterval(() => {}, 1000)`,
  ],
])
  for (const [runtime, { command, nodeArgs }] of Object.entries(RUNTIMES))
    test(`a refresh under way is kept when a process of ${runtime} ends ${how}`, async () => {
      const pool = takePool()
      const before = spent
      const { child, ended } = sandbox.start(`${ending}\nauth.refreshAccount('${pool.id}', { force: true })`, {
        command,
        nodeArgs,
      })
      await until('the refresh is at the server', () => spent > before)
      const signal = /SIG\w+/.exec(ending)?.[0]
      if (signal) child.kill(signal)
      const end = await ended
      assert.equal(end.code, ending.includes('Error') ? 1 : 0, end.stderr)
      assert.equal(await refreshesOf(pool), 1)
    })

test('a refresh under way is kept when a process of Deno ends by Deno.exit', async () => {
  const pool = takePool()
  const before = spent
  const source = `
    process.on('SIGUSR2', () => Deno.exit(0))
    setInterval(() => {}, 1000)
    auth.refreshAccount('${pool.id}', { force: true })`
  const { child, ended } = sandbox.start(source, RUNTIMES.Deno)
  await until('the refresh is at the server', () => spent > before)
  child.kill('SIGUSR2')
  const { code, stderr } = await ended
  assert.equal(code, 0, stderr)
  assert.equal(await refreshesOf(pool), 1)
})

test('an error that a program in Deno catches leaves the library at work', async () => {
  const pool = takePool()
  const source = `
    addEventListener('error', (event) => event.preventDefault())
    setTimeout(() => {
      throw new Error('not the end')
    })
    await new Promise((resolve) => addEventListener('error', resolve))
    const { state } = await auth.refreshAccount('${pool.id}', { force: true })
    console.log(state)`
  assert.deepEqual(await lines(source, RUNTIMES.Deno), ['ready'])
  assert.equal(await refreshesOf(pool), 1)
})

test('the only thread with the library may end in the middle of a refresh, and the next one loads it again', async () => {
  const pool = takePool()
  const before = spent
  const child = sandbox.spawn(
    writeScript(`
    import { Worker } from 'node:worker_threads'
    const source = (code) => new URL('data:text/javascript,' + encodeURIComponent(
      'import * as auth from ${LIBRARY_URL.replaceAll("'", '%27')}\\n'.replace('from ', 'from "').replace('\\n', '"\\n') + code))
    const worker = new Worker(source(${JSON.stringify(`await auth.refreshAccount('${pool.id}', { force: true })`)}))
    process.on('SIGUSR2', async () => {
      await worker.terminate()
      for (let i = 0; i < 3; i += 1) {
        const next = new Worker(source(${JSON.stringify(`console.log(Object.keys((await auth.getAuthHeaders(${pool.asked})).headers).join())`)}))
        await new Promise((resolve, reject) => next.once('exit', resolve).once('error', reject))
      }
      clearInterval(stays)
    })
    const stays = setInterval(() => {}, 1000)`),
  )
  await until('the refresh is at the server', () => spent > before)
  child.child.kill('SIGUSR2')
  const { code, stdout, stderr } = await child.ended
  assert.deepEqual([code, stdout], [0, 'authorization\n'.repeat(3)], stderr)
  assert.equal(await refreshesOf(pool), 1)
})

test('two copies of the package in one process share accounts and a refresh, and both keep theirs at the exit', async () => {
  const copies = ['one', 'two'].map((name) => copyPackage(name))
  const [pool, left, right] = [takePool(), takePool(), takePool()]
  const load = copies.map((file, index) => `const copy${index} = await import(${JSON.stringify(importUrl(file))})`)
  const both = `${load.join('\n')}\nconst copies = [copy0, copy1]`
  const printed = await lines(`${both}
    const answers = await Promise.all(copies.flatMap((copy) => [1, 2, 3].map(() => copy.getAuthHeaders(${pool.asked}))))
    console.log(copy0 === copy1, copy0.getAuthHeaders === copy1.getAuthHeaders)
    console.log(new Set(answers.map(({ headers }) => headers.authorization)).size)`)
  assert.deepEqual(printed, ['false false', '1'])
  assert.equal(await refreshesOf(pool), 1)

  const before = spent
  const leaving = sandbox.start(`${both}
    process.on('SIGUSR2', () => process.exit(0))
    setInterval(() => {}, 1000)
    copy0.refreshAccount('${left.id}', { force: true })
    copy1.refreshAccount('${right.id}', { force: true })`)
  await until('both refreshes are at the server', () => spent >= before + 2)
  leaving.child.kill('SIGUSR2')
  assert.equal((await leaving.ended).code, 0)
  assert.deepEqual([await refreshesOf(left), await refreshesOf(right)], [1, 1])
})

test('the library that is required again after its removal from the cache has the same accounts and configuration', async () => {
  const pool = takePool()
  const printed = await lines(`
    import { createRequire } from 'node:module'
    const require = createRequire(${JSON.stringify(steps)})
    const once = () => {
      for (const key of Object.keys(require.cache)) delete require.cache[key]
      return require('provider-auth')
    }
    const options = { log: { level: 'none' } }
    let listeners
    // More often than Node.js takes listeners without a warning.
    for (let i = 0; i < 12; i += 1) {
      const again = once()
      again.configure(options)
      const accounts = await again.listAccounts({ namespace: '${pool.namespace}' })
      const { headers } = await again.getAuthHeaders(${pool.asked})
      listeners ??= process.listenerCount('exit')
      console.log(accounts.length, Object.keys(headers).join(), process.listenerCount('exit') - listeners)
    }`)
  assert.deepEqual(printed, Array(12).fill('1 authorization 0'))
  assert.equal(await refreshesOf(pool), 1)
})

test('programs in a context of node:vm and in a worker alone print the lines of the conformance program', async () => {
  const { readFileSync } = await import('node:fs')
  const expected = readFileSync(new URL('./conformance/expected.txt', import.meta.url), 'utf8').replace(
    /exit: 0\n$/,
    '',
  )
  const env = { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/none', PROVIDER_AUTH_DIR: join(sandbox.dir, 'other') }
  const context = sandbox.output(
    `
    import { createRequire } from 'node:module'
    import { readFileSync } from 'node:fs'
    import vm from 'node:vm'
    const file = ${JSON.stringify(steps)}
    const globals = { process, console, Buffer, setTimeout, AbortSignal, URL }
    const context = vm.createContext({ ...globals, require: createRequire(file), module: { exports: {} } })
    vm.runInContext(readFileSync(file, 'utf8'), context, { filename: file })
    await vm.runInContext('module.exports.conform(require("provider-auth"))', context)`,
    { env },
  )
  const worker = sandbox.run(
    `
    import { isMainThread, Worker } from 'node:worker_threads'
    import steps from ${JSON.stringify(importUrl(steps))}
    if (isMainThread) new Worker(new URL(import.meta.url))
    else await steps.conform(auth)`,
    { env },
  )
  assert.equal(await context, expected)
  const { stdout, stderr } = await worker
  assert.equal(stdout, expected, stderr)
})

test('who asks for headers alone reads no other code, and an update under a running program is told as that', async () => {
  // As an installer leaves it: the old code runs, the new one is on the disk.
  const folder = join(sandbox.dir, 'updated')
  cpSync(join(root, 'npm/dist'), join(folder, 'npm/dist'), {
    recursive: true,
    filter: (file) => !file.endsWith('/cli'),
  })
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(root, addonName()), join(folder, addonName()))
  const file = join(folder, 'npm/dist/auth-fetch.cjs')
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const printed = await sandbox.output(`
    import { readFileSync, writeFileSync } from 'node:fs'
    import { createRequire } from 'node:module'
    const require = createRequire(import.meta.url)
    const its = require(${JSON.stringify(join(folder, 'npm/dist/index.cjs'))})
    const read = () => Object.keys(require.cache).filter((name) => /(auth-fetch|login|fault)\\.cjs$/.test(name)).length
    await its.getAuthHeaders({ provider: 'openai' }).catch(() => {})
    const before = read()
    const file = ${JSON.stringify(file)}
    writeFileSync(file, readFileSync(file, 'utf8').replace('version = ${JSON.stringify(version)}', 'version = "99.0.0"'))
    try {
      its.createAuthFetch({ provider: 'openai' })
    } catch ({ code, message }) {
      console.log(JSON.stringify({ before, after: read(), code, message }))
    }
  `)
  assert.deepEqual(JSON.parse(printed), {
    before: 0,
    after: 1,
    code: 'ADDON_NOT_LOADED',
    message: `provider-auth ${version} was replaced by version 99.0.0 while this program runs: start it again`,
  })
})

test('in a realm of its own, as jest gives to each file, what the library throws is an Error of that realm', async () => {
  const printed = await sandbox.output(
    `
    import { readFileSync } from 'node:fs'
    import { createRequire } from 'node:module'
    import vm from 'node:vm'
    const folder = ${JSON.stringify(join(root, 'npm/dist/'))}
    const builtIn = createRequire(folder)
    const own = vm.runInNewContext('Object.getOwnPropertyNames(globalThis)')
    const names = Object.getOwnPropertyNames(globalThis).filter((name) => !own.includes(name))
    const context = vm.createContext({ ...Object.fromEntries(names.map((name) => [name, globalThis[name]])), console })
    const modules = {}
    function require(name) {
      if (!name.startsWith('./')) return builtIn(name)
      if (modules[name] !== undefined) return modules[name].exports
      const filename = folder + name.slice(2)
      const module = (modules[name] = { exports: {}, filename })
      const source = '(function (require, module, exports, __filename) {' + readFileSync(filename, 'utf8') + '})'
      vm.runInContext(source, context, { filename })(require, module, module.exports, filename)
      return module.exports
    }
    context.auth = require('./library.cjs')
    await vm.runInContext(\`(async () => {
      const url = 'https://api.openai.com/v1/models'
      const calls = {
        configure: () => auth.configure({ nothing: 1 }),
        createAuthFetch: () => auth.createAuthFetch({ provider: 5 }),
        subscribe: () => auth.subscribe(1),
        fetch: () => auth.createAuthFetch({ provider: 'openai' })(url),
        getAuthHeaders: () => auth.getAuthHeaders({ provider: 'openai', url }),
        getCredential: () => auth.getCredential({ provider: 'openai' }),
        reportResponse: () => auth.reportResponse({ attempt: 'none', status: 200, headers: {} }),
        listAccounts: () => auth.listAccounts({ provider: 5 }),
        login: () => auth.login({ provider: 'nowhere' }),
        diagnose: () => auth.diagnose({ nothing: 1 }),
        discoverModels: () => auth.discoverModels({ provider: 'openai' }),
      }
      for (const [name, call] of Object.entries(calls)) {
        try {
          await call()
          console.log(name, 'did not fail')
        } catch (error) {
          if (!(error instanceof Error) || typeof error.code !== 'string' || !error.stack.includes(' at '))
            console.log(name, error instanceof Error, error.code, error.stack)
        }
      }
      console.log('end')
    })()\`, context)`,
    { env: { PROVIDER_AUTH_DIR: join(sandbox.dir, 'realm') } },
  )
  assert.equal(printed, 'end\n')
})

/** A byte copy of the package: a second installed version, as far as the system can tell. */
function copyPackage(name) {
  const folder = join(sandbox.dir, 'copies', name)
  mkdirSync(folder, { recursive: true })
  const addon = /[^/\\]+\.node$/
  const { files } = require('../package.json')
  for (const part of ['package.json', ...files]) cpSync(join(root, part), join(folder, part), { recursive: true })
  cpSync(root, folder, { recursive: true, filter: (path) => path === root || addon.test(path) })
  return join(folder, 'npm/dist/index.js')
}

function writeScript(source) {
  const file = join(sandbox.work, 'script.mjs')
  require('node:fs').writeFileSync(file, source)
  return file
}
