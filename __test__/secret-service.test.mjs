/**
 * The vault key in a real keychain: GNOME Keyring over D-Bus. Runs inside `scripts/secret-service-session.sh`, which
 * `npm test` sees to.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createSandbox } from './support/sandbox.mjs'

const { DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR, SECRET_SERVICE_PID } = process.env
if (DBUS_SESSION_BUS_ADDRESS === undefined || SECRET_SERVICE_PID === undefined)
  throw new Error('this suite needs a keyring of its own: scripts/secret-service-session.sh node --test <this file>')

const sandbox = createSandbox({
  name: 'keychain',
  config: { providers: { desk: { origins: ['http://127.0.0.1:9'] } } },
})
Object.assign(sandbox.env, { DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR, PROVIDER_AUTH_KEY_SOURCE: 'keychain' })
delete sandbox.env.PROVIDER_AUTH_KEY
after(() => sandbox.cleanup())

const LIST = 'console.log(JSON.stringify(await auth.listAccounts()))'
/** What a call on the vault comes to, how long it took, and the longest time in which no timer could run meanwhile. */
const TRY = `
  let last = performance.now()
  let stall = 0
  const timer = setInterval(() => {
    stall = Math.max(stall, performance.now() - last)
    last = performance.now()
  }, 5)
  const startedAt = performance.now()
  const refusal = await auth.listAccounts().then(() => ({}), ({ code, message }) => ({ code, message }))
  clearInterval(timer)
  console.log(JSON.stringify({ ...refusal, took: performance.now() - startedAt, stall }))`

test('a new vault puts its key into the keychain, and another process opens it from there', async () => {
  const { id } = await inChild(`
    const { id } = await auth.addApiKey({ provider: 'desk', apiKey: 'sk-of-desk' })
    console.log(JSON.stringify({ id }))`)
  const [account] = await inChild(LIST)
  assert.equal(account.id, id)
  const { state, keySource, keyId } = await status()
  assert.deepEqual({ state, keySource }, { state: 'open', keySource: 'keychain' })
  assert.match(keyId, /^[0-9a-f]{8}$/)
  assert.equal(entries().length, 1)
})

test('without any setting the keychain is the choice, and the header remembers it', async () => {
  const env = { PROVIDER_AUTH_KEY_SOURCE: '' }
  assert.equal((await inChild(LIST, { env })).length, 1)
  const fresh = { ...env, PROVIDER_AUTH_DIR: join(sandbox.dir, 'fresh') }
  await inChild(LIST, { env: fresh })
  assert.equal((await status({ env: fresh })).keySource, 'keychain')
  assert.equal(entries().length, 2)
})

test('a keychain that does not answer is given up after its deadline, and no timer of the process waits for it', async () => {
  process.kill(Number(SECRET_SERVICE_PID), 'SIGSTOP')
  const { code, message, took, stall } = await inChild(TRY).finally(() =>
    process.kill(Number(SECRET_SERVICE_PID), 'SIGCONT'),
  )
  assert.equal(code, 'KEYCHAIN_TIMEOUT')
  assert.match(message, /answer its prompt or restart it/)
  assert.ok(took > 1_900 && took < 30_000, `${took} ms`)
  assert.ok(stall < took / 2, `the event loop stood still for ${stall} ms of ${took}`)
  assert.equal((await inChild(LIST)).length, 1)
})

test('a recovery passphrase opens the vault without the keychain, whose entry goes with its slot', async () => {
  const env = { PROVIDER_AUTH_DIR: join(sandbox.dir, 'two-ways') }
  const known = entries().length
  const [slot] = (await inChild(`console.log(JSON.stringify(await auth.initVaultKey()))`, { env })).slots
  assert.equal(entries().length, known + 1)
  const after = await inChild(
    `
    await auth.addVaultSlot({ keySource: 'passphrase', passphrase: 'in the safe' })
    await auth.rotateVaultKey({ passphrase: 'in the safe' })
    await auth.removeVaultSlot('${slot.id}')
    console.log(JSON.stringify(await auth.vaultStatus()))`,
    { env },
  )
  assert.deepEqual(
    after.slots.map(({ keySource }) => keySource),
    ['passphrase'],
  )
  assert.equal(entries().length, known)
  const recovery = { ...env, PROVIDER_AUTH_KEY_SOURCE: 'passphrase', PROVIDER_AUTH_PASSPHRASE: 'in the safe' }
  assert.equal((await status({ env: recovery })).state, 'open')
})

test('a process that met a stopped keychain opens the vault once it answers', async () => {
  process.kill(Number(SECRET_SERVICE_PID), 'SIGSTOP')
  const seen = await inChild(`
    const refusal = await auth.listAccounts().catch(({ code }) => code)
    process.kill(${SECRET_SERVICE_PID}, 'SIGCONT')
    console.log(JSON.stringify({ refusal, accounts: (await auth.listAccounts()).length }))`)
  assert.deepEqual(seen, { refusal: 'KEYCHAIN_TIMEOUT', accounts: 1 })
})

test('under OpenCode, accounts of a keychain that answers late join once it does', async () => {
  const source = `
    const { default: requests } = await import('${new URL('../npm/dist/server.js', import.meta.url)}')
    const config = {}
    const disposed = new Promise((resolve) => {
      const client = { app: { log: async () => {} }, session: { status: async () => ({ data: {} }) }, instance: { dispose: async () => resolve(true) } }
      requests({ client }).then((hooks) => hooks.config(config)).then(() => console.log(JSON.stringify(Object.keys(config.provider ?? {}))))
    })
    const alive = setInterval(() => {}, 1_000)
    console.log(JSON.stringify(await disposed))
    clearInterval(alive)
    process.exit()`
  process.kill(Number(SECRET_SERVICE_PID), 'SIGSTOP')
  const host = sandbox.start(source, { env: { XDG_STATE_HOME: join(sandbox.dir, 'first-start') } })
  let atFirst
  try {
    atFirst = JSON.parse(await host.line(/^\[/))
  } finally {
    process.kill(Number(SECRET_SERVICE_PID), 'SIGCONT')
  }
  assert.deepEqual(atFirst, [], 'nothing was known of desk')
  assert.equal(await host.line(/^true/), 'true', 'the instance begins anew')
  await host.ended
})

test('a locked keychain is said to be locked, no prompt is shown, and nothing changes', async () => {
  const before = contents()
  call('/org/freedesktop/secrets', 'Service.Lock', 'array:objpath:/org/freedesktop/secrets/collection/login')
  const { code, message, took } = await inChild(TRY)
  assert.equal(code, 'VAULT_LOCKED')
  assert.match(message, /unlock it/)
  // A prompt that somebody is waited for would take a minute.
  assert.ok(took < 30_000, `${took} ms`)
  assert.equal((await status()).state, 'locked')
  const env = { PROVIDER_AUTH_DIR: join(sandbox.dir, 'never') }
  assert.equal((await inChild(TRY, { env })).code, 'VAULT_LOCKED')
  assert.deepEqual(contents(), before)
})

function status(options) {
  return inChild('console.log(JSON.stringify(await auth.vaultStatus()))', options)
}

async function inChild(source, options) {
  const { code, stdout, stderr } = await sandbox.run(source, options)
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout)
}

/** The entries of ours in the keychain. */
function entries() {
  const found = call('/org/freedesktop/secrets', 'Service.SearchItems', 'dict:string:string:service,provider-auth')
  return [...found.matchAll(/object path "([^"]+)"/g)].map(([, path]) => path)
}

/** Calls the Secret Service past the library. */
function call(path, method, ...args) {
  const fixed = [
    '--session',
    '--print-reply',
    '--dest=org.freedesktop.secrets',
    path,
    `org.freedesktop.Secret.${method}`,
  ]
  const { status, stdout, stderr } = spawnSync('dbus-send', [...fixed, ...args], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return stdout
}

function contents() {
  const files = readdirSync(sandbox.vaultDir, { recursive: true }).filter((file) => /\.(rec|hdr|bak)$/.test(file))
  return files.sort().map((file) => [file, readFileSync(join(sandbox.vaultDir, file), 'base64')])
}
