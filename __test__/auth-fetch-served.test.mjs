/** A 2xx is reported after its answer was handed over, and before anything asks for accounts or looks at them. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createSandbox, LIBRARY_URL } from './support/sandbox.mjs'
import { until } from './support/until.mjs'

const URL_OF_CHAT = 'https://api.desk.test/v1/chat'
const config = { providers: { desk: { origins: [new URL(URL_OF_CHAT).origin], rotation: { strategy: 'balanced' } } } }
const sandbox = createSandbox({ name: 'served', config })
sandbox.enter()
const library = await import(LIBRARY_URL)
after(() => sandbox.cleanup())

const call = { method: 'POST', body: '{"model":"small-1"}' }
let pools = 0

/** A pool of two equal accounts, of which the one serves that has fewer requests under way. */
async function openPool() {
  pools += 1
  const namespace = `pool-${pools}`
  const pool = { provider: 'desk', namespace }
  for (const label of ['ada', 'bob']) await library.addApiKey({ ...pool, label, apiKey: `key-of-${label}-${pools}` })
  const ask = { ...pool, url: URL_OF_CHAT, model: 'small-1' }
  const keys = []
  const answered = async (_url, { headers }) => {
    keys.push(headers.authorization)
    return new Response('{}', { headers: { 'content-type': 'application/json' } })
  }
  // What was just added is read first, which takes a turn of the event loop.
  const { attempt, accountId } = await library.getAuthHeaders(ask)
  await library.reportResponse({ attempt, status: 200 })
  const fetch = library.createAuthFetch({ ...pool, fetch: answered })
  return { ask, first: accountId, fetch, keys }
}

/** Resolves when the fetch has answered, and no turn of the event loop later. */
async function answer({ fetch, keys }) {
  let hasTurned = false
  void turn().then(() => {
    hasTurned = true
  })
  assert.equal((await fetch(URL_OF_CHAT, call)).status, 200)
  assert.equal(keys.length, 1)
  assert.equal(hasTurned, false)
}

test('a request that is under way sends the next one to another account', async () => {
  const { ask, first } = await openPool()
  assert.equal((await library.getAuthHeaders(ask)).accountId, first)
  assert.notEqual((await library.getAuthHeaders(ask)).accountId, first)
})

for (const [what, chosen] of [
  ['getAuthHeaders', async ({ ask }) => (await library.getAuthHeaders(ask)).accountId],
  [
    'getAuthHeaders of another request',
    async ({ ask }) => (await library.getAuthHeaders({ ...ask, model: 'm' })).accountId,
  ],
  [
    'getAuthHeaders with a trace',
    async ({ ask }) => (await library.getAuthHeaders({ ...ask, explain: true })).accountId,
  ],
  ['getCredential', async ({ ask }) => (await library.getCredential(ask)).accountId],
  ['explain', async ({ ask }) => (await library.explain(ask)).accountId],
  ['poolStatus', async ({ ask }) => (await library.poolStatus({ namespace: ask.namespace }))[0].accounts[0].id],
]) {
  test(`an answer that was handed over is not under way for ${what}`, async () => {
    const pool = await openPool()
    await answer(pool)
    assert.equal(await chosen(pool), pool.first)
  })
}

test('an answer that was handed over is not under way for the next fetch', async () => {
  const pool = await openPool()
  await answer(pool)
  await pool.fetch(URL_OF_CHAT, call)
  await pool.fetch(URL_OF_CHAT, { ...call, body: '{"model":"m"}' })
  assert.deepEqual(pool.keys, Array(3).fill(pool.keys[0]))
})

test('a listener is not told of an answer that was handed over before it came', async () => {
  const [before, later] = [await openPool(), await openPool()]
  await answer(before)
  const told = []
  const end = library.subscribe(({ type, namespace }) => type === 'served' && told.push(namespace))
  await answer(later)
  await until('the listener is told', () => told.length > 0)
  end()
  assert.deepEqual(told, [later.ask.namespace])
})

test('a process that ends at once has reported its answer', async () => {
  const used = {
    'anthropic-ratelimit-unified-5h-utilization': '0.92',
    'anthropic-ratelimit-unified-5h-reset': '4102444800',
  }
  await sandbox.output(`
    await auth.addApiKey({ provider: 'desk', namespace: 'ending', apiKey: 'key-of-cyd' })
    const answered = async () => new Response('{}', { headers: ${JSON.stringify(used)} })
    const fetch = auth.createAuthFetch({ provider: 'desk', namespace: 'ending', fetch: answered })
    await fetch(${JSON.stringify(URL_OF_CHAT)}, ${JSON.stringify(call)})
    process.exit(0)
  `)
  const [account] = (await sandbox.accountsOf('desk')).filter(({ namespace }) => namespace === 'ending')
  assert.equal(account.quota[0]?.usedPercent, 92)
})
