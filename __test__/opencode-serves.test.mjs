/**
 * Installing the plugin breaks nothing: who serves a provider under the real OpenCode, with its own plugins on, beside
 * what it does without ours.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createOpenCode, PLUGIN } from './support/opencode.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { startUpstream } from './support/upstream.mjs'

const KEYS = { own: 'sk-own-7c1e93d05b4411', vault: 'sk-vault-e20f6a4d18c2', host: 'sk-host-95b7d3f02c91' }
const PLACEHOLDER = 'kept-by-provider-auth'

let upstream, sandbox
const opened = []

before(async () => {
  upstream = await startUpstream({ keys: Object.fromEntries(Object.entries(KEYS).map(([name, key]) => [key, name])) })
  const origins = [upstream.origin]
  // Not in any configuration of ours: `groq` and `stray`.
  sandbox = createSandbox({
    name: 'serves',
    config: {
      providers: { acme: { origins }, openai: { extraOrigins: origins }, anthropic: { extraOrigins: origins } },
    },
  })
  await addKeys('acme', 'openai', 'anthropic')
})

after(async () => {
  for (const opencode of opened) await opencode.close()
  sandbox?.cleanup()
  await upstream?.close()
})

/** A provider that OpenCode reaches at the upstream. */
const at = (options = {}, more = {}) => ({
  name: 'p',
  npm: '@ai-sdk/openai-compatible',
  options: { baseURL: upstream.baseURL, ...options },
  models: { 'small-1': { name: 'small' } },
  ...more,
})

/** What `opencode run` did: its answer, who was asked for it, and with which credential. */
async function run(provider, { entry, auth = {}, env = {}, plugin = PLUGIN, config = {} }) {
  const opencode = createOpenCode(sandbox, { providers: { [provider]: entry ?? at() }, plugin, env, config })
  opened.push(opencode)
  opencode.writeAuthJson(auth)
  upstream.forget()
  const { code, stdout, stderr } = await opencode.run(`${provider}/small-1`)
  const sent = upstream.requests.map(
    ({ headers }) => headers.authorization ?? (headers['x-api-key'] && `Bearer ${headers['x-api-key']}`),
  )
  return { code, text: stdout + stderr, served: /served by (\w+)/.exec(stdout)?.[1], sent, log: opencode.log() }
}

describe('what OpenCode serves without the plugin, it serves with it', { concurrency: false }, () => {
  for (const [what, provider, scenario] of [
    [
      'a key variable of a provider that the vault has too',
      'anthropic',
      () => ({ env: { ANTHROPIC_API_KEY: KEYS.host } }),
    ],
    ['a key in auth.json', 'anthropic', () => ({ auth: { anthropic: { type: 'api', key: KEYS.host } } })],
    ['a key in opencode.json', 'acme', () => ({ entry: at({ apiKey: KEYS.own }) })],
    [
      'a key in a header of opencode.json',
      'acme',
      () => ({ entry: at({ headers: { Authorization: `Bearer ${KEYS.own}` } }) }),
    ],
    ['a provider that provider-auth does not know', 'stray', () => ({ entry: at({ apiKey: KEYS.own }) })],
    [
      'a variable that opencode.json names',
      'stray',
      () => ({ entry: at({}, { env: ['STRAY'] }), env: { STRAY: KEYS.host } }),
    ],
  ]) {
    test(what, async () => {
      const without = await run(provider, { ...scenario(), plugin: null })
      const with_ = await run(provider, scenario())
      assert.ok(['own', 'host'].includes(without.served), without.text)
      assert.equal(with_.served, without.served, with_.text)
      assert.deepEqual(with_.sent, without.sent)
      assert.match(with_.log, new RegExp(`provider-auth: ${provider}: OpenCode serves it: |stray`))
    })
  }

  test('a mistake in its configuration stops only what is ours', async () => {
    sandbox.writeConfig({ providers: { acme: { origins: 'nonsense' } } })
    try {
      const groq = await run('groq', { env: { GROQ_API_KEY: KEYS.host }, entry: at({}, { env: ['GROQ_API_KEY'] }) })
      assert.equal(groq.served, 'host', groq.text)
      const local = await run('stray', { entry: at() })
      assert.deepEqual(local.sent, [undefined], 'a local server without a key')
      const acme = await run('acme', {})
      assert.equal(acme.code, 1)
      assert.match(acme.text, /provider-auth: it could not start, so nothing was sent: .*config\.jsonc/)
      assert.deepEqual(acme.sent, [])
    } finally {
      restore()
    }
  })
})

describe('what the vault serves', { concurrency: false }, () => {
  for (const [what, provider, scenario] of [
    ['an account, though opencode.json names the provider for an option only', 'acme', () => ({})],
    ['an account, where the variable of the key is not set', 'acme', () => ({ entry: at({ apiKey: '{env:UNSET}' }) })],
    [
      'what was signed in to through provider-auth',
      'acme',
      () => ({ auth: { acme: { type: 'api', key: PLACEHOLDER } } }),
    ],
    [
      'with options.auth, over a key in opencode.json and a login in auth.json',
      'acme',
      () => ({
        entry: at({ apiKey: KEYS.own, auth: {} }),
        auth: { acme: { type: 'oauth', access: KEYS.host, refresh: 'r', expires: Date.now() + 3_600_000 } },
      }),
    ],
    [
      'with options.auth, over a key variable',
      'anthropic',
      () => ({ entry: at({ auth: {} }), env: { ANTHROPIC_API_KEY: KEYS.host } }),
    ],
  ]) {
    test(what, async () => {
      const { served, text, sent, log } = await run(provider, scenario())
      assert.equal(served, 'vault', text)
      assert.deepEqual(new Set(sent), new Set([`Bearer ${KEYS.vault}`]))
      assert.match(log, new RegExp(`provider-auth: ${provider}: provider-auth serves it: `))
    })
  }
})

describe('a vault that does not open', { concurrency: false }, () => {
  const wrongKey = () => ({ PROVIDER_AUTH_KEY: randomBytes(32).toString('base64') })

  test('an account that only the vault has: the reason, and nothing is sent', async () => {
    const { code, text, sent } = await run('acme', { env: wrongKey() })
    assert.equal(code, 1)
    assert.match(text, /provider-auth: .*key/)
    assert.doesNotMatch(text, /not found/i)
    assert.deepEqual(sent, [])
  })

  test('with our placeholder in auth.json it is not sent upstream', async () => {
    const { code, text, sent } = await run('acme', {
      env: wrongKey(),
      auth: { acme: { type: 'api', key: PLACEHOLDER } },
    })
    assert.equal(code, 1)
    assert.match(text, /provider-auth: /)
    assert.deepEqual(sent, [])
  })

  test('what OpenCode serves by itself goes on', async () => {
    const { served, text } = await run('anthropic', { env: { ...wrongKey(), ANTHROPIC_API_KEY: KEYS.host } })
    assert.equal(served, 'host', text)
  })
})

test('configured, named and without an account: it says how to sign in', async () => {
  sandbox.writeConfig({ providers: { lonely: { origins: [upstream.origin] } } })
  try {
    const { code, text, sent } = await run('lonely', {})
    assert.equal(code, 1)
    assert.match(text, /provider-auth: no account for lonely yet; sign in with: opencode auth login --provider lonely/)
    assert.deepEqual(sent, [])
  } finally {
    restore()
  }
})

test('OpenCode serves with a credential of its own though the vault has accounts: one toast says so', async () => {
  const opencode = createOpenCode(sandbox, { providers: { openai: at() } })
  opened.push(opencode)
  opencode.writeAuthJson({ openai: { type: 'oauth', access: 'a', refresh: 'r', expires: Date.now() + 3_600_000 } })
  const { call, events } = await opencode.serve()
  const next = await events()
  await call('GET', '/config/providers')
  const { properties } = await next(({ type }) => type === 'tui.toast.show')
  assert.match(properties.message, /OpenCode serves openai with a credential of its own.*options\.auth/)
})

function restore() {
  const origins = [upstream.origin]
  sandbox.writeConfig({
    providers: { acme: { origins }, openai: { extraOrigins: origins }, anthropic: { extraOrigins: origins } },
  })
}

async function addKeys(...providers) {
  const add = providers.map((provider) => `await auth.addApiKey({ provider: '${provider}', apiKey: '${KEYS.vault}' })`)
  const { code, stderr } = await sandbox.run(add.join('\n'))
  assert.equal(code, 0, stderr)
}
