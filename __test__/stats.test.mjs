/** What all processes count of requests, switches, refreshes and waits, and where that stands. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createSandbox, LIBRARY_URL } from './support/sandbox.mjs'
import { until } from './support/until.mjs'
import { bodies, startUpstream, throttle } from './support/upstream.mjs'

const MARKER = 'sk-S3CRET-0123456789abcdef'
const upstream = await startUpstream({ keys: { [`${MARKER}-a`]: 'ada', [`${MARKER}-b`]: 'bea' } })
const providers = { desk: { origins: [upstream.origin], rotation: { maxWaitMs: 3000 } } }
const sandbox = createSandbox({ name: 'stats', config: { providers } })
sandbox.enter()
const library = await import(LIBRARY_URL)
const file = join(sandbox.vaultDir, 'stats.json')
after(async () => {
  await upstream.close()
  sandbox.cleanup()
})

const ids = {}
for (const [priority, [name, key]] of Object.entries({ ada: `${MARKER}-a`, bea: `${MARKER}-b` }).entries()) {
  const account = await library.addApiKey({ provider: 'desk', apiKey: key, label: `${name}@example.com`, priority })
  ids[name] = account.id
}

const CHAT = {
  method: 'POST',
  body: JSON.stringify({ model: 'small-1', messages: [{ role: 'user', content: MARKER }] }),
}
const fetch = library.createAuthFetch({ provider: 'desk' })
const ask = async () => (await fetch(upstream.chatUrl, CHAT)).text()

/** Asks `times` times in a process of its own, which then does what `last` says. */
const asking = (times, last = '') => `
const fetch = auth.createAuthFetch({ provider: 'desk' })
for (let i = 0; i < ${times}; i++) await (await fetch(${JSON.stringify(upstream.chatUrl)}, ${JSON.stringify(CHAT)})).text()
${last}`

/** The sum of a count, of one account or of all. */
async function sum(name, account) {
  const { counts } = await library.stats()
  const own = counts.filter(({ accountId }) => account === undefined || accountId === account)
  return own.reduce((total, row) => total + row[name], 0)
}

const added = (rows, name) => Object.assign({}, ...rows.map((row) => row[name]))

test('what two processes count adds up, by account and model', async () => {
  const before = await sum('requests')
  for (let i = 0; i < 3; i++) await ask()
  const ends = await Promise.all([sandbox.run(asking(20)), sandbox.run(asking(30))])
  assert.deepEqual(
    ends.map(({ code }) => code),
    [0, 0],
    ends[0].stderr,
  )
  const { enabled, counts } = await library.stats({ provider: 'desk' })
  assert.equal(enabled, true)
  const [row] = counts.filter(({ accountId, model }) => accountId === ids.ada && model === 'small-1')
  assert.equal((await sum('requests')) - before, 53)
  assert.equal(row.namespace, 'default')
  assert.equal(row.hours, 1)
  assert.equal(row.at % 3_600_000, 0)
  assert.equal(row.served, row.attempts)
  assert.deepEqual(await library.stats({ provider: 'other' }), { enabled: true, counts: [], quota: [] })
  assert.deepEqual((await library.stats({ since: Date.now() + 7_200_000 })).counts, [])
})

test('a switch is counted with the account that was left, its reason and the time that it rests', async () => {
  await library.clearCooldowns({ provider: 'desk' })
  const before = await sum('requests')
  upstream.plan('ada', throttle(120, 1))
  await ask()
  await library.clearCooldowns({ provider: 'desk' })
  const { counts } = await library.stats()
  const of = (id) => counts.filter(({ accountId }) => accountId === id)
  const switched = added(of(ids.ada), 'switched')
  assert.equal(
    Object.values(switched).reduce((a, b) => a + b, 0),
    1,
    JSON.stringify(switched),
  )
  assert.deepEqual(Object.keys(switched), Object.keys(added(of(ids.ada), 'failed')))
  assert.equal((await sum('requests')) - before, 1, 'one request')
  assert.equal((await sum('served', ids.bea)) >= 1, true)
  const rested = await sum('restedMs', ids.ada)
  assert.ok(rested > 100_000 && rested < 150_000, `${rested}`)
})

test('a burst that meets one limit rests once', async () => {
  await library.clearCooldowns({ provider: 'desk' })
  const before = await sum('restedMs')
  upstream.plan('ada', throttle(60, 8))
  const pinned = library.createAuthFetch({ provider: 'desk', account: ids.ada, rotation: { maxWaitMs: 0 } })
  await Promise.all(Array.from({ length: 8 }, () => pinned(upstream.chatUrl, CHAT)))
  assert.ok((await sum('attempts', ids.ada)) >= 8, 'all were under way')
  await library.clearCooldowns({ provider: 'desk' })
  upstream.behave()
  const rested = (await sum('restedMs')) - before
  assert.ok(rested >= 55_000 && rested < 80_000, `${rested}`)
})

test('a request that no account can serve is counted as refused', async () => {
  const before = await sum('refused')
  upstream.plan('*', { status: 429, headers: { 'retry-after': '600' }, body: bodies.spent, times: 4 })
  await ask().catch(() => {})
  upstream.behave()
  await library.clearCooldowns({ provider: 'desk' })
  assert.ok((await sum('refused')) > before)
})

test('how full a quota window is, is kept by the hour', async () => {
  const reset = Math.floor(Date.now() / 1000) + 9000
  const headers = {
    'anthropic-ratelimit-unified-5h-status': 'allowed',
    'anthropic-ratelimit-unified-5h-utilization': '0.42',
    'anthropic-ratelimit-unified-5h-reset': String(reset),
  }
  const { attempt } = await library.getAuthHeaders({ provider: 'desk', url: upstream.chatUrl, account: ids.ada })
  await library.reportResponse({ attempt, status: 200, headers })
  const [sample] = (await library.stats()).quota
  assert.deepEqual(
    [sample.accountId, sample.window, sample.usedPercent, Math.round(sample.resetAt / 10_000)],
    [ids.ada, '5h', 42, Math.round(reset / 10)],
  )
})

test('of a process that is killed, what it has written counts, and the file is whole', async () => {
  const before = await sum('requests')
  const killed = sandbox.start(
    asking(
      10,
      `await auth.stats()\n${asking(5)
        .replace('const fetch', 'const more')
        .replaceAll('await fetch', 'await more')}\nconsole.log('asked')\nsetInterval(() => {}, 1e9)`,
    ),
  )
  await killed.line(/asked/)
  killed.child.kill('SIGKILL')
  await killed.ended
  const lost = before + 15 - (await sum('requests'))
  assert.ok(lost >= 0 && lost <= 5, `${lost}`)
})

test('the file holds no secret, no label and no e-mail, and only its owner reads it', async () => {
  await library.stats()
  const text = readFileSync(file, 'utf8')
  for (const planted of [MARKER, 'S3CRET', 'example.com', 'ada', 'bea', upstream.origin])
    assert.ok(!text.includes(planted), planted)
})

test('a file that is damaged, cut or far too long costs counts and no request', async () => {
  const whole = readFileSync(file)
  const damages = [
    '',
    '{',
    '[]',
    '{"hours":7}',
    '{"hours":{"x":[]}}',
    whole.subarray(0, whole.length / 2),
    ' '.repeat(17 << 20),
  ]
  for (const damage of damages) {
    writeFileSync(file, damage)
    await ask()
    assert.ok((await sum('requests')) >= 1, String(damage).slice(0, 40))
    assert.ok(readFileSync(file).length < 1 << 20)
  }
})

test('many rows are bounded, and none is lost from the sum', async () => {
  rmSync(file)
  const source = `
for (let i = 0; i < 900; i++) {
  const { attempt } = await auth.getAuthHeaders({ provider: 'desk', url: ${JSON.stringify(upstream.chatUrl)}, model: 'model-' + i })
  await auth.reportResponse({ attempt, status: 200, headers: {} })
}`
  const { code, stderr } = await sandbox.run(source)
  assert.equal(code, 0, stderr)
  const { counts } = await library.stats()
  assert.ok(counts.length <= 102, `${counts.length}`)
  assert.equal(await sum('requests'), 900)
})

test('an account that is removed takes its rows with it', async () => {
  const { id } = await library.addApiKey({ provider: 'desk', namespace: 'gone', apiKey: 'sk-gone', label: 'gone' })
  upstream.admit('sk-gone', 'gone')
  const pool = library.createAuthFetch({ provider: 'desk', namespace: 'gone' })
  await (await pool(upstream.chatUrl, CHAT)).text()
  assert.equal(await sum('requests', id), 1)
  assert.ok(readFileSync(file, 'utf8').includes(id))
  // Asked for again, so that something of it is yet to be written.
  await (await pool(upstream.chatUrl, CHAT)).text()
  await library.removeAccount(id)
  assert.ok(!readFileSync(file, 'utf8').includes(id))
  assert.equal(await sum('requests', id), 0)
})

test('what is counted is written half a minute later without a call for it', async () => {
  rmSync(file)
  await ask()
  await until('the counts are on the disk', () => existsSync(file), 90_000)
})

test('with stats: false in configure nothing is written; in the file, what was counted goes', async () => {
  const off = `auth.configure({ config: { stats: false } })`
  const before = await sum('requests')
  const quiet = await sandbox.run(`${off}\n${asking(5, 'console.log(JSON.stringify(await auth.stats()))')}`)
  assert.equal(quiet.code, 0, quiet.stderr)
  assert.deepEqual(JSON.parse(quiet.stdout), { enabled: false, counts: [], quota: [] })
  assert.equal(await sum('requests'), before)

  // Of a project's file it has no effect.
  writeFileSync(join(sandbox.work, 'provider-auth.jsonc'), '{ "stats": false }')
  const project = await sandbox.output(asking(1, 'console.log((await auth.stats()).enabled)'))
  assert.equal(project.trim(), 'true')
  rmSync(join(sandbox.work, 'provider-auth.jsonc'))

  assert.ok(existsSync(file))
  sandbox.writeConfig({ stats: false, providers })
  const none = await sandbox.run(asking(2, 'console.log(JSON.stringify(await auth.stats()))'))
  assert.deepEqual(JSON.parse(none.stdout), { enabled: false, counts: [], quota: [] }, none.stderr)
  assert.ok(!existsSync(file))
  const wrong = await sandbox.run(`auth.configure({ config: { stats: 'no' } })`)
  assert.match(wrong.stderr, /INVALID_CONFIG|stats/)
  sandbox.writeConfig({ providers })
})
