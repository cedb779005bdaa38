/** Requests of the real OpenCode through the plugin: limits, logins that end, pins, and a start that waits for nothing. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { signIn } from './support/agent.mjs'
import { startOidcProvider } from './support/oidc.mjs'
import { createOpenCode, PLUGIN } from './support/opencode.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { startUpstream, throttle } from './support/upstream.mjs'

const KEYS = { A: 'sk-a-7c1e93d05b4411', B: 'sk-b-e20f6a4d18c2', C: 'sk-c-95b7d3f02c91' }

let oidc, upstream, sandbox, opencode, served

before(async () => {
  oidc = await startOidcProvider()
  upstream = await startUpstream({
    providers: [oidc],
    keys: Object.fromEntries(Object.entries(KEYS).map(([name, key]) => [key, name])),
  })
  const origins = [upstream.origin]
  const providers = { pool: { origins }, desk: oidc.config({ origins }), duo: { origins } }
  sandbox = createSandbox({ name: 'requests', config: { providers } })
  opencode = open()
  await sandbox.output(`
    for (const [label, apiKey] of ${JSON.stringify(Object.entries(KEYS))}) {
      await auth.addApiKey({ provider: 'pool', apiKey, label })
      if (label !== 'C') await auth.addApiKey({ provider: 'duo', apiKey, label })
    }`)
  for (const user of ['ada', 'bo']) await signInTo('desk', user)
})

after(async () => {
  await opencode?.close()
  sandbox?.cleanup()
  await upstream?.close()
  await oidc?.close()
})

test('from the first time on that all rest, OpenCode gets one 429 with the time and our words before theirs', async () => {
  upstream.behave()
  for (const account of ['A', 'B']) upstream.plan(account, throttle(3_600))
  upstream.forget()
  const session = await begin(await server(), 'duo')
  const { message, next } = (await session.status('retry')).status
  assert.match(message, /^provider-auth: all 2 accounts of duo are resting; the first is free at \d\d:\d\d/)
  assert.match(message, /slow down/, "the provider's own words follow")
  assert.ok(next - Date.now() > 3_400_000 && next - Date.now() < 3_700_000, String(next - Date.now()))
  assert.deepEqual(upstream.accounts().toSorted(), ['A', 'B'])
  await session.abort()

  upstream.forget()
  const again = await begin(await server(), 'duo')
  const later = (await again.status('retry')).status
  assert.match(later.message, /^provider-auth: all 2 accounts of duo are resting; the first is free at \d\d:\d\d/)
  assert.deepEqual(upstream.accounts(), [], 'nothing is sent while all rest')
  await again.abort()
})

test('opencode run ends at once, with the time, where the plugin is told so', async () => {
  const failing = open({ plugin: [PLUGIN, { exhausted: { run: 'fail' } }] })
  upstream.forget()
  const { code, stderr } = await failing.run('duo/small-1')
  assert.equal(code, 1)
  assert.match(stderr, /provider-auth: all 2 accounts of duo are resting; the first is free at \d\d:\d\d/)
  assert.deepEqual(upstream.accounts(), [])
  open()
})

test('a project pins an account and another one a pool, in one server, and a pin does not fall back', async () => {
  await sandbox.output(`await auth.addApiKey({ provider: 'pool', apiKey: '${KEYS.B}', label: 'B', namespace: 'side' })`)
  const projects = { pinned: { account: 'C' }, pooled: { namespace: 'side' }, lost: { account: 'gone' } }
  const folders = Object.fromEntries(
    Object.entries(projects).map(([name, auth]) => [name, project(name, { pool: { options: { auth } } })]),
  )
  upstream.behave()
  upstream.forget()
  const running = await server()
  assert.match(await (await begin(running, 'pool', folders.pinned)).answer(), /served by C/)
  assert.match(await (await begin(running, 'pool', folders.pooled)).answer(), /served by B/)
  assert.match(await (await begin(running, 'pool', folders.pinned)).answer(), /served by C/)

  upstream.forget()
  const lost = await (await begin(running, 'pool', folders.lost)).error()
  assert.match(lost, /provider-auth: the account of pool that provider\.pool\.options\.auth names is not there/)
  assert.deepEqual(upstream.accounts(), [])

  upstream.plan('C', throttle(3_600))
  const resting = (await (await begin(running, 'pool', folders.pinned)).status('retry')).status.message
  assert.match(resting, /^provider-auth: the account C of pool is resting; it is free at \d\d:\d\d/)
  assert.deepEqual(new Set(upstream.accounts()), new Set(['C']))
  upstream.behave()
})

test('a setting of options.auth that is wrong stops that provider only, and says which', async () => {
  const folder = project('wrong', { pool: { options: { auth: { strategy: 'best' } } }, duo: { options: { auth: {} } } })
  await sandbox.output(`await auth.clearCooldowns({ provider: 'duo' })`)
  const running = await server()
  assert.match(
    await (await begin(running, 'pool', folder)).error(),
    /provider-auth: provider\.pool\.options\.auth.*strategy/,
  )
  assert.match(await (await begin(running, 'duo', folder)).answer(), /served by/)
})

test('a token that ends in the middle of a session is renewed unseen', async () => {
  upstream.forget()
  const running = await server()
  const session = await begin(running, 'desk')
  const who = /served by (\w+)/.exec(await session.answer())[1]
  oidc.expireAccess(who)
  assert.match(await session.say(), new RegExp(`served by ${who}`))
  assert.equal(oidc.counters.invalidGrants, 0)
})

test('a login that ends during a request asks to sign in again, in a toast too, and is not sent again', async () => {
  const folder = project('ending', { desk: { options: { auth: { account: 'ada' } } } })
  await sandbox.output(`
    const [ada] = (await auth.listAccounts({ provider: 'desk' })).filter(({ identity }) => identity.subject === 'ada')
    await auth.updateAccount(ada.id, { label: 'ada' })`)
  const running = await server()
  const session = await begin(running, 'desk', folder)
  assert.match(await session.answer(), /served by ada/)
  oidc.revokeGrants('ada')
  oidc.expireAccess('ada')
  upstream.forget()
  const toast = session.next(({ type }) => type === 'tui.toast.show')
  const said = await session.sayAndFail()
  assert.match(said, /provider-auth: the login of desk has ended; sign in again with \/connect/)
  assert.doesNotMatch(said, /invalid_token|unauthorized/i)
  assert.match((await toast).properties.message, /desk has to sign in again/)
  assert.equal(upstream.accounts().length, 1, 'one request, with the token that was refused')
})

test('three processes over one vault and tokens of 2 s spend no refresh token twice', async () => {
  oidc.setAccessTokenSeconds(2)
  await signInTo('desk', 'cy')
  const before = oidc.counters.invalidGrants
  const config = {
    provider: { desk: { ...provider(), options: { baseURL: upstream.baseURL, auth: { account: 'cy' } } } },
  }
  await sandbox.output(`
    const [cy] = (await auth.listAccounts({ provider: 'desk' })).filter(({ identity }) => identity.subject === 'cy')
    await auth.updateAccount(cy.id, { label: 'cy' })`)
  const shared = open({ config })
  const answers = await Promise.all([1, 2, 3].map(() => shared.run('desk/small-1')))
  for (const { stdout, stderr } of answers) assert.match(stdout, /served by cy/, stderr)
  assert.equal(oidc.counters.invalidGrants, before)
  oidc.setAccessTokenSeconds(3_600)
  open()
})

test('a keychain that does not answer holds up neither the start nor what OpenCode serves', async () => {
  const silent = createServer(() => {})
  const socket = join(sandbox.dir, 'bus')
  await new Promise((resolve) => silent.listen(socket, resolve))
  const env = {
    PROVIDER_AUTH_KEY: '',
    PROVIDER_AUTH_KEY_SOURCE: 'keychain',
    PROVIDER_AUTH_DIR: join(sandbox.dir, 'other-vault'),
    DBUS_SESSION_BUS_ADDRESS: `unix:path=${socket}`,
  }
  const { stdout, stderr } = await sandbox.run(
    `
    const { default: requests } = await import('${new URL('../npm/dist/server.js', import.meta.url)}')
    const config = { provider: { groq: { options: { apiKey: 'own' } }, duo: { options: {} } } }
    const began = Date.now()
    await (await requests({ client: { app: { log: async () => {} } } })).config(config)
    console.log(JSON.stringify({ ms: Date.now() - began, groq: config.provider.groq, duo: typeof config.provider.duo.options.fetch }))
    process.exit()`,
    { env },
  )
  silent.close()
  const { ms, groq, duo } = JSON.parse(stdout || `"${stderr}"`)
  assert.deepEqual([groq, duo], [{ options: { apiKey: 'own' } }, 'function'])
  // The keychain would be waited for ten times as long.
  assert.ok(ms < 6_000, `${ms} ms`)
})

test("a project that names the plugin again does not lose the user's options", async () => {
  const user = open({
    plugin: [PLUGIN, { exhausted: { run: 'fail' }, config: { providers: { inline: { origins: [upstream.origin] } } } }],
  })
  user.writeProjectConfig({ plugin: [PLUGIN], provider: { inline: provider() }, enabled_providers: ['inline'] })
  const { stderr } = await user.run('inline/small-1')
  assert.match(stderr, /provider-auth: no account for inline yet/, 'it is known by the option of the user alone')
  user.writeProjectConfig({})
  open()
})

/** OpenCode with the three providers; whatever differs comes in `more`. */
function open(more = {}) {
  const ids = ['pool', 'desk', 'duo']
  return createOpenCode(sandbox, { providers: Object.fromEntries(ids.map((id) => [id, upstream.baseURL])), ...more })
}

function provider() {
  return { npm: '@ai-sdk/openai-compatible', options: { baseURL: upstream.baseURL }, models: { 'small-1': {} } }
}

/** A folder with an opencode.json of its own. */
function project(name, providers) {
  const folder = join(sandbox.dir, `project-${name}`)
  mkdirSync(folder)
  execFileSync('git', ['init', '--quiet', folder])
  writeFileSync(join(folder, 'opencode.json'), JSON.stringify({ provider: providers }))
  return folder
}

function server() {
  served ??= opencode.serve()
  return served
}

/** Begins a session in a folder, with one message. */
async function begin({ callIn, eventsIn }, provider, folder = opencode.project) {
  const next = await eventsIn(folder)
  const { id } = await callIn(folder, 'POST', '/session', { title: 'test' })
  const body = { model: { providerID: provider, modelID: 'small-1' }, parts: [{ type: 'text', text: 'hello' }] }
  const send = () => callIn(folder, 'POST', `/session/${id}/prompt_async`, body)
  const ofSession = (fits) => next((event) => event.properties.sessionID === id && fits(event))
  const idle = () => ofSession(({ type }) => type === 'session.idle')
  const text = async () => {
    await idle()
    const messages = await callIn(folder, 'GET', `/session/${id}/message`)
    return messages
      .at(-1)
      .parts.filter(({ type }) => type === 'text')
      .map(({ text }) => text)
      .join('')
  }
  const failure = async () => {
    const { properties } = await ofSession(({ type }) => type === 'session.error')
    return properties.error.data.message
  }
  await send()
  return {
    next,
    answer: text,
    error: failure,
    async say() {
      await send()
      return text()
    },
    async sayAndFail() {
      await send()
      return failure()
    },
    status: async (kind) =>
      (await ofSession(({ type, properties }) => type === 'session.status' && properties.status.type === kind))
        .properties,
    abort: () => callIn(folder, 'POST', `/session/${id}/abort`),
  }
}

async function signInTo(provider, user) {
  const login = sandbox.start(`
    const session = await auth.startLogin({ provider: '${provider}', method: 'browser' })
    console.log(session.url)
    await session.finish()`)
  await signIn(await login.line(/^http/), { user })
  const { code, stderr } = await login.ended
  assert.equal(code, 0, stderr)
}
