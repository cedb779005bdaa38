/**
 * Bundles: accounts that travel between two vaults, as two machines would have them, under a passphrase that the stock
 * `age` command takes too. A login is moved and never copied; what is older never replaces what is newer.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { rejection } from './support/desk.mjs'
import { chat, openStage } from './support/stage.mjs'

const PASSPHRASE = 'correct horse S3CRET'
const { oidc, upstream, sandbox, library, logIn, openPool, inChild } = await openStage({
  name: 'bundle',
  rotation: { maxWaitMs: 100 },
  providers: ({ upstream: { origin } }) => ({ desk: { origins: [origin] } }),
})
const here = await library.addApiKey({ provider: 'desk', apiKey: 'sk-S3CRET-1', label: 'work', namespace: 'team' })
await library.updateAccount(here.id, { priority: 7 })
await library.addApiKey({ provider: 'desk', apiKey: 'sk-S3CRET-2', label: 'home' })

test('API keys travel with label, pool and order; importing them again changes nothing', async () => {
  const there = newMachine()
  const login = await logIn('stays')
  const bundle = await library.exportVault(PASSPHRASE)
  assert.ok(bundle instanceof Uint8Array)
  const report = await there.take(bundle)
  assert.deepEqual([report.added, report.updated, report.skipped], [2, 0, 0])
  const accounts = await there.accounts()
  const [work] = accounts.filter(({ label }) => label === 'work')
  const { provider, namespace, priority, kind } = work
  assert.deepEqual(
    { provider, namespace, priority, kind },
    { provider: 'desk', namespace: 'team', priority: 7, kind: 'api' },
  )
  assert.equal(work.id, here.id)
  assert.ok(!accounts.some(({ kind }) => kind === 'oauth'), 'a login stays at home unless it is asked for')
  const again = await there.take(bundle)
  assert.deepEqual([again.added, again.updated, again.skipped], [0, 0, 2])
  assert.match(again.accounts[0].why, /same or a newer generation/)
  assert.deepEqual(await there.accounts(), accounts)
  assert.equal((await find(login.id)).state, 'ready')
  await library.removeAccount(login.id)
})

test('an account that was added there under another id is the same one by its key', async () => {
  const there = newMachine()
  const own = await there.ask(`auth.addApiKey({ provider: 'desk', apiKey: 'sk-S3CRET-2', label: 'mine' })`)
  const report = await there.take(await library.exportVault(PASSPHRASE))
  assert.deepEqual([report.added, report.updated, report.skipped], [1, 0, 1])
  const skipped = report.accounts.find(({ action }) => action === 'skipped')
  assert.deepEqual([skipped.accountId, skipped.why], [own.id, 'the same API key is here'])
  assert.equal((await there.accounts()).find(({ id }) => id === own.id).label, 'mine')
})

test('a newer generation replaces an older one, and never the other way round', async () => {
  const there = newMachine()
  const old = await library.exportVault(PASSPHRASE)
  await there.take(old)
  await library.updateAccount(here.id, { label: 'renamed' })
  const report = await there.take(await library.exportVault(PASSPHRASE))
  assert.deepEqual([report.added, report.updated, report.skipped], [0, 1, 1])
  assert.ok((await there.accounts()).some(({ id, label }) => id === here.id && label === 'renamed'))
  assert.equal((await there.take(old)).skipped, 2)
  assert.equal((await library.importVault(old, PASSPHRASE)).skipped, 2)
  assert.equal((await find(here.id)).label, 'renamed')
})

test('a login moves once: it serves and refreshes there, and here it needs a login and says why', async () => {
  const { ids, namespace, users } = await openPool(['ada'])
  const [id] = ids
  const there = newMachine()
  const bundle = await library.exportVault(PASSPHRASE, { includeOAuth: true })
  // For who never receives it.
  assert.deepEqual(Buffer.from(await library.movedBundle()), Buffer.from(bundle))

  const { state, movedAt, label } = await find(id)
  assert.deepEqual({ state, label }, { state: 'needs_login', label: users[0] })
  assert.ok(Math.abs(movedAt - Date.now()) < 60_000)
  const refusal = await rejection(library.getAuthHeaders({ provider: 'local', namespace, url: upstream.chatUrl }))
  assert.equal(refusal.code, 'NEEDS_LOGIN')
  assert.match(refusal.message, /moved to a bundle/)
  assert.equal((await rejection(library.refreshAccount(id, { force: true }))).code, 'NEEDS_LOGIN')
  // Neither from the disk nor from another bundle can it be had a second time.
  const second = await newMachine().take(await library.exportVault(PASSPHRASE, { includeOAuth: true }))
  assert.ok(!second.accounts.some(({ accountId }) => accountId === id))

  const before = { ...oidc.counters }
  const report = await there.take(bundle)
  assert.equal(report.accounts.find(({ accountId }) => accountId === id).action, 'added')
  const renewed = await there.ask(`auth.refreshAccount('${id}', { force: true })`)
  assert.equal(renewed.state, 'ready')
  assert.equal(await there.serves(namespace), 200)
  assert.equal(oidc.counters.refreshRequests - before.refreshRequests, 1)
  assert.equal(oidc.counters.invalidGrants, before.invalidGrants)
  // The bundle is older now than what is there.
  const again = await there.take(bundle)
  assert.deepEqual([again.added, again.updated], [0, 0])
  assert.equal(await there.serves(namespace), 200)

  // And back: the account here is the same one, and takes up where the other machine left off.
  const back = await there.ask(
    `auth.exportVault('${PASSPHRASE}', { includeOAuth: true }).then((bundle) => Buffer.from(bundle).toString('base64'))`,
  )
  const returned = await library.importVault(Buffer.from(back, 'base64'), PASSPHRASE)
  assert.equal(returned.accounts.find(({ accountId }) => accountId === id).action, 'updated')
  const { state: now, movedAt: none } = await find(id)
  assert.deepEqual({ now, none }, { now: 'ready', none: undefined })
  assert.equal((await library.refreshAccount(id, { force: true })).state, 'ready')
  assert.equal(oidc.counters.invalidGrants, before.invalidGrants)
})

test('a bundle that did not arrive brings the login back where it came from, and signing in again does too', async () => {
  const { ids, ask, users, namespace } = await openPool(['ada', 'bob'])
  const bundle = await library.exportVault(PASSPHRASE, { includeOAuth: true })
  const report = await library.importVault(bundle, PASSPHRASE)
  for (const id of ids) assert.equal(report.accounts.find(({ accountId }) => accountId === id).action, 'updated')
  assert.equal((await ask()).status, 200)

  await library.exportVault(PASSPHRASE, { includeOAuth: true })
  const again = await logIn(users[0], { namespace })
  assert.deepEqual([again.id, again.state, again.movedAt], [ids[0], 'ready', undefined])
})

test('the kept bundle takes the vault and its key, and is gone once no account waits for it', async () => {
  const kept = join(sandbox.vaultDir, 'moved.age')
  const moving = async () => {
    // Whatever other tests left here would move along.
    const logins = (await library.listAccounts()).filter(({ kind }) => kind === 'oauth')
    for (const { id } of logins) await library.removeAccount(id)
    const { ids, users, namespace } = await openPool(['ada', 'bob'])
    const bundle = Buffer.from(await library.exportVault(PASSPHRASE, { includeOAuth: true }))
    assert.deepEqual(Buffer.from(await library.movedBundle()), bundle)
    const file = readFileSync(kept)
    // Not even its first line is that of an age file, and no other vault takes it.
    assert.ok(!file.includes('age-encryption.org') && !file.includes(bundle.subarray(-64)))
    const { code } = await newMachine().refusal(file, PASSPHRASE)
    assert.equal(code, 'INVALID_ARGUMENT')
    return { ids, users, namespace, bundle }
  }
  const isGone = async () => {
    assert.ok(!existsSync(kept))
    assert.equal(await library.movedBundle(), undefined)
  }

  let { ids, bundle, users, namespace } = await moving()
  assert.equal((await newMachine().take(bundle)).updated, 0)
  // Known here is only what comes back here.
  assert.ok(existsSync(kept))
  await logIn(users[0], { namespace })
  assert.ok(existsSync(kept), 'the other login is still in it alone')
  await logIn(users[1], { namespace })
  await isGone()

  ;({ bundle } = await moving())
  await library.importVault(bundle, PASSPHRASE)
  await isGone()

  ;({ ids } = await moving())
  const spare = await library.addApiKey({ provider: 'desk', apiKey: 'sk-spare', label: 'spare' })
  await library.removeAccount(spare.id)
  assert.ok(existsSync(kept), 'an account that is not in it')
  await library.removeAccount(ids[1])
  await isGone()

  await moving()
  await library.rotateVaultKey()
  await isGone()

  await moving()
  await library.initVaultKey({ force: true })
  await isGone()

  // A process that was killed after the removal left the file: the next one that opens the vault removes it.
  ;({ ids } = await moving())
  rmSync(join(sandbox.vaultDir, `rec/${ids[0]}.rec`))
  await inChild('console.log(JSON.stringify(await auth.listAccounts()))')
  assert.ok(!existsSync(kept))

  // One that an earlier version kept as it was is sealed by the next that opens the vault.
  ;({ bundle } = await moving())
  writeFileSync(kept, bundle)
  const found = await inChild('console.log(JSON.stringify(Buffer.from(await auth.movedBundle()).toString("base64")))')
  assert.equal(found, bundle.toString('base64'))
  assert.ok(!readFileSync(kept).includes('age-encryption.org'))
})

test('a passphrase that is easy to guess is refused for an export, unless it is insisted on, and never for an import', async () => {
  const there = newMachine()
  await openPool(['ada'])
  const before = await library.listAccounts()
  for (const weak of [
    'a',
    'password',
    '12345678',
    'Tr0ub4dor&3',
    'passwordpassword',
    'qwertyuiop123',
    'a'.repeat(64),
  ]) {
    const { code, message } = await rejection(library.exportVault(weak, { includeOAuth: true }))
    assert.equal(code, 'INVALID_ARGUMENT', weak)
    assert.match(message, /12 characters or more/)
    assert.ok(weak.length < 2 || !message.includes(`"${weak}"`), message)
  }
  assert.equal((await rejection(library.exportVault('', { allowWeakPassphrase: true }))).code, 'INVALID_ARGUMENT')
  assert.equal((await rejection(library.exportVault(PASSPHRASE, { allowWeakPassphrase: 1 }))).code, 'INVALID_ARGUMENT')
  assert.deepEqual(await library.listAccounts(), before)
  const forced = await library.exportVault('a', { allowWeakPassphrase: true })
  assert.ok((await there.take(forced, 'a')).added > 0)
  for (const strong of ['correct horse battery staple', 'xK3#vP9qLm!2'])
    assert.ok((await library.exportVault(strong)).length > 0)
})

test('a login of the same identity is updated in place, unless the one that is there is newer', async () => {
  const { ids, namespace, users } = await openPool(['ada'])
  const there = newMachine()
  const script = (user) => `
    const { signIn } = await import('${new URL('./support/agent.mjs', import.meta.url)}')
    const onPrompt = (prompt) => void signIn(prompt, { user: '${user}' })
    const account = await auth.login({ provider: 'local', method: 'browser', namespace: '${namespace}', label: 'theirs', onPrompt })
    console.log(JSON.stringify(account))`
  const own = await there.run(script(users[0]))
  const older = await library.exportVault(PASSPHRASE, { includeOAuth: true })
  const kept = (await there.take(older)).accounts.find(({ accountId }) => accountId === own.id)
  assert.deepEqual([kept.action, kept.why], ['skipped', 'a newer login of the same identity is here'])
  await logIn(users[0], { namespace })
  const newer = await library.exportVault(PASSPHRASE, { includeOAuth: true })
  const taken = (await there.take(newer)).accounts.find(({ accountId }) => accountId === own.id)
  assert.equal(taken.action, 'updated')
  const ours = (await there.accounts()).filter((account) => account.namespace === namespace)
  assert.deepEqual(
    ours.map(({ id, label, state }) => [id, label, state]),
    [[own.id, 'theirs', 'ready']],
  )
  assert.notEqual(own.id, ids[0])
})

test('a wrong passphrase, a cut and a changed bundle are refused with a code, and change nothing', async () => {
  const there = newMachine()
  const bundle = Buffer.from(await library.exportVault(PASSPHRASE))
  const flipped = (at) => bundle.map((byte, index) => (index === at ? byte ^ 1 : byte))
  const wrong = [
    [bundle, 'wrong S3CRET'],
    ...[0, 30, 60, 140, bundle.length - 1].map((at) => [flipped(at), PASSPHRASE]),
    ...[0, 1, 100, bundle.length - 1].map((length) => [bundle.subarray(0, length), PASSPHRASE]),
    [Buffer.concat([bundle, Buffer.from('x')]), PASSPHRASE],
    [Buffer.alloc(17 * 1024 * 1024), PASSPHRASE],
  ]
  for (const [index, [bytes, passphrase]] of wrong.entries()) {
    const { code, message } = await there.refusal(bytes, passphrase)
    assert.equal(code, 'INVALID_ARGUMENT', `${index}: ${message}`)
    assert.ok(!message.includes('S3CRET'), message)
  }
  assert.deepEqual(await there.accounts(), [])
})

test('no secret and no label is readable in a bundle or in the vault it came to', async () => {
  const there = newMachine()
  const bundle = Buffer.from(await library.exportVault(PASSPHRASE))
  await there.take(bundle)
  const files = readdirSync(there.dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const contents = files.map(({ parentPath, name }) => readFileSync(join(parentPath, name)))
  for (const bytes of [bundle, ...contents])
    for (const marker of ['S3CRET', 'renamed', 'correct horse']) assert.ok(!bytes.includes(marker), marker)
  assert.ok(bundle.subarray(0, 21).equals(Buffer.from('age-encryption.org/v1')))
})

test('the stock age command opens a bundle, and a bundle that it made is imported', { skip: !hasAge() }, async () => {
  const folder = join(sandbox.dir, 'age')
  mkdirSync(folder)
  writeFileSync(join(folder, 'bundle.age'), await library.exportVault('correct horse battery'))
  atTerminal(folder, 'age -d -o plain.json bundle.age', 'correct horse battery\n')
  const plain = JSON.parse(readFileSync(join(folder, 'plain.json'), 'utf8'))
  const { format, version, accounts } = plain
  assert.deepEqual({ format, version }, { format: 'provider-auth bundle', version: 1 })
  assert.deepEqual(accounts.map(({ account }) => account.secret.key).sort(), ['sk-S3CRET-1', 'sk-S3CRET-2'])

  // Somebody edits it: an account of a later version, one that no call could have stored, and a field not known yet.
  accounts[0].account.colour = 'red'
  accounts.push({ id: 'x', generation: 1, account: { kind: 'telepathy' } })
  accounts.push({ ...accounts[1], id: accounts[1].id, account: { ...accounts[1].account, label: 'two\nlines' } })
  writeFileSync(join(folder, 'plain.json'), JSON.stringify(plain))
  atTerminal(folder, 'age -p -o edited.age plain.json', 'correct horse\ncorrect horse\n')
  const there = newMachine()
  const report = await there.take(readFileSync(join(folder, 'edited.age')), 'correct horse')
  assert.deepEqual([report.added, report.updated, report.skipped], [2, 0, 2])
  const whys = report.accounts.filter(({ action }) => action === 'skipped').map(({ why }) => why)
  assert.match(whys[0], /newer version/)
  assert.match(whys[1], /no name/)
  // What this version does not know stays: it is in the next bundle too, after a change of the account.
  await there.ask(`auth.updateAccount('${accounts[0].id}', { priority: 3 })`)
  const next = await there.ask(
    `auth.exportVault('correct horse battery').then((bundle) => Buffer.from(bundle).toString('base64'))`,
  )
  writeFileSync(join(folder, 'next.age'), Buffer.from(next, 'base64'))
  atTerminal(folder, 'age -d -o next.json next.age', 'correct horse battery\n')
  const kept = JSON.parse(readFileSync(join(folder, 'next.json'), 'utf8')).accounts
  assert.equal(kept.find(({ id }) => id === accounts[0].id).account.colour, 'red')

  // Something else that is under a passphrase is no bundle.
  writeFileSync(join(folder, 'letter.txt'), 'dear all')
  atTerminal(folder, 'age -p -o letter.age letter.txt', 'correct horse\ncorrect horse\n')
  const refusal = await there.refusal(readFileSync(join(folder, 'letter.age')), 'correct horse')
  assert.equal(refusal.code, 'INVALID_ARGUMENT')
})

const find = async (wanted) => (await library.listAccounts()).find(({ id }) => id === wanted)

/** Another machine: a vault of its own with a key of its own, under the same configuration. */
function newMachine() {
  const dir = join(sandbox.dir, `machine-${randomBytes(4).toString('hex')}`)
  const env = { PROVIDER_AUTH_DIR: dir, PROVIDER_AUTH_KEY: randomBytes(32).toString('base64') }
  const run = (source) => inChild(source, { env })
  const ask = (promise) => run(`console.log(JSON.stringify(await ${promise}))`)
  const importing = (bytes, passphrase) => {
    const file = join(sandbox.work, `bundle-${randomBytes(4).toString('hex')}.age`)
    writeFileSync(file, bytes)
    const read = `(await import('node:fs')).readFileSync(${JSON.stringify(file)})`
    return `auth.importVault(${read}, ${JSON.stringify(passphrase)})`
  }
  return {
    dir,
    run,
    ask,
    accounts: () => ask('auth.listAccounts()'),
    take: (bytes, passphrase = PASSPHRASE) => ask(importing(bytes, passphrase)),
    refusal: (bytes, passphrase) =>
      ask(`${importing(bytes, passphrase)}.then(() => ({}), ({ code, message }) => ({ code, message }))`),
    serves: (namespace) => {
      const call = `auth.createAuthFetch({ provider: 'local', namespace: '${namespace}' })('${upstream.chatUrl}', ${JSON.stringify(chat())})`
      return ask(`${call}.then(({ status }) => status)`)
    },
  }
}

/** Whether both tools are there. `npm test` installs them where it may; with CI=true they must be. */
function hasAge() {
  const has = (command) => (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, command)))
  return has('age') && has('script')
}

/** Runs a command that asks for a passphrase at a terminal, which `script` provides. */
function atTerminal(cwd, command, input) {
  const { status, stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
    cwd,
    input,
    encoding: 'utf8',
    timeout: 60_000,
  })
  assert.equal(status, 0, stdout)
}
