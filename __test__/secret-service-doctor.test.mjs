/** `doctor` on a real GNOME Keyring: one that is locked, stopped or gone is a finding, in time, without a prompt. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { assertFits, command } from './support/cli.mjs'
import { createSession } from './support/keyring.mjs'
import { createSandbox } from './support/sandbox.mjs'

/** A keychain has 2 s for each way to the key; the rest is room for a machine with much to do. */
const LONGEST_MS = 60_000

for (const [what, spoil, id] of [
  ['locked', (session) => session.lock(), 'keychain.locked'],
  ['stopped', ({ daemon }) => daemon.kill('SIGSTOP'), 'keychain.timeout'],
  ['gone', (session) => session.killDaemon(), 'keychain.unavailable'],
]) {
  test(`a keychain that is ${what} is a finding, with what to do`, async () => {
    const session = createSession()
    const sandbox = createSandbox({ name: 'doctor', config: { providers: {} } })
    after(async () => {
      sandbox.cleanup()
      await session.close()
    })
    await session.startBus()
    await session.startDaemon()
    Object.assign(sandbox.env, session.env, { PROVIDER_AUTH_KEY_SOURCE: 'keychain' })
    delete sandbox.env.PROVIDER_AUTH_KEY
    await sandbox.output(`await auth.addApiKey({ provider: 'openai', apiKey: 'key-0123456789-0123456789' })`)
    const diagnosed = async () => {
      const { code, stdout, stderr } = await command(sandbox, ['doctor', '--json'])
      assert.equal(stderr, '')
      const answer = JSON.parse(stdout)
      assertFits('doctor', answer)
      return { code, found: (wanted) => answer.findings.find((finding) => finding.id === wanted) }
    }
    assert.equal((await diagnosed()).found('vault.open').details.keySource, 'keychain')
    await spoil(session)
    const startedAt = performance.now()
    const { code, found } = await diagnosed()
    assert.ok(performance.now() - startedAt < LONGEST_MS)
    assert.deepEqual([code, found(id)?.state], [4, 'problem'])
    assert.ok(found(id).remedy)
    assert.equal(found('files.private').state, 'ok', 'what needs no key is told all the same')
  })
}
