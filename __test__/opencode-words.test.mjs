/** What the plugin decides and says under OpenCode, as plain functions. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { keyVariable, listedVariables, readHostEntries } from '../npm/build/opencode/host-credentials.js'
import { recall, remember } from '../npm/build/opencode/remembered.js'
import { poolOf, settingsOf } from '../npm/build/opencode/settings.js'
import { isOurPlugin, readUserConfig } from '../npm/build/opencode/user-config.js'
import { decide, decideAll, PLACEHOLDER } from '../npm/build/opencode/who-serves.js'
import { clock, message, resting, terminal } from '../npm/build/opencode/words.js'

const folder = mkdtempSync(join(tmpdir(), 'provider-auth-words-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const ourFetch = () => {}

/** The facts of a provider `p`, each as it is unless a test says otherwise. */
function facts({ options, host, account = false, configured = false, untrusted = false } = {}) {
  const set = (is) => new Set(is ? ['p'] : [])
  return {
    named: new Map(options === undefined ? [] : [['p', options]]),
    hostHas: new Map(host === undefined ? [] : [['p', host]]),
    withAccounts: set(account),
    configured: set(configured),
    untrusted: set(untrusted),
    isOurs: (fetch) => fetch === ourFetch,
  }
}

const everything = { host: 'a key', account: true, configured: true, untrusted: true }
const UNSET = ''

for (const [what, given, who, row] of [
  ['options.auth wins over all else', { ...everything, options: { auth: {}, apiKey: 'own' } }, 'us', 'auth-option'],
  ['options.auth with settings', { options: { auth: { account: 'work' } } }, 'us', 'auth-option'],
  ['options.auth of the wrong type', { options: { auth: 'yes' } }, 'us', 'auth-option'],
  ['a key in opencode.json', { ...everything, options: { apiKey: 'own' } }, 'host', 'own-key'],
  [
    'a key in opencode.json over our placeholder',
    { ...everything, options: { apiKey: 'own' }, host: PLACEHOLDER },
    'host',
    'own-key',
  ],
  ['a key in a header', { ...everything, options: { headers: { 'X-Api-Key': 'own' } } }, 'host', 'own-key'],
  [
    'a bearer token in a header',
    { ...everything, options: { headers: { Authorization: 'Bearer own' } } },
    'host',
    'own-key',
  ],
  ['another header', { account: true, options: { headers: { 'x-team': 'a' } } }, 'us', 'account'],
  [
    'a header whose variable is not set',
    { account: true, options: { headers: { authorization: UNSET } } },
    'us',
    'account',
  ],
  ['a key whose variable is not set, and an account', { account: true, options: { apiKey: UNSET } }, 'us', 'account'],
  ['a key whose variable is not set, and nothing', { options: { apiKey: UNSET } }, 'host', 'other'],
  ['a key that is null', { account: true, options: { apiKey: null } }, 'us', 'account'],
  ['our placeholder in opencode.json', { account: true, options: { apiKey: PLACEHOLDER } }, 'us', 'account'],
  ['our placeholder in auth.json', { host: PLACEHOLDER }, 'us', 'placeholder'],
  ["OpenCode's own login, and an account", { ...everything, options: {} }, 'host', 'host-credential'],
  ["OpenCode's own login alone", { host: 'a key' }, 'host', 'host-credential'],
  ['an account alone', { account: true }, 'us', 'account'],
  ['an account, and named for an option', { account: true, options: { timeout: 5 } }, 'us', 'account'],
  ['configured and named', { configured: true, options: {} }, 'us', 'configured'],
  ['configured and not named', { configured: true }, 'host', 'other'],
  ['defined by an untrusted file', { untrusted: true, options: {} }, 'us', 'untrusted'],
  [
    'named alone, as a local server without a key',
    { options: { baseURL: 'http://127.0.0.1:11434/v1' } },
    'host',
    'other',
  ],
  ['a fetch of another plugin', { ...everything, options: { auth: {}, fetch: () => {} } }, 'host', 'other-plugin'],
  ['a fetch of ours, from before', { account: true, options: { fetch: ourFetch } }, 'us', 'account'],
]) {
  test(`who serves: ${what}`, () => {
    const decision = decide('p', facts(given))
    assert.deepEqual([decision.who, decision.row], [who, row])
    assert.notEqual(decision.why, '')
  })
}

test('what all objects inherit decides nothing', () => {
  for (const [name, value] of [
    ['auth', {}],
    ['apiKey', 'own'],
    ['fetch', () => {}],
    ['headers', { authorization: 'x' }],
  ]) {
    Object.prototype[name] = value
    try {
      assert.equal(decide('p', facts({ account: true, options: {} })).row, 'account')
    } finally {
      delete Object.prototype[name]
    }
  }
})

test('every provider that any fact names is decided about', () => {
  const all = { ...facts({ options: {} }), hostHas: new Map([['q', PLACEHOLDER]]), withAccounts: new Set(['r']) }
  const rows = [...decideAll(all).values()].map(({ provider, row }) => [provider, row])
  assert.deepEqual(rows, [
    ['p', 'other'],
    ['q', 'placeholder'],
    ['r', 'account'],
  ])
})

test('a key variable is the one that OpenCode would take', () => {
  const sources = {
    named: {
      mine: { env: ['MINE'], npm: 'x' },
      keyed: { env: ['MY_KEY'] },
      custom: { npm: 'x' },
      bare: { env: [] },
      groq: {},
    },
    listed: new Map([['azure', ['AZURE_RESOURCE_NAME', 'AZURE_API_KEY']]]),
  }
  const found = (provider, env) => keyVariable(provider, sources, env)
  assert.equal(found('keyed', { MY_KEY: 'a' }), 'MY_KEY')
  assert.equal(found('keyed', { MY_KEY: '' }), undefined, 'an empty variable is not set')
  assert.equal(found('bare', { BARE_API_KEY: 'a' }), undefined, 'opencode.json says that there is none')
  assert.equal(
    found('azure', { AZURE_RESOURCE_NAME: 'a', AZURE_OPENAI_API_KEY: 'b' }),
    undefined,
    "a resource's name is not a key",
  )
  assert.equal(found('azure', { AZURE_API_KEY: 'a' }), 'AZURE_API_KEY')
  assert.equal(found('anthropic', { ANTHROPIC_API_KEY: 'a' }), 'ANTHROPIC_API_KEY')
  assert.equal(found('groq', { GROQ_API_KEY: 'a' }), 'GROQ_API_KEY')
  assert.equal(found('not-named', { NOT_NAMED_API_KEY: 'a' }), 'NOT_NAMED_API_KEY')
  assert.equal(found('cursor', { CURSOR_API_KEY: 'a' }), undefined, 'OpenCode does not know it')
  assert.equal(found('custom', { CUSTOM_API_KEY: 'a' }), undefined, 'OpenCode reads none for a provider of your own')
})

test('auth.json is read as OpenCode reads it: the variable first, the file after junk', async () => {
  mkdirSync(join(folder, 'opencode'))
  writeFileSync(
    join(folder, 'opencode', 'auth.json'),
    JSON.stringify({ a: { type: 'api', key: PLACEHOLDER }, b: { type: 'oauth' }, c: null }),
  )
  const read = async (content) =>
    Object.fromEntries(
      await readHostEntries({
        XDG_DATA_HOME: folder,
        ...(content !== undefined && { OPENCODE_AUTH_CONTENT: content }),
      }),
    )
  const ofFile = { a: { type: 'api', isPlaceholder: true }, b: { type: 'oauth', isPlaceholder: false } }
  assert.deepEqual(await read(), ofFile)
  assert.deepEqual(await read(''), ofFile)
  assert.deepEqual(await read('{ junk'), ofFile)
  assert.deepEqual(await read('{"d":{"type":"api","key":"k"}}'), { d: { type: 'api', isPlaceholder: false } })
  assert.deepEqual(await read('7'), {})
  assert.deepEqual(await readHostEntries({ XDG_DATA_HOME: '/nowhere' }), new Map())
})

test("OpenCode's list of providers tells their key variables; a damaged one tells nothing", async () => {
  const file = join(folder, 'models.json')
  writeFileSync(file, JSON.stringify({ groq: { env: ['GROQ_API_KEY', 7] }, odd: null, none: {} }))
  assert.deepEqual(Object.fromEntries(await listedVariables({ OPENCODE_MODELS_PATH: file })), {
    groq: ['GROQ_API_KEY'],
  })
  writeFileSync(file, '{')
  assert.equal((await listedVariables({ OPENCODE_MODELS_PATH: file })).size, 0)
})

test('options of the plugin: later ones over earlier ones, and each fault by its name', () => {
  const user = (options) => ({ options, isUsersOwn: true })
  const project = (options) => ({ options, isUsersOwn: false })
  const all = settingsOf([
    user({ toasts: 'all', guard: false, config: {} }),
    project({ toasts: 'none', exhausted: { run: 'fail' } }),
  ])
  assert.deepEqual([all.toasts, all.guard, all.exhausted.run, all.maskIdentity], ['none', false, 'fail', true])
  assert.deepEqual(settingsOf([user(undefined)]).exhausted, { run: 'wait' })
  for (const [given, fault] of [
    [user({ toast: 'all' }), /"toast" is not an option; there are config, /],
    [user({ toasts: 'loud' }), /"toasts" must be "all", "problems" and "none"|"toasts" must be/],
    [user({ exhausted: 'fail' }), /"exhausted" must be an object/],
    [user({ exhausted: { serve: 'fail' } }), /"exhausted\.serve" is not an option/],
    [user({ exhausted: { run: 'stop' } }), /"exhausted\.run" must be/],
    [user({ guard: 'no' }), /"guard" must be true or false/],
    [user({ config: [] }), /"config" must be an object/],
    [project({ config: {} }), /"config" counts only in your own opencode\.json/],
    [project({ guard: false }), /"guard" counts only in your own opencode\.json/],
    [project({ maskIdentity: false }), /"maskIdentity" counts only in your own/],
  ])
    assert.throws(() => settingsOf([given]), fault)
})

test('options.auth of a provider: a pool, a pin, and how it rotates', () => {
  assert.deepEqual(poolOf('p', undefined), { rotation: { maxWaitMs: 5_000 } })
  assert.deepEqual(poolOf('p', { namespace: 'n', account: 'a', mode: 'api', maxWaitMs: 1 }), {
    namespace: 'n',
    account: 'a',
    rotation: { maxWaitMs: 1, mode: 'api' },
  })
  for (const [auth, fault] of [
    ['yes', /provider\.p\.options\.auth must be an object/],
    [[], /must be an object/],
    [null, /must be an object/],
    [{ account: 7 }, /options\.auth\.account must be a text/],
    [{ rotate: true }, /rotate: true counts only in your own opencode\.json/],
  ])
    assert.throws(() => poolOf('p', auth), fault)
  assert.equal(poolOf('p', { rotate: true }, { rotate: true }).rotation.rotate, true)
  assert.equal(poolOf('p', { rotate: false }).rotation.rotate, false)
})

test("the user's own opencode.json tells what a project's entry has replaced", async () => {
  mkdirSync(join(folder, 'config', 'opencode'), { recursive: true })
  const write = (name, value) => writeFileSync(join(folder, 'config', 'opencode', name), JSON.stringify(value))
  const read = (env) => readUserConfig(JSON.parse, { XDG_CONFIG_HOME: join(folder, 'config'), ...env })
  write('opencode.json', {
    plugin: ['other', ['provider-auth@1.2.3', { toasts: 'all' }], ['other', { a: 1 }]],
    provider: { p: { options: { auth: { rotate: true } } }, q: {} },
  })
  const config = await read()
  assert.deepEqual([config.options, config.unread], [{ toasts: 'all' }, undefined])
  assert.deepEqual(Object.fromEntries(config.auth), { p: { rotate: true } })
  const more = join(folder, 'more.json')
  writeFileSync(more, JSON.stringify({ plugin: [['npm:provider-auth', { config: { a: ['{env:X}'] } }]] }))
  assert.equal((await read({ OPENCODE_CONFIG: more })).unread, 'config.a.0')
  assert.equal((await readUserConfig(JSON.parse, { XDG_CONFIG_HOME: '/nowhere' })).options, undefined)
})

test('an entry of plugin names us by name or place', async () => {
  const here = new URL('..', import.meta.url)
  for (const [spec, is] of [
    ['provider-auth', true],
    ['provider-auth@0.1.0', true],
    ['provider-auth-extra', false],
    [here.href, true],
    [here.pathname, true],
    [new URL('npm/dist/server.js', here).href, true],
    ['file:///nowhere', false],
    ['file://host/x%', false],
    [7, false],
  ])
    assert.equal(await isOurPlugin(spec), is, String(spec))
})

test('what is remembered outlives a damaged file, and holds nothing of another type', () => {
  const file = join(folder, 'state', 'opencode.json')
  remember((memory) => {
    memory.p = { ours: true, added: ['id-1'] }
  }, file)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  remember((memory) => {
    memory.q = { hasAccounts: true }
  }, file)
  assert.deepEqual({ ...recall(file) }, { p: { ours: true, added: ['id-1'] }, q: { hasAccounts: true } })
  writeFileSync(file, '{"p":{"ours":1,"added":["a",7],"placeholderAt":"x"},"q":null}')
  assert.deepEqual({ ...recall(file) }, { p: { added: ['a'] } })
  writeFileSync(file, '{"p":')
  assert.deepEqual({ ...recall(file) }, {})
  assert.doesNotThrow(() =>
    remember((memory) => {
      memory.p = {}
    }, '/dev/null/nowhere/state.json'),
  )
  assert.match(readFileSync(file, 'utf8'), /^\{"p":$/, 'reading changes nothing')
})

/** Words after which OpenCode 1.18 sends a request again, from its program. */
const RETRIED = [
  /429|500|502|503|504|524/i,
  /rate increased too quickly|rate limit|rate-limit|rate_limit|too many requests|too_many_requests/i,
  /overloaded|service unavailable|internal error|internal_error|server error|server_error|provider returned error/i,
  /terminated|fetch failed|failed to fetch|network[-_\s]error|upstream connect|connection (error|refused|lost)/i,
  /socket connection was closed|socket hang up|reset before headers|getaddrinfo|enotfound|eai_again|econnre|etimedout/i,
  /^timeout$|\b(?:request|response|connection|network|stream|read) (?:timeout|timed out|time out)\b/i,
  /try your request again|retry your request|exhausted|unavailable/i,
  /\btry again (?:later|in\b)|\b(?:currently|temporarily) at capacity\b/i,
]

test('what is final for us is final for OpenCode, whatever the text says', () => {
  for (const text of [
    'https://127.0.0.1:50012/v1 is not an origin of acme',
    'the account 01K9429500502 of acme',
    'all accounts are exhausted; the rate limit says: too many requests, too_many_requests',
    'service unavailable; the server is overloaded; internal server error; internal error; server error',
    'fetch failed: connect ECONNREFUSED 127.0.0.1:5000; getaddrinfo ENOTFOUND acme.test; socket hang up',
    'the request timed out',
    'timeout',
    'a network error',
    'network_error',
    'connection refused',
    'try again later',
    'try again in 5 s',
    'please retry your request',
    'the process was terminated',
    'upstream connect error',
    'resource_exhausted',
    'provider_returned_error',
  ]) {
    const said = terminal(text)
    for (const pattern of RETRIED) assert.doesNotMatch(said, pattern, said)
  }
  assert.equal(terminal('the keychain is locked'), 'the keychain is locked')
})

test('every message says who speaks, once', () => {
  assert.equal(message('a'), 'provider-auth: a')
  assert.equal(message(message('a')), 'provider-auth: a')
})

test('who rests, and until when', () => {
  const now = new Date(2026, 10, 26, 9, 0).getTime()
  const until = new Date(2026, 10, 26, 14, 5).getTime()
  const base = { provider: 'acme', until }
  assert.equal(resting({ ...base, accounts: 4 }, now), 'all 4 accounts of acme are resting; the first is free at 14:05')
  assert.equal(resting({ ...base, accounts: 1 }, now), 'the only account of acme is resting; it is free at 14:05')
  assert.equal(
    resting({ ...base, accounts: 1, pinned: 'work' }, now),
    'the account work of acme is resting; it is free at 14:05',
  )
  assert.equal(clock(new Date(2026, 10, 28, 7, 3).getTime(), now), '07:03 on 2026-11-28')
})
