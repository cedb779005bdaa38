/** The plugin inside the real OpenCode, offline. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { VARIABLES } from '../npm/build/opencode/host-credentials.js'
import { signIn } from './support/agent.mjs'
import { startMcp } from './support/dialects/mcp.mjs'
import { startOidcProvider } from './support/oidc.mjs'
import { createOpenCode } from './support/opencode.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { startUpstream, throttle } from './support/upstream.mjs'

const KEYS = { A: 'sk-a-7c1e93d05b', B: 'sk-b-e20f6a4d18', C: 'sk-c-95b7d3f02c' }
const PLUGIN_FILE = new URL('../npm/dist/server.js', import.meta.url)
const PLACEHOLDER = 'kept-by-provider-auth'

let oidc, upstream, sandbox, opencode, served, ownProviders

before(async () => {
  oidc = await startOidcProvider()
  const keys = Object.fromEntries(Object.entries(KEYS).map(([account, key]) => [key, account]))
  upstream = await startUpstream({ providers: [oidc], keys })
  const origins = [upstream.origin]
  const providers = { pool: { origins }, desk: oidc.config({ origins }), empty: { origins }, intake: { origins } }
  ownProviders = providers
  sandbox = createSandbox({ name: 'opencode', config: { providers } })
  opencode = createOpenCode(sandbox, {
    providers: Object.fromEntries(Object.keys(providers).map((id) => [id, upstream.baseURL])),
  })
  await sandbox.output(`
    const a = await auth.addApiKey({ provider: 'pool', apiKey: '${KEYS.A}', label: 'A' })
    const b = await auth.addApiKey({ provider: 'pool', apiKey: '${KEYS.B}', label: 'B' })
    await auth.updateAccount(a.id, { priority: 1 })
    await auth.updateAccount(b.id, { priority: 2 })`)
})

after(async () => {
  await opencode?.close()
  sandbox?.cleanup()
  await upstream?.close()
  await oidc?.close()
})

test('opencode run is answered through the plugin', async () => {
  const { code, stdout, stderr } = await opencode.run('pool/small-1')
  assert.equal(code, 0, stderr)
  assert.match(stdout, /served by A/)
  assert.deepEqual(upstream.accounts(), ['A'])
  assert.ok(!JSON.stringify(upstream.requests).includes(PLACEHOLDER), 'the placeholder key was sent')
})

test('a 429 of one account is answered by the other one within the same request', async () => {
  upstream.forget()
  upstream.plan('A', throttle(30))
  const { code, stdout, stderr } = await opencode.run('pool/small-1')
  assert.equal(code, 0, stderr)
  assert.match(stdout, /served by B/)
  assert.deepEqual(upstream.accounts(), ['A', 'B'])
  const [first, second] = upstream.requests
  assert.equal(first.session, second.session)
  assert.equal(first.body, second.body)
  assert.ok(second.at - first.at < 2_000, 'OpenCode itself waits 2 s at least before it tries again')
})

test('while every account rests, OpenCode learns until when and nothing is sent', async () => {
  upstream.behave()
  upstream.plan('A', throttle(3_600))
  upstream.plan('B', throttle(3_600))
  await sandbox.output(`
    await auth.clearCooldowns({ provider: 'pool' })
    const request = { method: 'POST', body: '{"model":"small-1"}', headers: { 'content-type': 'application/json' } }
    const { status } = await auth.createAuthFetch({ provider: 'pool' })('${upstream.chatUrl}', request)
    if (status !== 429) throw new Error('the pool answered ' + status)`)
  upstream.forget()
  const startedAt = Date.now()

  const { call, events } = await server()
  const next = await events()
  const { id } = await call('POST', '/session', { title: 'test' })
  await call('POST', `/session/${id}/prompt_async`, { parts: [{ type: 'text', text: 'hello' }] })
  const { properties } = await next(
    ({ type, properties }) => type === 'session.status' && properties.status.type === 'retry',
  )
  const waitSeconds = (properties.status.next - startedAt) / 1000
  assert.equal(properties.status.attempt, 1)
  assert.ok(waitSeconds > 3_500 && waitSeconds < 3_700, `OpenCode waits ${waitSeconds} s`)
  assert.deepEqual(upstream.accounts(), [])
  await call('POST', `/session/${id}/abort`)
  upstream.behave()
})

test('a pool without an account names the command that signs in', async () => {
  upstream.forget()
  const { code, stderr } = await opencode.run('empty/small-1')
  assert.equal(code, 1)
  assert.match(stderr, /opencode auth login --provider empty/)
  assert.deepEqual(upstream.accounts(), [])
})

test('opencode auth login ends with an account in the vault that serves', async () => {
  upstream.forget()
  const login = opencode.start('auth', 'login', '--provider', 'desk', '--method', 'Sign in with the browser')
  const [url] = /http:\S+/.exec(await login.line(/Go to: http/))
  const { status } = await signIn(url, { user: 'ada' })
  assert.equal(status, 200)
  const { code, stdout } = await login.ended
  assert.equal(code, 0, stdout)

  const [account] = await sandbox.accountsOf('desk')
  assert.equal(account.kind, 'oauth')
  assert.equal(account.identity.subject, 'ada')
  assert.deepEqual(opencode.authJson(), { desk: { type: 'api', key: PLACEHOLDER } })
  const answer = await opencode.run('desk/small-1')
  assert.match(answer.stdout, /served by ada/)
})

test('an API key typed into OpenCode goes to the vault', async () => {
  const { call } = await server()
  const { intake } = await call('GET', '/provider/auth')
  const method = intake.findIndex(({ label }) => label === 'API key')
  const { method: kind } = await call('POST', '/provider/intake/oauth/authorize', { method, inputs: {} })
  assert.equal(kind, 'code')
  await call('POST', '/provider/intake/oauth/callback', { method, code: KEYS.C })

  const [account] = await sandbox.accountsOf('intake')
  assert.equal(account.kind, 'api')
  assert.equal(opencode.authJson().intake.key, PLACEHOLDER)
  assert.match((await opencode.run('intake/small-1')).stdout, /served by C/)
})

test('no file of OpenCode holds a credential, nor what its API tells of the configuration', async () => {
  const sent = upstream.requests.map(({ headers }) => headers.authorization?.replace('Bearer ', '')).filter(Boolean)
  assert.ok(sent.length > 0)
  const credentials = [...sent, ...Object.values(KEYS), sandbox.env.PROVIDER_AUTH_KEY]
  assert.deepEqual(opencode.filesWith(...credentials), [])
  const { call } = await server()
  for (const path of ['/config', '/config/providers', '/provider', '/provider/auth']) {
    const told = JSON.stringify(await call('GET', path))
    assert.match(told, /pool|desk/, path)
    for (const credential of credentials) assert.ok(!told.includes(credential), path)
  }
})

test('a plugin whose addon does not load lets no request go out bare', async () => {
  const folder = join(sandbox.dir, 'broken')
  cpSync(new URL('../npm/dist', import.meta.url), join(folder, 'npm', 'dist'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"name":"provider-auth","type":"module"}')
  const config = { provider: { pool: { options: {} }, other: { options: { apiKey: 'its own' } }, stranger: {} } }
  const plugin = pathToFileURL(join(folder, 'npm', 'dist', 'server.js')).href
  const { provider, errors, refusal } = JSON.parse(
    await sandbox.output(configuredSource(config, undefined, 'global', plugin)),
  )
  assert.match(errors.join(), /provider-auth: it could not start, so nothing was sent: /)
  assert.match(refusal, /provider-auth: it could not start/)
  assert.equal(provider.pool.options.fetch, 'function', 'it was ours when the last instance started')
  assert.equal(provider.other.options.fetch, undefined)
  assert.equal(provider.stranger.options?.fetch, undefined)
})

test('the providers that the plugin knows by itself are those of the library, and their variables those of OpenCode', async () => {
  const known = await sandbox.output(`
    const { addon } = await import('${new URL('../npm/build/addon.js', import.meta.url)}')
    console.log(JSON.stringify(await addon.claimedProviders()))`)
  assert.deepEqual([...VARIABLES.keys()].toSorted(), JSON.parse(known).builtIn.toSorted())
  const all = createOpenCode(sandbox, { providers: {}, config: { enabled_providers: undefined } })
  const { call } = await all.serve()
  const listed = new Map((await call('GET', '/provider')).all.map(({ id, env }) => [id, env]))
  await all.close()
  opencode.writeConfig({})
  for (const [id, names] of VARIABLES)
    assert.deepEqual(
      (listed.get(id) ?? []).filter((name) => /KEY|TOKEN/.test(name)),
      names,
      id,
    )
})

/** What of the host's configuration is ours when the plugin cannot start. */
const HOST_CONFIG = {
  provider: {
    mine: { options: { apiKey: 'its own' } },
    stranger: { options: { baseURL: 'http://127.0.0.1:1/v1' } },
    anthropic: { options: { apiKey: 'its own' } },
    empty: { options: {} },
    marked: { options: { auth: {} } },
  },
}

for (const [what, break_, mend] of [
  ['a broken project file', () => writeFileSync(projectFile(), '{ "providers": '), () => rmSync(projectFile())],
  [
    'a fault in a project file',
    () => writeFileSync(projectFile(), '{ "providers": { "pool": { "rotation": { "mode": "best" } } } }'),
    () => rmSync(projectFile()),
  ],
  [
    "a fault in the user's own file",
    () => sandbox.writeConfig({ providers: { ...ownProviders, empty: { origins: 'nonsense' } } }),
    () => sandbox.writeConfig({ providers: ownProviders }),
  ],
  [
    "a user's own file that is no JSON",
    () => writeFileSync(sandbox.configFile, '{ "providers": '),
    () => sandbox.writeConfig({ providers: ownProviders }),
  ],
]) {
  test(`with ${what}, what is ours is refused, and all else is left alone`, async () => {
    break_()
    const { provider, errors, refusal } = await configured(HOST_CONFIG)
    mend()
    assert.match(errors.join(), /provider-auth: it could not start, so nothing was sent: /)
    assert.match(refusal, /provider-auth: it could not start, so nothing was sent: /)
    const routed = Object.keys(provider).filter((id) => provider[id].options.fetch === 'function')
    // With an account; configured and named; with `options.auth`.
    assert.deepEqual(routed.toSorted(), ['desk', 'empty', 'intake', 'marked', 'pool'])
    for (const id of routed) assert.equal(provider[id].options.apiKey, PLACEHOLDER)
    for (const id of ['mine', 'anthropic', 'stranger']) assert.deepEqual(provider[id], HOST_CONFIG.provider[id])
  })
}

// Not `auth`: Node itself then takes no URL for one.
for (const name of ['apiKey', 'options', 'provider', 'resource', 'config', 'fetch', 'account', 'rotation']) {
  test(`what all objects inherit as ${name} decides nothing`, async () => {
    const source = `
      Object.prototype[${JSON.stringify(name)}] = { origins: ['https://elsewhere.test'], account: 'nobody' }
      ${configuredSource({ provider: { empty: {} } })}`
    const { provider, refusal } = JSON.parse(await sandbox.output(source))
    assert.equal(refusal, undefined)
    for (const id of ['empty', 'pool'])
      assert.deepEqual([provider[id].options.apiKey, provider[id].options.fetch], [PLACEHOLDER, 'function'], id)
  })
}

for (const [when, state, routed] of [
  ['after a start that read it, what had an account is ours', undefined, ['desk', 'empty', 'intake', 'marked', 'pool']],
  // It has accounts, and nothing tells of which providers.
  ['at the first start, whatever may have an account is ours', 'fresh', ['cursor', 'desk', 'empty', 'google', 'pool']],
]) {
  test(`while the vault cannot be opened: ${when}`, async () => {
    const env = { PROVIDER_AUTH_KEY: randomBytes(32).toString('base64') }
    if (state !== undefined) env.XDG_STATE_HOME = join(sandbox.dir, state)
    const { stdout, stderr } = await sandbox.run(configuredSource(HOST_CONFIG), { env })
    assert.notEqual(stdout, '', stderr)
    const { provider, refusal } = JSON.parse(stdout)
    for (const id of routed) assert.equal(provider[id].options.fetch, 'function', id)
    for (const id of ['mine', 'stranger', 'anthropic']) assert.deepEqual(provider[id], HOST_CONFIG.provider[id])
    assert.match(refusal, /provider-auth: .*key/)
    assert.equal(provider.openai === undefined, state === undefined)
  })
}

test('with a broken project file, opencode run says why and sends nothing, and goes on once it is mended', async () => {
  upstream.forget()
  const file = join(opencode.project, 'provider-auth.jsonc')
  writeFileSync(file, '{ "providers": ')
  try {
    const { code, stderr } = await opencode.run('intake/small-1')
    assert.equal(code, 1)
    assert.match(stderr, /provider-auth: it could not start, so nothing was sent: .*provider-auth\.jsonc/)
    assert.deepEqual(upstream.requests, [])
  } finally {
    rmSync(file)
  }
  assert.match((await opencode.run('intake/small-1')).stdout, /served by C/)
})

test('plugin options of a project do not configure the broker', async () => {
  const options = { config: { providers: { pool: { origins: ['https://elsewhere.test'] } } } }
  const { errors, provider } = await configured({ provider: { pool: {} } }, options, 'local')
  assert.match(errors.join(), /counts only in your own opencode\.json/)
  assert.equal(provider.pool.options.fetch, 'function')
  assert.deepEqual((await configured({ provider: { pool: {} } }, options, 'global')).errors, [])
})

test('a provider whose key stands in opencode.json is left alone', async () => {
  const config = await configured({ provider: { empty: { options: { apiKey: 'its own' } }, pool: {} } })
  assert.deepEqual(config.provider.empty, { options: { apiKey: 'its own' } })
  assert.deepEqual(config.provider.pool.options, { apiKey: PLACEHOLDER, fetch: 'function' })
})

test('an MCP server is no provider of models, even if one is called the same', async () => {
  const mcp = await startMcp()
  await sandbox.output(`
    const session = await auth.startLogin({ provider: 'notes', resource: '${mcp.url}', method: 'paste' })
    const { headers } = await fetch(session.url, { redirect: 'manual' })
    await session.finish(headers.get('location'))`)
  await mcp.close()
  const own = { notes: { options: { apiKey: 'its own' } } }
  const { provider } = await configured({ provider: { ...own, pool: {} } })
  assert.deepEqual(provider.notes, own.notes)
  assert.ok(provider.pool.options.fetch)
  assert.equal((await configured({ provider: {} })).provider.notes, undefined)
})

test('every export of the plugin is a function, as OpenCode demands', async () => {
  const exported = Object.values(await import(PLUGIN_FILE))
  assert.deepEqual(
    exported.filter((value) => typeof value !== 'function'),
    [],
  )
})

/** One OpenCode server for the tests that need its API. */
function server() {
  served ??= opencode.serve()
  return served
}

/** Runs the plugin's config hook in a process of its own and returns the config as JSON, each function as its type. */
async function configured(config, options, scope = 'global') {
  return JSON.parse(await sandbox.output(configuredSource(config, options, scope)))
}

/** Prints the configuration, the errors that were logged, and what a request to `pool` was told if it was refused. */
function configuredSource(config, options, scope = 'global', plugin = PLUGIN_FILE) {
  return `
    const { default: requests } = await import('${plugin}')
    const options = ${JSON.stringify(options)}
    const config = { ...${JSON.stringify(config)}, plugin_origins: [{ spec: ['provider-auth', options], scope: '${scope}' }] }
    const errors = []
    const log = async ({ body }) => { if (body.level === 'error') errors.push(body.message) }
    await (await requests({ client: { app: { log } } }, options)).config(config)
    let refusal
    try { await config.provider.pool?.options?.fetch?.('${upstream.chatUrl}', { method: 'HEAD' }) } catch (fault) { refusal = fault.message }
    console.log(JSON.stringify({ ...config, errors, refusal }, (_, value) => (typeof value === 'function' ? 'function' : value)))`
}

/** The file of the project that the children of the sandbox work in. */
function projectFile() {
  return join(sandbox.work, 'provider-auth.jsonc')
}
