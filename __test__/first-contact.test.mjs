/** What somebody meets who has read the README alone, on a machine without display and keychain. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { signIn } from './support/agent.mjs'
import { LIBRARY_URL } from './support/sandbox.mjs'
import { openStage } from './support/stage.mjs'
import { until } from './support/until.mjs'

const { sandbox, inChild } = await openStage({
  name: 'first-contact',
  providers: ({ oidc, upstream: { origin } }) => ({
    'page-only': { ...oidc.config({ origins: [origin] }), grants: ['authorization_code'] },
  }),
})
const NO_DISPLAY = { DISPLAY: '', WAYLAND_DISPLAY: '' }

/** A program that logs in and says how it ended. */
const login = (options) => `
  const began = Date.now()
  const told = await auth.login(${options}).then(
    ({ identity }) => ({ outcome: 'signed in', subject: identity.subject }),
    ({ code, message, stack }) => ({ outcome: code, message, stack }),
  )
  console.log(JSON.stringify({ ...told, ms: Date.now() - began }))
  process.exit()`

for (const options of ["{ provider: 'page-only' }", "{ provider: 'local', method: 'paste' }"]) {
  test(`without a terminal a login by paste rejects at once and says what to do: ${options}`, async () => {
    const { outcome, message, ms } = await inChild(login(options), { env: NO_DISPLAY })
    assert.equal(outcome, 'INVALID_ARGUMENT', message)
    for (const remedy of ['readCode', 'startLogin', "method: 'device'"]) assert.ok(message.includes(remedy), message)
    assert.ok(ms < 30_000, `${ms} ms`)
  })
}

test('without a display a login takes a device code where the server has it', async () => {
  const source = login(`{
    provider: 'local',
    onPrompt: ({ method }) => { console.log(JSON.stringify({ method })); process.exit() },
  }`)
  assert.deepEqual(await inChild(source, { env: NO_DISPLAY }), { method: 'device' })
})

test('on a terminal a login by paste reads lines until one is taken', async () => {
  const { screen, seen, type, ended } = atTerminal("{ provider: 'page-only', label: 'ann' }")
  const [, url] = await seen(/Go to (\S+)\r?\n/)
  await seen(/Paste it here: $/)
  type('\n')
  await seen(/Paste it here:\s+Paste it here: $/)
  type('https://elsewhere.test/callback?code=1\n')
  await seen(/failed[\s\S]*Paste it here: $/)
  const { url: address } = await signIn(url, {
    user: 'ann',
    unreachable: new URL(url).searchParams.get('redirect_uri'),
  })
  type(`${address}\n`)
  await ended
  assert.match(screen(), /"outcome":"signed in","subject":"ann"/)
})

for (const [what, keys] of [
  ['an interrupt', '\u0003'],
  ['the end of the input', '\u0004'],
]) {
  test(`on a terminal ${what} ends a login by paste`, async () => {
    const { screen, seen, type, ended } = atTerminal("{ provider: 'local', method: 'paste' }")
    await seen(/Paste it here: $/)
    type(keys)
    await ended
    assert.match(screen(), /"outcome":"LOGIN_CANCELLED"/)
  })
}

test('on a terminal a login that ends by itself leaves the terminal as it was', async () => {
  const { screen, seen, ended } = atTerminal("{ provider: 'local', method: 'paste', timeoutMs: 1500 }")
  await seen(/Paste it here: /)
  await ended
  assert.match(screen(), /"outcome":"LOGIN_TIMEOUT"/)
})

const BARE = { PROVIDER_AUTH_KEY: '', PROVIDER_AUTH_KEY_SOURCE: '', DBUS_SESSION_BUS_ADDRESS: '', ...NO_DISPLAY }
const fault = (call, env = BARE) => inChild(TELL(call), { env })
const TELL = (call) =>
  `await ${call}.then(() => console.log('null'), ({ code, message, file }) => console.log(JSON.stringify({ code, message, file })))`

test('without a vault, a key and a keychain the message has the command that helps', async () => {
  const dir = join(sandbox.dir, 'new-vault')
  const env = { ...BARE, PROVIDER_AUTH_DIR: dir }
  const add = "auth.addApiKey({ provider: 'openai', apiKey: 'sk-of-a-newcomer' })"
  const { code, message } = await fault(add, env)
  assert.equal(code, 'KEYCHAIN_UNAVAILABLE')
  assert.match(message, /PROVIDER_AUTH_KEY_SOURCE/)
  const [command] = /export PROVIDER_AUTH_KEY="[^"]+"/.exec(message)
  const file = join(sandbox.work, 'newcomer.mjs')
  writeFileSync(file, `import * as auth from ${JSON.stringify(LIBRARY_URL)}\n${TELL(add)}\n`)
  const shell = sandbox.spawn('-c', {
    command: 'sh',
    args: [`${command}; ${JSON.stringify(process.execPath)} ${JSON.stringify(file)}`],
    env,
  })
  const { stdout, stderr } = await shell.ended
  assert.equal(stdout.trim(), 'null', stderr)
})

for (const [source, needed] of [
  ['env', /PROVIDER_AUTH_KEY .*which is not set\. Make a key, and keep it: export PROVIDER_AUTH_KEY=/],
  ['passphrase', /set PROVIDER_AUTH_PASSPHRASE or PROVIDER_AUTH_PASSPHRASE_FILE/],
  ['keychain', /set PROVIDER_AUTH_KEY_SOURCE to another key source/],
]) {
  test(`a new vault whose key source is ${source} says what is missing`, async () => {
    const dir = join(sandbox.dir, `vault-of-${source}`)
    const { message } = await fault('auth.initVaultKey()', {
      ...BARE,
      PROVIDER_AUTH_DIR: dir,
      PROVIDER_AUTH_KEY_SOURCE: source,
    })
    assert.match(message, needed)
    assert.match(message, /PROVIDER_AUTH_KEY_SOURCE/)
  })
}

test('the name of an MCP server without a login says how that is done', async () => {
  for (const call of [
    "auth.getAuthHeaders({ provider: 'notes', url: 'https://mcp.notes.example/mcp' })",
    "auth.createAuthFetch({ provider: 'notes' })('https://mcp.notes.example/mcp')",
    "auth.login({ provider: 'notes' })",
  ]) {
    const { code, message } = await fault(call, {})
    assert.equal(code, 'UNKNOWN_PROVIDER')
    assert.ok(message.includes('login({ provider: "notes", resource: "https://…" })'), message)
  }
})

test('a gateway in front of a built-in provider is one line of the configuration that the refusal names', async () => {
  const env = { PROVIDER_AUTH_DIR: join(sandbox.dir, 'gateway-vault') }
  const add = "auth.addApiKey({ provider: 'anthropic', apiKey: 'sk-ant-of-a-newcomer' })"
  const ask = (url) => `auth.getAuthHeaders({ provider: 'anthropic', url: '${url}/v1/messages' })`
  const gateway = 'https://gateway.example'
  assert.equal(await fault(add, env), null)
  const refused = await fault(ask(gateway), env)
  assert.equal(refused.code, 'ORIGIN_NOT_ALLOWED')
  assert.ok(refused.message.includes('providers.anthropic.extraOrigins'), refused.message)
  assert.ok(refused.message.includes(sandbox.configFile), refused.message)
  const config = join(sandbox.dir, 'gateway.jsonc')
  writeFileSync(config, JSON.stringify({ providers: { anthropic: { extraOrigins: [gateway] } } }))
  const configured = { ...env, PROVIDER_AUTH_CONFIG: config }
  const again = await fault(ask(gateway), configured)
  assert.ok(again.message.includes('addApiKey') && again.message.includes(config), again.message)
  const why = await inChild(
    `console.log(JSON.stringify(await auth.explain({ provider: 'anthropic', url: '${gateway}/v1/messages' })))`,
    { env: configured },
  )
  assert.equal(why.outcome, 'origin_refused')
  assert.equal(why.refusal, again.message)
  assert.deepEqual(
    why.accounts.map(({ chance }) => chance),
    ['origin_refused'],
  )
  assert.equal(await fault(add, configured), null)
  for (const url of [gateway, 'https://api.anthropic.com']) assert.equal(await fault(ask(url), configured), null)
})

test('through an SDK our fault is the cause of its error, and reads well there', async () => {
  const source = `
    import OpenAI from ${JSON.stringify(import.meta.resolve('openai'))}
    import Anthropic from ${JSON.stringify(import.meta.resolve('@anthropic-ai/sdk'))}
    const told = {}
    const tell = (name) => (error) => {
      const chain = []
      for (let fault = error; fault; fault = fault.cause) chain.push({ code: fault.code, message: fault.message })
      told[name] = chain
    }
    const messages = [{ role: 'user', content: 'hello' }]
    const openai = new OpenAI({ apiKey: 'unused', maxRetries: 0, fetch: auth.createAuthFetch({ provider: 'openai' }) })
    await openai.chat.completions.create({ model: 'm', messages }).catch(tell('openai'))
    const anthropic = new Anthropic({ apiKey: 'unused', maxRetries: 0, fetch: auth.createAuthFetch({ provider: 'anthropic' }) })
    await anthropic.messages.create({ model: 'm', max_tokens: 9, messages }).catch(tell('anthropic'))
    console.log(JSON.stringify(told))`
  const told = await inChild(source, { env: { PROVIDER_AUTH_DIR: join(sandbox.dir, 'no-accounts') } })
  for (const [name, chain] of Object.entries(told)) {
    const ours = chain.find(({ code }) => code === 'NO_ACCOUNT')
    assert.ok(ours !== undefined, JSON.stringify(chain))
    assert.match(ours.message, new RegExp(`^provider-auth has no account for ${name} in the namespace default; `))
  }
})

/** Runs such a login in a real terminal, which `script` of util-linux makes. */
function atTerminal(options) {
  const source = `import * as auth from ${JSON.stringify(LIBRARY_URL)}\n${login(options)}`
  const file = join(sandbox.work, 'login-at-a-terminal.mjs')
  writeFileSync(file, source)
  const { child, ended } = sandbox.spawn('-qefc', {
    command: 'script',
    args: [`${JSON.stringify(process.execPath)} ${JSON.stringify(file)}`, '/dev/null'],
    env: NO_DISPLAY,
    input: null,
  })
  let screen = ''
  child.stdout.on('data', (chunk) => {
    screen += chunk
  })
  after(() => child.kill())
  const seen = (pattern) =>
    until(
      () => `${pattern} on the screen, which shows ${screen}`,
      () => pattern.exec(stripVTControlCharacters(screen)),
    )
  return { screen: () => screen, seen, type: (text) => child.stdin.write(text), ended }
}
