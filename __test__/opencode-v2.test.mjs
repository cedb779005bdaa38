/** The plugin in a stand-in for OpenCode 2, which calls it as OpenCode's pages say. No real OpenCode 2 has run it yet. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { signIn } from './support/agent.mjs'
import { startOidcProvider } from './support/oidc.mjs'
import { loadPlugin } from './support/opencode-v2.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { until } from './support/until.mjs'
import { startUpstream, throttle } from './support/upstream.mjs'

const KEYS = { A: 'sk-a-51f0c2e7b9', B: 'sk-b-90d3a6e4f1', own: 'sk-own-7b2c88d015' }
const PLACEHOLDER = 'kept-by-provider-auth'

let oidc, upstream, sandbox, auth, plugin
const loaded = []

before(async () => {
  oidc = await startOidcProvider({ accessTokenSeconds: 3_600 })
  const keys = Object.fromEntries(Object.entries(KEYS).map(([account, key]) => [key, account]))
  upstream = await startUpstream({ providers: [oidc], keys })
  const origins = [upstream.origin]
  const providers = {
    pool: { origins },
    desk: oidc.config({ origins }),
    empty: { origins },
    spare: { origins },
    openai: { origins },
  }
  sandbox = createSandbox({ name: 'opencode-v2', config: { providers } })
  sandbox.enter()
  auth = await import('../npm/dist/index.js')
  plugin = await import('../npm/dist/server-v2.js')
  await auth.addApiKey({ provider: 'pool', apiKey: KEYS.A, label: 'A', priority: 1 })
  await auth.addApiKey({ provider: 'pool', apiKey: KEYS.B, label: 'B', priority: 2 })
})

after(async () => {
  for (const host of loaded) await host.unload()
  sandbox?.cleanup()
  await upstream?.close()
  await oidc?.close()
})

beforeEach(async () => {
  upstream.forget()
  upstream.behave()
  await auth.clearCooldowns({ provider: 'pool' })
})

/** A host with the plugin in it. */
async function host(options = {}) {
  const named = Object.fromEntries(['pool', 'desk', 'empty', 'spare'].map((id) => [id, provider()]))
  const made = await loadPlugin(plugin, { ...options, providers: { ...named, ...options.providers } })
  loaded.push(made)
  return made
}

const provider = (settings = {}) => ({
  package: '@opencode/ai/providers/openai-compatible',
  settings: { baseURL: upstream.baseURL, ...settings },
  models: { 'small-1': {} },
})

let sessions = 0
/** Asks in a session of its own: a session stays with its account. */
const ask = (host, model, options = {}) =>
  host.ask(model, { url: upstream.chatUrl, sessionID: `ses_${++sessions}`, ...options })

test('a request is answered with an account of the vault', async () => {
  const opencode = await host()
  const { response, text } = await ask(opencode, 'pool/small-1')
  assert.equal(response.status, 200, text)
  assert.match(text, /served by A/)
  assert.ok(!JSON.stringify(upstream.requests).includes(PLACEHOLDER), 'the placeholder was sent')
  assert.deepEqual(JSON.parse(upstream.requests[0].body).model, 'small-1')
})

test('a provider with accounts in the vault can be chosen, by HTTP and with the placeholder as its key', async () => {
  const opencode = await host()
  assert.ok(opencode.available().includes('pool'))
  const { settings, websocket } = opencode.provider('pool')
  assert.deepEqual(settings, { apiKey: PLACEHOLDER, transport: 'http', baseURL: upstream.baseURL })
  assert.equal(websocket, false)
  // Configured in provider-auth, and in OpenCode's configuration.
  await until('a provider without accounts can be chosen as well', () => opencode.available().includes('empty'))
})

test('a 429 of one account is answered by the other one within the same request', async () => {
  const opencode = await host()
  upstream.plan('A', throttle(30))
  const { text, delays } = await ask(opencode, 'pool/small-1')
  assert.match(text, /served by B/)
  assert.deepEqual(upstream.accounts(), ['A', 'B'])
  const [first, second] = upstream.requests
  assert.equal(first.body, second.body)
  assert.equal(first.session, second.session)
  assert.deepEqual(delays, [], 'OpenCode tried again by itself')
})

test('while every account rests, OpenCode learns until when, in our words, and nothing is sent', async () => {
  const opencode = await host()
  upstream.plan('A', throttle(3_600))
  upstream.plan('B', throttle(3_600))
  const first = await ask(opencode, 'pool/small-1')
  assert.equal(first.response.status, 429)
  assert.match(first.message, /^provider-auth: all 2 accounts of pool are resting; the first is free at \d\d:\d\d/)
  assert.deepEqual(upstream.accounts(), ['A', 'B'])
  const [delay] = first.delays
  assert.ok(delay > 3_500_000 && delay < 3_700_000, `OpenCode waits ${delay} ms`)
  upstream.forget()
  const again = await ask(opencode, 'pool/small-1')
  assert.match(again.message, /all 2 accounts of pool are resting/)
  assert.ok(again.delays[0] > 3_500_000, 'the hook for retries says when')
  assert.deepEqual(upstream.accounts(), [])
})

test('OpenCode tries again when the first account is free, and is answered', async () => {
  const restMs = 3_000
  const auth = { maxWaitMs: 100 }
  const opencode = await host({ longestDelayMs: 2 * restMs, providers: { pool: provider({ auth }) } })
  upstream.plan('A', throttle(3_600))
  upstream.plan('B', { ...throttle(0), headers: { 'retry-after-ms': String(restMs) } })
  const asked = ask(opencode, 'pool/small-1')
  await until('both accounts rest', () => upstream.requests[1]?.status === 429)
  upstream.behave()
  const { text, delays } = await asked
  assert.match(text, /served by B/)
  assert.equal(delays.length, 1)
  assert.ok(delays[0] < 2 * restMs, `OpenCode waits ${delays[0]} ms`)
})

test('what OpenCode has itself serves, and the request is left as it is', async () => {
  const opencode = await host({ providers: { own: provider({ apiKey: KEYS.own }) } })
  assert.match((await ask(opencode, 'own/small-1')).text, /served by own/)
  opencode.connect('pool', { type: 'key', key: KEYS.own })
  assert.match((await ask(opencode, 'pool/small-1')).text, /served by own/)
  await until('the placeholder is gone', () => opencode.provider('pool').settings.apiKey === undefined)
  opencode.disconnect('pool')
  await until('the vault serves', () => opencode.provider('pool').settings.apiKey === PLACEHOLDER)
  assert.match((await ask(opencode, 'pool/small-1')).text, /served by A/)
})

test('`auth` in the settings of a provider hands it to the vault, and pins an account', async () => {
  const opencode = await host({ providers: { pool: provider({ apiKey: KEYS.own, auth: { account: 'B' } }) } })
  await until('the settings were seen', async () => {
    return /served by B/.test((await ask(opencode, 'pool/small-1')).text)
  })
})

test('without an account nothing is sent and the message says where to sign in', async () => {
  const opencode = await host({ providers: { empty: provider({ auth: {} }) } })
  await until('the settings were seen', () => opencode.provider('empty').settings.apiKey === PLACEHOLDER)
  const { message, delays } = await ask(opencode, 'empty/small-1')
  assert.equal(message, 'provider-auth: no account for empty yet; sign in with /connect')
  assert.deepEqual(delays, [])
  assert.deepEqual(upstream.accounts(), [])
})

test('a sign-in by the browser ends in the vault, and OpenCode keeps the placeholder alone', async () => {
  const opencode = await host()
  const methods = await until('the ways to sign in', () => {
    const { methods } = opencode.integration('desk')
    return methods.length > 0 && methods
  })
  assert.ok(methods.some(({ id, label }) => id === 'provider-auth-browser' && /Sign in with the browser/.test(label)))
  await opencode.signIn('desk', 'provider-auth-browser', async ({ url, instructions }) => {
    assert.match(instructions, /^provider-auth: /)
    await signIn(url, { user: 'ada' })
  })
  const [account] = await auth.listAccounts({ provider: 'desk' })
  assert.equal(account.identity.subject, 'ada')
  const [{ value, label }] = opencode.credentials()
  assert.equal(value.access, PLACEHOLDER)
  assert.equal(value.refresh, PLACEHOLDER)
  assert.ok(value.expires > Date.now() + 365 * 24 * 3_600_000, 'OpenCode would renew it')
  assert.ok(!label.includes('@example'), label)
  assert.match((await ask(opencode, 'desk/small-1')).text, /served by ada/)
})

test('a token that has ended is renewed unseen, and a dead refresh token asks to sign in again', async () => {
  const opencode = await host()
  await opencode.signIn('desk', 'provider-auth-browser', ({ url }) => signIn(url, { user: 'ada' }))
  oidc.expireAccess('ada')
  assert.match((await ask(opencode, 'desk/small-1')).text, /served by ada/)
  assert.equal(opencode.integration('desk').connection.status, undefined)

  await oidc.revokeGrants('ada')
  oidc.expireAccess('ada')
  const { message, delays } = await ask(opencode, 'desk/small-1')
  assert.equal(message, 'provider-auth: the login of desk has ended; sign in again with /connect')
  assert.deepEqual(delays, [])
  const [{ id }] = opencode.credentials()
  const status = await until('OpenCode marks the connection', () => opencode.status(id))
  assert.equal(status.status, 'needs_auth')
  assert.match(status.message, /^provider-auth: .*sign in with \/connect$/)

  await opencode.signIn('desk', 'provider-auth-browser', ({ url }) => signIn(url, { user: 'ada' }))
  assert.match((await ask(opencode, 'desk/small-1')).text, /served by ada/)
  await until('the mark is gone', () => opencode.status(id) === undefined)
})

test('a key that is pasted goes to the vault, with its label, and OpenCode never has it', async () => {
  const opencode = await host()
  upstream.admit('sk-spare-4f8e2a', 'spare')
  await opencode.signIn('spare', 'provider-auth-api-key', () => ' sk-spare-4f8e2a\n', { label: 'mine' })
  const [account] = await auth.listAccounts({ provider: 'spare' })
  assert.equal(account.label, 'mine')
  assert.equal(opencode.integration('spare').connection.label, 'mine')
  assert.match((await ask(opencode, 'spare/small-1')).text, /served by spare/)
  const kept = JSON.stringify([opencode.credentials(), opencode.provider('spare'), opencode.models('spare')])
  assert.ok(!kept.includes('sk-spare'), kept)
  await auth.removeAccount(account.id)
})

test('why a login failed is what OpenCode shows', async () => {
  const opencode = await host()
  const denied = opencode.signIn('desk', 'provider-auth-browser', ({ url }) =>
    signIn(url, { user: 'ada', consent: false }),
  )
  await assert.rejects(denied, /^Error: provider-auth: .*denied/)
  const wrong = opencode.signIn('desk', 'provider-auth-paste', () => 'not the code')
  await assert.rejects(wrong, /^Error: provider-auth: /)
  const empty = opencode.signIn('spare', 'provider-auth-api-key', () => '')
  await assert.rejects(empty, /^Error: provider-auth: /)
})

test('OpenCode keeps the ways to sign in that it has itself, and ours of such a provider have a place of their own', async () => {
  const own = { id: 'chatgpt-browser', type: 'oauth', label: 'ChatGPT Pro/Plus' }
  const opencode = await host({ methods: { openai: [own, { type: 'key', label: 'API key' }] } })
  assert.deepEqual(opencode.integration('openai').methods, [own, { type: 'key', label: 'API key' }])
  const ours = opencode.integration('provider-auth').methods.find(({ id }) => id === 'provider-auth-openai-api-key')
  assert.equal(ours.label, 'openai: API key (provider-auth)')
  await opencode.signIn('provider-auth', ours.id, () => KEYS.A)
  const [account] = await auth.listAccounts({ provider: 'openai' })
  await until('the provider can be chosen', () => opencode.provider('openai')?.settings.apiKey === PLACEHOLDER)
  assert.match((await ask(opencode, 'openai/small-1')).text, /served by A/)
  opencode.connect('openai', { type: 'oauth', methodID: 'chatgpt-browser', access: KEYS.own, refresh: '', expires: 0 })
  assert.match((await ask(opencode, 'openai/small-1')).text, /served by own/)
  await auth.removeAccount(account.id)
})

test('a provider with a key in the configuration stays in use, and can get accounts all the same', async () => {
  const own = { spare: provider({ apiKey: KEYS.own }), stranger: provider({ apiKey: KEYS.own }) }
  const opencode = await host({ providers: own })
  const ours = await until('the ways to sign in', () => {
    return opencode.integration('desk').methods.length > 0 && opencode.integration('provider-auth').methods
  })
  for (const id of ['spare', 'stranger']) assert.ok(opencode.available().includes(id), id)
  assert.deepEqual(opencode.integration('spare').methods, [])
  assert.ok(ours.some(({ id }) => id === 'provider-auth-spare-api-key'))
  assert.match((await ask(opencode, 'spare/small-1')).text, /served by own/)
})

test('a request that another plugin has replaced is still judged', async () => {
  const opencode = await host()
  await opencode.hook('session', 'http.request', (event) => {
    const headers = new Headers(event.request.headers)
    headers.set('x-other-plugin', 'was here')
    event.request = new Request(event.request, { headers })
  })
  upstream.plan('A', throttle(30))
  assert.match((await ask(opencode, 'pool/small-1')).text, /served by B/)
  assert.equal(upstream.requests[0].headers['x-other-plugin'], 'was here')
})

test('a request that got no answer leaves nothing behind for the next one, which may not be ours', async () => {
  const opencode = await host({ longestDelayMs: 0 })
  const [model, sessionID] = ['pool/small-1', 'ses_without_answer']
  upstream.plan('A', { drop: true })
  await assert.rejects(ask(opencode, model, { sessionID }))
  opencode.connect('pool', { type: 'key', key: KEYS.own })
  await until('the placeholder is gone', () => opencode.provider('pool').settings.apiKey === undefined)
  upstream.forget()
  upstream.plan('own', throttle(30))
  assert.equal((await ask(opencode, model, { sessionID })).response.status, 429)
  assert.deepEqual(upstream.accounts(), ['own'])
})

test('requests for titles and summaries go the same way', async () => {
  const opencode = await host()
  for (const kind of ['title', 'compaction', 'generate']) {
    assert.match((await ask(opencode, 'pool/small-1', { kind, agent: kind })).text, /served by A/)
  }
})

test('models that the provider lists join those of the configuration', async () => {
  const opencode = await host({ plugin: { discoverModels: true } })
  const ids = () => opencode.models('pool').map(({ id }) => id)
  await until('the models were found', () => ids().includes('large-1'))
  assert.deepEqual(ids().sort(), ['large-1', 'small-1'])
})

test('the start goes on without a vault that does not open yet, and has its accounts once it does', async () => {
  const { followProviders } = await import('../npm/build/opencode/v2/providers.js')
  const accounts = await auth.listAccounts({ provider: 'pool' })
  let open
  const opened = new Promise((resolve) => {
    open = () => resolve(accounts)
  })
  // Nothing is known from an earlier start.
  const memory = process.env.XDG_STATE_HOME
  process.env.XDG_STATE_HOME = sandbox.dir
  const setup = async (context) => {
    await followProviders(context, { ...auth, listAccounts: () => opened }, { discoverModels: false })
  }
  const opencode = await loadPlugin({ default: { id: 'late', setup } }, { providers: { pool: provider() } })
  process.env.XDG_STATE_HOME = memory
  const before = opencode.provider('pool').settings.apiKey
  open()
  await until('the provider is ours', () => opencode.provider('pool').settings.apiKey === PLACEHOLDER)
  assert.equal(before, undefined)
  await opencode.unload()
})

test('an option of an unknown name, or one that only the user may set, is refused by every request of ours', async () => {
  for (const [plugin, why] of [
    [{ gaurd: true }, /the plugin's option "gaurd" is not an option/],
    [{ guard: false }, /"guard" counts only in your own opencode.json/],
    [{ config: { providers: {} } }, /"config" counts only in your own opencode.json/],
  ]) {
    const opencode = await host({ plugin, providers: { own: provider({ apiKey: KEYS.own }) } })
    const { message } = await ask(opencode, 'pool/small-1')
    assert.match(message, /^provider-auth: it could not start, so nothing was sent: /)
    assert.match(message, why)
    assert.match((await ask(opencode, 'own/small-1')).text, /served by own/)
  }
})

test("options that only the user may set count where they stand in the user's own file", async () => {
  const folder = join(process.env.XDG_CONFIG_HOME, 'opencode')
  const options = { guard: false }
  mkdirSync(folder, { recursive: true })
  const entry = { package: fileURLToPath(new URL('..', import.meta.url)), options }
  writeFileSync(join(folder, 'opencode.json'), JSON.stringify({ plugins: ['another', entry] }))
  const secret = { path: join(sandbox.vaultDir, 'vault.hdr') }
  // OpenCode hands the options of one file over: of the user's, or of a project that names the plugin too.
  for (const plugin of [options, {}]) {
    const opencode = await host({ plugin })
    assert.equal((await opencode.callTool('read', secret)).content, 'done')
  }
  rmSync(folder, { recursive: true })
})

test('tools tell an agent how the accounts stand, without a secret, and renew a token', async () => {
  const opencode = await host()
  await opencode.signIn('desk', 'provider-auth-browser', ({ url }) => signIn(url, { user: 'ada' }))
  upstream.plan('A', throttle(3_600))
  await ask(opencode, 'pool/small-1')
  const { content } = await opencode.callTool('auth_status', {})
  assert.match(content, /^desk: provider-auth serves/m)
  assert.match(content, /pool: provider-auth serves \(the vault has an account of it\)/)
  assert.match(content, / A \[\w+\]: API key; ready; small-1 rests until /)
  for (const key of Object.values(KEYS)) assert.ok(!content.includes(key))
  assert.ok(!content.includes('ada@'), content)
  const renewed = await opencode.callTool('auth_refresh', { provider: 'desk', force: true })
  assert.match(renewed.content, /the token was renewed/)
  for (const { name, input, options } of opencode.tools()) {
    assert.equal(input.type, 'object', name)
    assert.equal(options.codemode, false)
  }
})

test('the guard keeps the tools of OpenCode 2 from the vault, by the names that they have there', async () => {
  const opencode = await host()
  const secret = join(sandbox.vaultDir, 'vault.hdr')
  for (const [tool, input] of [
    ['read', { path: secret }],
    ['edit', { path: secret, oldString: 'a', newString: 'b' }],
    ['write', { path: secret, content: '' }],
    ['patch', { patchText: `*** Begin Patch\n*** Delete File: ${secret}\n*** End Patch` }],
    ['grep', { pattern: 'x', path: sandbox.vaultDir }],
    ['glob', { pattern: '*', path: sandbox.vaultDir }],
    ['shell', { command: `cat ${secret}` }],
    ['shell', { command: 'ls', workdir: sandbox.vaultDir }],
    ['subagent', { agent: 'general', description: 'look', prompt: `look at @${secret}` }],
    ['files_open', { file: secret }],
  ]) {
    const { error, content } = await opencode.callTool(tool, input)
    assert.match(error ?? `ran: ${content}`, new RegExp(`^provider-auth: ${tool} was not run`), JSON.stringify(input))
  }
  const own = await opencode.callTool('read', { path: join(sandbox.work, 'notes.txt') })
  assert.equal(own.content, 'done')
  assert.equal((await opencode.callTool('execute', { code: 'await tools.read({})' })).content, 'done')
})

test('what a search finds in guarded files is taken out, for the model and for its programs', async () => {
  const opencode = await host()
  const folder = process.cwd()
  writeFileSync(join(folder, 'notes.txt'), 'token')
  const secret = join(sandbox.vaultDir, 'vault.hdr')
  const finds = [
    { entry: { path: 'notes.txt' }, line: 1, text: 'token' },
    { entry: { path: relative(folder, secret) }, line: 1, text: 'token of the vault' },
  ]
  const shown = `Found 2 matches\n${join(folder, 'notes.txt')}:\n  Line 1: token\n\n${secret}:\n  Line 1: token of the vault`
  const { content, output } = await opencode.callTool('grep', { pattern: 'token', path: '.' }, shown, finds)
  assert.ok(content.includes('Line 1: token') && !content.includes('of the vault'), content)
  assert.deepEqual(output, finds.slice(0, 1))
  const printed = { output: `${secret}:token of the vault\nnotes.txt:token`, truncated: false }
  const parts = [{ type: 'text', text: printed.output }]
  const shell = await opencode.callTool('shell', { command: 'grep -r token .' }, parts, printed)
  assert.ok(!JSON.stringify(shell).includes('of the vault'), JSON.stringify(shell))
  assert.match(shell.content[0].text, /notes\.txt:token/)
})

test("an agent's shell does not have what opens the vault", async () => {
  const opencode = await host()
  const env = await opencode.shellEnvironment({ PATH: '/bin', PROVIDER_AUTH_KEY: 'the key', EMPTY: undefined })
  assert.equal(env.PROVIDER_AUTH_KEY, '')
  assert.equal(env.OPENCODE_VAULT_KEY, '')
  assert.equal(env.PATH, '/bin')
})

test('after it is unloaded, nothing of it is left', async () => {
  const opencode = await host()
  let pending
  await new Promise((shown) => {
    pending = opencode.signIn('desk', 'provider-auth-browser', shown)
  })
  await opencode.unload()
  await assert.rejects(pending, /provider-auth: /)
  for (const domain of ['integration', 'provider', 'tool']) opencode.reload(domain)
  assert.equal(opencode.provider('pool').settings.apiKey, undefined)
  assert.deepEqual(opencode.integration('desk').methods, [])
  assert.deepEqual(opencode.tools(), [])
})

test("OpenCode 1's form of the plugin is none for OpenCode 2, which takes no function", async () => {
  const first = await import('../npm/dist/server.js')
  await assert.rejects(loadPlugin(first), /Plugin must export a default definition/)
  const both = Object.assign(() => {}, { id: 'provider-auth', setup() {} })
  await assert.rejects(loadPlugin({ default: both }), /Plugin must export a default definition/)
})
