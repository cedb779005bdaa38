/**
 * Without a home folder (HOME is unset and the system knows no user of this number, as in a container; or HOME is a relative
 * path) and with places that cannot be used, each command and each call says what is missing, and the step that helps.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { COMMAND, command, failure } from './support/cli.mjs'
import { ROWS } from './support/command-rows.mjs'
import { createSandbox, LIBRARY_URL } from './support/sandbox.mjs'

const sandbox = createSandbox({ name: 'homeless' })
after(sandbox.cleanup)

/** What Node answers where the system knows no user of this number. */
const NO_USER = `import os from 'node:os'
import { syncBuiltinESMExports } from 'node:module'
os.homedir = () => { throw Object.assign(new Error('uv_os_homedir returned ENOENT'), { code: 'ERR_SYSTEM_ERROR' }) }
syncBuiltinESMExports()`
const noUser = join(sandbox.dir, 'no-user.mjs')
writeFileSync(noUser, NO_USER)
const UNSET = { PROVIDER_AUTH_DIR: '', XDG_DATA_HOME: '', XDG_CONFIG_HOME: '', XDG_STATE_HOME: '', XDG_CACHE_HOME: '' }
const homeless = { ...UNSET, HOME: 'rel', APPDATA: '', LOCALAPPDATA: '', USERPROFILE: 'rel' }
const HELPS =
  /set (?:HOME|USERPROFILE) to your home folder, or PROVIDER_AUTH_(?:DIR to a folder of your own|CONFIG to a file)/
/** Those that need no place, and one that shows what there is. */
const NEED_NONE = ['completion', 'config schema', 'config show']

const bundle = join(sandbox.dir, 'bundle.age')
writeFileSync(bundle, 'sealed')
const places = { folder: sandbox.dir, bundle, passphrase: 'gravel orbit lantern', key: `${'A'.repeat(43)}=` }

test('without a home folder every command says so, and what helps', async () => {
  const nodeArgs = ['--import', noUser]
  const faults = []
  for (const [name, row] of Object.entries(ROWS)) {
    const args = [...name.split(' '), ...row.args(places)]
    const ended = await command(sandbox, args, {
      nodeArgs,
      env: { ...homeless, ...row.env },
      input: row.input?.(places) ?? '',
    })
    const said = `${ended.stdout}${ended.stderr}`.replace(/\s+/g, ' ')
    const isWell = NEED_NONE.includes(name) ? ended.code === 0 : HELPS.test(said)
    if (!isWell || /uv_os_homedir|node:internal/.test(said)) faults.push(`${name}: ${ended.code} ${said.slice(0, 300)}`)
  }
  assert.deepEqual(faults, [])
  assert.deepEqual(readdirSync(sandbox.work), [], 'and makes nothing in the working folder')
})

test('the doctor has it as a finding, and writes its archive all the same', async () => {
  const archive = join(sandbox.dir, 'report.zip')
  const { code, stdout } = await command(sandbox, ['doctor', '--json', '--bundle', archive], {
    nodeArgs: ['--import', noUser],
    env: homeless,
  })
  const { findings, bundle } = JSON.parse(stdout)
  const { state, title, remedy } = findings.find(({ id }) => id === 'config.invalid')
  assert.deepEqual([code, state, bundle.file], [1, 'problem', archive])
  assert.match(title, /^PROVIDER_AUTH_DIR: .*no home folder is known/)
  assert.match(remedy, HELPS)
})

test('a call of the library rejects with a code; with PROVIDER_AUTH_DIR it has its place', async () => {
  const call = `await auth.addApiKey({ provider: 'openai', apiKey: 'sk-0123456789abcdef' }).then(() => console.log('added'), ({ code, path, message }) => console.log(code, path, message))`
  assert.match(
    await sandbox.output(call, { env: homeless }),
    /^INVALID_CONFIG PROVIDER_AUTH_DIR PROVIDER_AUTH_DIR: set this variable to a folder, since no home folder is known/,
  )
  // Without a home folder, `~` names none.
  assert.match(await sandbox.output(call, { env: { ...homeless, PROVIDER_AUTH_DIR: '~/vault' } }), /^INVALID_CONFIG/)
  const dir = join(sandbox.dir, 'named')
  assert.equal(await sandbox.output(call, { env: { ...homeless, PROVIDER_AUTH_DIR: dir } }), 'added\n')
})

const isRoot = process.platform === 'linux' && process.getuid() === 0

test('the same of a user whom the system does not know', { skip: !isRoot && 'only root can become one' }, () => {
  const script = `const { listAccounts } = await import(${JSON.stringify(LIBRARY_URL)})
    await listAccounts().catch(({ code, path }) => console.log(code, path))`
  const options = { uid: 60_123, gid: 60_123, cwd: '/', env: { PATH: process.env.PATH }, encoding: 'utf8' }
  const told = spawnSync(process.execPath, ['--input-type=module', '--eval', script], options)
  // A clone in a folder that only root may enter cannot be read by others at all.
  if (/EACCES|ERR_MODULE_NOT_FOUND|MODULE_NOT_FOUND/.test(told.stderr)) return
  assert.equal(told.stdout, 'INVALID_CONFIG PROVIDER_AUTH_DIR\n', told.stderr)
  const { stderr } = spawnSync(process.execPath, [COMMAND, 'accounts'], options)
  assert.match(stderr, HELPS)
})

test('the next step fits what is wrong with a place that was named', async () => {
  const folder = join(sandbox.dir, 'folder')
  const file = join(sandbox.dir, 'file')
  mkdirSync(folder)
  writeFileSync(file, '')
  const rows = [
    [{ PROVIDER_AUTH_CONFIG: join(folder, 'none.jsonc') }, /^provider-auth config edit, which makes it; or correct/],
    [{ PROVIDER_AUTH_CONFIG: folder }, /^move .*folder away, or name a file with PROVIDER_AUTH_CONFIG/],
    [{ PROVIDER_AUTH_DIR: file }, /^name another folder with PROVIDER_AUTH_DIR, or move away the file/],
    [{ PROVIDER_AUTH_DIR: join(file, 'in') }, /^name another folder with PROVIDER_AUTH_DIR, or move away the file/],
    [{ PROVIDER_AUTH_LOG: 'loud' }, /^correct PROVIDER_AUTH_LOG, or unset it$/],
    [{ PROVIDER_AUTH_KEY_SOURCE: 'x' }, /^correct PROVIDER_AUTH_KEY_SOURCE, or unset it$/],
  ]
  for (const [env, next] of rows) {
    const error = await failure(sandbox, ['accounts'], { env })
    assert.match(error.next, next, JSON.stringify(env))
  }
  const project = join(sandbox.work, 'provider-auth.jsonc')
  writeFileSync(project, '{')
  chmodSync(project, 0o600)
  const { next } = await failure(sandbox, ['accounts'])
  assert.equal(next, `provider-auth config check for every fault, then mend ${project}`)
})

test('a relative folder of the vault is a warning, and PROVIDER_AUTH_REGISTER none', async () => {
  const { stdout } = await command(sandbox, ['doctor', '--json'], {
    env: { PROVIDER_AUTH_DIR: 'vault', PROVIDER_AUTH_REGISTER: 'openai', PROVIDER_AUTH_ADDON: '' },
    cwd: sandbox.dir,
  })
  const odd = JSON.parse(stdout).findings.filter(({ id }) => id === 'config.warning')
  assert.deepEqual(
    odd.map(({ title }) => title),
    ['PROVIDER_AUTH_DIR: a relative path: in each working folder it is another vault; name the whole path'],
  )
})
