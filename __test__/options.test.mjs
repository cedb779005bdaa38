/** What a call is told that it does not know, and where its errors say that they come from. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { chat, openDesk, rejection } from './support/desk.mjs'

const { library, upstream, openPool } = await openDesk()
const { namespace, provider, accounts, fetch } = await openPool(['ada'])
const url = upstream.chatUrl
const request = { provider, namespace, url }
const [{ id }] = await library.listAccounts({ namespace })

/** Each call with a slip, the option that was meant, and how it is made without the slip where that does no harm. */
const SLIPS = {
  configure: [(slip) => library.configure(slip), { keysource: 'env' }, 'keySource'],
  'configure, its log': [(slip) => library.configure({ log: slip }), { levle: 'none' }, 'level'],
  getAuthHeaders: [(slip) => library.getAuthHeaders({ ...request, ...slip }), { acount: 'ada1' }, 'account'],
  explain: [(slip) => library.explain({ ...request, ...slip }), { sesion: 'talk' }, 'session'],
  reportResponse: [
    (slip) => library.reportResponse({ attempt: 'none', status: 200, ...slip }),
    { header: {} },
    'headers',
  ],
  createAuthFetch: [(slip) => library.createAuthFetch({ provider, ...slip }), { acount: 'ada1' }, 'account'],
  'createAuthFetch, its rotation': [
    (slip) => library.createAuthFetch({ provider, rotation: slip }),
    { maxAttemps: 1 },
    'maxAttempts',
  ],
  'getAuthHeaders, its rotation': [
    (slip) => library.getAuthHeaders({ ...request, rotation: slip }),
    { Mode: 'api' },
    'mode',
  ],
  'a call of its fetch': [(slip) => fetch(url, { ...chat(), providerAuth: slip }), { acount: 'ada1' }, 'account'],
  login: [(slip) => library.login({ provider, ...slip }), { timeoutms: 5 }, 'timeoutMs'],
  'login with a key': [
    (slip) => library.login({ provider, method: 'api-key', apiKey: 'key-of-nobody', ...slip }),
    { lable: 'work' },
    'label',
  ],
  startLogin: [(slip) => library.startLogin({ provider, ...slip }), { loginhint: 'ada' }, 'loginHint'],
  listAccounts: [(slip) => library.listAccounts(slip), { providr: 'desk' }, 'provider'],
  addApiKey: [(slip) => library.addApiKey({ provider, apiKey: 'key-of-nobody', ...slip }), { lable: 'work' }, 'label'],
  checkApiKey: [
    (slip) => library.checkApiKey({ provider, apiKey: 'key-of-nobody', ...slip }),
    { apikey: 'S3CRET' },
    'apiKey',
  ],
  getCredential: [(slip) => library.getCredential({ provider, ...slip }), { acount: 'ada1' }, 'account'],
  updateAccount: [(slip) => library.updateAccount(id, slip), { enable: false }, 'enabled'],
  removeAccount: [(slip) => library.removeAccount(id, slip), { revok: true }, 'revoke'],
  refreshAccount: [(slip) => library.refreshAccount(id, slip), { froce: true }, 'force'],
  clearCooldowns: [(slip) => library.clearCooldowns(slip), { acount: 'ada1' }, 'account'],
  poolStatus: [(slip) => library.poolStatus(slip), { namespce: 'desk' }, 'namespace'],
  stats: [(slip) => library.stats(slip), { sinse: 1 }, 'since'],
  initVaultKey: [(slip) => library.initVaultKey(slip), { forse: true }, 'force'],
  importVaultKey: [(slip) => library.importVaultKey('key', slip), { keysource: 'env' }, 'keySource'],
  rotateVaultKey: [(slip) => library.rotateVaultKey(slip), { pasphrase: 'S3CRET' }, 'passphrase'],
  addVaultSlot: [(slip) => library.addVaultSlot({ keySource: 'env', ...slip }), { passPhrase: 'S3CRET' }, 'passphrase'],
  joinFleet: [(slip) => library.joinFleet(slip), { keysource: 'keyfile' }, 'keySource'],
  revokeHost: [(slip) => library.revokeHost('ci-7', slip), { pasphrase: 'S3CRET' }, 'passphrase'],
  initStore: [(slip) => library.initStore(slip), { role: ['ci'] }, 'roles'],
  storeSql: [(slip) => library.storeSql(slip), { role: ['ci'] }, 'roles'],
  exportVault: [(slip) => library.exportVault('S3CRET', slip), { includeOauth: true }, 'includeOAuth'],
  migrate: [(slip) => library.migrate(slip), { dryrun: true }, 'dryRun'],
  discoverModels: [(slip) => library.discoverModels({ provider, ...slip }), { refesh: true }, 'refresh'],
  diagnose: [(slip) => library.diagnose(slip), { onlin: true }, 'online'],
}

/** Makes a call and returns what it throws or rejects with. */
const refusalOf = async (call) => rejection((async () => call())())

for (const [name, [call, slip, meant]] of Object.entries(SLIPS)) {
  test(`${name}: an option that it does not know is refused with the one that was meant`, async () => {
    const [written] = Object.keys(slip)
    for (const options of [slip, { ...slip, __proto__: null }]) {
      const { code, message } = await refusalOf(() => call(options))
      assert.equal(code, 'INVALID_ARGUMENT', message)
      assert.ok(message.includes(`no option ${written}`), message)
      assert.ok(message.endsWith(`did you mean ${meant}?`), message)
      assert.ok(!message.includes('S3CRET'), message)
    }
    const far = await refusalOf(() => call({ ...slip, [written]: undefined, xyzzy: 1 }))
    assert.equal(far.code, 'INVALID_ARGUMENT')
    assert.ok(far.message.includes('no option xyzzy') && far.message.includes(meant), far.message)
  })
}

test('every exported call that takes options is in the table', () => {
  const contract = readFileSync(fileURLToPath(new URL('../index.d.ts', import.meta.url)), 'utf8')
  const takes = [...contract.matchAll(/^export function (\w+)\([^)]*\b(?:options|request|report|filter|changes)\??:/gm)]
  const names = takes.map(([, name]) => name)
  assert.ok(names.length > 15, names.join())
  assert.deepEqual(
    names.filter((name) => SLIPS[name] === undefined),
    [],
  )
})

test('nothing was done by any of these calls', async () => {
  const listed = await library.listAccounts()
  assert.deepEqual(
    listed.map(({ label, enabled }) => [label, enabled]),
    [[accounts[0], true]],
  )
})

test('options may be undefined, symbols, or those of a class, whose own business is its own', async () => {
  // biome-ignore lint/plugin: what others write.
  class Settings {
    #provider = provider
    _provider = 'backing field'
    cache = new Map()
    get provider() {
      return this.#provider
    }
    namespace = namespace
  }
  assert.equal((await library.createAuthFetch(new Settings())(url, chat())).status, 200)
  assert.ok(await library.getAuthHeaders(Object.assign(new Settings(), { url })))
  assert.ok(await library.getAuthHeaders({ ...request, acount: undefined, [Symbol('note')]: 1 }))
  // What only looks like an option is a slip there too.
  const slip = Object.assign(new Settings(), { url, acount: 'ada1' })
  assert.match((await refusalOf(() => library.getAuthHeaders(slip))).message, /did you mean account\?/)
  assert.match((await refusalOf(() => library.createAuthFetch(slip))).message, /did you mean account\?/)
})

test('fetch takes whatever else an init has', async () => {
  const init = { ...chat(), acount: 'x', dispatcher: undefined, verbose: true, duplex: 'half' }
  assert.equal((await fetch(url, init)).status, 200)
})

test('createAuthFetch checks its options when it is called', async () => {
  for (const [options, name] of [
    [undefined, 'options'],
    [{}, 'provider'],
    [{ provider: 7 }, 'provider'],
    [{ provider, namespace: 7 }, 'namespace'],
    [{ provider, account: {} }, 'account'],
    [{ provider, fetch: 'fetch' }, 'fetch'],
    [{ provider, model: 7 }, 'model'],
    [{ provider, session: [] }, 'session'],
    [{ provider, maxReplayBytes: '8' }, 'maxReplayBytes'],
    [{ provider, maxReplayBytes: Number.NaN }, 'maxReplayBytes'],
    [{ provider, peekStream: 'no' }, 'peekStream'],
    [{ provider, onTrace: {} }, 'onTrace'],
    [{ provider, rotation: 'api' }, 'rotation'],
    [{ provider, rotation: { mode: 'apy' } }, 'rotation.mode'],
    [{ provider, rotation: { strategy: 7 } }, 'rotation.strategy'],
    [{ provider, rotation: { rotate: 'no' } }, 'rotation.rotate'],
    [{ provider, rotation: { maxAttempts: 0 } }, 'rotation.maxAttempts'],
    [{ provider, rotation: { maxWaitMs: 0.5 } }, 'rotation.maxWaitMs'],
    [{ provider, rotation: { holdUntilReset: 1 } }, 'rotation.holdUntilReset'],
  ]) {
    assert.throws(
      () => library.createAuthFetch(options),
      ({ code, message }) => code === 'INVALID_ARGUMENT' && message.startsWith(`${name}: expected`),
      JSON.stringify(options),
    )
  }
  for (const refused of [{ readCode: 'code' }, { onPrompt: {} }, { confirmTrust: true }]) {
    const { code, message } = await rejection(library.login({ provider, ...refused }))
    assert.equal(code, 'INVALID_ARGUMENT')
    assert.match(message, /^\w+: expected a function$/)
  }
  assert.throws(() => library.subscribe('no listener'), { code: 'INVALID_ARGUMENT' })
})

/** Calls that fail, each at once or only after the addon has worked. */
const FAILING = {
  getAuthHeaders: () => library.getAuthHeaders({ provider: 'nobody', url }),
  'getAuthHeaders, later': () => library.getAuthHeaders({ ...request, explain: true, account: 'nobody' }),
  explain: () => library.explain({ provider: 'nobody', url }),
  reportResponse: () => library.reportResponse({ attempt: 'nobody', status: 500 }),
  fetch: () => library.createAuthFetch({ provider: 'nobody' })(url, chat()),
  createAuthFetch: () => library.createAuthFetch({ acount: 'ada1' }),
  login: () => library.login({ provider: 'nobody' }),
  startLogin: () => library.startLogin({ provider: 'nobody' }),
  addApiKey: () => library.addApiKey({ provider: 'nobody', apiKey: 'key-of-nobody' }),
  updateAccount: () => library.updateAccount('nobody', {}),
  removeAccount: () => library.removeAccount('nobody'),
  refreshAccount: () => library.refreshAccount('nobody'),
  clearCooldowns: () => library.clearCooldowns({ account: 'nobody' }),
  discoverModels: () => library.discoverModels({ provider: 'nobody' }),
  importVault: () => library.importVault(new Uint8Array(3), 'S3CRET'),
  storeStatus: () => library.storeStatus(),
  initStore: () => library.initStore(),
  migrateStore: () => library.migrateStore(),
  storeSql: () => library.storeSql(),
  moveVault: () => library.moveVault('postgres://S3CRET'),
  configure: () => library.configure({ dir: 5 }),
}

for (const [name, call] of Object.entries(FAILING)) {
  test(`${name}: the stack of what it rejects with begins at the caller`, async () => {
    const error = await refusalOf(function theCaller() {
      return call()
    })
    const [first, ...frames] = error.stack.split('\n')
    assert.equal(first, `Error: ${error.message}`)
    assert.ok(frames[0].includes('options.test.mjs'), error.stack)
    assert.ok(
      frames.some((frame) => frame.includes('theCaller')),
      error.stack,
    )
    assert.ok(!error.stack.includes('npm/dist'), error.stack)
    assert.ok(!Object.keys(error).includes('stack'))
  })
}

test('what fetch itself throws keeps its stack', async () => {
  const own = new TypeError('no network')
  const { stack } = own
  const failing = library.createAuthFetch({ provider, namespace, fetch: () => Promise.reject(own) })
  assert.equal(await rejection(failing(url, chat())), own)
  assert.equal(own.stack, stack)
})
