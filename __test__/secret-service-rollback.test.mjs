/**
 * A vault that was put back to an older state. Where its key is in the keychain, on a real GNOME Keyring, that is noticed
 * even if the whole folder was put back; without one, a process that runs notices it, and the next one does not.
 */
import assert from 'node:assert/strict'
import { cpSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createSession } from './support/keyring.mjs'
import { chat, openStage } from './support/stage.mjs'

const { oidc, upstream, sandbox, inChild } = await openStage({ name: 'rollback', rotation: { maxWaitMs: 100 } })
const session = createSession()
after(() => session.close())
await session.startBus()
await session.startDaemon()

const ROOT = '/org/freedesktop/secrets'
const AGENT = new URL('./support/agent.mjs', import.meta.url)
/** How long the end of a process may take where the keychain does not answer, in ms: one deadline, and a busy machine. */
const LONGEST_EXIT = 10_000

const logIn = (user) => `
  const { signIn } = await import('${AGENT}')
  const onPrompt = (prompt) => void signIn(prompt, { user: '${user}' })
  const account = await auth.login({ provider: 'local', method: 'browser', label: '${user}', onPrompt })`
const STATES = `
  const states = Object.fromEntries((await auth.listAccounts()).map(({ id, state }) => [id, state]))
  console.log(JSON.stringify(states))`
const SERVE = `
  const { status } = await auth.createAuthFetch({ provider: 'local' })('${upstream.chatUrl}', ${JSON.stringify(chat())})
  console.log(JSON.stringify(status))`

/** A vault of its own, with its key in the keychain or given, whose folder can be put back. */
function openVault(name, { keychain }) {
  const dir = join(sandbox.dir, name)
  const source = keychain && { ...session.env, PROVIDER_AUTH_KEY_SOURCE: 'keychain', PROVIDER_AUTH_KEY: '' }
  const env = { PROVIDER_AUTH_DIR: dir, ...source }
  const run = (source) => inChild(source, { env })
  return {
    dir,
    env,
    run,
    states: () => run(STATES),
    logIn: async (user) => (await run(`${logIn(user)}\nconsole.log(JSON.stringify(account))`)).id,
    renew: (id) => run(`console.log(JSON.stringify((await auth.refreshAccount('${id}', { force: true })).state))`),
    copy: () => cpSync(dir, `${dir}-old`, { recursive: true }),
    putBack: () => {
      rmSync(dir, { recursive: true })
      cpSync(`${dir}-old`, dir, { recursive: true })
    },
  }
}

/** The entries with marks in the keyring. */
const marks = () =>
  [
    ...session
      .call(ROOT, 'Service.SearchItems', 'dict:string:string:service,provider-auth-marks')
      .matchAll(/object path "([^"]+)"/g),
  ].map(([, path]) => path)

test('the whole folder put back is noticed by the keychain: the token serves, and the refresh token is not spent', async () => {
  const vault = openVault('with-keychain', { keychain: true })
  const [ada, bob] = [await vault.logIn('ada'), await vault.logIn('bob')]
  vault.copy()
  assert.equal(await vault.renew(ada), 'ready')
  const state = readFileSync(join(vault.dir, 'state.json'), 'utf8')
  vault.putBack()
  assert.notEqual(readFileSync(join(vault.dir, 'state.json'), 'utf8'), state)

  const before = { ...oidc.counters }
  assert.deepEqual(await vault.states(), { [ada]: 'rollback_suspected', [bob]: 'ready' })
  await vault.run(`await auth.updateAccount('${bob}', { enabled: false })\nconsole.log(1)`)
  assert.equal(await vault.run(SERVE), 200)
  assert.deepEqual(await vault.states(), { [ada]: 'rollback_suspected', [bob]: 'disabled' })
  assert.equal(oidc.counters.refreshRequests, before.refreshRequests)

  // Signing in is what it asks for, and every process knows of it.
  assert.equal(await vault.logIn('ada'), ada)
  assert.equal((await vault.states())[ada], 'ready')
  assert.equal(await vault.renew(ada), 'ready')
})

test('the copy of a login that was moved away is noticed too', async () => {
  const vault = openVault('moved', { keychain: true })
  const id = await vault.logIn('eve')
  vault.copy()
  await vault.run(`await auth.exportVault('correct horse battery staple', { includeOAuth: true })\nconsole.log(1)`)
  assert.deepEqual(await vault.states(), { [id]: 'needs_login' })
  vault.putBack()
  assert.deepEqual(await vault.states(), { [id]: 'rollback_suspected' })
})

test('the marks are one small entry of their own, which goes with the key of the keychain', async () => {
  const vault = openVault('marks', { keychain: true })
  const known = [session.entries().length, marks().length]
  await vault.logIn('ada')
  assert.deepEqual([session.entries().length, marks().length], [known[0] + 1, known[1] + 1])
  const id = await vault.logIn('bob')
  for (let turn = 0; turn < 3; turn += 1) await vault.renew(id)
  assert.equal(marks().length, known[1] + 1, 'it is replaced and not added')
  await vault.run(`
    const [slot] = (await auth.vaultStatus()).slots
    await auth.addVaultSlot({ keySource: 'passphrase', passphrase: 'in the safe' })
    await auth.removeVaultSlot(slot.id)
    console.log(1)`)
  assert.deepEqual([session.entries().length, marks().length], known)
})

test('a keychain that is locked or does not answer costs neither a call nor the end of a process, and no prompt is shown', async () => {
  const vault = openVault('troubled', { keychain: true })
  const id = await vault.logIn('ada')
  vault.copy()
  const renewing = (trouble) => `
    await auth.listAccounts()
    ${trouble}
    const { state } = await auth.refreshAccount('${id}', { force: true })
    console.log(JSON.stringify({ state, at: Date.now() }))`
  const stopped = await vault.run(renewing(`process.kill(${session.daemon.pid}, 'SIGSTOP')`))
  const took = Date.now() - stopped.at
  session.daemon.kill('SIGCONT')
  assert.equal(stopped.state, 'ready')
  assert.ok(took < LONGEST_EXIT, `the process ended after ${took} ms`)

  const locking = `
    const { execFileSync } = await import('node:child_process')
    execFileSync('dbus-send', ['--session', '--print-reply', '--dest=org.freedesktop.secrets', '${ROOT}',
      'org.freedesktop.Secret.Service.Lock', 'array:objpath:${ROOT}/collection/login'])`
  assert.equal((await vault.run(renewing(locking))).state, 'ready')
  await session.unlock()

  // The next process that opens the vault makes up for it.
  assert.deepEqual(await vault.states(), { [id]: 'ready' })
  vault.putBack()
  assert.deepEqual(await vault.states(), { [id]: 'rollback_suspected' })
})

test('one record put back, or with the state file, is noticed as far as something newer is left', async () => {
  for (const keychain of [true, false]) {
    const vault = openVault(`parts-${keychain}`, { keychain })
    const id = await vault.logIn('ada')
    vault.copy()
    await vault.renew(id)
    const putBack = (file) => cpSync(join(`${vault.dir}-old`, file), join(vault.dir, file))
    putBack(`rec/${id}.rec`)
    assert.deepEqual(await vault.states(), { [id]: 'rollback_suspected' }, 'the state file tells')
    putBack('state.json')
    assert.deepEqual(await vault.states(), { [id]: keychain ? 'rollback_suspected' : 'ready' })
  }
})

test('without a keychain the whole folder put back is noticed by a process that runs, and not by the next one', async () => {
  const vault = openVault('given-key', { keychain: false })
  const id = await vault.logIn('ada')
  vault.copy()
  const running = sandbox.start(
    `
    const state = async () => (await auth.listAccounts())[0].state
    console.log('before: ' + (await state()))
    await auth.refreshAccount('${id}', { force: true })
    console.log('renewed')
    process.stdin.once('data', async () => {
      // Where the kernel watches the folder, one that was swapped for another shows a second later.
      let seen = await state()
      for (let tries = 100; seen === 'ready' && tries > 0; tries -= 1) {
        await new Promise((resolve) => setTimeout(resolve, 100))
        seen = await state()
      }
      console.log('after: ' + seen)
      process.exit()
    })`,
    { env: vault.env, input: null },
  )
  await running.line(/^before: ready$/)
  await running.line(/^renewed$/)
  // As a tool that restores does it: beside, and then in place.
  cpSync(`${vault.dir}-old`, `${vault.dir}-new`, { recursive: true })
  renameSync(vault.dir, `${vault.dir}-gone`)
  renameSync(`${vault.dir}-new`, vault.dir)
  running.child.stdin.write('\n')
  await running.line(/^after: rollback_suspected$/)
  await running.ended

  const next = openVault('given-key-2', { keychain: false })
  const other = await next.logIn('bob')
  next.copy()
  await next.renew(other)
  next.putBack()
  assert.deepEqual(await next.states(), { [other]: 'ready' })
})
