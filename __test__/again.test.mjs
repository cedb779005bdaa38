/** A request that comes again is put to the addon by its number, and gets what it would get in full. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSandbox } from './support/sandbox.mjs'
import { until } from './support/until.mjs'

const ORIGIN = 'https://api.desk.test'
const sandbox = createSandbox({ name: 'again', config: { providers: { desk: { origins: [ORIGIN] } } } })
sandbox.enter()
const { addon } = await import('../npm/build/addon.js')
const auth = await import('../npm/build/index.js')

const [ada, bob] = await Promise.all(
  ['ada', 'bob'].map((label) => auth.addApiKey({ provider: 'desk', apiKey: `key-of-${label}`, label })),
)
const cyd = await auth.addApiKey({ provider: 'desk', apiKey: 'key-of-cyd', label: 'cyd', namespace: 'other' })

/** How often each way into the addon was taken. */
const ways = { again: 0, full: 0, slow: 0 }
for (const [way, name] of [
  ['again', 'authHeadersAgain'],
  ['full', 'authHeadersNow'],
  ['slow', 'getAuthHeaders'],
]) {
  const call = addon[name]
  addon[name] = (...values) => {
    ways[way] += 1
    return call(...values)
  }
}

const usual = { provider: 'desk', url: `${ORIGIN}/v1/chat`, account: 'ada' }

/** What a request gets. */
const served = async (request) => (await auth.getAuthHeaders(request)).headers.authorization

/** Asks until the request is at hand by its number: a file that was just written may change once more without a trace. */
async function warm(request) {
  await until('the headers are at hand by their number', async () => {
    const before = { ...ways }
    await auth.getAuthHeaders(request)
    return ways.full === before.full && ways.slow === before.slow
  })
}

test('a request that comes again crosses into the addon as a number, in any object', async () => {
  await warm(usual)
  for (const request of [usual, { ...usual }, { __proto__: null, ...usual }, { ...usual, signal: undefined }]) {
    const before = { ...ways }
    assert.equal(await served(request), 'Bearer key-of-ada')
    assert.deepEqual(ways, { ...before, again: before.again + 1 })
  }
})

test('of the same requests at once one waits for the addon, and each gets its own answer', async () => {
  await warm(usual)
  await sandbox.output(`await auth.updateAccount('${cyd.id}', { priority: 3 })`)
  const before = { ...ways }
  const leases = await Promise.all(Array.from({ length: 100 }, () => auth.getAuthHeaders(usual)))
  assert.equal(ways.slow - before.slow, 1)
  assert.equal(new Set(leases.map(({ attempt }) => attempt)).size, 100)
})

test('the same requests that fail at once fail with an error each', async () => {
  const lost = { ...usual, account: 'dora' }
  const before = { ...ways }
  const errors = await Promise.all(
    Array.from({ length: 100 }, async function ask() {
      return auth.getAuthHeaders(lost).then(assert.fail, (error) => error)
    }),
  )
  assert.equal(ways.slow - before.slow, 1)
  assert.equal(new Set(errors).size, 100)
  for (const error of errors) {
    assert.ok(error instanceof Error)
    assert.equal(error.code, errors[0].code)
    assert.match(error.stack, /^Error: .*\n\s+at /)
    assert.match(error.stack, /\bask\b/)
  }
  const rest = new AbortController()
  const alone = auth.getAuthHeaders({ ...lost, signal: rest.signal })
  await assert.rejects(alone, { code: errors[0].code })
})

test('each has headers and an attempt of its own', async () => {
  await warm(usual)
  const [one, two] = await Promise.all([auth.getAuthHeaders(usual), auth.getAuthHeaders(usual)])
  assert.notEqual(one.attempt, two.attempt)
  one.headers.authorization = 'changed'
  one.strip.length = 0
  assert.equal(two.headers.authorization, 'Bearer key-of-ada')
  assert.ok(two.strip.length > 0)
  assert.equal(await served(usual), 'Bearer key-of-ada')
  for (const { attempt } of [one, two])
    assert.equal((await auth.reportResponse({ attempt, status: 200 })).action, 'deliver')
})

test('a request that differs in one field is another one', async () => {
  await warm(usual)
  for (const [field, value, expected] of [
    ['account', 'bob', 'Bearer key-of-bob'],
    ['account', bob.id, 'Bearer key-of-bob'],
    ['account', 'nobody', 'UNKNOWN_ACCOUNT'],
    ['account', 7, 'INVALID_ARGUMENT'],
    ['namespace', 'other', 'UNKNOWN_ACCOUNT'],
    ['provider', 'deck', 'UNKNOWN_PROVIDER'],
    ['provider', undefined, 'INVALID_ARGUMENT'],
    ['url', 'https://elsewhere.test/v1/chat', 'ORIGIN_NOT_ALLOWED'],
    ['url', undefined, 'INVALID_ARGUMENT'],
    ['model', {}, 'INVALID_ARGUMENT'],
    ['session', 7, 'INVALID_ARGUMENT'],
    ['cacheTtl', [], 'INVALID_ARGUMENT'],
    ['boundBy', 7, 'INVALID_ARGUMENT'],
    ['retryOf', 'no-attempt', 'UNKNOWN_ATTEMPT'],
    ['rotation', { mode: 'subscription' }, 'Bearer key-of-ada'],
    ['unheardOf', 1, 'INVALID_ARGUMENT'],
  ]) {
    const got = await served({ ...usual, [field]: value }).catch((error) => error.code)
    assert.equal(got, expected, `${field}: ${String(value)}`)
    assert.equal(await served(usual), 'Bearer key-of-ada')
  }
})

test('models and addresses of one conversation have numbers of their own, the latest ones', async () => {
  const models = Array.from({ length: 20 }, (_, at) => ({ ...usual, session: 's', model: `model-${at}` }))
  for (const request of models) await warm(request)
  for (const request of models.slice(-4)) {
    const before = { ...ways }
    assert.equal(await served(request), 'Bearer key-of-ada')
    assert.deepEqual(ways, { ...before, again: before.again + 1 })
  }
  assert.equal(await served(models[0]), 'Bearer key-of-ada')
})

test('what all objects inherit, and an object that answers otherwise the second time, change nothing', async () => {
  const { account: _, ...unpinned } = usual
  await auth.updateAccount(bob.id, { priority: -1 })
  await warm(unpinned)
  await warm(usual)
  assert.equal(await served(unpinned), 'Bearer key-of-bob')
  const heirs = [() => unpinned, () => ({ __proto__: null, ...unpinned })]
  for (const heir of heirs) {
    Object.prototype.account = 'ada'
    try {
      assert.equal(await served(heir()), 'Bearer key-of-bob')
    } finally {
      delete Object.prototype.account
    }
  }
  for (const first of ['ada', 'bob']) {
    const answers = [first, ...Array(20).fill(first === 'ada' ? 'bob' : 'ada')]
    const request = {
      ...unpinned,
      session: `of ${first}`,
      get account() {
        return answers.shift()
      },
    }
    await auth.getAuthHeaders(request)
    for (const account of ['ada', 'bob']) {
      assert.equal(await served({ ...unpinned, session: `of ${first}`, account }), `Bearer key-of-${account}`)
    }
  }
})

test('what another process or this one changes counts at the next request', async () => {
  const { account: _, ...unpinned } = usual
  const inChild = (source) => sandbox.output(source)
  for (const [change, expected] of [
    [() => inChild(`await auth.updateAccount('${bob.id}', { enabled: false })`), 'Bearer key-of-ada'],
    [() => auth.updateAccount(bob.id, { enabled: true }), 'Bearer key-of-bob'],
    [() => inChild(`await auth.updateAccount('${ada.id}', { priority: -2 })`), 'Bearer key-of-ada'],
    [() => inChild(`await auth.removeAccount('${ada.id}')`), 'Bearer key-of-bob'],
  ]) {
    await warm(unpinned)
    await change()
    assert.equal(await served(unpinned), expected)
  }
  assert.equal(await served(usual).catch((error) => error.code), 'UNKNOWN_ACCOUNT')
})
