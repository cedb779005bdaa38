// Knows what a build needs from the machine: whether it is there, and how a person gets what is not.

import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { root, run } from './steps.mjs'

/**
 * Returns what is missing before anything can be built, one sentence each that says how to get it.
 * Empty on a machine that is ready. Where the addon is built already, `compiles` is false.
 */
export async function missingTools({ compiles = true } = {}) {
  const missing = []
  const { node } = process.versions
  if (!atLeast(node, '20.19') || (/^2[12]\./.test(node) && !atLeast(node, '22.12'))) {
    missing.push(`Node.js 20.19 or 22.12 or later (this is ${node}): https://nodejs.org/`)
  }
  return compiles ? [...missing, ...(await missingCompilers())] : missing
}

async function missingCompilers() {
  const { rust } = requirements()
  const [cargo, rustc, cc] = await Promise.all([
    versionOf('cargo', ['--version']),
    versionOf('rustc', ['--version']),
    process.platform === 'win32' ? '0.0' : versionOf('cc', ['-dumpversion']),
  ])
  const missing = []
  if (!cargo || !rustc) {
    missing.push(`Rust ${rust} or later with cargo (none found): https://rustup.rs/, or add ~/.cargo/bin to PATH`)
  } else if (!atLeast(rustc, rust)) {
    missing.push(`Rust ${rust} or later (this is ${rustc}): run \`rustup update stable\``)
  }
  if (!cc) {
    const remedy = process.platform === 'darwin' ? 'xcode-select --install' : 'apt-get install build-essential'
    missing.push(`a C compiler named cc, for the ciphers of TLS (none found): such as by \`${remedy}\``)
  }
  return missing
}

/** Says whether `node_modules` holds exactly what `package-lock.json` asks for, apart from other platforms' packages. */
export function packagesAreInstalled() {
  const wanted = lockedPackages(join(root, 'package-lock.json'))
  const installed = lockedPackages(join(root, 'node_modules/.package-lock.json'))
  if (!wanted || !installed) return false
  const isThere = ([path, { version, optional }]) =>
    path === '' || (installed[path] ? installed[path].version === version : optional === true)
  return Object.entries(wanted).every(isThere)
}

/** Installs the locked npm packages unless they are there; returns as `run` does. */
export async function installPackages() {
  if (packagesAreInstalled()) return { ok: true, code: 0, output: '' }
  return run('npm', ['ci', '--no-audit', '--no-fund'], { name: 'npm ci', timeoutMs: 10 * 60_000 })
}

/** The version of cargo-deny that `npm test` and the release use. */
export const CARGO_DENY = '0.20.2'

/**
 * Installs a tool of cargo in exactly this version, outside of the repository, so that it is built once and not in every clone;
 * returns as `run` does, with its `command`.
 */
export async function cargoTool(name, version) {
  const found = await run(name, ['--version'], { show: 'nothing' })
  if (found.ok && found.output.trim() === `${name} ${version}`) return { ok: true, command: name }
  const tools = toolsFolder(`${name}-${version}`)
  const command = join(tools, 'bin', process.platform === 'win32' ? `${name}.exe` : name)
  if (existsSync(command)) return { ok: true, command }
  // The dev profile: it is built in a minute and run for a second.
  const args = ['install', name, '--version', version, '--locked', '--profile', 'dev', '--root', tools]
  return { ...(await run('cargo', args, { name: 'cargo install' })), command }
}

/** Where a tool is kept that a build or a test fetches: outside of the repository, for all clones. */
export function toolsFolder(tool) {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  return join(process.env.TEST_TOOLS_FOLDER || join(cache, 'provider-auth-tools'), tool)
}

/** Says whether a command is on the PATH. */
export function hasCommand(command) {
  const file = process.platform === 'win32' ? `${command}.exe` : command
  return process.env.PATH.split(delimiter).some((folder) => existsSync(join(folder, file)))
}

function requirements() {
  const manifest = readFileSync(join(root, 'Cargo.toml'), 'utf8')
  return { rust: manifest.match(/^rust-version = "([\d.]+)"/m)[1] }
}

async function versionOf(command, args) {
  const { ok, output } = await run(command, args, { show: 'nothing', timeoutMs: 30_000 })
  return ok ? output.match(/\d+(\.\d+)*/)?.[0] : undefined
}

/** Compares dotted versions by number, part by part; a missing part is zero. */
function atLeast(version, least) {
  const [have, need] = [version, least].map((text) => text.split('.').map(Number))
  const at = need.findIndex((part, index) => (have[index] ?? 0) !== part)
  return at === -1 || (have[at] ?? 0) > need[at]
}

function lockedPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages
  } catch {
    return undefined
  }
}
