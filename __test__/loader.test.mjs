/** Where the native addon is looked for, and what is said when none loads: each cause made in earnest, with a small addon. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { nodeBinary, nodeVersions } from '../scripts/lib/runtimes.mjs'
import {
  addon,
  assertFault,
  built,
  compile,
  dir,
  FILE,
  install,
  NAME,
  napi,
  onLinux,
  run,
  skip,
  tool,
  version,
} from './support/loaded.mjs'

const asRoot = { skip: skip || (process.getuid() === 0 ? false : 'only root may do this') }
const HERE = /\(linux-x64, glibc \d+\.\d+, Node [\d.]+\)/

test('the platforms that the error lists are those that are built', async () => {
  const { SUPPORTED } = await import(join(built, 'platform.js'))
  const named = (target) => {
    const [cpu, , system, abi] = target.split('-')
    const arch = { x86_64: 'x64', aarch64: 'arm64' }[cpu]
    return [{ windows: 'win32' }[system] ?? system, arch, abi].filter(Boolean).join('-')
  }
  assert.deepEqual([...SUPPORTED].sort(), napi.targets.map(named).sort())
})

for (const [runtime, command, args] of [
  ['Node', process.execPath, []],
  ['Bun', tool('bun'), []],
  ['Deno', tool('deno'), ['run', '--allow-all', '--no-lock']],
])
  test(`the addon of the platform's package is loaded, in ${runtime}`, onLinux, () => {
    assert.deepEqual(run(install(), { command, args }), { version })
  })

test('a clone loads what is built there; the current folder and PATH have no say', onLinux, () => {
  const place = install({ from: null })
  for (const folder of [place.project, join(place.project, 'node_modules/.bin')]) {
    mkdirSync(folder, { recursive: true })
    copyFileSync(addon, join(folder, FILE))
  }
  const PATH = `${join(place.project, 'node_modules/.bin')}:${process.env.PATH}`
  assertFault(run(place, { env: { PATH } }), /is not installed/)
  writeFileSync(join(place.own, 'Cargo.toml'), '')
  assertFault(run(place), /clone of the repository, and its addon is not built/, /npm run build:debug/)
  copyFileSync(addon, join(place.own, FILE))
  assert.deepEqual(run(place), { version })
})

for (const variable of ['PROVIDER_AUTH_ADDON', 'NAPI_RS_NATIVE_LIBRARY_PATH'])
  test(`an addon that ${variable} names is the only one, by its whole path`, onLinux, () => {
    const place = install({ from: null })
    const named = (file) => run(place, { env: { [variable]: file } })
    assert.deepEqual(named(addon), { version })
    const other = install()
    const absent = run(other, { env: { [variable]: '/nowhere/x.node' } })
    assertFault(absent, new RegExp(`^${variable} is set.*there is no file /nowhere/x\\.node`), /^unset/)
    copyFileSync(addon, join(place.project, 'near.node'))
    assertFault(named('./near.node'), /is a relative path/)
    copyFileSync(addon, join(dir, 'addon.so'))
    assertFault(named(join(dir, 'addon.so')), /does not end with \.node/)
  })

test("the variable of all napi packages may name another one's addon; ours may not, and comes first", onLinux, () => {
  const foreign = join(dir, 'foreign.node')
  compile(foreign, { args: ['-DNAME="somethingElse"'] })
  const shared = { NAPI_RS_NATIVE_LIBRARY_PATH: foreign }
  assert.deepEqual(run(install(), { env: shared }), { version })
  assert.deepEqual(run(install({ from: null }), { env: { ...shared, PROVIDER_AUTH_ADDON: addon } }), { version })
  const absent = run(install({ from: null }), { env: shared })
  assertFault(absent, /is not installed/)
  assert.match(absent.message, /NAPI_RS_NATIVE_LIBRARY_PATH: .*foreign\.node is the addon of another package/)
  const wrong = run(install(), { env: { PROVIDER_AUTH_ADDON: foreign } })
  assertFault(
    wrong,
    /^PROVIDER_AUTH_ADDON is set.*foreign\.node is the addon of another package/,
    /^unset PROVIDER_AUTH/,
  )
})

for (const [lockfile, first] of [
  ['package-lock.json', /^npm install --include=optional/],
  ['pnpm-lock.yaml', /^pnpm /],
  ['yarn.lock', /^yarn /],
  ['bun.lock', /^bun /],
])
  test(`without the package the error says what to do, by ${lockfile}`, onLinux, () => {
    const fault = run(install({ from: null, lockfile }))
    assertFault(fault, /provider-auth-linux-x64-gnu is not installed.*--omit=optional.*4828/, first)
    assert.match(fault.message.split('\n')[0], HERE)
    assert.equal(fault.remedies.length, 4)
    assert.match(fault.message, /\n- provider-auth-linux-x64-gnu: not installed\n/)
  })

test('who calls tells the package manager too', onLinux, () => {
  const env = { npm_config_user_agent: 'pnpm/10.1.0 npm/? node/v20' }
  assert.match(run(install({ from: null }), { env }).remedies[0], /^pnpm/)
})

test(
  'a folder of modules without a project names every package manager, and that of npm --global its command',
  onLinux,
  () => {
    const layer = install({ from: null })
    rmSync(join(layer.project, 'package.json'))
    assert.equal(run(layer).remedies.length, 4)
    const above = join(dir, 'global')
    const global = install({ from: null, above })
    const lib = join(above, 'lib')
    renameSync(global.project, lib)
    rmSync(join(lib, 'package.json'))
    const moved = { main: global.main.replace(global.project, lib), project: lib }
    assert.deepEqual(run(moved).remedies, ['npm install --global --include=optional provider-auth'])
  },
)

test('on Windows the error says in words what to delete', onLinux, async () => {
  const { installing } = await import(join(built, 'remedy.js'))
  const { platform } = process
  Object.defineProperty(process, 'platform', { value: 'win32' })
  try {
    for (const command of installing('anew', undefined)) assert.match(command, /^delete [^&]+, then: \w+ install/)
  } finally {
    Object.defineProperty(process, 'platform', { value: platform })
  }
})

test('packages of another machine or C library are named', onLinux, () => {
  const elsewhere = run(install({ name: 'darwin-arm64' }))
  assertFault(elsewhere, /provider-auth-darwin-arm64, and here it takes provider-auth-linux-x64-gnu.*another machine/)
  const musl = run(install({ name: 'linux-x64-musl' }))
  assertFault(musl, /linux-x64-musl, for another C library than this system's \(glibc/, /^rm -rf node_modules/)
})

test('an addon for the other C library is named', onLinux, async () => {
  const stub = join(dir, 'stub.so')
  execFileSync('cc', ['-shared', '-nostdlib', '-Wl,-soname,libc.musl-x86_64.so.1', '-o', stub, '-x', 'c', '/dev/null'])
  const musl = join(dir, 'musl.node')
  compile(musl, { args: ['-Wl,--no-as-needed', stub] })
  assertFault(run(install({ from: musl })), /is for musl, and this system has glibc/)
  // Where musl finds the libraries of the other one, as by gcompat, its error is about some function that they lack.
  const { libcNeeded } = await import(join(built, 'binary.js'))
  assert.deepEqual([musl, addon, join(dir, 'none')].map(libcNeeded), ['musl', 'gnu', undefined])
})

test('an addon for another processor or system is named', onLinux, () => {
  const arm = join(dir, 'arm.node')
  const bytes = readFileSync(addon)
  bytes.writeUInt16LE(183, 18)
  writeFileSync(arm, bytes)
  assertFault(run(install({ from: arm })), /is for linux-arm64, and this process is linux-x64/)
  bytes.writeUInt32BE(0xcffaedfe, 0)
  bytes.writeUInt32LE(0x0100000c, 4)
  writeFileSync(arm, bytes)
  assertFault(run(install({ from: arm })), /is for darwin-arm64, and this process is linux-x64/)
})

test('an addon that needs a newer glibc is named with both versions', onLinux, () => {
  const newer = join(dir, 'newer.node')
  let bytes = readFileSync(addon)
  const hashOf = (text) => {
    let hash = 0
    for (const byte of Buffer.from(text)) {
      hash = hash * 16 + byte
      const high = Math.floor(hash / 2 ** 28) % 16
      hash = ((hash % 2 ** 28) ^ (high << 4)) >>> 0
    }
    const word = Buffer.alloc(4)
    word.writeUInt32LE(hash)
    return word
  }
  const [from, to] = ['GLIBC_2.2.5', 'GLIBC_2.9.9']
  for (const [old, its] of [
    [hashOf(from), hashOf(to)],
    [Buffer.from(from), Buffer.from(to)],
  ]) {
    const at = bytes.indexOf(old)
    assert.ok(at > 0)
    bytes = Buffer.concat([bytes.subarray(0, at), its, bytes.subarray(at + its.length)])
  }
  writeFileSync(newer, bytes)
  assertFault(run(install({ from: newer })), /needs glibc 2\.9\.9 or later, and this system has glibc 2\.\d+/)
})

test('an addon that was installed by half is named, and never loaded', onLinux, () => {
  for (const left of [0, 100, statSync(addon).size - 1]) {
    const place = install()
    truncateSync(place.file, left)
    assertFault(run(place), /incomplete: its installation was interrupted \(\d+ of \d+ bytes\)/, /^rm -rf/)
  }
  const gone = install()
  rmSync(gone.file)
  assertFault(run(gone), /incomplete.*\(0 of/)
  // Its package.json, which says how large it is, is not there yet.
  const barely = install()
  rmSync(join(barely.folder, 'package.json'))
  truncateSync(barely.file, statSync(addon).size - 1)
  assertFault(run(barely), /incomplete: its installation was interrupted \(\d+ bytes/)
  const longer = install()
  appendFileSync(longer.file, ' ')
  assertFault(run(longer), /incomplete/)
})

test('an addon of another version is named with both', onLinux, () => {
  const old = join(dir, 'old.node')
  compile(old, { its: '0.0.9' })
  const fault = run(install({ from: old }))
  assertFault(fault, new RegExp(`is version 0\\.0\\.9, and this package is version ${version.replaceAll('.', '\\.')}`))
})

test('a library that the system lacks is named', onLinux, () => {
  const stub = join(dir, 'lacking.so')
  execFileSync('cc', ['-shared', '-nostdlib', '-Wl,-soname,liblacking.so.3', '-o', stub, '-x', 'c', '/dev/null'])
  const needing = join(dir, 'needing.node')
  compile(needing, { args: ['-Wl,--no-as-needed', stub] })
  assertFault(run(install({ from: needing })), /needs liblacking\.so\.3/, /install liblacking/)
})

test('a file and a folder that may not be read are named', asRoot, () => {
  chmodSync(dir, 0o755)
  const file = install()
  chmodSync(file.file, 0)
  assertFault(run(file, { uid: 65534, gid: 65534 }), /may not be read by this user/, /^chmod/)
  const folder = install()
  chmodSync(folder.folder, 0)
  assertFault(run(folder, { uid: 65534, gid: 65534 }), /may not be read by this user/, /^chmod/)
})

test('a mount without execution is named', asRoot, (t) => {
  const mount = join(dir, 'a mount')
  mkdirSync(mount)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'noexec', 'none', mount], { encoding: 'utf8' })
  if (mounted.status !== 0) return t.skip(`nothing can be mounted here: ${mounted.stderr}`)
  try {
    const fault = run(install({ above: mount }))
    assertFault(fault, /lies on .*\/a mount, which is mounted with noexec/, /remount,exec/)
  } finally {
    execFileSync('umount', [mount])
  }
})

test('a runtime that forbids addons is named', onLinux, async () => {
  assertFault(run(install(), { args: ['--no-addons'] }), /runs with --no-addons/)
  // The permission model of Node.js 20 does not hold addons back.
  const command = await nodeBinary(nodeVersions.find((each) => each.startsWith('24.')))
  const permitted = { command, args: ['--permission', '--allow-fs-read=*', '--no-warnings'] }
  assertFault(run(install(), permitted), /permission model/, /--allow-addons/)
  const deno = { command: tool('deno'), args: ['run', '--no-prompt', '--no-lock', '--allow-read', '--allow-env'] }
  assertFault(run(install(), deno), /Deno does not let the addon load/, /--allow-ffi/)
  const blind = run(install(), { ...deno, args: deno.args.filter((arg) => arg !== '--allow-read') })
  assertFault(blind, /Deno does not let/, /--allow-read, and with --allow-ffi/)
  assert.equal(blind.message.match(/^- /gm).length, 1)
})

test('a program that Bun has compiled finds the addon beside itself', onLinux, () => {
  const host = install({ from: null })
  const program = join(host.project, 'bin/host')
  mkdirSync(dirname(program))
  execFileSync(tool('bun'), ['build', '--compile', host.main, '--outfile', program], { stdio: 'pipe' })
  rmSync(join(host.project, 'node_modules'), { recursive: true })
  const start = () => run({ main: '', project: host.project }, { command: program })
  assertFault(start(), /cannot be part of a bundle/, /mark provider-auth as external/)
  const beside = join(dirname(program), FILE)
  copyFileSync(addon, beside)
  assert.deepEqual(start(), { version })
  rmSync(beside)
  const folder = join(dirname(program), 'node_modules', `provider-auth-${NAME}`)
  mkdirSync(folder, { recursive: true })
  copyFileSync(addon, join(folder, FILE))
  assert.deepEqual(start(), { version })
})
