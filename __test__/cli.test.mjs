/** The command as a whole: its answers, errors and exit codes, whatever command it is. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { answer, COMMAND, command, failure } from './support/cli.mjs'
import { createSandbox } from './support/sandbox.mjs'

const sandbox = createSandbox({ name: 'cli', config: { providers: {} } })
after(sandbox.cleanup)

test('an empty vault has no accounts, and says how to get one on standard error', async () => {
  assert.deepEqual(await answer(sandbox, 'accounts', ['accounts']), { version: 1, accounts: [] })
  const { code, stdout, stderr } = await command(sandbox, ['accounts'])
  assert.equal(code, 0)
  assert.equal(stdout, '')
  assert.match(stderr, /provider-auth login/)
  assert.equal((await command(sandbox, ['accounts', '--quiet'])).stderr, '')
})

const linux = { skip: process.platform === 'linux' ? false : 'there is always a keychain here' }
test('where no key can be kept, reading makes nothing, and says that a place for it comes first', linux, async () => {
  const dir = join(sandbox.dir, 'none')
  const env = {
    PROVIDER_AUTH_DIR: dir,
    PROVIDER_AUTH_KEY: '',
    PROVIDER_AUTH_KEY_SOURCE: 'keychain',
    DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere',
  }
  for (const args of [['accounts'], ['list', 'openai'], ['status'], ['refresh', '--all'], ['screen', '--plain']]) {
    const { code, stdout, stderr } = await command(sandbox, args, { env })
    assert.equal(code, 0, args.join(' '))
    assert.match(stdout + stderr, /no account (of openai )?yet.+first make a place.+: provider-auth key init --source/i)
  }
  for (const args of [
    ['token', 'openai'],
    ['explain', 'openai'],
    ['models', 'openai'],
  ]) {
    const { exit, code, why, next } = await failure(sandbox, args, { env })
    assert.deepEqual([exit, code], [3, 'NO_ACCOUNT'], args.join(' '))
    assert.match(why, /keychain/)
    assert.match(next, /^provider-auth key init --source/)
  }
  assert.equal(existsSync(dir), false)
})

test('a command or an option that there is not is a usage error, with what was probably meant', async () => {
  for (const [args, meant] of [
    [['acounts'], /accounts/],
    [['accounts', '--jso'], /--json/],
    [['accounts', 'a', 'b'], /^provider-auth help accounts$/],
    [['key', 'slot', 'add', 'nowhere'], /^provider-auth help key slot add$/],
    [['key', 'nothing'], /^provider-auth help key$/],
    [['nothing-like-it'], /^provider-auth help, for the list of commands$/],
  ]) {
    const { exit, next, code } = await failure(sandbox, args)
    assert.equal(exit, 2, args.join(' '))
    assert.equal(code, 'USAGE')
    assert.match(next, meant)
  }
})

test('an empty text is a usage error that names its place', async () => {
  for (const [args, place] of [
    [['accounts', ''], 'provider'],
    [['rename', 'a', ''], 'label'],
    [['vault', 'export', ''], 'file'],
    [['report', '--html', ''], '--html'],
    [['key', 'export', '--out='], '--out'],
    [['proxy', '--provider', 'acme', '--provider', ''], '--provider'],
  ]) {
    const { exit, message, next } = await failure(sandbox, args)
    assert.deepEqual([exit, message], [2, `${place} is empty`], args.join(' '))
    assert.ok(next.startsWith(`provider-auth help ${args[0]}`), next)
  }
})

test('a message whose reader is gone changes no exit code', async () => {
  const { child, ended } = sandbox.spawn(COMMAND, { args: ['accounts', '--nonsense'] })
  child.stderr.destroy()
  assert.equal((await ended).code, 2)
})

test('a topic without its command, and no command at all, show their help and end as a usage error', async () => {
  for (const args of [[], ['config']]) {
    const { code, stdout, stderr } = await command(sandbox, args)
    assert.deepEqual([code, stdout], [2, ''], args.join(' '))
    assert.match(stderr, /^Usage: provider-auth.*[\s\S]*(Accounts|Commands):/)
  }
  assert.equal((await failure(sandbox, ['config'])).message, 'a command is missing')
})
