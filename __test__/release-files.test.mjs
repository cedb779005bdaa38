/** What lies beside a release's tarballs, the order in which they are published, and what may be in no addon. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { addonName } from '../scripts/lib/build.mjs'
import { FAMILIES, PLAIN, STORE } from '../scripts/lib/families.mjs'
import { noticesOfCrates } from '../scripts/lib/notices.mjs'
import { pack } from '../scripts/lib/pack.mjs'
import { machinePaths, writeChecksums, wrongChecksums } from '../scripts/lib/release/artifacts.mjs'
import { publish, tarballs } from '../scripts/lib/release/publish.mjs'
import { releaseEnvironment } from '../scripts/lib/rust-flags.mjs'
import { removeFolder } from './support/remove-folder.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'provider-auth-files-'))
after(() => removeFolder(scratch))
const write = (name, text) => {
  writeFileSync(join(scratch, name), text)
  return join(scratch, name)
}

test('a path of a machine is found in a file, of this machine or another, and a fixed name is not taken for one', () => {
  const paths = [
    join(root, 'crates/vault/src/lib.rs'),
    join(homedir(), '.cargo/registry/src/'),
    join('/', 'home', 'ada', 'work/lib.rs'),
    '/Users/ada/lib.rs',
    'C:\\Users\\ada\\lib.rs',
    join('/', 'root', '.cargo/bin'),
    '/elsewhere/registry/src/index.crates.io-1949cf8c6b5b557f/ring-0.17.14/',
  ]
  for (const path of paths) assert.notDeepEqual(machinePaths(write('addon', `\0\0${path}\0`)), [], path)
  const fixed = [
    '/provider-auth/crates/vault/src/lib.rs',
    '/cargo/registry/src/tokio-1.54.1/src/lib.rs',
    '/rustc/5980/library',
  ]
  assert.deepEqual(machinePaths(write('addon', fixed.join('\0'))), [])
  rmSync(join(scratch, 'addon'))
})

test('the checksums tell of a file that was changed, added or lost', () => {
  write('a.tgz', 'a')
  write('b.json', 'b')
  writeChecksums(scratch)
  assert.deepEqual(wrongChecksums(scratch), [])
  write('a.tgz', 'A')
  write('c.tgz', 'c')
  rmSync(join(scratch, 'b.json'))
  assert.deepEqual(wrongChecksums(scratch), [
    'c.tgz is not in SHA256SUMS',
    'a.tgz has another checksum',
    'b.json is missing',
  ])
})

test('the platforms are published before the package that names them', async () => {
  for (const name of ['a.tgz', 'c.tgz']) rmSync(join(scratch, name))
  assert.throws(() => tarballs(scratch), /0 tarballs of the package/)
  const names = [
    'provider-auth-1.2.3.tgz',
    'provider-auth-win32-x64-msvc-1.2.3.tgz',
    'provider-auth-darwin-arm64-1.2.3.tgz',
    'provider-auth-postgres-1.2.3.tgz',
    'provider-auth-postgres-darwin-arm64-1.2.3.tgz',
  ]
  const whole = ['provider-auth-for-darwin-arm64-1.2.3.tgz', 'provider-auth-postgres-for-darwin-arm64-1.2.3.tgz']
  for (const name of [...names, ...whole]) write(name, '')
  assert.deepEqual(
    tarballs(scratch).map((file) => basename(file)),
    [names[2], names[4], names[1], names[3], names[0]],
  )
  // Neither on this machine, nor in a workflow of a branch.
  for (const env of [{}, { GITHUB_ACTIONS: 'true', GITHUB_REF_TYPE: 'branch' }])
    assert.match((await publish(scratch, { env })).output, /only the release workflow publishes, for a tag/)
})

test('a package that does not say where its sources are is not published', async () => {
  const folder = mkdtempSync(join(scratch, 'unnamed-'))
  mkdirSync(join(folder, 'package'))
  writeFileSync(join(folder, 'package/package.json'), '{ "name": "provider-auth", "version": "0.0.0-none" }')
  execFileSync('tar', ['-czf', 'provider-auth-0.0.0.tgz', 'package'], { cwd: folder })
  const { ok, output } = await publish(folder, { env: { GITHUB_ACTIONS: 'true', GITHUB_REF_TYPE: 'tag' } })
  assert.ok(!ok)
  assert.match(output, /provider-auth-0\.0\.0\.tgz does not say where its sources are/)
})

test('the licences of all crates of an addon come with it', () => {
  const text = noticesOfCrates('x86_64-unknown-linux-gnu')
  for (const crate of ['ring', 'tokio', 'napi', 'aes-gcm', 'reqwest'])
    assert.match(text, new RegExp(`^${crate} \\d[\\w.+-]* \\(.+\\)$`, 'm'), crate)
  // For tests alone, and for other systems.
  assert.doesNotMatch(text, /^(tempfile|windows-sys|provider-auth-vault) /m)
  assert.match(text, /Permission is hereby granted/)
})

test('what speaks with PostgreSQL is in the addon with the store alone', () => {
  const crates = (family) =>
    [...noticesOfCrates('x86_64-unknown-linux-gnu', family).matchAll(/^(\S+) \d\S* \(.+\)$/gm)].map(([, name]) => name)
  const [plain, store] = [crates(PLAIN), crates(STORE)]
  assert.deepEqual(
    plain.filter((name) => /postgres|^(stringprep|phf|whoami)$/.test(name)),
    [],
  )
  for (const name of ['tokio-postgres', 'postgres-protocol', 'stringprep', ...plain])
    assert.ok(store.includes(name), name)
})

test('a file with all in it has the licences of its addon, too', async () => {
  const text = write('text', 'No addon, but what a test packs in place of one.')
  const names = FAMILIES.map((family) => addonName('x86_64-unknown-linux-musl', family))
  const addons = Object.fromEntries([addonName(), ...names].map((name) => [name, text]))
  const { whole, store } = await pack(join(scratch, 'packed'), { addons, hasWhole: true })
  for (const [family, file] of [
    [PLAIN, whole.at(-1)],
    [STORE, store.whole.at(-1)],
  ]) {
    const notices = execFileSync('tar', ['-xzOf', file, 'package/THIRD-PARTY-NOTICES-ADDON'], { encoding: 'utf8' })
    assert.match(notices, /^tokio \d/m)
    assert.equal(/^tokio-postgres \d/m.test(notices), family === STORE)
  }
})

test('a release build names no folder of its machine, and keeps the flags that it is given', () => {
  const env = { CARGO_HOME: '/far/cargo home', RUSTFLAGS: '-Ctarget-cpu=native', CFLAGS_t: '-g0' }
  const flags = releaseEnvironment({ target: 't', folder: '/near/clone', env })
  assert.deepEqual(flags.CARGO_ENCODED_RUSTFLAGS.split('\x1f'), [
    '-Ctarget-cpu=native',
    '--remap-path-prefix=/near/clone=/provider-auth',
    '--remap-path-prefix=/far/cargo home=/cargo',
  ])
  assert.equal(flags.CFLAGS_t, '-g0 -ffile-prefix-map=/near/clone=/provider-auth')
  assert.match(releaseEnvironment({ linker: 'lld' }).CARGO_ENCODED_RUSTFLAGS, /--icf=all/)
  assert.doesNotMatch(flags.CARGO_ENCODED_RUSTFLAGS, /icf/, 'other linkers do not know it')
  assert.match(releaseEnvironment().SOURCE_DATE_EPOCH, /^\d{10}$/)
  assert.match(releaseEnvironment({ target: 'x86_64-pc-windows-msvc' }).CARGO_ENCODED_RUSTFLAGS, /\/Brepro$/)
})
