/**
 * A disk that is full or read-only, a folder of somebody else, links where none belong: each is a coded error, what was
 * there stays, the process goes on serving from memory, and works again once the disk does.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { chat, openStage } from './support/stage.mjs'
import { until } from './support/until.mjs'

/** A user number that owns nothing. */
const NOBODY = 65_534
/** Of a tmpfs, in KiB: a vault with a few accounts, and little more. */
const SMALL_DISK = 128

let fillers = 0
const isRoot = process.getuid?.() === 0
const { oidc, upstream, sandbox, logIn, inChild } = await openStage({
  name: 'disk',
  rotation: { maxWaitMs: 100 },
})
const keeper = await logIn('keeper')

/* ───────────────────────────── full and read-only ───────────────────────────── */

/**
 * A process that serves while the disk is full, then while it is read-only, then while it has room again. What it does
 * at each word that comes on its standard input is told in one line.
 */
const SERVER = `
  import { createInterface } from 'node:readline'
  const [id] = process.argv.slice(2)
  const told = (call) => call.then(() => 'ok', ({ code, message }) => ({ code, message }))
  const ask = (options) => auth.createAuthFetch({ provider: 'local', account: id, ...options })
  const serve = async () => (await ask()('${upstream.chatUrl}', ${JSON.stringify(chat())})).status
  const block = async () => (await auth.createAuthFetch({ provider: 'local', namespace: 'limited' })('${upstream.chatUrl}', ${JSON.stringify(chat())})).status
  const work = async (word) => ({
    word,
    served: await serve(),
    limited: await block(),
    added: await told(auth.addApiKey({ provider: 'local', namespace: word, apiKey: 'sk-' + word + 'x'.repeat(12_000) })),
    renewed: await told(auth.refreshAccount(id, { force: true })),
    afterwards: await serve(),
    accounts: (await auth.listAccounts()).length,
  })
  await auth.addApiKey({ provider: 'local', namespace: 'limited', apiKey: 'sk-limited' })
  await serve()
  console.log('ready')
  for await (const word of createInterface({ input: process.stdin })) console.log(JSON.stringify(await work(word)))`

test('a full disk and a read-only one cost nothing but what cannot be written', async (t) => {
  const disk = mountSmallDisk(t)
  if (disk === undefined) return
  const dir = join(disk, 'vault')
  cpSync(sandbox.vaultDir, dir, { recursive: true })
  upstream.admit('sk-limited', 'limited')
  upstream.plan('limited', { status: 429, headers: { 'retry-after': '600' }, body: '{}', times: Infinity })
  const { child, line } = sandbox.start(SERVER, { args: [keeper.id], env: { PROVIDER_AUTH_DIR: dir }, input: null })
  await line(/ready/)
  const at = async (word) => {
    child.stdin.write(`${word}\n`)
    return JSON.parse(await line(new RegExp(`"word":"${word}"`)))
  }
  const kept = () => contents(join(dir, 'rec'))
  const refreshes = () => oidc.counters.refreshRequests

  // What the process still had to write gives room back once it has failed.
  await until('the disk stays full', async () => {
    fill(disk)
    await sleep(500)
    return fill(disk) === 0
  })
  let [before, asked] = [kept(), refreshes()]
  const full = await at('full')
  assert.deepEqual([full.served, full.afterwards, full.limited], [200, 200, 429])
  for (const error of [full.added, full.renewed]) {
    assert.equal(error.code, 'VAULT_IO', JSON.stringify(full))
    assert.match(error.message, /No space left on device/)
    assert.ok(error.message.includes(dir), error.message)
  }
  assert.equal(refreshes(), asked, 'a refresh token is not spent whose successor has no room')
  assert.deepEqual(kept(), before)
  assert.ok(!readdirSync(join(dir, 'rec')).some((name) => name.endsWith('.tmp')))

  remount(disk, 'ro')
  ;[before, asked] = [kept(), refreshes()]
  const readOnly = await at('read-only')
  assert.deepEqual([readOnly.served, readOnly.afterwards], [200, 200])
  for (const error of [readOnly.added, readOnly.renewed]) {
    assert.equal(error.code, 'VAULT_IO')
    assert.match(error.message, /Read-only file system/)
  }
  assert.equal(refreshes(), asked)
  assert.deepEqual(kept(), before)
  const reader = await inChild(STATUS, { env: { PROVIDER_AUTH_DIR: dir } })
  assert.equal(reader.accounts, readOnly.accounts, 'another process opens a vault on a read-only disk')

  remount(disk, 'rw')
  for (const name of readdirSync(disk)) if (name.startsWith('filler')) rmSync(join(disk, name))
  const roomy = await at('roomy')
  assert.deepEqual([roomy.added, roomy.renewed, roomy.served, roomy.afterwards], ['ok', 'ok', 200, 200])
  assert.equal(roomy.accounts, full.accounts + 1)
  assert.equal(refreshes(), asked + 1)
  child.kill('SIGKILL')
  assert.equal((await inChild(STATUS, { env: { PROVIDER_AUTH_DIR: dir } })).accounts, roomy.accounts)
  const state = readFileSync(join(dir, 'state.json'), 'utf8')
  assert.ok(JSON.parse(state), 'the state that could not be written is written later')
})

/* ───────────────────────────── folders of others ───────────────────────────── */

for (const [what, { spoil, sentence, needsRoot }] of Object.entries({
  'a folder of another user': {
    spoil: (dir) => chownSync(dir, NOBODY, NOBODY),
    sentence: /belongs to another user/,
    needsRoot: true,
  },
  'a folder of records of another user': {
    spoil: (dir) => chownSync(join(dir, 'rec'), NOBODY, NOBODY),
    sentence: /belongs to another user/,
    needsRoot: true,
  },
  'a folder that its group may write to': { spoil: (dir) => chmodSync(dir, 0o770), sentence: /chmod go-w/ },
  'a folder of records that its group may write to': {
    spoil: (dir) => chmodSync(join(dir, 'rec'), 0o770),
    sentence: /chmod go-w/,
  },
  'a link for the folder of records': { spoil: (dir) => linkAway(join(dir, 'rec')), sentence: /symbolic link/ },
  'a link for the folder of locks': { spoil: (dir) => linkAway(join(dir, 'lock')), sentence: /symbolic link/ },
  'a link for the header': { spoil: (dir) => linkAway(join(dir, 'vault.hdr')), sentence: /symbolic link/ },
})) {
  test(`${what} is refused with what to do about it, and nothing is changed there or elsewhere`, async (t) => {
    if (needsRoot && !isRoot) return t.skip('only root can give a folder away')
    const dir = copyOfVault()
    spoil(dir)
    const before = contents(dirname(dir))
    const env = { PROVIDER_AUTH_DIR: dir }
    for (const source of [
      'auth.listAccounts()',
      `auth.addApiKey({ provider: 'local', apiKey: 'sk-x' })`,
      'auth.vaultStatus()',
    ]) {
      const { code, message } = await inChild(refused(source), { env })
      assert.equal(code, 'VAULT_IO', source)
      assert.match(message, sentence)
      assert.match(message, /is not safe for a vault/)
    }
    assert.deepEqual(contents(dirname(dir)), before)
  })
}

test('a link for a record costs that account alone, and the file behind it is not touched', async () => {
  const dir = copyOfVault()
  const env = { PROVIDER_AUTH_DIR: dir }
  const { id } = await inChild(
    `console.log(JSON.stringify(await auth.addApiKey({ provider: 'local', namespace: 'other', apiKey: 'sk-o' })))`,
    { env },
  )
  const record = join(dir, 'rec', `${id}.rec`)
  const target = linkAway(record)
  const bytes = readFileSync(target)
  const listed = await inChild('console.log(JSON.stringify(await auth.listAccounts()))', { env })
  assert.deepEqual(Object.fromEntries(listed.map((account) => [account.id, account.state])), {
    [keeper.id]: 'ready',
    [id]: 'unreadable',
  })
  await inChild(`await auth.updateAccount('${keeper.id}', { priority: 7 })`, { env })
  assert.deepEqual(readFileSync(target), bytes)
  assert.ok(lstatSync(record).isSymbolicLink())
})

test('a link for the state file is not followed, and the accounts serve without it', async () => {
  const dir = copyOfVault()
  const env = { PROVIDER_AUTH_DIR: dir }
  const target = linkAway(join(dir, 'state.json'))
  const bytes = readFileSync(target)
  const listed = await inChild('console.log(JSON.stringify(await auth.listAccounts()))', { env })
  assert.deepEqual(
    listed.map(({ id, successes }) => [id, successes]),
    [[keeper.id, 0]],
  )
  await inChild(refused(`auth.clearCooldowns({ account: '${keeper.id}' })`), { env })
  await inChild(`await auth.addApiKey({ provider: 'local', namespace: 'linked', apiKey: 'sk-linked' })`, { env })
  assert.deepEqual(readFileSync(target), bytes)
})

/* ───────────────────────────── parts ───────────────────────────── */

const STATUS = 'console.log(JSON.stringify({ accounts: (await auth.listAccounts()).length }))'

/** Source that prints what a promise rejects with. */
function refused(promise) {
  return `console.log(JSON.stringify(await ${promise}.then(() => ({}), ({ code, message }) => ({ code, message }))))`
}

/** A copy of the stage's vault in a folder of its own. */
function copyOfVault() {
  const dir = join(mkdtempSync(join(sandbox.dir, 'copy-')), 'vault')
  cpSync(sandbox.vaultDir, dir, { recursive: true })
  return dir
}

/** Moves a file or folder out of the vault and leaves a link to it; one that is not there is made with `content`. */
function linkAway(path, content) {
  const away = join(mkdtempSync(join(sandbox.dir, 'away-')), 'target')
  if (existsSync(path)) renameSync(path, away)
  if (content !== undefined) writeFileSync(away, content, { mode: 0o600 })
  symlinkSync(away, path)
  return away
}

/** Names, kinds and bytes of everything below a folder, links not followed. */
function contents(folder) {
  return readdirSync(folder, { recursive: true })
    .sort()
    .map((name) => {
      const entry = lstatSync(join(folder, name))
      return [name, entry.mode, entry.uid, entry.isFile() ? readFileSync(join(folder, name), 'base64') : '']
    })
}

/** Mounts a disk that is soon full; undefined, with the test skipped, where that is not allowed. */
function mountSmallDisk(t) {
  if (process.platform !== 'linux' || !isRoot) return void t.skip('only root can mount a small disk')
  const disk = join(sandbox.dir, 'small')
  mkdirSync(disk, { mode: 0o700 })
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_DISK}k,mode=700`, 'tmpfs', disk], {
    encoding: 'utf8',
  })
  if (status !== 0) return void t.skip(`a small disk cannot be mounted here: ${stderr.trim()}`)
  after(() => spawnSync('umount', ['-l', disk]))
  return disk
}

function remount(disk, mode) {
  const { status, stderr } = spawnSync('mount', ['-o', `remount,${mode}`, disk], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
}

/** Takes all room, to the last page, and returns how many pages that were. */
function fill(disk) {
  for (let pages = 0; pages <= SMALL_DISK / 4; pages += 1) {
    fillers += 1
    const file = join(disk, `filler-${fillers}`)
    try {
      writeFileSync(file, Buffer.alloc(4096))
    } catch (error) {
      assert.equal(error.code, 'ENOSPC')
      return pages
    }
  }
  throw new Error(`a disk of ${SMALL_DISK} KiB is never full`)
}
