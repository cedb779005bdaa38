/**
 * Lists of models as a program meets them, at a server that lists them in OpenAI's form. What each provider's own list looks
 * like is in `providers.test.mjs`, what a clock or a disk does to it in `crates/broker/tests/it/models.rs`.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { rejection } from './support/desk.mjs'
import { bearerOf, startServer } from './support/dialects/strict.mjs'
import { createSandbox, LIBRARY_URL } from './support/sandbox.mjs'
import { until } from './support/until.mjs'

/** What the server answers to `/models`, and to `/v1/models`, whose credentials it knows. */
const says = { models: undefined, v1: undefined }
const limited = new Set()
const waiting = []
const elsewhere = await startServer({})
const answer = (what) => async (call) => {
  if (limited.has(bearerOf(call))) return [429, { error: { message: 'words' } }, { 'retry-after': '600' }]
  const answer = says[what] ?? [404, { message: 'Not Found' }]
  return typeof answer === 'function' ? answer(call) : answer
}
const server = await startServer({ 'GET /models': answer('models'), 'GET /v1/models': answer('v1') })

const provider = { origins: [server.origin], rotation: { maxWaitMs: 0 } }
const modelsShape = {
  entries: '/catalog/items',
  id: '/slug',
  name: '/title',
  contextWindow: '/tokens',
  ownedBy: '/team',
}
const providers = { lab: provider, odd: { ...provider, modelsShape } }
const sandbox = createSandbox({ name: 'models', config: { providers } })
sandbox.enter()
const library = await import(LIBRARY_URL)
after(async () => {
  for (const go of waiting) go()
  await Promise.all([server.close(), elsewhere.close()])
  sandbox.cleanup()
})

const list = (...ids) => [200, { object: 'list', data: ids.map((id) => ({ id, object: 'model' })) }]
const idsOf = ({ models }) => models.map(({ id }) => id)
const asked = () => server.calls.splice(0).map(({ path, headers }) => `${headers.authorization.slice(7)} ${path}`)

/** A pool of its own for each test, of keys that serve in this order. */
let pools = 0
async function openPool(...names) {
  pools += 1
  const namespace = `pool-${pools}`
  for (const [priority, name] of names.entries()) {
    const { id } = await library.addApiKey({ provider: 'lab', namespace, label: name, apiKey: name })
    await library.updateAccount(id, { priority })
  }
  Object.assign(says, { models: undefined, v1: undefined })
  server.calls.length = 0
  return { provider: 'lab', namespace }
}

test('another process, and this one after a restart, finds the list on the disk', async () => {
  const pool = await openPool('one')
  says.models = list('a')
  const found = await library.discoverModels(pool)
  asked()
  const { stdout } = await sandbox.run(
    `console.log(JSON.stringify(await auth.discoverModels(${JSON.stringify(pool)})))`,
  )
  assert.deepEqual(JSON.parse(stdout), found)
  assert.deepEqual(asked(), [])
})

test('with refresh the provider is asked; when it is out of reach the kept list is served and says so', async () => {
  const pool = await openPool('one')
  says.models = list('a')
  const { fetchedAt } = await library.discoverModels(pool)
  says.models = list('b')
  const next = await library.discoverModels({ ...pool, refresh: true })
  assert.deepEqual(idsOf(next), ['b'])
  assert.ok(next.fetchedAt >= fetchedAt)
  says.models = [400, {}]
  const kept = await library.discoverModels({ ...pool, refresh: true })
  assert.deepEqual(kept, { ...next, stale: true })
  assert.deepEqual(await library.discoverModels(pool), next)
})

test('a limited account hands over to the next one within the call', async () => {
  const pool = await openPool('spent', 'spare')
  limited.add('spent')
  says.models = list('a')
  assert.deepEqual(idsOf(await library.discoverModels(pool)), ['a'])
  assert.deepEqual(asked(), ['spent /models', 'spare /models'])
  limited.add('spare')
  const kept = await library.discoverModels({ ...pool, refresh: true })
  assert.deepEqual({ ids: idsOf(kept), stale: kept.stale }, { ids: ['a'], stale: true })
  const bare = await openPool('spare')
  says.models = list('a')
  const error = await rejection(library.discoverModels(bare))
  assert.equal(error.code, 'EXHAUSTED')
  assert.ok(error.retryAt > Date.now() + 500_000)
  limited.clear()
})

test('a list in a form that the configuration describes is read, and one in another form is none', async () => {
  await library.addApiKey({ provider: 'odd', apiKey: 'one' })
  says.models = [200, { catalog: { items: [{ slug: 'a', title: 'A', tokens: 8192, team: 'us' }, { slug: 'b' }] } }]
  const { models } = await library.discoverModels({ provider: 'odd' })
  assert.deepEqual(models, [{ id: 'a', name: 'A', contextWindow: 8192, ownedBy: 'us' }, { id: 'b' }])
  says.models = list('a')
  assert.equal((await library.discoverModels({ provider: 'odd', refresh: true })).stale, true)
})

describe('what is no list is none, and the message says which', () => {
  const page = (body) => [200, body]
  for (const [what, models, v1, pattern] of [
    ['a page for people', page('<html>'), page('<html>'), /\/v1\/models is no JSON/],
    ['an error with 200', page({ error: { message: 'S3CRET' } }), undefined, /\/models has no list/],
    ['entries without ids', page({ data: [{ name: 1 }] }), undefined, /entries have no id/],
    ['an empty list', list(), undefined, /empty list/],
    ['more than 4 MiB', page({ data: [], padding: 'x'.repeat(4 * 1024 * 1024) }), undefined, /too large/],
    ['a status', [403, 'S3CRET'], undefined, /answered 403/],
    ['nowhere', undefined, undefined, /\/v1\/models answered 404; set modelsUrl/],
    ['elsewhere', [302, '', { location: `${elsewhere.origin}/models` }], undefined, /answered 302; set modelsUrl/],
  ]) {
    test(what, async () => {
      const pool = await openPool('S3CRET-key')
      Object.assign(says, { models, v1 })
      const error = await rejection(library.discoverModels(pool))
      assert.equal(error.code, 'NETWORK')
      assert.match(error.message, pattern)
      assert.doesNotMatch(error.message, /S3CRET/)
      says.models = list('a')
      assert.deepEqual(idsOf(await library.discoverModels(pool)), ['a'])
    })
  }

  test('and no redirect is followed', () => assert.equal(elsewhere.calls.length, 0))
})

test('a key that the provider refuses is said to need a new one', async () => {
  const pool = await openPool('one')
  says.models = [401, { error: { code: 'invalid_api_key' } }]
  assert.equal((await rejection(library.discoverModels(pool))).code, 'NEEDS_LOGIN')
})

test('a call whose signal was aborted before asks no provider', async () => {
  const pool = await openPool('one')
  let asked = 0
  says.models = () => {
    asked += 1
    return list('a')
  }
  // What looks at the signal is slow: a busy machine lets the other thread go on meanwhile.
  const signal = AbortSignal.abort()
  const aborted = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100) === 'timed-out'
  Object.defineProperty(signal, 'aborted', { get: aborted })
  assert.equal((await rejection(library.discoverModels({ ...pool, refresh: true, signal }))).code, 'ABORTED')
  await library.discoverModels({ ...pool, refresh: true })
  assert.equal(asked, 1)
})

test('an abort ends the wait, also of a signal that was aborted before, and leaves no listener', async () => {
  const pool = await openPool('one')
  says.models = () => new Promise((resolve) => waiting.push(() => resolve(list('a'))))
  const controller = new AbortController()
  const { signal } = controller
  const first = library.discoverModels({ ...pool, signal })
  await until('the first caller asks', () => waiting.length === 1)
  const second = library.discoverModels(pool)
  controller.abort()
  assert.equal((await rejection(first)).code, 'ABORTED')
  assert.equal((await rejection(library.discoverModels({ ...pool, refresh: true, signal }))).code, 'ABORTED')
  // The other caller asks for itself.
  await until('the second caller asks', () => waiting.length === 2)
  for (const go of waiting.splice(0)) go()
  assert.deepEqual(idsOf(await second), ['a'])
})

for (const [what, options, code] of [
  ['nothing', undefined, 'INVALID_ARGUMENT'],
  ['no provider', {}, 'INVALID_ARGUMENT'],
  ['a provider that is a number', { provider: 1 }, 'INVALID_ARGUMENT'],
  ['a refresh that is a text', { provider: 'lab', refresh: 'yes' }, 'INVALID_ARGUMENT'],
  ['an unknown provider', { provider: 'nobody' }, 'UNKNOWN_PROVIDER'],
  ['a provider without origins', { provider: 'azure' }, 'INVALID_ARGUMENT'],
  ['a pool without accounts', { provider: 'lab', namespace: 'empty' }, 'NO_ACCOUNT'],
]) {
  test(`${what} is ${code}`, async () => {
    assert.equal((await rejection(library.discoverModels(options))).code, code)
  })
}

test('what is kept holds no key, no label and no name of a pool', async () => {
  const pool = await openPool('a-key-to-look-for')
  says.models = list('a')
  await library.discoverModels(pool)
  const folder = join(sandbox.vaultDir, 'cache')
  const files = readdirSync(folder)
  assert.ok(files.length > 0)
  for (const file of files) {
    assert.match(file, /^[\da-f]{32}$/)
    assert.doesNotMatch(readFileSync(join(folder, file), 'utf8'), /a-key-to-look-for|pool-\d|lab|127\.0\.0\.1/)
  }
})
