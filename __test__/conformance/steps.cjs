/**
 * What a user does with the library, from the first key to the last event. It prints a line for each step, the same in
 * every runtime and on every machine: `expected.txt`.
 */
const { mkdtempSync, rmSync } = require('node:fs')
const { randomUUID } = require('node:crypto')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { startHost } = require('./host.cjs')

const CALLERS = 20
const LIMIT_MS = 90_000

/**
 * Runs every step.
 *
 * @param {object} auth the library, as it was imported or required
 * @param {object} [options]
 * @param {(line: string) => void} [options.print] default: standard output
 * @param {string} [options.origin] of a host (`host.cjs`) that runs already; default: one in this process
 */
async function conform(auth, { print = console.log, origin = process.env.CONFORMANCE_ORIGIN } = {}) {
  const host = origin ? { origin, close: async () => {} } : await startHost()
  const dir = mkdtempSync(join(tmpdir(), 'provider-auth-conformance-'))
  const events = []
  const step = async (name, action) => print(`${name}: ${await action().catch(describe)}`)
  try {
    const stop = auth.subscribe(({ type }) => events.push(type))
    await steps({ auth, host, dir, events, step })
    stop()
  } finally {
    await host.close()
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  }
  print('end')
}

async function steps({ auth, host, dir, events, step }) {
  const run = randomUUID()
  const url = (path) => `${host.origin}/v1/${path}`
  const keys = { a: `key-a-${run}`, b: `key-b-${run}` }
  const fetch = auth.createAuthFetch({ provider: 'desk' })
  const ask = async (path) => {
    const response = await fetch(url(path))
    return `${response.status} by ${(await response.json()).account}`
  }

  await step('load', async () => {
    const names = ['configure', 'addApiKey', 'getAuthHeaders', 'reportResponse', 'login', 'poolStatus', 'subscribe']
    return names.map((name) => `${name} ${typeof auth[name]}`).join(', ')
  })
  await step('configure', async () => {
    auth.configure({
      dir: join(dir, 'vault'),
      keySource: 'keyfile',
      log: { level: 'none' },
      config: {
        providers: {
          desk: { origins: [host.origin] },
          person: {
            clientId: 'conformance',
            deviceAuthorizationEndpoint: `${host.origin}/device`,
            tokenEndpoint: `${host.origin}/token`,
            origins: [host.origin],
          },
        },
      },
    })
    return 'done'
  })
  await step('vault before', async () => (await auth.vaultStatus()).state)
  await step('add keys', async () => {
    const accounts = []
    for (const [label, apiKey] of Object.entries(keys))
      accounts.push(await auth.addApiKey({ provider: 'desk', label, apiKey }))
    return accounts.map(({ label, kind, state }) => `${label} ${kind} ${state}`).join(', ')
  })
  await step('vault after', async () => {
    const { state, accounts, keySource } = await auth.vaultStatus()
    return `${state}, ${accounts} accounts, ${keySource}`
  })
  await step('headers', async () => {
    const { headers, strip } = await auth.getAuthHeaders({ provider: 'desk', url: url('who'), account: 'b' })
    const whose = headers.authorization === `Bearer ${keys.b}` ? 'the key of b' : 'another'
    return `${Object.keys(headers).join()} with ${whose}, strips x-api-key: ${strip.includes('x-api-key')}`
  })
  await step('fetch', () => ask('who'))
  await step('429 at a', () => ask('limited'))
  await step('stream', async () => {
    const response = await fetch(url('stream'))
    const chunks = []
    for await (const chunk of response.body) chunks.push(chunk)
    const words = Buffer.concat(chunks).toString().match(/one|two|three|DONE/g)
    return `${response.status} ${words.join(' ')}`
  })
  await step('pool', async () => {
    const [pool] = await auth.poolStatus({ provider: 'desk' })
    const accounts = pool.accounts.map(({ label, state, successes }) => `${label} ${state} ${successes}`).sort()
    return `${accounts.join(', ')}, ${pool.rotations} rotation`
  })
  await step('login', async () => {
    let prompt
    const onPrompt = (shown) => {
      prompt = shown
    }
    const account = await auth.login({ provider: 'person', method: 'device', label: 'person', onPrompt })
    await until(() => account.expiresAt <= Date.now())
    return `${prompt.method} ${prompt.userCode}, ${account.kind} ${account.state}, refreshable ${account.refreshable}`
  })
  await step('refresh', async () => {
    const asked = { provider: 'person', url: url('refreshes') }
    const answers = await Promise.all(Array.from({ length: CALLERS }, () => auth.getAuthHeaders(asked)))
    const tokens = new Set(answers.map(({ headers }) => headers.authorization))
    const response = await auth.createAuthFetch({ provider: 'person' })(url('refreshes'))
    const { refreshes } = await response.json()
    return `${CALLERS} callers, ${tokens.size} token, ${refreshes} request, answered ${response.status}`
  })
  await step('wrong origin', () => auth.getAuthHeaders({ provider: 'desk', url: 'https://elsewhere.test/' }))
  await step('wrong option', () => auth.getAuthHeaders({ provider: 'desk', ulr: url('who') }))
  await step('wrong provider', () => auth.addApiKey({ provider: 'unheard-of', apiKey: keys.a }))
  await step('aborted', () => {
    const signal = AbortSignal.abort()
    return fetch(url('who'), { signal }).catch(({ name }) => name)
  })
  await step('keychain', async () => {
    // Elsewhere it is part of the system, and there is always one.
    if (process.platform !== 'linux') return 'not asked'
    return `added as ${(await auth.addVaultSlot({ keySource: 'keychain' })).id}`
  })
  await step('remove', async () => {
    const accounts = await auth.listAccounts()
    for (const { id } of accounts) await auth.removeAccount(id)
    return `${accounts.length} accounts, ${(await auth.listAccounts()).length} left`
  })
  await step('events', async () => {
    const count = (type) => events.filter((seen) => seen === type).length
    await until(() => count('account_removed') === 3)
    const types = ['account_added', 'rotated', 'refreshed', 'served', 'cooldown', 'account_removed']
    return types.map((type) => `${type} ${count(type)}`).join(', ')
  })
}

/** An error by its code, which is API; another error is shown whole. */
function describe(error) {
  return error.code ?? error.stack
}

async function until(condition) {
  for (const endsAt = Date.now() + LIMIT_MS; !condition(); ) {
    if (Date.now() > endsAt) throw new Error('waited in vain')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

module.exports = { conform }
