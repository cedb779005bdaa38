/** Signing out of a provider in the real OpenCode, and keys that its own dialogs write to auth.json. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { compare } from '../npm/build/opencode/logout.js'
import { createOpenCode } from './support/opencode.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { until } from './support/until.mjs'
import { startUpstream } from './support/upstream.mjs'

const KEYS = {
  A: 'sk-out-a-6d19f3b7c0',
  B: 'sk-out-b-e2480a95d1',
  C: 'sk-out-c-0b7fe6c384',
  D: 'sk-out-d-95c1d2ae70',
  E: 'sk-out-e-3f60b84d29',
}
const PLACEHOLDER = 'kept-by-provider-auth'
const PROMPT = { model: { providerID: 'apps', modelID: 'small-1' }, parts: [{ type: 'text', text: 'hello' }] }

let upstream, sandbox, opencode

before(async () => {
  upstream = await startUpstream({ keys: Object.fromEntries(Object.entries(KEYS).map(([name, key]) => [key, name])) })
  const origins = [upstream.origin]
  const ids = ['acme', 'mixed', 'typed', 'apps', 'pinned']
  sandbox = createSandbox({
    name: 'opencode-logout',
    config: { providers: Object.fromEntries(ids.map((id) => [id, { origins }])) },
  })
  const entry = (auth) => ({
    name: 'local',
    npm: '@ai-sdk/openai-compatible',
    options: { baseURL: upstream.baseURL, ...(auth && { auth }) },
    models: { 'small-1': { name: 'small' } },
  })
  opencode = createOpenCode(sandbox, {
    providers: {
      ...Object.fromEntries(ids.map((id) => [id, entry()])),
      pinned: entry({ namespace: 'office' }),
      // None of provider-auth's configuration.
      foreign: entry(),
    },
  })
})

after(async () => {
  await opencode?.close()
  sandbox?.cleanup()
  await upstream?.close()
})

test('opencode auth logout disables the accounts that were added there, and the next request says so', async () => {
  await signIn('acme', KEYS.A)
  await signIn('acme', KEYS.B)
  assert.match((await opencode.run('acme/small-1')).stdout, /served by [AB]/)
  upstream.forget()
  await signOut('acme')

  const { code, stderr } = await opencode.run('acme/small-1')
  assert.equal(code, 1)
  assert.match(stderr, /provider-auth: you signed out of acme with opencode/)
  assert.match(stderr, /\/accounts/)
  assert.match(stderr, /opencode auth login --provider acme/)
  assert.deepEqual(upstream.requests, [])
  assert.deepEqual(await enabledOf('acme'), [false, false])
})

test('signing in again enables the account that was signed in to, and no other', async () => {
  await signIn('acme', KEYS.B)
  assert.deepEqual(await enabledOf('acme'), [false, true])
  assert.match((await opencode.run('acme/small-1')).stdout, /served by B/)
  assert.equal(opencode.authJson().acme.key, PLACEHOLDER)
})

test('an account that was not added there goes on serving', async () => {
  await sandbox.output(`await auth.addApiKey({ provider: 'mixed', apiKey: '${KEYS.C}' })`)
  await signIn('mixed', KEYS.D)
  await signOut('mixed')
  assert.match((await opencode.run('mixed/small-1')).stdout, /served by C/)
  assert.deepEqual(await enabledOf('mixed'), [true, false])
})

test('a key that is typed into a dialog of an app moves into the vault, and a message says so', async () => {
  await signIn('typed', KEYS.A)
  assert.match((await opencode.run('typed/small-1')).stdout, /served by A/)
  const { call, events } = await opencode.serve()
  await call('PUT', '/auth/typed', { type: 'api', key: KEYS.E })
  await call('POST', '/instance/dispose')
  const { properties } = await (await events())(({ type }) => type === 'tui.toast.show')
  assert.match(properties.message, /^provider-auth: the key of typed that was typed into OpenCode is in the vault now/)
  await until('the placeholder stands where the key was', () => opencode.authJson().typed?.key === PLACEHOLDER)
  assert.equal((await sandbox.accountsOf('typed')).length, 2)
  assert.deepEqual(opencode.filesWith(KEYS.E), [])
})

test('such a key serves, and a logout disables it too', async () => {
  const [, { id }] = await sandbox.accountsOf('typed')
  await sandbox.output(`await auth.updateAccount('${id}', { priority: -1 })`)
  assert.match((await opencode.run('typed/small-1')).stdout, /served by E/)
  await signOut('typed')
  assert.match((await opencode.run('typed/small-1')).stderr, /you signed out of typed with opencode/)
  assert.deepEqual(await enabledOf('typed'), [false, false])
})

test('by HTTP, a logout and a login right after it count at once', async () => {
  const { call } = await opencode.serve()
  const login = async () => {
    const all = await call('GET', '/provider/auth')
    const method = all.apps.findIndex(({ label }) => label === 'API key')
    await call('POST', '/provider/apps/oauth/authorize', { method })
    await call('POST', '/provider/apps/oauth/callback', { method, code: KEYS.B })
    await call('POST', '/instance/dispose')
    await call('GET', '/provider/auth')
  }
  await login()
  await call('DELETE', '/auth/apps')
  await call('POST', '/instance/dispose')
  const { id } = await call('POST', '/session', { title: 'test' })
  const refused = await call('POST', `/session/${id}/message`, PROMPT)
  assert.match(JSON.stringify(refused), /provider-auth: you signed out of apps with opencode[^"]*\/connect/)
  assert.deepEqual(await enabledOf('apps'), [false])
  await login()
  assert.match(JSON.stringify(await call('POST', `/session/${id}/message`, PROMPT)), /served by B/)
})

test('a key of a provider with options.auth joins the pool that these name', async () => {
  opencode.writeAuthJson({ ...opencode.authJson(), pinned: { type: 'api', key: KEYS.E } })
  assert.match((await opencode.run('pinned/small-1')).stdout, /served by E/)
  const [{ namespace }] = await sandbox.accountsOf('pinned')
  assert.equal(namespace, 'office')
  assert.deepEqual(opencode.filesWith(KEYS.E), [])
})

test("a key of a provider that never was ours stays where it is, and is OpenCode's to send", async () => {
  opencode.writeAuthJson({ ...opencode.authJson(), foreign: { type: 'api', key: KEYS.D } })
  assert.match((await opencode.run('foreign/small-1')).stdout, /served by D/)
  assert.equal(opencode.authJson().foreign.key, KEYS.D)
})

test('a key that it is too late for moves at the next start', async () => {
  opencode.writeAuthJson({ ...opencode.authJson(), foreign: { type: 'api', key: KEYS.D } })
  const said = await sandbox.output(`
    const { takeTypedKeys } = await import('${new URL('../npm/build/opencode/typed-keys.js', import.meta.url)}')
    const move = { library: auth, isOurs: (id) => id === 'foreign', poolOf: () => undefined, putPlaceholder: () => {} }
    await takeTypedKeys({ ...move, isInTime: () => false, report: (message) => console.log(message) })`)
  assert.match(said, /^provider-auth: the vault opened late, so the key of foreign moves into it at the next start$/m)
  assert.equal(opencode.authJson().foreign.key, KEYS.D)
  assert.equal(memory().foreign.keyWaits, true)
})

const BEFORE = { acme: { placeholderAt: 1_000, authFile: '/a/auth.json', added: ['1'] } }
const WRITING = { acme: { ...BEFORE.acme, writer: 7 } }
const LATER = { file: '/a/auth.json', now: 100_000, isRunning: () => true }
for (const [what, before, entries, place, gone, remembered] of [
  ['a placeholder that is gone', BEFORE, {}, LATER, ['acme'], undefined],
  ['a placeholder that is there', BEFORE, { acme: true }, LATER, [], undefined],
  ['one that OpenCode has yet to write', WRITING, {}, { ...LATER, now: 2_000 }, [], undefined],
  [
    'one that a process wrote which has ended',
    WRITING,
    {},
    { ...LATER, now: 2_000, isRunning: () => false },
    ['acme'],
    undefined,
  ],
  ['one that was to be written long ago', WRITING, {}, LATER, ['acme'], undefined],
  ['one that is written now', WRITING, { acme: true }, LATER, [], BEFORE.acme],
  ["another folder's auth.json", BEFORE, {}, { ...LATER, file: '/b/auth.json' }, [], undefined],
  [
    "a credential of OpenCode's own in its place",
    BEFORE,
    { acme: false },
    LATER,
    [],
    { added: ['1'], authFile: '/a/auth.json' },
  ],
  ['a placeholder that was never there', { acme: { added: ['1'] } }, {}, LATER, [], undefined],
  [
    'a placeholder of which nothing was known',
    { acme: { loggedOut: true, added: ['1'] } },
    { acme: true },
    LATER,
    [],
    { added: ['1'], placeholderAt: 100_000, authFile: '/a/auth.json' },
  ],
]) {
  test(`of ${what}, ${gone.length === 0 ? 'no logout' : 'a logout'} is concluded`, () => {
    const map = new Map(Object.entries(entries).map(([id, isPlaceholder]) => [id, { isPlaceholder }]))
    const result = compare(before, map, place)
    assert.deepEqual(result.gone, gone)
    assert.deepEqual(result.memory?.acme, remembered)
  })
}

for (const [what, break_] of [
  ['is junk', (file) => writeFileSync(file, '{ "acme": ')],
  ['is empty', (file) => writeFileSync(file, '')],
  ['cannot be read', (file) => symlinkSync(file, file)],
]) {
  test(`nothing is concluded from an auth.json that ${what}`, async () => {
    const file = join(sandbox.env.XDG_DATA_HOME, 'opencode', 'auth.json')
    const [content, before] = [readFileSync(file), memory()]
    rmSync(file)
    break_(file)
    const noticed = await noticeIn('{}')
    rmSync(file, { recursive: true })
    writeFileSync(file, content)
    assert.deepEqual(noticed, [])
    assert.deepEqual(memory(), before)
  })
}

test('a logout of a provider whose accounts came from elsewhere leaves them as they are, and says so', async () => {
  const all = memory()
  const { authFile } = all.acme
  writeFileSync(memoryFile(), JSON.stringify({ ...all, elsewhere: { placeholderAt: 1, authFile } }))
  const said = await sandbox.output(`
    const { noticeLogouts } = await import('${new URL('../npm/build/opencode/logout.js', import.meta.url)}')
    await noticeLogouts({ library: auth, report: (message) => console.log(message) })`)
  assert.match(
    said,
    /you signed out of elsewhere with opencode; its accounts came from elsewhere, and stay as they are/,
  )
  assert.deepEqual(memory().elsewhere, { authFile })
})

test('nothing is concluded from credentials that come from a variable', async () => {
  assert.deepEqual(await noticeIn(`{ ...process.env, OPENCODE_AUTH_CONTENT: '{}' }`), [])
})

async function signIn(provider, key) {
  const { code, stderr } = await opencode.startWith(
    { input: key },
    'auth',
    'login',
    '--provider',
    provider,
    '--method',
    'API key',
  ).ended
  assert.equal(code, 0, stderr)
}

async function signOut(provider) {
  const { code, stderr } = await opencode.start('auth', 'logout', provider).ended
  assert.equal(code, 0, stderr)
  assert.equal(opencode.authJson()[provider], undefined)
}

function memoryFile() {
  return join(sandbox.env.XDG_STATE_HOME, 'provider-auth', 'opencode.json')
}

function memory() {
  return JSON.parse(readFileSync(memoryFile(), 'utf8'))
}

/** What a start with these variables would notice, after all that came before. */
async function noticeIn(env) {
  const url = new URL('../npm/build/opencode/logout.js', import.meta.url)
  return JSON.parse(
    await sandbox.output(`
      process.env = { ...process.env, ...${env} }
      const { noticeLogouts } = await import('${url}')
      console.log(JSON.stringify(await noticeLogouts({ library: auth, report: () => {} })))`),
  )
}

async function enabledOf(provider) {
  return (await sandbox.accountsOf(provider)).map(({ enabled }) => enabled)
}
