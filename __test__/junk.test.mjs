/** Bad input from every side: each gets a coded error with a sentence to act on, and nothing is lost by it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, cpSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { signIn } from './support/agent.mjs'
import { rejection } from './support/desk.mjs'
import { startOidcProvider } from './support/oidc.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { chat, openStage } from './support/stage.mjs'

/** A user number that owns nothing. */
const NOBODY = 65534

/** Source that prints the ids of all accounts. */
const IDS = 'console.log(JSON.stringify((await auth.listAccounts()).map(({ id }) => id)))'

const slow = await startOidcProvider()
const readOnly = createSandbox({ name: 'read-only' })
const { oidc, upstream, sandbox, library, config, logIn, openPool, inChild } = await openStage({
  name: 'junk',
  rotation: { maxWaitMs: 100 },
  providers: ({ upstream: { origin } }) => ({ slow: slow.config({ origins: [origin] }) }),
})
const keeper = await logIn('keeper')
const hanging = hangingRefresh()

/* ───────────────────────────── configuration ───────────────────────────── */

for (const [what, text, path] of [
  ['a number for a list', '{ "providers": { "local": { "origins": 5 } } }', 'providers.local.origins'],
  ['a list for an object', '{ "providers": [] }', 'providers'],
  ['a bad address', '{ "providers": { "local": { "origins": ["ftp://x"] } } }', 'providers.local.origins[0]'],
  ['plain http elsewhere', '{ "providers": { "local": { "issuer": "http://id.example" } } }', 'providers.local.issuer'],
  ['a provider without origins', '{ "providers": { "mine": {} } }', 'providers.mine.origins'],
  [
    'a strategy that is none',
    '{ "providers": { "local": { "rotation": { "strategy": "best" } } } }',
    'providers.local.rotation.strategy',
  ],
  ['a text that is no JSON', '{ "providers": ', ''],
]) {
  test(`a config file with ${what} is refused with its place, and works again once it is mended`, async () => {
    writeFileSync(sandbox.configFile, text)
    const { refusals, accounts } = await inChild(`
      import { writeFileSync } from 'node:fs'
      const refusals = []
      const refused = (error) => refusals.push({ code: error.code, path: error.path, message: error.message })
      await auth.listAccounts().catch(refused)
      await auth.createAuthFetch({ provider: 'local' })('${upstream.chatUrl}').catch(refused)
      writeFileSync(${JSON.stringify(sandbox.configFile)}, ${JSON.stringify(JSON.stringify(config))})
      console.log(JSON.stringify({ refusals, accounts: (await auth.listAccounts()).map(({ id }) => id) }))`)
    assert.equal(refusals.length, 2)
    for (const { code, path: told, message } of refusals) {
      assert.deepEqual([code, told], ['INVALID_CONFIG', path])
      assert.ok(message.startsWith(`${sandbox.configFile}:1:`), message)
      assert.ok(message.includes(path), message)
    }
    assert.ok(accounts.includes(keeper.id))
  })
}

test('options that cannot be are refused by name at once, and the broker goes on', async () => {
  for (const [options, path] of [
    [{ dir: 5 }, 'dir'],
    [{ keySource: 'plaintext' }, 'keySource'],
    [{ log: { level: 'loud' } }, 'log.level'],
    [{ config: 4 }, 'config'],
    [{ allowNetworkFs: 'yes' }, 'allowNetworkFs'],
    [{ config: { providers: 3 } }, 'providers'],
    [{ config: { providers: { local: { scopes: 'openid' } } } }, 'providers.local.scopes'],
    ['nonsense', undefined],
  ]) {
    assert.throws(
      () => library.configure(options),
      (error) => {
        assert.equal(error.code, 'INVALID_CONFIG')
        if (path !== undefined) assert.ok(error.message.includes(path), error.message)
        return error instanceof Error
      },
    )
  }
  assert.throws(() => library.configure({ dir: '/elsewhere' }), { code: 'ALREADY_CONFIGURED' })
  assert.equal((await ask()).status, 200)
})

test('arguments of a wrong type reject with the name of the option', async () => {
  const url = upstream.chatUrl
  for (const [call, name] of [
    [() => library.getAuthHeaders(), 'provider'],
    [() => library.getAuthHeaders({ provider: 7, url }), 'provider'],
    [() => library.getAuthHeaders({ provider: 'local', url: 'no address' }), 'url'],
    [() => library.getAuthHeaders({ provider: 'local', url, model: {} }), 'model'],
    [() => library.getAuthHeaders({ provider: 'local', url, cacheTtl: 7 }), 'cacheTtl'],
    [() => library.reportResponse(null), 'attempt'],
    [() => library.reportResponse({ attempt: 'nobody', status: 200, headers: 7 }), 'headers'],
    [() => library.reportResponse({ attempt: 'nobody', status: '200' }), 'status'],
    [() => library.addApiKey({ provider: 'local' }), 'apiKey'],
    [() => library.addApiKey({ provider: 'local', apiKey: 'two\nlines' }), 'apiKey'],
    [() => library.updateAccount(keeper.id, { priority: 0.5 }), 'priority'],
    [() => library.updateAccount(keeper.id, { label: '' }), 'label'],
    [() => library.login({ provider: 'local', method: 'telepathy' }), 'method'],
    [() => library.login({ provider: 'local', timeoutMs: -1 }), 'timeoutMs'],
  ]) {
    const error = await rejection(call())
    assert.equal(error.code, 'INVALID_ARGUMENT', `${call}`)
    assert.ok(error.message.includes(name), error.message)
  }
  const unknown = { code: 'UNKNOWN_ATTEMPT' }
  await assert.rejects(library.reportResponse({ attempt: 'nobody', status: 200 }), unknown)
  await assert.rejects(library.updateAccount('nobody', {}), { code: 'UNKNOWN_ACCOUNT' })
  await assert.rejects(library.getAuthHeaders({ provider: 'nobody', url }), { code: 'UNKNOWN_PROVIDER' })
})

test('an error repeats neither an address nor a key that a call passed in by mistake', async () => {
  const url = upstream.chatUrl
  for (const name of [
    'ada@example.com',
    'ada%40example.com',
    'sk-ant-api03-S3CRETS3CRET',
    'ghp_S3CRETS3CRETS3CRET00',
  ]) {
    for (const [code, call] of [
      ['UNKNOWN_PROVIDER', () => library.getAuthHeaders({ provider: name, url })],
      ['UNKNOWN_PROVIDER', () => library.addApiKey({ provider: name, apiKey: 'x' })],
      ['UNKNOWN_PROVIDER', () => library.startLogin({ provider: name, method: 'paste' })],
      ['UNKNOWN_ACCOUNT', () => library.getAuthHeaders({ provider: 'local', account: name, url })],
      ['UNKNOWN_ACCOUNT', () => library.updateAccount(name, {})],
      ['UNKNOWN_ACCOUNT', () => library.refreshAccount(name)],
      ['UNKNOWN_ACCOUNT', () => library.clearCooldowns({ account: name })],
      ['NO_ACCOUNT', () => library.getAuthHeaders({ provider: 'local', namespace: name, url })],
      ['UNKNOWN_ATTEMPT', () => library.reportResponse({ attempt: name, status: 200 })],
    ]) {
      const error = await rejection(call())
      assert.equal(error.code, code, `${call}`)
      const shown = JSON.stringify([error.message, error.stack, { ...error }])
      assert.ok(!shown.includes(name) && !/example\.com|S3CRET/.test(shown), shown)
    }
  }
})

/* ───────────────────────────── the authorization server ───────────────────────────── */

for (const [fault, sentence] of [
  ['html', /answered 200 with text\/html instead of JSON/],
  ['huge', /too large/],
  ['error', /answered 500; it may work later/],
  ['unavailable', /answered 503; it may work later/],
  ['drop', /\w+/],
]) {
  test(`a token endpoint with the fault "${fault}" costs no login`, async () => {
    const { users, ids, ask, account } = await openPool(['ada'])
    oidc.setFault(fault)
    const refused = await rejection(library.refreshAccount(ids[0], { force: true }))
    assert.equal(refused.code, 'REFRESH_FAILED')
    assert.match(refused.message, sentence)
    assert.equal(refused.accountId, ids[0])
    assert.ok(refused.retryAt > Date.now())
    assert.equal((await account()).state, 'ready')
    assert.equal((await ask()).status, 200, 'the token that lives still serves')

    oidc.expireAccess(users[0])
    assert.equal((await ask()).status, 401, 'no other account can answer')
    oidc.setFault(undefined)
    await library.refreshAccount(ids[0], { force: true })
    assert.equal((await ask()).status, 200)
  })

  test(`a token endpoint with the fault "${fault}" fails a login in words`, async () => {
    oidc.setFault(fault)
    const error = await rejection(logIn('bob'))
    oidc.setFault(undefined)
    assert.equal(error.code, 'LOGIN_FAILED')
    assert.match(error.message, sentence)
    assert.deepEqual(
      (await library.listAccounts()).filter(({ label }) => label === 'bob'),
      [],
    )
  })
}

test('what a caller does to the headers that it was given is seen by no other caller', async () => {
  const request = { provider: 'local', url: upstream.chatUrl }
  const first = await library.getAuthHeaders(request)
  const expected = structuredClone({ headers: first.headers, strip: first.strip })
  for (const name of Object.keys(first.headers)) first.headers[name] = 'changed'
  first.headers.extra = 'added'
  first.strip.length = 0
  const { headers, strip } = await library.getAuthHeaders(request)
  assert.deepEqual({ headers, strip }, expected)
})

test('a login server that is not there is named', async () => {
  const providers = { gone: { ...config.providers.local, issuer: 'http://127.0.0.1:9' } }
  sandbox.writeConfig({ providers })
  const error = await inChild(refused(`auth.startLogin({ provider: 'gone', method: 'browser' })`))
  sandbox.writeConfig(config)
  assert.equal(error.code, 'LOGIN_FAILED')
  assert.ok(error.message.includes('http://127.0.0.1:9'), error.message)
})

test('a callback with a wrong state leaves the login open for the right one', async () => {
  const session = await library.startLogin({ provider: 'local', method: 'browser', label: 'cyd' })
  const finished = session.finish()
  const callback = new URL(session.url).searchParams.get('redirect_uri')
  const state = new URL(session.url).searchParams.get('state')
  for (const query of [
    '?code=stolen&state=wrong',
    '?code=stolen',
    '',
    `?code=a&code=b&state=${state}`,
    '?error=access_denied&state=wrong',
    `?code=stolen&state=${state}&iss=https://elsewhere.test`,
  ]) {
    const response = await fetch(callback + query)
    assert.equal(response.status, 400, query)
    assert.match(await response.text(), /<html/i)
  }
  assert.equal((await fetch(new URL('/elsewhere', callback))).status, 404)
  assert.ok(!oidc.requests.some(({ grant, error }) => grant === 'authorization_code' && error === 'invalid_grant'))
  await signIn(session, { user: 'cyd' })
  assert.equal((await finished).identity.subject, 'cyd')
})

/* ───────────────────────────── the vault ───────────────────────────── */

for (const [what, env, code, sentence] of [
  [
    'another key',
    { PROVIDER_AUTH_KEY: randomBytes(32).toString('base64') },
    'VAULT_KEY_MISMATCH',
    /give the key that it was made with/,
  ],
  ['a key that is none', { PROVIDER_AUTH_KEY: 'S3CRET' }, 'VAULT_KEY_MISMATCH', /not 32 bytes in base64/],
  ['no key', { PROVIDER_AUTH_KEY: '' }, 'VAULT_KEY_MISSING', /set it to the key the vault was made with/],
]) {
  test(`a vault that is opened with ${what} says so and stays as it was`, async () => {
    const before = contents()
    const listed = await inChild(refused('auth.listAccounts()'), { env })
    assert.equal(listed.code, code)
    assert.match(listed.message, sentence)
    assert.ok(!listed.message.includes('S3CRET'))
    const added = await inChild(refused(`auth.addApiKey({ provider: 'local', apiKey: 'sk-new' })`), { env })
    assert.equal(added.code, code)
    const { state } = await inChild('console.log(JSON.stringify(await auth.vaultStatus()))', { env })
    assert.equal(state, code === 'VAULT_KEY_MISSING' ? 'key_missing' : 'key_mismatch')
    assert.deepEqual(contents(), before)
    assert.ok((await inChild(IDS)).includes(keeper.id))
  })
}

test('a file where the vault folder should be is told apart from an empty vault', async () => {
  const dir = join(sandbox.dir, 'not-a-folder')
  writeFileSync(dir, 'somebody needs this')
  const { code, message } = await inChild(refused('auth.listAccounts()'), { env: { PROVIDER_AUTH_DIR: dir } })
  assert.equal(code, 'VAULT_IO')
  assert.ok(message.includes(dir), message)
  assert.equal(readFileSync(dir, 'utf8'), 'somebody needs this')
})

test('a vault folder that cannot be made is named', async () => {
  const { code, message } = await inChild(refused('auth.listAccounts()'), {
    env: { PROVIDER_AUTH_DIR: '/proc/provider-auth' },
  })
  assert.equal(code, 'VAULT_IO')
  assert.ok(message.includes('/proc/provider-auth'), message)
})

test('a vault folder that others may write to is refused', async () => {
  chmodSync(sandbox.vaultDir, 0o777)
  const { code, message } = await inChild(refused('auth.listAccounts()'))
  chmodSync(sandbox.vaultDir, 0o700)
  assert.equal(code, 'VAULT_IO')
  assert.match(message, /is not safe for a vault/)
  assert.ok((await inChild(IDS)).includes(keeper.id))
})

test('a vault that cannot be written still serves, refuses what it cannot keep, and loses nothing', async () => {
  readOnly.env.PROVIDER_AUTH_KEY = sandbox.env.PROVIDER_AUTH_KEY
  readOnly.writeConfig(config)
  cpSync(sandbox.vaultDir, readOnly.vaultDir, { recursive: true })
  const before = oidc.counters.refreshRequests
  // To root every folder is writable, so a child of root becomes somebody else, whose folder this is.
  const isRoot = process.getuid() === 0
  if (isRoot) spawnSync('chown', ['-R', `${NOBODY}:${NOBODY}`, readOnly.dir])
  for (const folder of ['', 'rec', 'lock']) chmodSync(join(readOnly.vaultDir, folder), 0o500)
  const { code, stdout, stderr } = await readOnly.run(`
    ${isRoot ? `process.setgid(${NOBODY}), process.setuid(${NOBODY})` : ''}
    const { status } = await auth.createAuthFetch({ provider: 'local', account: '${keeper.id}' })(
      '${upstream.chatUrl}', ${JSON.stringify(chat())})
    const told = async (promise) => promise.then(() => ({}), ({ code, message }) => ({ code, message }))
    const added = await told(auth.addApiKey({ provider: 'local', apiKey: 'sk-lost' }))
    const renewed = await told(auth.refreshAccount('${keeper.id}', { force: true }))
    console.log(JSON.stringify({ status, added, renewed }))`)
  assert.equal(code, 0, stderr)
  const { status, added, renewed } = JSON.parse(stdout)
  assert.equal(status, 200)
  for (const error of [added, renewed]) {
    assert.equal(error.code, 'VAULT_IO')
    assert.ok(error.message.includes(readOnly.vaultDir), error.message)
  }
  assert.equal(oidc.counters.refreshRequests, before, 'a refresh token that cannot be replaced is not spent')

  if (isRoot) spawnSync('chown', ['-R', '0:0', readOnly.dir])
  for (const folder of ['', 'rec', 'lock']) chmodSync(join(readOnly.vaultDir, folder), 0o700)
  assert.deepEqual(JSON.parse((await readOnly.run(IDS)).stdout), await inChild(IDS))
  readOnly.cleanup()
})

test('a damaged record is set aside, and the others serve on', async () => {
  const { id } = await library.addApiKey({ provider: 'local', namespace: 'damaged', apiKey: 'sk-damaged' })
  const file = join(sandbox.vaultDir, 'rec', `${id}.rec`)
  const bytes = readFileSync(file)
  bytes[bytes.length - 1] ^= 1
  writeFileSync(`${file}.new`, bytes, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  const ids = await inChild(IDS)
  assert.ok(ids.includes(keeper.id))
  assert.equal((await ask()).status, 200)
  const { quarantined, state } = await library.vaultStatus()
  assert.deepEqual({ quarantined, state }, { quarantined: 1, state: 'open' })
})

test('a file of junk in the place of what processes share costs no account', async () => {
  for (const name of ['state.json', 'news.json', 'history.json', 'stats.json', 'records.idx'])
    for (const junk of ['', '{', '[]', '{"blocks": 5, "bindings": 5, "hours": 5}', randomBytes(64)]) {
      writeFileSync(join(sandbox.vaultDir, name), junk)
      assert.ok((await inChild(IDS)).includes(keeper.id), `${name}: ${junk}`)
    }
  assert.equal((await ask()).status, 200)
})

test('a token endpoint that hangs is given up after 30 s, and the login is kept', async () => {
  const { error, others, owner } = await hanging
  assert.equal(error.code, 'REFRESH_FAILED')
  assert.match(error.message, /in time/)
  assert.ok(error.waited > 25_000 && error.waited < 60_000, `it waited ${error.waited} ms`)
  assert.equal(others, 200, 'other accounts were served meanwhile')
  assert.equal(owner, 'sloth')
})

/** Meets a token endpoint that hangs, in a process of its own with a config file of its own, while the other tests run. */
async function hangingRefresh() {
  const file = join(sandbox.dir, 'hanging.jsonc')
  writeFileSync(file, JSON.stringify(config))
  slow.setAccessTokenSeconds(1)
  const { id, expiresAt } = await logIn('sloth', { provider: 'slow' })
  slow.setAccessTokenSeconds(3600)
  slow.setFault('hang')
  await sleep(expiresAt - Date.now() + 50)
  const { error, others } = await inChild(
    `
    const startedAt = Date.now()
    const failing = auth.getAuthHeaders({ provider: 'slow', url: '${upstream.chatUrl}' }).then(
      () => ({}),
      ({ code, message }) => ({ code, message, waited: Date.now() - startedAt }),
    )
    const call = { provider: 'local', account: '${keeper.id}' }
    const { status } = await auth.createAuthFetch(call)('${upstream.chatUrl}', ${JSON.stringify(chat())})
    console.log(JSON.stringify({ error: await failing, others: status }))`,
    { env: { PROVIDER_AUTH_CONFIG: file } },
  )
  slow.setFault(undefined)
  await library.refreshAccount(id, { force: true })
  const { headers } = await library.getAuthHeaders({ provider: 'slow', url: upstream.chatUrl })
  const owner = slow.owner(headers.authorization.replace('Bearer ', ''))
  await slow.close()
  return { error, others, owner }
}

/* ───────────────────────────── parts ───────────────────────────── */

function ask() {
  return library.createAuthFetch({ provider: 'local', account: keeper.id })(upstream.chatUrl, chat())
}

/** Source that prints what a promise rejects with. */
function refused(promise) {
  return `console.log(JSON.stringify(await ${promise}.then(() => ({}), ({ code, message }) => ({ code, message }))))`
}

/** Every file of the vault that counts, with its bytes. */
function contents() {
  const files = readdirSync(sandbox.vaultDir, { recursive: true }).filter((file) => /\.(rec|hdr|bak)$/.test(file))
  return files.sort().map((file) => [file, readFileSync(join(sandbox.vaultDir, file), 'base64')])
}
