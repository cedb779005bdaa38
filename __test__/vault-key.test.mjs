/**
 * The life of the vault's key, as users see it: made, reached in several ways, renewed while others work or are killed,
 * exported, imported. Never does an existing vault get a new key unasked, and never is a record orphaned.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { EARLIER_KEY, EARLIER_PASSPHRASE, EARLIER_SLOT, placeEarlierVault } from './support/earlier-vault.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { startUpstream } from './support/upstream.mjs'

const upstream = await startUpstream()
const sandbox = createSandbox({ name: 'key', config: { providers: { desk: { origins: [upstream.origin] } } } })
after(async () => {
  await upstream.close()
  sandbox.cleanup()
})

const newKey = () => randomBytes(32).toString('base64')
const NOTHING = { PROVIDER_AUTH_KEY: '', PROVIDER_AUTH_KEY_SOURCE: '', PROVIDER_AUTH_PASSPHRASE: '' }
const sources = {
  env: () => ({ ...NOTHING, PROVIDER_AUTH_KEY: newKey() }),
  passphrase: () => ({ ...NOTHING, PROVIDER_AUTH_PASSPHRASE: 'correct horse' }),
  keyfile: () => ({ ...NOTHING, PROVIDER_AUTH_KEY_SOURCE: 'keyfile' }),
}
const ADD = `await auth.addApiKey({ provider: 'desk', apiKey: 'sk-of-ada', label: 'ada' })`
const REPLACE_BY_PASSPHRASE = `await auth.initVaultKey({ keySource: 'passphrase', force: true })`

for (const [keySource, makeEnv] of Object.entries(sources)) {
  test(`a key from ${keySource} is made once, opens the vault again, and is renewed without being given anew`, async () => {
    const vault = newVault(makeEnv())
    const made = await vault.ask(`await auth.initVaultKey({ keySource: '${keySource}' })`)
    assert.equal(made.state, 'open')
    assert.equal(made.keySource, keySource)
    assert.deepEqual(
      made.slots.map((slot) => slot.keySource),
      [keySource],
    )
    assert.equal((await vault.refusal('auth.initVaultKey()')).code, 'KEY_EXISTS')
    await vault.ask(ADD)
    const rotated = await vault.ask('await auth.rotateVaultKey()')
    assert.notEqual(rotated.keyId, made.keyId)
    assert.deepEqual(await vault.labels(), ['ada'])
    assert.equal((await vault.status()).keyId, rotated.keyId)
  })
}

test('each trouble with a key has its own state and code, and none leads to a new key', async () => {
  const vault = newVault(sources.env())
  assert.equal((await vault.status()).state, 'empty')
  await vault.ask(ADD)
  const before = header(vault)
  const wrong = { PROVIDER_AUTH_KEY: newKey() }
  assert.equal((await vault.status(wrong)).state, 'key_mismatch')
  assert.equal((await vault.refusal('auth.listAccounts()', wrong)).code, 'VAULT_KEY_MISMATCH')
  assert.equal((await vault.status(NOTHING)).state, 'key_missing')
  assert.equal((await vault.refusal('auth.listAccounts()', NOTHING)).code, 'VAULT_KEY_MISSING')
  for (const env of [wrong, NOTHING])
    for (const call of ['initVaultKey()', 'initVaultKey({ force: true })', 'rotateVaultKey()', 'exportVaultKey()'])
      assert.match(
        (await vault.refusal(`auth.${call}`, env)).code,
        /^(VAULT_KEY_MISMATCH|VAULT_KEY_MISSING|KEY_EXISTS)$/,
      )
  assert.equal(header(vault), before)
  assert.deepEqual(await vault.labels(), ['ada'])
})

test('a recovery passphrase opens the vault by itself, and a rotation, which does not need it, leaves it so', async () => {
  const vault = newVault(sources.env())
  await vault.ask(ADD)
  const slot = await vault.ask(`await auth.addVaultSlot({ keySource: 'passphrase', passphrase: 'in the safe' })`)
  assert.equal(slot.keySource, 'passphrase')
  const status = await vault.status()
  assert.deepEqual(status.slots[1], slot)
  const recovery = { ...NOTHING, PROVIDER_AUTH_PASSPHRASE: 'in the safe' }
  assert.deepEqual(await vault.labels(recovery), ['ada'])
  const wrong = { ...NOTHING, PROVIDER_AUTH_PASSPHRASE: 'somewhere else' }
  assert.equal((await vault.status(wrong)).state, 'key_mismatch')

  for (const options of ['', `{ passphrase: 'in the safe' }`]) {
    const rotated = await vault.ask(`await auth.rotateVaultKey(${options})`)
    assert.notEqual(rotated.keyId, status.keyId)
    assert.deepEqual(rotated.slots, status.slots)
    assert.deepEqual(await vault.labels(recovery), ['ada'])
    assert.deepEqual(await vault.labels(), ['ada'])
  }

  assert.equal(await vault.ask(`await auth.removeVaultSlot('${slot.id}')`), true)
  assert.equal(await vault.ask(`await auth.removeVaultSlot('${slot.id}')`), false)
  assert.equal((await vault.status(recovery)).state, 'key_mismatch')
  const [last] = (await vault.status()).slots
  assert.equal((await vault.refusal(`auth.removeVaultSlot('${last.id}')`)).code, 'INVALID_ARGUMENT')
  assert.deepEqual(await vault.labels(), ['ada'])
})

test('in a vault of an earlier version, a rotation names the slot whose key it lacks, until that has opened it once', async () => {
  const vault = newVault({ ...NOTHING, PROVIDER_AUTH_KEY: EARLIER_KEY })
  placeEarlierVault(vault.dir)
  await vault.ask(ADD)
  const { keyId } = await vault.status()
  for (const options of ['', `{ passphrase: 'somewhere else' }`]) {
    const refusal = await vault.refusal(`auth.rotateVaultKey(${options})`)
    assert.equal(refusal.code, 'VAULT_KEY_MISSING')
    assert.ok(refusal.message.includes(EARLIER_SLOT), refusal.message)
    assert.ok(!refusal.message.includes('somewhere'), refusal.message)
  }
  assert.equal((await vault.status()).keyId, keyId)
  const recovery = { ...NOTHING, PROVIDER_AUTH_PASSPHRASE: EARLIER_PASSPHRASE }
  assert.deepEqual(await vault.labels(recovery), ['ada'])
  assert.notEqual((await vault.ask('await auth.rotateVaultKey()')).keyId, keyId)
  assert.deepEqual(await vault.labels(recovery), ['ada'])
})

test('replacing the key re-encrypts every record, this process goes on, and the old key opens nothing', async () => {
  const old = sources.env()
  const vault = newVault(old)
  const env = { PROVIDER_AUTH_PASSPHRASE: 'correct horse' }
  const [before, status, labels] = await vault.ask(
    `[${ADD}, ${REPLACE_BY_PASSPHRASE}, (await auth.listAccounts()).map(({ label }) => label)]`,
    env,
  )
  assert.equal(before.label, 'ada')
  assert.deepEqual([status.state, status.keySource, status.accounts], ['open', 'passphrase', 1])
  assert.deepEqual(labels, ['ada'])
  assert.deepEqual(await vault.labels({ ...NOTHING, ...env }), ['ada'])
  assert.equal((await vault.status()).state, 'key_mismatch')
})

test('a process whose key was replaced says so with a code, and its status tells the same', async () => {
  const vault = newVault(sources.env())
  await vault.ask(ADD)
  const witness = vault.start(`
    await auth.listAccounts()
    console.log('ready')
    for await (const _ of process.stdin) break
    const call = (name) => auth[name]().then((value) => value.state ?? value, ({ code }) => code)
    console.log(JSON.stringify({ list: await call('listAccounts'), status: await call('vaultStatus') }))`)
  await witness.line(/ready/)
  await vault.ask(REPLACE_BY_PASSPHRASE, { PROVIDER_AUTH_PASSPHRASE: 'correct horse' })
  witness.child.stdin.end('go\n')
  const { stdout } = await witness.ended
  assert.deepEqual(JSON.parse(stdout.split('\n')[1]), { list: 'VAULT_KEY_MISMATCH', status: 'key_mismatch' })
})

test('4 processes serve requests while the key is renewed 10 times, and no request fails', async () => {
  const vault = newVault(sources.env())
  upstream.admit('sk-of-ada', 'ada')
  await vault.ask(ADD)
  const serve = `
    console.log('ready')
    const fetch = auth.createAuthFetch({ provider: 'desk' })
    const [{ id }] = await auth.listAccounts()
    const statuses = {}
    let ended = false
    process.stdin.on('data', () => (ended = true))
    for (let turn = 0; !ended; turn += 1) {
      const outcome = await fetch('${upstream.chatUrl}', { method: 'POST', body: '{}' }).then(({ status }) => status, ({ code }) => code)
      statuses[outcome] = (statuses[outcome] ?? 0) + 1
      if (turn % 5 === 0) await auth.updateAccount(id, { priority: turn })
    }
    console.log(JSON.stringify(statuses))
    process.exit()`
  const servers = Array.from({ length: 4 }, () => vault.start(serve))
  await Promise.all(servers.map(({ line }) => line(/ready/)))
  const ids = await vault.ask(`await (async () => {
    const ids = []
    for (let turn = 0; turn < 10; turn += 1) ids.push((await auth.rotateVaultKey()).keyId)
    return ids
  })()`)
  assert.equal(new Set(ids).size, 10)
  for (const { child } of servers) child.stdin.end('stop\n')
  for (const { ended } of servers) {
    const { stdout, stderr } = await ended
    const statuses = JSON.parse(stdout.trim().split('\n').at(-1))
    assert.deepEqual(Object.keys(statuses), ['200'], `${JSON.stringify(statuses)} ${stderr}`)
  }
  assert.deepEqual(await vault.labels(), ['ada'])
})

test('a renewal that is killed 25 times at any point loses no record, and the next process finishes it', async () => {
  const vault = newVault(sources.env())
  const labels = Array.from({ length: 20 }, (_, index) => `account ${index}`)
  await vault.ask(`await (async () => {
    for (const label of ${JSON.stringify(labels)}) await auth.addApiKey({ provider: 'desk', apiKey: 'sk-' + label.slice(8), label })
  })()`)
  let killed = 0
  for (let turn = 0; turn < 25; turn += 1) {
    const victim = vault.start(`
      await auth.listAccounts()
      console.log('ready')
      for (;;) await auth.rotateVaultKey()`)
    await victim.line(/ready/)
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 120))
    victim.child.kill('SIGKILL')
    killed += (await victim.ended).signal === 'SIGKILL' ? 1 : 0
    assert.deepEqual((await vault.labels()).sort(), labels.toSorted(), `turn ${turn}`)
  }
  assert.equal(killed, 25)
  const { quarantined, accounts } = await vault.status()
  assert.deepEqual({ quarantined, accounts }, { quarantined: 0, accounts: 20 })
  assert.ok(!header(vault).includes('"previous"'), 'no old key is kept')
})

test('an exported key opens a folder that came without its header, and a wrong one changes nothing', async () => {
  const vault = newVault(sources.passphrase())
  await vault.ask(ADD)
  const key = await vault.ask('await auth.exportVaultKey()')
  assert.equal(Buffer.from(key, 'base64').length, 32)
  for (const name of ['vault.hdr', 'vault.hdr.bak']) rmSync(join(vault.dir, name))
  assert.equal((await vault.refusal('auth.listAccounts()')).code, 'VAULT_CORRUPT')
  const before = snapshot(vault.dir)
  for (const wrong of [newKey(), 'S3CRET', '']) {
    const refusal = await vault.refusal(`auth.importVaultKey(${JSON.stringify(wrong)})`)
    assert.equal(refusal.code, 'VAULT_KEY_MISMATCH')
    assert.ok(!refusal.message.includes('S3CRET'))
  }
  assert.deepEqual(snapshot(vault.dir), before)
  const status = await vault.ask(`await auth.importVaultKey('${key}', { keySource: 'keyfile' })`)
  assert.deepEqual([status.state, status.keySource, status.accounts], ['open', 'keyfile', 1])
  assert.deepEqual(await vault.labels(NOTHING), ['ada'])
})

test('a damaged record is set aside by name, a lost header comes from its backup, and leftovers go', async () => {
  const vault = newVault(sources.env())
  await vault.ask(ADD)
  const { id } = await vault.ask(`await auth.addApiKey({ provider: 'desk', apiKey: 'sk-of-bob', label: 'bob' })`)
  const file = join(vault.dir, 'rec', `${id}.rec`)
  const bytes = readFileSync(file)
  bytes[bytes.length - 1] ^= 1
  writeFileSync(file, bytes)
  rmSync(join(vault.dir, 'vault.hdr'))
  const leftover = join(vault.dir, 'rec', readdirSync(join(vault.dir, 'rec'))[0].replace('.rec', '.rec.4194304-1.tmp'))
  writeFileSync(leftover, 'half a rec')
  utimesSync(leftover, new Date(0), new Date(0))
  const startedAt = Date.now()
  const found = await vault.ask('(await auth.listAccounts()).map(({ id, state }) => [id, state])')
  assert.deepEqual(found.at(-1), [id, 'unreadable'])
  assert.deepEqual(await vault.labels(), ['ada'])
  const { state, accounts, quarantined, quarantine } = await vault.status()
  assert.deepEqual({ state, accounts, quarantined }, { state: 'open', accounts: 1, quarantined: 1 })
  assert.equal(quarantine[0].accountId, id)
  assert.equal(quarantine[0].generation, 1)
  assert.ok(Math.abs(quarantine[0].at - startedAt) < 60_000)
  assert.equal(readdirSync(join(vault.dir, 'quarantine')).length, 1)
  assert.ok(readdirSync(vault.dir).includes('vault.hdr'))
})

test('arguments of a wrong kind are refused before anything is done', async () => {
  const vault = newVault(sources.env())
  for (const call of [
    `initVaultKey({ keySource: 'plaintext' })`,
    `initVaultKey({ keySource: 'memory' })`,
    `initVaultKey({ force: 'yes' })`,
    'importVaultKey(1)',
    `importVaultKey('${newKey()}', { keySource: 'memory' })`,
    'rotateVaultKey({ passphrase: 1 })',
    'addVaultSlot()',
    `addVaultSlot({ keySource: 'auto' })`,
    'removeVaultSlot()',
    'exportVault()',
    `exportVault('')`,
    `importVault('bundle', 'x')`,
    `importVault(new Int8Array(9), 'x')`,
    `importVault(new Uint8Array(9), 'x')`,
    'importVault(new Uint8Array(9))',
  ])
    assert.equal((await vault.refusal(`auth.${call}`)).code, 'INVALID_ARGUMENT', call)
})

/** A vault of its own, with the environment that opens it. */
function newVault(env) {
  const dir = join(mkdtempSync(join(sandbox.dir, 'vault-')), 'vault')
  const own = { ...env, PROVIDER_AUTH_DIR: dir }
  const start = (source, extra = {}) => sandbox.start(source, { env: { ...own, ...extra }, input: null })
  const ask = async (expression, extra = {}) => {
    const process = start(`console.log(JSON.stringify((${expression}) ?? null))`, extra)
    const { code, stdout, stderr } = await process.ended
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout)
  }
  return {
    dir,
    start,
    ask,
    status: (extra) => ask('await auth.vaultStatus()', extra),
    labels: (extra) => ask('(await auth.listAccounts()).map(({ label }) => label)', extra),
    refusal: (promise, extra) =>
      ask(`await ${promise}.then(() => ({}), ({ code, message }) => ({ code, message }))`, extra),
  }
}

function header({ dir }) {
  return readFileSync(join(dir, 'vault.hdr'), 'utf8')
}

function snapshot(dir) {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && !entry.name.endsWith('.lock'),
  )
  return files.map(({ parentPath, name }) => [name, readFileSync(join(parentPath, name), 'base64')]).sort()
}
