// Builds what the library is made of, in the profile of every test and of `npm start`.

import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { featuresOf, PLAIN, STORE } from './families.mjs'
import { isFresh } from './freshness.mjs'
import { releaseEnvironment, rustVersion } from './rust-flags.mjs'
import { print, root, run } from './steps.mjs'

/** Where the macros of napi write what they make, one line of JSON for each export. */
const SHAPES = 'target/napi-shapes'

/** The target for which rustc has its own linker by default. */
const LLD_TARGET = 'x86_64-unknown-linux-gnu'

/** Where `buildPlainAddon` puts what it has built. */
export const PLAIN_ADDON = join(root, 'target/plain', addonName())

/**
 * Builds the addon and puts it in the root, under the name that the loader looks for; returns as `run` does. It has the store, so
 * that one build serves every suite.
 */
export async function buildAddon() {
  const built = await buildDebug(STORE, join(root, addonName()), shapesEnvironment())
  if (built.ok) writeShapes()
  return built
}

/** Builds the addon without the store, for the tests of what it says where one is configured; returns as `run` does. */
export function buildPlainAddon() {
  return buildDebug(PLAIN, PLAIN_ADDON)
}

/** Cargo is asked directly: `napi build` names a target, for which cargo would compile every dependency a second time. */
async function buildDebug(family, file, env = {}) {
  const built = await run('cargo', ['build', '--package', 'provider-auth-node', ...featuresOf(family)], {
    name: 'cargo build',
    env: { ...process.env, ...env },
    timeoutMs: 30 * 60_000,
  })
  if (!built.ok) return built
  const metadata = await run('cargo', ['metadata', '--no-deps', '--format-version=1'], { show: 'nothing' })
  if (!metadata.ok) return metadata
  put(join(JSON.parse(metadata.output).target_directory, 'debug', libraryName('')), file)
  return built
}

/** A process that has the old one loaded keeps it: a file is replaced, not written over. */
function put(built, file) {
  mkdirSync(dirname(file), { recursive: true })
  copyFileSync(built, `${file}.new`)
  renameSync(`${file}.new`, file)
}

/**
 * Has the macros of napi write the shapes of the addon's objects. They do so when the crate is compiled, so it is compiled
 * anew where the shapes are older than its sources.
 */
function shapesEnvironment() {
  const folder = { NAPI_TYPE_DEF_TMP_FOLDER: join(root, SHAPES) }
  if (isFresh({ sources: ['crates/node/src'], outputs: [join(SHAPES, 'provider-auth-node')] })) return folder
  rmSync(join(root, SHAPES), { recursive: true, force: true })
  mkdirSync(join(root, SHAPES), { recursive: true })
  return { ...folder, NAPI_FORCE_BUILD_PROVIDER_AUTH_NODE: `${Date.now()}` }
}

/** Writes the shapes as `npm/addon.d.ts`, for the test that compares them with `index.d.ts`. */
function writeShapes() {
  const lines = readFileSync(join(root, SHAPES, 'provider-auth-node'), 'utf8')
    .trim()
    .split('\n')
  const objects = lines.map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'interface')
  const text = objects.map(({ name, def }) => `export interface ${name} {\n${def}\n}\n`).join('\n')
  writeFileSync(join(root, 'npm/addon.d.ts'), text)
}

/**
 * Builds the addon as it ships, into `file` or else into the root; returns as `run` does. It takes minutes. The compiler is
 * the one that `rust-version` names, if it is there; with `exact` no other will do, since it makes other bytes.
 */
export async function buildRelease({
  family = PLAIN,
  folder = root,
  env = process.env,
  target = '',
  file,
  exact = false,
} = {}) {
  const toolchain = await releaseToolchain({ folder, env })
  if (toolchain.ok === false && exact) return toolchain
  if (toolchain.ok === false)
    print(`   built with the Rust that is here: for the bytes of a release, ${toolchain.output.trim()}`)
  const metadata = await run('cargo', ['metadata', '--no-deps', '--format-version=1'], {
    cwd: folder,
    env,
    show: 'nothing',
  })
  if (!metadata.ok) return metadata
  const { target_directory: targetFolder } = JSON.parse(metadata.output.slice(metadata.output.indexOf('{')))
  // The folders of the registries have to be there before the flags can name them.
  const fetched = await run('cargo', ['fetch', '--locked'], { cwd: folder, env, name: 'cargo fetch' })
  if (!fetched.ok) return fetched
  const linker = await ownLinker({ target, folder, env: { ...env, ...toolchain.env } })
  const flags = releaseEnvironment({ target, folder, env, targetFolder, linker })
  const args = ['build', '--release', '--locked', '--package', 'provider-auth-node', ...featuresOf(family)]
  const built = await run('cargo', [...args, ...(target === '' ? [] : ['--target', target])], {
    cwd: folder,
    name: 'cargo build --release',
    env: { ...env, ...toolchain.env, ...flags },
    timeoutMs: 60 * 60_000,
  })
  if (!built.ok) return built
  put(join(targetFolder, target, 'release', libraryName(target)), file ?? join(folder, addonName()))
  return built
}

/** The variable that has rustup run the compiler of releases, if another one would run. */
async function releaseToolchain({ folder, env }) {
  const wanted = rustVersion(folder)
  const isWanted = async (more) => {
    const { ok, output } = await run('rustc', ['--version'], { cwd: folder, env: { ...env, ...more }, show: 'nothing' })
    return ok && `${/^rustc (\S+)/m.exec(output)?.[1]}.`.startsWith(`${wanted}.`)
  }
  if (await isWanted({})) return { env: {} }
  const named = { RUSTUP_TOOLCHAIN: wanted.split('.').length === 2 ? `${wanted}.0` : wanted }
  if (await isWanted(named)) return { env: named }
  return { ok: false, output: `a release is built with Rust ${wanted}: run \`rustup toolchain install ${wanted}.0\`\n` }
}

/**
 * Returns `lld` where rustc links with the one that it brings: for x64 with glibc, unless the Rust is one of a distribution
 * that leaves it out. Other linkers know other flags.
 */
async function ownLinker({ target, folder, env }) {
  const lines = await run('rustc', ['-vV'], { cwd: folder, env, show: 'nothing' })
  const host = /^host: (.*)$/m.exec(lines.output)?.[1]
  if ((target || host) !== LLD_TARGET || host !== LLD_TARGET) return undefined
  const { output } = await run('rustc', ['--print', 'sysroot'], { cwd: folder, env, show: 'nothing' })
  return existsSync(join(output.trim(), 'lib/rustlib', LLD_TARGET, 'bin/gcc-ld/ld.lld')) ? 'lld' : undefined
}

/** What cargo calls the addon of a target, or of this machine. */
function libraryName(target) {
  const platform = { darwin: 'darwin', windows: 'win32' }[/darwin|windows|linux/.exec(target)?.[0] ?? ''] ?? 'linux'
  const [before, after] = { darwin: ['lib', '.dylib'], win32: ['', '.dll'] }[target ? platform : process.platform] ?? [
    'lib',
    '.so',
  ]
  return `${before}provider_auth_node${after}`
}

/** Says whether `npm/dist` is newer than all that it is made of. */
export function isTypeScriptBuilt() {
  const types = ['index.d.ts', 'register.d.ts', 'tsconfig.json', 'npm/tsconfig.json']
  const bundlers = [
    'scripts/bundle.mjs',
    'scripts/lib/bundle.mjs',
    'scripts/lib/bundle-library.mjs',
    'scripts/lib/bundle-parts.mjs',
  ]
  const sources = ['npm/src', 'cli/src', 'package.json', ...types, ...bundlers]
  return isFresh({ sources, outputs: ['npm/dist/index.js', 'npm/dist/cli/main.js'] })
}

/** Builds `npm/dist`; returns as `run` does. */
export function buildTypeScript() {
  return run('npm', ['run', '--silent', 'build:ts'])
}

/** What `napi build --platform` calls the addon of a target, or of this machine. */
export function addonName(target, family = PLAIN) {
  return `${family}.${target === undefined ? ownPlatform() : platformOf(target)}.node`
}

function platformOf(target) {
  const [, cpu, system, abi] = /^(\w+)-(?:unknown|apple|pc)-(\w+)(-\w+)?$/.exec(target)
  const platform = system === 'windows' ? 'win32' : system
  return `${platform}-${cpu === 'x86_64' ? 'x64' : 'arm64'}${abi ?? ''}`
}

function ownPlatform() {
  const isGnu = process.report.getReport().header.glibcVersionRuntime !== undefined
  const abi = { linux: isGnu ? '-gnu' : '-musl', win32: '-msvc' }[process.platform] ?? ''
  return `${process.platform}-${process.arch}${abi}`
}
