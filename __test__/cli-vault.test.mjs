/** The commands that make, move and open the vault: `key …`, `vault …`, `migrate`; in pipes and in a terminal. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { answer, COMMAND, command, failure, startCommand } from './support/cli.mjs'
import { EARLIER_KEY, EARLIER_PASSPHRASE, EARLIER_SLOT, placeEarlierVault } from './support/earlier-vault.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { startShell } from './support/shell.mjs'
import { hasTmux } from './support/tmux.mjs'

const WORDS = 'gravel orbit lantern sofa'
const OTHER_WORDS = 'velvet quarry anthem mitten'
/** As a machine without a keychain has it: nothing is set. */
const NOTHING = { PROVIDER_AUTH_KEY: '', PROVIDER_AUTH_KEY_SOURCE: '', PROVIDER_AUTH_PASSPHRASE: '' }
const onScreen = { skip: hasTmux ? false : 'tmux is not installed' }

const sandboxes = []
afterEach(() => {
  for (const sandbox of sandboxes.splice(0)) sandbox.cleanup()
})

function newSandbox(env = NOTHING) {
  const sandbox = createSandbox({ name: 'cli-vault', config: { providers: {} } })
  Object.assign(sandbox.env, env)
  sandboxes.push(sandbox)
  return sandbox
}

function newKeyfileSandbox() {
  return newSandbox({ ...NOTHING, PROVIDER_AUTH_KEY_SOURCE: 'keyfile' })
}

async function addKey(sandbox, apiKey = 'sk-of-ada', label = 'ada') {
  const { code, stderr } = await sandbox.run(
    `await auth.addApiKey(${JSON.stringify({ provider: 'openai', apiKey, label })})`,
  )
  assert.equal(code, 0, stderr)
}

async function labels(sandbox) {
  return (await answer(sandbox, 'accounts', ['accounts'])).accounts.map(({ label }) => label)
}

/* ───────────────────────────── the key ───────────────────────────── */

test('a machine without a keychain has a vault after one command, whatever the source of its key', async () => {
  const none = newSandbox()
  const refused = await failure(none, ['key', 'init'])
  assert.deepEqual([refused.exit, refused.code], [4, 'KEYCHAIN_UNAVAILABLE'])
  assert.match(refused.next, /provider-auth key init --source keyfile/)
  assert.equal((await answer(none, 'key-status', ['key', 'status'])).state, 'empty')

  const keyfile = newSandbox()
  assert.equal((await answer(keyfile, 'key-init', ['key', 'init', '--source', 'keyfile'])).state, 'open')
  assert.deepEqual(await labels(keyfile), [], 'the next command finds the key by itself')

  const env = newSandbox()
  const unset = await failure(env, ['key', 'init', '--source', 'env'])
  assert.equal(unset.exit, 4)
  assert.match(unset.next, /export PROVIDER_AUTH_KEY="\$\(provider-auth key init --source env --show\)"/)
  const shown = await command(env, ['key', 'init', '--source', 'env', '--show'])
  assert.equal(shown.code, 0, shown.stderr)
  assert.match(shown.stdout, /^[\w+/]{43}=\n$/)
  const key = shown.stdout.trim()
  assert.equal((await failure(env, ['accounts'])).code, 'VAULT_KEY_MISSING')
  assert.equal((await failure(env, ['key', 'init', '--source', 'env', '--show'])).code, 'KEY_EXISTS')
  env.env.PROVIDER_AUTH_KEY = key
  assert.equal((await answer(env, 'key-status', ['key', 'status'])).state, 'open')

  const { store, state, dir } = await answer(env, 'vault-status', ['vault'])
  assert.deepEqual([store, state, dir], [undefined, 'open', env.env.PROVIDER_AUTH_DIR])
  assert.match((await command(env, ['vault', 'status'])).stdout, /^folder +\S+\nstate +opens\naccounts +0\n$/)

  const passphrase = newSandbox()
  const init = ['key', 'init', '--source', 'passphrase', '--passphrase-stdin']
  assert.equal((await answer(passphrase, 'key-init', init, { input: `${WORDS}\nnot this line` })).state, 'open')
  passphrase.env.PROVIDER_AUTH_PASSPHRASE = WORDS
  assert.deepEqual(await labels(passphrase), [])
})

test('a vault that does not open has its status as the answer, exit code 4, and each way to open it as the next step', async () => {
  const sandbox = newSandbox({ ...NOTHING, PROVIDER_AUTH_KEY: randomBytes(32).toString('base64') })
  await answer(sandbox, 'key-init', ['key', 'init', '--source', 'env'])
  const input = WORDS
  await answer(sandbox, 'key-slot-add', ['key', 'slot', 'add', 'passphrase', '--passphrase-stdin'], { input })
  for (const [env, state, errorCode] of [
    [NOTHING, 'key_missing', 'VAULT_KEY_MISSING'],
    [{ PROVIDER_AUTH_KEY: randomBytes(32).toString('base64') }, 'key_mismatch', 'VAULT_KEY_MISMATCH'],
  ]) {
    const { code, stdout, stderr } = await command(sandbox, ['key', 'status', '--json'], { env })
    assert.equal(code, 4)
    assert.equal(JSON.parse(stdout).state, state)
    const { error } = JSON.parse(stderr)
    assert.deepEqual([error.code, error.exitCode], [errorCode, 4])
    for (const way of [/PROVIDER_AUTH_KEY /, /PROVIDER_AUTH_PASSPHRASE/, /provider-auth key import/])
      assert.match(error.next, way)
  }
})

test('an exported key brings a vault back whose key file is gone, without naming the place, and rotates after it', async () => {
  const sandbox = newSandbox()
  await answer(sandbox, 'key-init', ['key', 'init', '--source', 'keyfile'])
  await addKey(sandbox)
  const exported = await command(sandbox, ['key', 'export'])
  rmSync(`${sandbox.vaultDir}.key`)
  assert.equal((await failure(sandbox, ['accounts'])).exit, 4)
  const { slots } = await answer(sandbox, 'key-import', ['key', 'import'], { input: exported.stdout })
  // The slot of the key that is lost would keep every rotation from its end.
  assert.deepEqual([slots.length, slots[0].keySource], [1, 'keyfile'])
  assert.equal((await answer(sandbox, 'accounts', ['accounts'])).accounts.length, 1)
  await answer(sandbox, 'key-rotate', ['key', 'rotate'])
  // And with the key file in its place it takes the key again, without a second slot.
  const again = await command(sandbox, ['key', 'export'])
  const imported = await answer(sandbox, 'key-import', ['key', 'import'], { input: again.stdout })
  assert.equal(imported.slots.length, 1)
})

test('a rotation asks for the passphrase of a slot that an earlier version made', async () => {
  const sandbox = newSandbox({ ...NOTHING, PROVIDER_AUTH_KEY: EARLIER_KEY })
  placeEarlierVault(sandbox.vaultDir)
  const before = await answer(sandbox, 'key-status', ['key', 'status'])
  const lacking = await failure(sandbox, ['key', 'rotate'])
  assert.deepEqual([lacking.exit, lacking.code], [4, 'VAULT_KEY_MISSING'])
  assert.match(lacking.next, /--passphrase-stdin/)
  assert.ok(lacking.message.includes(EARLIER_SLOT))
  const wrong = await failure(sandbox, ['key', 'rotate', '--passphrase-stdin'], { input: OTHER_WORDS })
  assert.equal(wrong.exit, 4)
  const rotate = ['key', 'rotate', '--passphrase-stdin']
  const rotated = await answer(sandbox, 'key-rotate', rotate, { input: EARLIER_PASSPHRASE })
  assert.notEqual(rotated.keyId, before.keyId)
})

test('a slot that goes opens nothing more, and the last one stays', async () => {
  const sandbox = newKeyfileSandbox()
  await addKey(sandbox)
  const before = await answer(sandbox, 'key-status', ['key', 'status'])
  const add = ['key', 'slot', 'add', 'passphrase', '--passphrase-stdin']
  const { slot } = await answer(sandbox, 'key-slot-add', add, { input: WORDS })
  const rotated = await answer(sandbox, 'key-rotate', ['key', 'rotate'])
  assert.notEqual(rotated.keyId, before.keyId)

  assert.equal((await failure(sandbox, ['key', 'slot', 'remove', slot.id])).exit, 2, 'asks, and cannot')
  const { removed } = await answer(sandbox, 'key-slot-remove', ['key', 'slot', 'remove', slot.id, '--yes'])
  assert.equal(removed, slot.id)
  assert.match((await failure(sandbox, ['key', 'slot', 'remove', slot.id, '--yes'])).next, /key status/)
  const [last] = (await answer(sandbox, 'key-status', ['key', 'status'])).slots
  assert.notEqual((await command(sandbox, ['key', 'slot', 'remove', last.id, '--yes'])).code, 0)
  assert.deepEqual(await labels(sandbox), ['ada'])
})

test('an exported key opens the vault after its own is lost', async () => {
  const sandbox = newKeyfileSandbox()
  await addKey(sandbox)
  const { key } = await answer(sandbox, 'key-export', ['key', 'export'])
  const file = join(sandbox.work, 'key.txt')
  assert.equal((await answer(sandbox, 'key-export', ['key', 'export', '--out', file])).file, file)
  assert.equal(readFileSync(file, 'utf8'), `${key}\n`)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.match((await failure(sandbox, ['key', 'export', '--out', file])).next, /--force/)
  await answer(sandbox, 'key-export', ['key', 'export', '--out', file, '--force'])

  rmSync(`${sandbox.vaultDir}.key`)
  assert.equal((await failure(sandbox, ['accounts'])).exit, 4)
  const other = randomBytes(32).toString('base64')
  assert.equal((await failure(sandbox, ['key', 'import'], { input: other })).code, 'VAULT_KEY_MISMATCH')
  assert.equal((await failure(sandbox, ['key', 'import'])).exit, 2, 'nothing on standard input')
  assert.equal((await answer(sandbox, 'key-import', ['key', 'import'], { input: `${key}\r\n` })).state, 'open')
  assert.deepEqual(await labels(sandbox), ['ada'])
})

test('a new key for a vault that has one is asked for, since all other ways to it end', async () => {
  const sandbox = newKeyfileSandbox()
  await addKey(sandbox)
  const exists = await failure(sandbox, ['key', 'init'])
  assert.deepEqual([exists.exit, exists.code], [1, 'KEY_EXISTS'])
  assert.match(exists.next, /key rotate/)
  assert.match((await failure(sandbox, ['key', 'init', '--force'])).next, /--yes/)
  const args = ['key', 'init', '--force', '--yes', '--source', 'passphrase', '--passphrase-stdin']
  assert.equal((await answer(sandbox, 'key-init', args, { input: WORDS })).keySource, 'passphrase')
  Object.assign(sandbox.env, { ...NOTHING, PROVIDER_AUTH_PASSPHRASE: WORDS })
  assert.deepEqual(await labels(sandbox), ['ada'])
  const twice = await failure(sandbox, args, { input: OTHER_WORDS })
  assert.match(twice.next, /key slot add passphrase/)
})

/* ───────────────────────────── bundles ───────────────────────────── */

const EXPORT = ['vault', 'export']
const QUIETLY = ['--passphrase-stdin']

test('API keys go to another vault in a file, which is not written over', async () => {
  const [here, there] = [newKeyfileSandbox(), newKeyfileSandbox()]
  await addKey(here)
  const file = join(here.work, 'keys.age')
  const made = await answer(here, 'vault-export', [...EXPORT, file, ...QUIETLY], { input: WORDS })
  assert.deepEqual([made.file, made.moved], [file, []])
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(statSync(file).size, made.bytes)
  assert.match((await failure(here, [...EXPORT, file, ...QUIETLY], { input: WORDS })).next, /--force/)
  const weak = await failure(here, [...EXPORT, file, '--force', ...QUIETLY], { input: '123456' })
  assert.equal(weak.exit, 2)
  assert.equal(statSync(file).size, made.bytes, 'what was there stays')

  const bring = (from = file) => ['vault', 'import', from, ...QUIETLY]
  const wrong = await failure(there, bring(), { input: OTHER_WORDS })
  assert.deepEqual([wrong.exit, wrong.code], [1, 'INVALID_ARGUMENT'])
  assert.match(wrong.next, /passphrase/)
  const brought = await answer(there, 'vault-import', bring(), { input: WORDS })
  assert.deepEqual(
    brought.accounts.map(({ label, action }) => [label, action]),
    [['ada', 'added']],
  )
  const again = await answer(there, 'vault-import', bring(), { input: WORDS })
  assert.deepEqual([again.added, again.skipped], [0, 1])
  assert.match(again.accounts[0].why, /newer/)
  assert.deepEqual(await labels(there), ['ada'])
  for (const path of [join(here.work, 'none.age'), here.work])
    assert.equal((await failure(there, bring(path), { input: WORDS })).exit, 1)
})

test('logins move only when that is agreed to, and a file that could not be written is written once more', async () => {
  const sandbox = newKeyfileSandbox()
  withOpenCode(sandbox, {
    anthropic: { type: 'oauth', refresh: 'r-1', access: 'a-1', expires: Date.now() + 3_600_000 },
  })
  await answer(sandbox, 'migrate', ['migrate'])
  const file = join(sandbox.work, 'all.age')
  const args = [...EXPORT, file, '--include-logins', ...QUIETLY]
  const asks = await failure(sandbox, args, { input: WORDS })
  assert.equal(asks.exit, 2)
  assert.match(asks.next, /--yes/)
  assert.equal(existsSync(file), false)
  assert.deepEqual(states(await answer(sandbox, 'accounts', ['accounts'])), ['ready'])

  // The folder goes once the file is begun: the shell reads the passphrase, and the file has no place any more.
  const gone = join(sandbox.work, 'gone')
  mkdirSync(gone)
  const run = sandbox.spawn(COMMAND, {
    args: [...EXPORT, join(gone, 'all.age'), '--include-logins', '--yes', ...QUIETLY, '--json'],
    input: null,
  })
  while (readdirSync(gone).length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  rmSync(gone, { recursive: true })
  run.child.stdin.end(WORDS)
  const failed = await run.ended
  assert.deepEqual([failed.code, failed.stdout], [1, ''])
  const { error } = JSON.parse(failed.stderr)
  assert.match(error.why, /nothing is lost/)
  assert.match(error.next, /--again/)
  assert.deepEqual(states(await answer(sandbox, 'accounts', ['accounts'])), ['needs_login'])

  await answer(sandbox, 'vault-export', [...EXPORT, file, '--again'])
  const back = await answer(sandbox, 'vault-import', ['vault', 'import', file, ...QUIETLY], { input: WORDS })
  assert.equal(back.updated, 1)
  assert.deepEqual(states(await answer(sandbox, 'accounts', ['accounts'])), ['ready'])
  const none = await failure(sandbox, [...EXPORT, join(sandbox.work, 'b.age'), '--again'])
  assert.match(none.next, /--include-logins/)
  assert.deepEqual(readdirSync(sandbox.work), ['all.age'], 'nothing that was begun stays')
  const moved = await answer(sandbox, 'vault-export', [...args, '--yes', '--force'], { input: WORDS })
  assert.equal(moved.moved.length, 1)
})

/* ───────────────────────────── migration ───────────────────────────── */

test('a migration shows its plan, takes files over only when that is agreed to, and is undone', async () => {
  const sandbox = newKeyfileSandbox()
  const entries = {
    openai: { type: 'api', key: 'sk-of-bob' },
    anthropic: { type: 'api', key: 'sk-ant' },
    odd: { type: 'odd' },
  }
  const file = withOpenCode(sandbox, entries)
  const before = readFileSync(file, 'utf8')
  const plan = await answer(sandbox, 'migrate', ['migrate', '--dry-run', '--source', 'remove'])
  assert.deepEqual([plan.dryRun, plan.imported.length, plan.skipped[0].key], [true, 2, 'odd'])
  assert.equal(existsSync(sandbox.vaultDir), false, 'a plan makes no vault')
  for (const args of [
    ['--source', 'remove'],
    ['--source', 'backup'],
  ])
    assert.match((await failure(sandbox, ['migrate', ...args])).next, /--yes/)
  assert.equal(readFileSync(file, 'utf8'), before)

  const one = await answer(sandbox, 'migrate', ['migrate', '--entries', 'openai,nope', '--source', 'backup', '--yes'])
  assert.deepEqual(
    one.imported.map(({ provider, action }) => [provider, action]),
    [['openai', 'added']],
  )
  assert.deepEqual(
    one.skipped.map(({ key }) => key),
    ['nope'],
  )
  assert.equal(readFileSync(one.sources[0].backup, 'utf8'), before)
  const env = { OPENAI_API_KEY: 'sk-of-env', ANTHROPIC_API_KEY: 'sk-of-env-2' }
  const named = await answer(sandbox, 'migrate', ['migrate', '--dry-run', '--env', 'OPENAI_API_KEY'], { env })
  assert.deepEqual([named.files.includes('OPENAI_API_KEY'), named.files.includes('ANTHROPIC_API_KEY')], [true, false])
  const known = await answer(sandbox, 'migrate', ['migrate', '--dry-run', '--env'], { env })
  assert.ok(known.files.includes('ANTHROPIC_API_KEY'))

  assert.match((await failure(sandbox, ['migrate', '--undo'])).next, /--yes/)
  const undone = await answer(sandbox, 'migrate', ['migrate', '--undo', '--yes'])
  assert.equal(undone.sources[0].state, 'restored')
  assert.equal(readFileSync(file, 'utf8'), before)
  assert.deepEqual(await labels(sandbox), [])
  assert.equal((await failure(sandbox, ['migrate', '--undo', '--entries', 'openai'])).exit, 2)
})

/* ───────────────────────────── in a terminal ───────────────────────────── */

test(
  'a passphrase is asked for twice and never shown; Ctrl-C ends with 130 and gives the terminal back',
  onScreen,
  async () => {
    const sandbox = newSandbox()
    writeFileSync(join(sandbox.work, 'words'), WORDS)
    const terminal = await startShell(sandbox)
    try {
      await terminal.enter('provider-auth key init --source passphrase')
      await terminal.shows(/Passphrase of the vault/)
      await terminal.press('C-c')
      await terminal.shows(/code 130/)
      await terminal.enter('stty -a | tr " " "\\n" | grep -x -e -echo -e echo')
      await terminal.shows(/^echo$/m)
      assert.equal(existsSync(sandbox.vaultDir), false)

      await terminal.enter('clear; provider-auth key init --source passphrase')
      await terminal.shows(/Passphrase of the vault/)
      await terminal.enter(WORDS)
      await terminal.shows(/once more/)
      await terminal.enter(OTHER_WORDS)
      await terminal.shows(/not the same[\s\S]*code 2/)
      await terminal.enter('clear; provider-auth key init --source passphrase')
      await terminal.shows(/Passphrase of the vault/)
      await terminal.enter(WORDS)
      await terminal.shows(/once more/)
      await terminal.enter(WORDS)
      await terminal.shows(/state +opens[\s\S]*PROVIDER_AUTH_PASSPHRASE[\s\S]*code 0/)

      await terminal.enter('clear; bash -c "echo \\$\\$ > pid; exec provider-auth key slot add passphrase"')
      await terminal.shows(/Passphrase that opens/)
      process.kill(Number(readFileSync(join(sandbox.work, 'pid'), 'utf8')))
      await terminal.shows(/code 143/)
      rmSync(join(sandbox.work, 'pid'))
      await terminal.enter('clear; stty -a | tr " " "\\n" | grep -x -e -echo -e echo')
      await terminal.shows(/^echo$/m)

      await terminal.enter('clear; PROVIDER_AUTH_PASSPHRASE="$(cat words)" provider-auth vault export x.age')
      await terminal.shows(/Passphrase of the file/)
      await terminal.press('C-c')
      await terminal.shows(/code 130/)
      assert.deepEqual(readdirSync(sandbox.work), ['words'], 'nothing that was begun stays')

      await terminal.enter('clear; provider-auth key export')
      await terminal.shows(/--show[\s\S]*code 2/)
      for (const screen of terminal.seen)
        for (const word of ['gravel', 'velvet']) assert.ok(!screen.includes(word), screen)
    } finally {
      await terminal.close()
    }
  },
)

test('a migration in a terminal shows the plan and asks; no leaves all as it was', onScreen, async () => {
  const sandbox = newKeyfileSandbox()
  withOpenCode(sandbox, { openai: { type: 'api', key: 'sk-of-bob' } })
  const terminal = await startCommand(sandbox, ['migrate', '--source', 'remove'])
  try {
    await terminal.shows(/openai +API key +to add[\s\S]*to remove[\s\S]*Go on\?/)
    await terminal.press('n')
    await terminal.shows(/nothing was changed/)
    assert.deepEqual(await labels(sandbox), [])
  } finally {
    await terminal.close()
  }
})

/* ───────────────────────────── their parts ───────────────────────────── */

function withOpenCode(sandbox, entries) {
  const folder = join(sandbox.env.XDG_DATA_HOME, 'opencode')
  mkdirSync(folder)
  const file = join(folder, 'auth.json')
  writeFileSync(file, JSON.stringify(entries), { mode: 0o600 })
  return file
}

function states({ accounts }) {
  return accounts.map(({ state }) => state)
}
