// The environment of a release build, in which neither the folder of the clone nor that of cargo changes a byte of what is built.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { root } from './steps.mjs'

/** Between the flags of `CARGO_ENCODED_RUSTFLAGS`: it may not be in a flag, while a path may have spaces. */
const SEPARATOR = '\x1f'

/**
 * Returns the variables that a release build of the addon for `target` is given: the paths of this machine get fixed names
 * in what rustc and the C compiler write down, and the time is that of the last commit. Flags of the caller's own
 * environment are kept, before ours. `folder` is the clone that is built, `targetFolder` where cargo writes, `linker` is
 * `lld` where rustc links with its own.
 */
export function releaseEnvironment({ target = '', folder = root, env = process.env, targetFolder, linker } = {}) {
  const cargoHome = resolve(env.CARGO_HOME || join(homedir(), '.cargo'))
  const names = pathNames({ folder: resolve(folder), cargoHome, targetFolder })
  const flags = names.map(([path, name]) => `--remap-path-prefix=${path}=${name}`)
  // The linker of Windows writes the time into the file unless told to write a hash instead.
  if (/windows-msvc$/.test(target || (process.platform === 'win32' && 'windows-msvc'))) flags.push('-Clink-arg=/Brepro')
  // Functions of the same code become one, and so do their tables of what to drop in a panic: 1.5 % of the file.
  if (linker === 'lld') flags.push('-Clink-arg=-Wl,--icf=all', '-Clink-arg=-Wl,--ignore-data-address-equality')
  // An addon is a shared library, which musl has only where the C library is one.
  if (target.endsWith('-musl')) flags.push('-Ctarget-feature=-crt-static')
  const own = env.CARGO_ENCODED_RUSTFLAGS?.split(SEPARATOR) ?? env.RUSTFLAGS?.split(' ') ?? []
  return {
    CARGO_ENCODED_RUSTFLAGS: [...own.filter(Boolean), ...flags].join(SEPARATOR),
    CARGO_INCREMENTAL: '0',
    SOURCE_DATE_EPOCH: env.SOURCE_DATE_EPOCH ?? commitTime(folder),
    // Archives of the C parts, as macOS makes them, carry times unless this is set.
    ZERO_AR_DATE: '1',
    ...cFlags(target, names, env),
  }
}

/** Returns the version of Rust with which releases are built: the oldest with which they can be. */
export function rustVersion(folder = root) {
  return /^rust-version = "([\d.]+)"/m.exec(readFileSync(join(folder, 'Cargo.toml'), 'utf8'))[1]
}

/**
 * The paths that differ from machine to machine, and what stands for each. Of two that match, rustc and the C compilers
 * take the one named last, so the inner folders follow the outer ones.
 */
function pathNames({ folder, cargoHome, targetFolder }) {
  const sources = join(cargoHome, 'registry', 'src')
  const names = [
    [folder, '/provider-auth'],
    [cargoHome, '/cargo'],
    // Each registry has a folder, whose name depends on the registry's address.
    ...foldersIn(sources).map((name) => [join(sources, name), '/cargo/registry/src']),
  ]
  return targetFolder === undefined ? names : [...names, [resolve(targetFolder), '/provider-auth/target']]
}

function foldersIn(folder) {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

/** The same for the C parts (ring's), whose compiler is asked by the crate `cc`. */
function cFlags(target, names, env) {
  // The compiler of Microsoft writes no path without debug information.
  if (target.endsWith('windows-msvc') || (target === '' && process.platform === 'win32')) return {}
  const name = target === '' ? 'CFLAGS' : `CFLAGS_${target.replaceAll('-', '_')}`
  // `cc` splits at spaces: a folder with one in its name stays as it is, which `check-addon` then tells.
  const flags = names.filter(([path]) => !path.includes(' ')).map(([path, to]) => `-ffile-prefix-map=${path}=${to}`)
  return { [name]: [env[name], ...flags].filter(Boolean).join(' ') }
}

function commitTime(folder) {
  try {
    return execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: folder, encoding: 'utf8' }).trim()
  } catch {
    // Sources without their history, such as an unpacked archive.
    return '0'
  }
}
