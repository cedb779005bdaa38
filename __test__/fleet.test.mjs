/** Hosts that share a vault, as users see it: one joins, is admitted, opens by its own key, and is revoked. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { answer, command, failure } from './support/cli.mjs'
import { createSandbox } from './support/sandbox.mjs'

/** As a machine without a keychain has it: nothing is set. */
const NOTHING = { PROVIDER_AUTH_KEY: '', PROVIDER_AUTH_KEY_SOURCE: '', PROVIDER_AUTH_PASSPHRASE: '' }
const KEY = 'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY='

const sandboxes = []
afterEach(() => {
  for (const sandbox of sandboxes.splice(0)) sandbox.cleanup()
})

/** A host that opens the vault by a key of the environment, with one API key in it; and the environment of another one. */
async function newFleet() {
  const sandbox = createSandbox({ name: 'fleet', config: { providers: {} } })
  sandboxes.push(sandbox)
  Object.assign(sandbox.env, NOTHING, { PROVIDER_AUTH_KEY: KEY })
  const added = await sandbox.run(`await auth.addApiKey({ provider: 'openai', apiKey: 'sk-of-ada', label: 'ada' })`)
  assert.equal(added.code, 0, added.stderr)
  return { sandbox, there: { env: NOTHING } }
}

test('a host joins, is admitted, opens the vault by its own key, rotates it, and is revoked', async () => {
  const { sandbox, there } = await newFleet()
  assert.equal((await failure(sandbox, ['accounts'], there)).exit, 4)
  assert.deepEqual((await answer(sandbox, 'fleet-hosts', ['fleet', 'hosts'])).hosts, [])
  const { key } = await answer(sandbox, 'fleet-join', ['fleet', 'join', '--source', 'keyfile'], there)
  const file = `${sandbox.vaultDir}.host.key`
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.ok(!readFileSync(file, 'utf8').includes(key.slice(8, 20)))
  assert.equal((await command(sandbox, ['fleet', 'join', '--source', 'keyfile'], there)).stdout, `${key}\n`)
  assert.equal((await failure(sandbox, ['accounts'], there)).code, 'VAULT_KEY_MISSING', 'not yet')

  const { host } = await answer(sandbox, 'fleet-admit', ['fleet', 'admit', key, '--name', 'ci-7'])
  assert.deepEqual((await answer(sandbox, 'fleet-hosts', ['fleet', 'hosts'])).hosts, [host])
  assert.equal((await answer(sandbox, 'accounts', ['accounts'], there)).accounts.length, 1)
  const { slots, keySource } = await answer(sandbox, 'key-status', ['key', 'status'], there)
  assert.equal(keySource, 'host')
  assert.deepEqual(slots.at(-1), { id: host.id, keySource: 'host' })
  // Neither has the key of the other.
  await answer(sandbox, 'key-rotate', ['key', 'rotate'], there)
  assert.equal((await answer(sandbox, 'accounts', ['accounts'])).accounts.length, 1)
  await answer(sandbox, 'key-rotate', ['key', 'rotate'])
  assert.equal((await answer(sandbox, 'accounts', ['accounts'], there)).accounts.length, 1)

  const itself = await failure(sandbox, ['fleet', 'revoke', 'ci-7', '--yes'], there)
  assert.match(itself.message, /on another host/)
  assert.equal((await failure(sandbox, ['fleet', 'revoke', 'ci-7'])).exit, 2, 'asks, and cannot')
  const revoke = ['fleet', 'revoke', 'ci-7', '--yes']
  const revoked = await answer(sandbox, 'fleet-revoke', revoke)
  assert.deepEqual(revoked.host, host)
  const [{ accountId, ...account }] = revoked.accounts
  assert.equal(accountId.length, 26)
  const told = { provider: 'openai', namespace: 'default', label: 'ada', refreshed: false, replace: ['api_key'] }
  assert.deepEqual(account, told)
  assert.equal((await failure(sandbox, ['accounts'], there)).exit, 4)
  assert.match((await failure(sandbox, revoke)).next, /fleet hosts/)
})

test('in lines it says what is left to do, and by which keys a revoked host may open the vault all the same', async () => {
  const { sandbox, there } = await newFleet()
  const { stdout: key, stderr } = await command(sandbox, ['fleet', 'join', '--source', 'keyfile'], there)
  assert.match(stderr, /provider-auth fleet admit/)
  await command(sandbox, ['fleet', 'admit', key.trim(), '--name', 'ci-7'])
  assert.match(
    (await command(sandbox, ['fleet', 'hosts'])).stdout,
    /^host +slot +admitted\nci-7 +[0-9a-f]{8} +.+ ago\n$/,
  )
  const revoked = await command(sandbox, ['fleet', 'revoke', 'ci-7', '--yes'])
  assert.equal(revoked.code, 0, revoked.stderr)
  assert.match(revoked.stdout, /Logins renewed: 0\n.+\nopenai +ada +make a new API key at the provider/)
  assert.match(revoked.stderr, /[0-9a-f]{8} \(env\), it opens the vault by that: provider-auth key slot remove/)
})

test('a host that was revoked is told so, by the doctor too, and the others work on', async () => {
  const { sandbox } = await newFleet()
  const host = async (name) => {
    // The key lies beside the path by which a host names the folder.
    const home = join(sandbox.dir, name)
    mkdirSync(home)
    symlinkSync(sandbox.vaultDir, join(home, 'vault'))
    const there = { env: { ...NOTHING, PROVIDER_AUTH_DIR: join(home, 'vault') } }
    const { key } = await answer(sandbox, 'fleet-join', ['fleet', 'join', '--source', 'keyfile'], there)
    await answer(sandbox, 'fleet-admit', ['fleet', 'admit', key, '--name', name])
    return there
  }
  const [gone, stays] = [await host('ci-7'), await host('ci-8')]
  await answer(sandbox, 'fleet-revoke', ['fleet', 'revoke', 'ci-7', '--yes'], stays)
  const refused = await failure(sandbox, ['accounts'], gone)
  assert.deepEqual([refused.exit, refused.code], [4, 'VAULT_KEY_MISMATCH'])
  assert.match(refused.message, /not admitted to the vault, or was revoked/)
  const { stdout } = await command(sandbox, ['doctor', '--json'], gone)
  const { findings } = JSON.parse(stdout)
  const finding = findings.find(({ id }) => id === 'vault.host_not_admitted')
  assert.match(finding.remedy, /fleet join/)
  assert.equal((await answer(sandbox, 'accounts', ['accounts'], stays)).accounts.length, 1)
})

test('what is no host, no name or no place is refused, and nothing is changed', async () => {
  const { sandbox, there } = await newFleet()
  const { key } = await answer(sandbox, 'fleet-join', ['fleet', 'join', '--source', 'keyfile'], there)
  const header = () => readFileSync(join(sandbox.vaultDir, 'vault.hdr'), 'utf8')
  const before = header()
  const calls = [
    [`admitHost('S3CRET', 'ci-7')`, /what `fleet join` prints/],
    [`admitHost(${JSON.stringify(key.slice(0, -1))}, 'ci-7')`, /what `fleet join` prints/],
    [`admitHost(${JSON.stringify(key)}, 'ci 7')`, /a name is/],
    ['admitHost(1, 2)', /key: expected/],
    [`revokeHost('ci-7')`, /no host has that name/],
    [`joinFleet({ keySource: 'env' })`, /keychain or keyfile/],
    [`joinFleet({ keySource: 'host' })`, /not a key source/],
    [`addVaultSlot({ keySource: 'host' })`, /not a key source/],
  ]
  for (const [call, why] of calls) {
    const said = `await auth.${call}.then(() => ({}), ({ code, message }) => ({ code, message }))`
    const { stdout } = await sandbox.run(`console.log(JSON.stringify(${said}))`)
    const { code, message } = JSON.parse(stdout)
    assert.equal(code, 'INVALID_ARGUMENT', call)
    assert.match(message, why)
    assert.ok(!message.includes('S3CRET'), message)
  }
  assert.equal(header(), before)
})
