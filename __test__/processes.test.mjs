/** Several processes over one vault: they share refreshes, cooldowns and accounts, and a dead one takes nothing along. */
import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { chat, openStage } from './support/stage.mjs'
import { until } from './support/until.mjs'
import { throttle } from './support/upstream.mjs'

const PROCESSES = 4
const CONCURRENT = 25
const SECONDS = 20
const TOKEN_SECONDS = 2
/** How long the server takes for a refresh in whose middle something happens; a busy machine gets there in time. */
const LATENCY_MS = 3000
const UNTIL_URL = new URL('./support/until.mjs', import.meta.url).href

const { oidc, upstream, sandbox, library, openPool, inChild } = await openStage({
  name: 'processes',
  oidc: { latencyMs: 100 },
})

test('4 processes with 25 calls each spend one refresh per token, for 20 s, and no call fails', async () => {
  oidc.setAccessTokenSeconds(TOKEN_SECONDS)
  const { namespace } = await openPool(['ada'])
  const startedAt = Date.now()
  const user = `
    const fetch = auth.createAuthFetch({ provider: 'local', namespace: '${namespace}' })
    const statuses = {}
    const call = async () => {
      const { status } = await fetch('${upstream.chatUrl}', ${JSON.stringify(chat())})
      statuses[status] = (statuses[status] ?? 0) + 1
    }
    let rounds = 0
    for (; Date.now() < ${startedAt + SECONDS * 1000}; rounds += 1) {
      await Promise.all(Array.from({ length: ${CONCURRENT} }, call))
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    console.log(JSON.stringify({ rounds, statuses }))`
  const before = { ...oidc.counters }
  const reports = await Promise.all(Array.from({ length: PROCESSES }, () => inChild(user)))
  oidc.setAccessTokenSeconds(3600)

  for (const { rounds, statuses } of reports) assert.deepEqual(statuses, { 200: rounds * CONCURRENT })
  assert.equal(oidc.counters.invalidGrants, 0)
  const refreshes = oidc.counters.refreshRequests - before.refreshRequests
  assert.equal(refreshes, oidc.counters.tokenGenerations - before.tokenGenerations)
  // A token is renewed after three quarters of its life at the earliest, and at its end at the latest.
  const seconds = (Date.now() - startedAt) / 1000
  assert.ok(refreshes <= seconds / (0.75 * TOKEN_SECONDS) + 1, `${refreshes} refreshes in ${seconds} s`)
  assert.ok(refreshes >= SECONDS / TOKEN_SECONDS / 2, `${refreshes} refreshes in ${seconds} s`)
})

test('a process that is killed in the middle of a refresh leaves a login that the next one renews at once', async () => {
  const { ids, namespace, account } = await openPool(['ada'])
  const before = { ...oidc.counters }
  oidc.setFault('hang')
  const victim = sandbox.start(`await auth.refreshAccount('${ids[0]}', { force: true })`)
  await until('the refresh is at the server', () => oidc.counters.refreshRequests > before.refreshRequests)
  victim.child.kill('SIGKILL')
  assert.equal((await victim.ended).signal, 'SIGKILL')
  oidc.setFault(undefined)

  // Opening the vault is enough: the token itself would have lived for an hour.
  const { updatedAt } = await account()
  await inChild(`
    await auth.listAccounts()
    const lives = () => auth.listAccounts({ namespace: '${namespace}' })
    const { until } = await import('${UNTIL_URL}')
    await until('the login is renewed', async () => (await lives())[0].updatedAt !== ${updatedAt})`)
  assert.equal(oidc.counters.tokenGenerations, before.tokenGenerations + 1)
  assert.equal(oidc.counters.refreshRequests, before.refreshRequests + 2)
  assert.equal(oidc.counters.invalidGrants, 0)
  assert.equal((await account()).state, 'ready')
})

test('a process that exits in the middle of a refresh puts the new tokens on disk first', async () => {
  const { ids, ask } = await openPool(['ada'])
  const before = { ...oidc.counters }
  oidc.setLatencyMs(LATENCY_MS)
  const leaving = sandbox.start(`
    process.on('SIGUSR2', () => process.exit(0))
    setInterval(() => {}, 1000)
    auth.refreshAccount('${ids[0]}', { force: true }).then(() => process.exit(2))`)
  await until('the refresh is at the server', () => oidc.counters.refreshRequests > before.refreshRequests)
  leaving.child.kill('SIGUSR2')
  assert.equal((await leaving.ended).code, 0)
  oidc.setLatencyMs(0)

  await library.refreshAccount(ids[0], { force: true })
  assert.equal((await ask()).status, 200)
  assert.equal(oidc.counters.tokenGenerations, before.tokenGenerations + 2)
  assert.equal(oidc.counters.invalidGrants, 0)
})

test('aborting the call that began a refresh ends the wait and not the refresh', async () => {
  const { ids, users, namespace, ask, account } = await openPool(['ada'])
  const before = { ...oidc.counters }
  oidc.expireAccess(users[0])
  oidc.setLatencyMs(LATENCY_MS)
  const fetch = library.createAuthFetch({ provider: 'local', namespace })
  const controller = new AbortController()
  const aborted = fetch(upstream.chatUrl, { ...chat(), signal: controller.signal }).catch((error) => error)
  await until('the refresh is at the server', () => oidc.counters.refreshRequests > before.refreshRequests)
  const { updatedAt } = await account()
  controller.abort(new Error('the user pressed escape'))
  assert.equal((await aborted).message, 'the user pressed escape')
  assert.equal((await account()).updatedAt, updatedAt)
  await until('the refresh is on disk', async () => (await account()).updatedAt > updatedAt)
  oidc.setLatencyMs(0)

  assert.equal((await account()).id, ids[0])
  assert.equal((await ask()).status, 200)
  assert.equal(oidc.counters.refreshRequests, before.refreshRequests + 1)
  assert.equal(oidc.counters.invalidGrants, 0)
})

test('what one process learns of an account, the next request of another one knows', async () => {
  const { users, ids, namespace, ask, served } = await openPool(['ada', 'bob', 'cyd'])
  const [ada, bob, cyd] = users
  await ask()
  assert.deepEqual(served(), [ada])

  upstream.plan(ada, throttle(600))
  const other = `
    const fetch = auth.createAuthFetch({ provider: 'local', namespace: '${namespace}' })
    const { status } = await fetch('${upstream.chatUrl}', ${JSON.stringify(chat())})
    console.log(status)`
  assert.equal(await inChild(other), 200)
  upstream.forget()
  await ask()
  assert.deepEqual(served(), [bob])

  await inChild(`await auth.updateAccount('${ids[1]}', { enabled: false })`)
  upstream.forget()
  await ask()
  assert.deepEqual(served(), [cyd])

  await inChild(`await auth.removeAccount('${ids[2]}')`)
  await inChild(`await auth.updateAccount('${ids[1]}', { enabled: true })`)
  upstream.forget()
  await ask()
  assert.deepEqual(served(), [bob])

  await inChild(`await auth.clearCooldowns({ provider: 'local', namespace: '${namespace}' })`)
  assert.deepEqual(
    (await library.listAccounts({ namespace })).map(({ id, state }) => [id, state]),
    [ids[0], ids[1]].map((id) => [id, 'ready']),
  )
})

test('processes that make a vault at the same time make one, and the same key twice is one account', async () => {
  const dir = join(mkdtempSync(join(sandbox.dir, 'new-')), 'vault')
  const env = { PROVIDER_AUTH_DIR: dir }
  const add = (key) =>
    inChild(`console.log(JSON.stringify(await auth.addApiKey({ provider: 'local', apiKey: '${key}' })))`, { env })
  const added = await Promise.all(['key-1', 'key-1', 'key-2', 'key-2'].map(add))
  const [one, same, two, alike] = added.map(({ id }) => id)
  assert.equal(one, same)
  assert.equal(two, alike)
  assert.notEqual(one, two)
  const { state, accounts } = await inChild('console.log(JSON.stringify(await auth.vaultStatus()))', { env })
  assert.deepEqual({ state, accounts }, { state: 'open', accounts: 2 })
})

test('the provider of these tests does revoke a login whose refresh token comes twice', async () => {
  const { ids, account } = await openPool(['ada'])
  const token = oidc.issuedTokens().at(-1)
  const spend = async () => {
    const grant = { grant_type: 'refresh_token', refresh_token: token, client_id: oidc.clients.public.clientId }
    const response = await fetch(`${oidc.issuer}/token`, { method: 'POST', body: new URLSearchParams(grant) })
    return [response.status, (await response.json()).error]
  }
  assert.deepEqual(await spend(), [200, undefined])
  assert.deepEqual(await spend(), [400, 'invalid_grant'])
  await assert.rejects(library.refreshAccount(ids[0], { force: true }), { code: 'NEEDS_LOGIN' })
  assert.equal((await account()).state, 'needs_login')
  assert.equal(oidc.counters.invalidGrants, 2)
})
