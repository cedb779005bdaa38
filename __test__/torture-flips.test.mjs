/**
 * Bytes turned over, and files cut, in a vault that the addon then opens. In Rust every bit is tried
 * (`crates/vault/tests/damage.rs`, `crates/broker/tests/it/damage.rs`); here a sample shows what a caller sees of it.
 */
import assert from 'node:assert/strict'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openStage } from './support/stage.mjs'
import { inParallel, sizes } from './support/torture.mjs'

const { sandbox, library, upstream, inChild } = await openStage({ name: 'flips' })
const [hit, spared] = ['key-hit', 'key-spared']
const ids = {}
for (const apiKey of [hit, spared]) ids[apiKey] = (await library.addApiKey({ provider: 'local', apiKey })).id
// An answer to a conversation, by a process that writes all three files when it ends.
await inChild(`
  const asked = { provider: 'local', url: '${upstream.origin}', account: '${ids[hit]}', model: 'small', session: 'long' }
  const { attempt } = await auth.getAuthHeaders(asked)
  await auth.reportResponse({ attempt, status: 200, headers: {} })
  console.log('{}')`)
const record = (apiKey) => join('rec', `${ids[apiKey]}.rec`)

/** Prints what a new process sees: every account with its state and the key it is called with, or the error's code. */
const LOOK = `
  const look = async () => {
    const seen = { accounts: {} }
    for (const { id, state } of await auth.listAccounts()) seen.accounts[id] = { state }
    for (const account of ${JSON.stringify(Object.values(ids))}) {
      const asked = { provider: 'local', url: '${upstream.origin}', account }
      const key = await auth.getAuthHeaders(asked).then(({ headers }) => headers.authorization, ({ code }) => code)
      seen.accounts[account] = { ...seen.accounts[account], key }
    }
    return { ...seen, quarantined: (await auth.vaultStatus()).quarantined }
  }
  console.log(JSON.stringify(await look().catch(({ code }) => ({ code }))))`

const whole = {
  accounts: {
    [ids[hit]]: { state: 'ready', key: `Bearer ${hit}` },
    [ids[spared]]: { state: 'ready', key: `Bearer ${spared}` },
  },
  quarantined: 0,
}

test('a record that is damaged anywhere is one account less, and the other serves', async () => {
  for (const { what, seen } of await eachDamage([record(hit)])) {
    const { state, key } = seen.accounts[ids[hit]]
    // A record that a newer version may have written is listed and kept; any other one is set aside.
    const isKept = state === 'unreadable' && seen.quarantined === 0
    assert.ok(isKept || seen.quarantined === 1, `${what}: ${JSON.stringify(seen)}`)
    assert.match(key, /^(UNKNOWN_ACCOUNT|VAULT_CORRUPT)$/, what)
    assert.deepEqual(seen.accounts[ids[spared]], whole.accounts[ids[spared]], what)
  }
})

test('two records in each other’s place serve neither', async () => {
  const dir = copy()
  const [one, two] = [hit, spared].map((apiKey) => readFileSync(join(dir, record(apiKey))))
  writeFileSync(join(dir, record(hit)), two)
  writeFileSync(join(dir, record(spared)), one)
  const { accounts, quarantined } = await look(dir)
  for (const { key } of Object.values(accounts)) assert.match(key, /^(UNKNOWN_ACCOUNT|VAULT_CORRUPT)$/)
  assert.equal(quarantined, 2)
})

test('a header that is damaged anywhere is replaced by its backup, and both together are refused', async () => {
  for (const { what, seen } of await eachDamage(['vault.hdr'])) assert.deepEqual(seen, whole, what)
  for (const { what, seen } of await eachDamage(['vault.hdr', 'vault.hdr.bak']))
    assert.match(seen.code, /^(VAULT_CORRUPT|VAULT_KEY_MISMATCH|VAULT_KEY_MISSING)$/, what)
})

for (const file of ['state.json', 'history.json', 'stats.json'])
  test(`${file} that is damaged anywhere costs no account`, async () => {
    for (const { what, seen } of await eachDamage([file])) assert.deepEqual(seen, whole, what)
  })

/** Damages copies of the vault, in all of the given files alike, and returns what a new process sees of each. */
async function eachDamage(files) {
  const length = readFileSync(join(sandbox.vaultDir, files[0])).length
  const count = Math.min(sizes.samples, length)
  const places = Array.from({ length: count }, (_, number) => Math.floor((number * length) / count))
  const damages = places.flatMap((at) => [
    { what: `${files[0]}: byte ${at}`, edit: (file) => file.with(at, file[at] ^ 1) },
    { what: `${files[0]}: cut to ${at}`, edit: (file) => file.subarray(0, at) },
  ])
  return inParallel(2, damages, async ({ what, edit }) => {
    const dir = copy()
    for (const file of files) writeFileSync(join(dir, file), edit(readFileSync(join(dir, file))))
    return { what, seen: await look(dir) }
  })
}

let copies = 0

function copy() {
  copies += 1
  const dir = join(sandbox.dir, `copy-${copies}`)
  cpSync(sandbox.vaultDir, dir, { recursive: true })
  return dir
}

async function look(dir) {
  const seen = await inChild(LOOK, { env: { PROVIDER_AUTH_DIR: dir } })
  rmSync(dir, { recursive: true })
  return seen
}
