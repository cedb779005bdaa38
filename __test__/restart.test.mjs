/** What is left after a restart, and what lies on the disk meanwhile. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { chat, openStage } from './support/stage.mjs'
import { bodies, throttle } from './support/upstream.mjs'

const API_KEY = 'sk-live-5f0c27e19b34'
const MAIL = 'grace@example.test'

const { oidc, upstream, sandbox, library, logIn, openPool, inChild } = await openStage({
  name: 'restart',
  rotation: { strategy: 'fill-first', maxWaitMs: 100 },
  providers: ({ oidc, upstream }) => ({ office: oidc.config({ client: 'basic', origins: [upstream.origin] }) }),
})

test('accounts, cooldowns and the order of the pool are after a restart what they were before', async () => {
  const { users, ids, namespace } = await openPool(['ada', 'bob', 'cyd'])
  const [ada, bob, cyd] = ids
  for (const id of ids) await library.updateAccount(id, { priority: 0 })
  upstream.plan(users[0], { ...throttle(600), body: bodies.spent })
  upstream.plan(users[1], { status: 429, body: { error: { type: 'rate_limit_error' } } })

  const first = await inChild(`${call(namespace)}\n${look(namespace)}`)
  const second = await inChild(look(namespace))
  assert.deepEqual(second, first)
  assert.deepEqual(first.order, [cyd, bob, ada])
  const [cooling, resting, serving] = first.accounts
  assert.deepEqual([cooling.id, resting.id, serving.id], ids)
  assert.deepEqual(summary(cooling), {
    failures: 1,
    successes: 0,
    cooldowns: ['quota_exhausted of account, by header'],
  })
  assert.deepEqual(summary(resting), { failures: 1, successes: 0, cooldowns: ['rate_limited of small-1, by ladder'] })
  assert.deepEqual(summary(serving), { failures: 0, successes: 1, cooldowns: [] })
})

test('a conversation goes on after a restart with the account that served it last', async () => {
  const { users, namespace, served } = await openPool(['ada', 'bob'])
  upstream.plan(users[0], throttle(600, 1))
  await inChild(call(namespace, 'talk'))
  assert.deepEqual(served(), users)
  upstream.forget()
  await inChild(
    `await auth.clearCooldowns({ provider: 'local', namespace: '${namespace}' })\n${call(namespace, 'talk')}`,
  )
  assert.deepEqual(served(), [users[1]])
})

test('no file of the vault holds a token, a key, a client secret or a name in clear', async () => {
  const { id, identity } = await logIn(MAIL, { provider: 'office', label: 'the office' })
  assert.equal(identity.email, MAIL)
  await library.addApiKey({ provider: 'local', apiKey: API_KEY })
  await library.refreshAccount(id, { force: true })
  await inChild(`await auth.refreshAccount('${id}', { force: true })`)

  const files = readdirSync(sandbox.vaultDir, { recursive: true })
  assert.ok(files.some((file) => file.endsWith('.rec')) && files.includes('state.json'), files.join())
  const inClear = ['state.json', 'stats.json'].map((name) => join(sandbox.vaultDir, name))
  assert.deepEqual(filesWith(id).sort(), inClear)
  const tokens = oidc.issuedTokens()
  assert.ok(tokens.length > 10)
  const { PROVIDER_AUTH_KEY } = sandbox.env
  for (const secret of [...tokens, API_KEY, MAIL, 'grace', oidc.clients.basic.clientSecret, PROVIDER_AUTH_KEY])
    assert.deepEqual(filesWith(secret), [])
})

/** Source of one call that must be served. */
function call(namespace, session) {
  return `
    const fetch = auth.createAuthFetch({ provider: 'local', namespace: '${namespace}' })
    const { status } = await fetch('${upstream.chatUrl}', ${JSON.stringify(chat(session))})
    if (status !== 200) throw new Error('status ' + status)`
}

/** Source that prints all that users can see of a pool. */
function look(namespace) {
  return `
    const [pool] = await auth.poolStatus({ provider: 'local', namespace: '${namespace}' })
    const accounts = await auth.listAccounts({ namespace: '${namespace}' })
    console.log(JSON.stringify({ order: pool.accounts.map(({ id }) => id), accounts }))`
}

function summary({ failures, successes, cooldowns }) {
  const named = cooldowns.map(({ reason, scope, source }) => `${reason} of ${scope}, by ${source}`)
  return { failures, successes, cooldowns: named }
}

/** The files of the vault that contain a text, as `grep -r` finds them. */
function filesWith(text) {
  const found = spawnSync('grep', ['-r', '-a', '-l', '-F', '-e', text, sandbox.vaultDir], { encoding: 'utf8' })
  assert.ok(found.status === 0 || found.status === 1, `grep ended with ${found.status}`)
  return found.stdout.split('\n').filter(Boolean)
}
