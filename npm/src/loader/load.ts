/**
 * Loads the native addon. It is looked for where the package itself lies and beside the executable, and never in the
 * current folder or on PATH: a cloned repository could have put one there.
 */
import { realpathSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, isAbsolute, join } from 'node:path'
import { inspect } from './binary.js'
import { notLoaded } from './fault.js'
import { findHome, type Home, isClone, manifestIn } from './home.js'
import { FAMILIES, PLAIN, platformNames, STORE } from './platform.js'
import { type Named, SHARED_VARIABLE, type Tried, VARIABLE } from './tried.js'

type Exports = Readonly<Record<string, unknown>>

/** A file that may be the addon. */
interface Candidate {
  /** How it was come by: the file, or the name of its package. */
  readonly place: string
  /** Absent where there is none. */
  readonly file?: string
  /** How large its package says that it is. */
  readonly bytes?: unknown
}

/** @throws {LoadError} `ADDON_NOT_LOADED`, which says what was tried, why it failed and what to do */
export function loadAddon(): Exports {
  const home = findHome()
  const tried: Tried[] = []
  const firstOf = (candidates: Iterable<Candidate>): Exports | undefined => {
    for (const { place, file, bytes } of candidates) {
      if (file !== undefined && tried.some((other) => other.file === file)) continue
      const loaded = file === undefined ? ({ why: 'absent' } as const) : load(file, bytes, home.version)
      if ('addon' in loaded) return loaded.addon
      tried.push({ place, ...(file !== undefined && { file }), ...loaded })
      if ('error' in loaded && isForbidden(loaded.error)) return undefined
    }
    return undefined
  }
  const named = namedAddon()
  if (named !== undefined) {
    const addon = firstOf([{ place: named.variable, file: named.file }])
    if (addon !== undefined) return addon
    if (named.variable === VARIABLE || tried[0]?.why !== 'foreign')
      throw notLoaded({ home, family: PLAIN, names: [], tried, named })
  }
  const names = platformNames()
  const store = storeBeside(home)
  const addon = firstOf(candidatesOf(home, store, names))
  if (addon !== undefined) return addon
  throw notLoaded({ home, family: store === undefined ? PLAIN : STORE, names, tried, named: undefined })
}

function namedAddon(): Named | undefined {
  const variable = [VARIABLE, SHARED_VARIABLE].find((name) => process.env[name])
  return variable === undefined ? undefined : { variable, file: process.env[variable] as string }
}

/** Whether the runtime forbids addons, or to look for them; then every other place fails in the same way. */
function isForbidden(error: unknown): boolean {
  const { code, name } = error as { code?: string; name?: string }
  return code === 'ERR_DLOPEN_DISABLED' || code === 'ERR_ACCESS_DENIED' || name === 'NotCapable'
}

/** Returns the folder of the package with the store, if it is installed. A clone has what was built in it. */
function storeBeside({ folder }: Home): string | undefined {
  if (folder === undefined) return undefined
  const its = packageBeside(folder, STORE)
  return its !== undefined && isClone(folder) ? undefined : its
}

/** Returns the folder of a package, as the one in `folder` finds it. */
function packageBeside(folder: string, name: string): string | undefined {
  try {
    return dirname(createRequire(join(folder, 'package.json')).resolve(`${name}/package.json`))
  } catch {
    return undefined
  }
}

/** Made one by one: most processes look at no more than the first two. */
function* candidatesOf({ folder }: Home, store: string | undefined, names: readonly string[]): Generator<Candidate> {
  if (store !== undefined) {
    yield* besides(store, names, [STORE])
    // No other one will do: who has installed it has a vault that no other one can open.
    return yield* ofPlatform(store, names, STORE)
  }
  if (folder !== undefined) {
    // A clone that was built, or what somebody has put beside a bundle.
    yield* besides(folder, names)
    yield* ofPlatform(folder, names, PLAIN)
    // Not every program that Bun has compiled resolves packages.
    for (const above of foldersAbove(real(folder))) yield* inModules(above, names)
  }
  const executable = dirname(real(process.execPath))
  yield* besides(executable, names)
  yield* inModules(executable, names)
}

function* besides(folder: string, names: readonly string[], families = FAMILIES): Generator<Candidate> {
  for (const family of families)
    for (const name of names) {
      const file = join(folder, fileName(family, name))
      // Few have it, and nobody who lacks it needs to read so.
      if (family === PLAIN || stateOf(file) !== 'absent') yield { place: file, file }
    }
}

function* ofPlatform(folder: string, names: readonly string[], family: string): Generator<Candidate> {
  for (const name of names) {
    const place = `${family}-${name}`
    const its = packageBeside(folder, place)
    yield its === undefined ? { place } : inPackage(its, family, name, place)
  }
}

function* inModules(folder: string, names: readonly string[]): Generator<Candidate> {
  for (const family of FAMILIES)
    for (const name of names) {
      const its = join(folder, 'node_modules', `${family}-${name}`)
      if (stateOf(its) !== 'absent') yield inPackage(its, family, name)
    }
}

function inPackage(folder: string, family: string, name: string, place = folder): Candidate {
  return { place, file: join(folder, fileName(family, name)), bytes: manifestIn(folder)?.addonBytes }
}

function fileName(family: string, name: string): string {
  return `${family}.${name}.node`
}

function* foldersAbove(start: string): Generator<string> {
  for (let folder = start; ; folder = dirname(folder)) {
    yield folder
    if (folder === dirname(folder)) return
  }
}

function real(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

/** Returns the size of a file, or why it cannot be told. */
function stateOf(path: string): number | 'absent' | { error: unknown } {
  try {
    return statSync(path).size
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'absent' : { error }
  }
}

/**
 * Loads a file. A package tells its size, since an installation that was interrupted leaves a part of it, and to load
 * that can end the process; where none tells it, the file itself may.
 */
function load(
  file: string,
  bytes: unknown,
  version: string | undefined,
): { addon: Exports } | Pick<Tried, 'why' | 'error' | 'bytes' | 'version'> {
  if (!isAbsolute(file)) return { why: 'relative' }
  const binary = bytes === undefined ? inspect(file) : undefined
  const size = binary?.bytes ?? stateOf(file)
  if (typeof size === 'object') return { why: 'failed', error: size.error }
  if (typeof bytes === 'number' && size !== bytes) return { why: 'cut', bytes: [size === 'absent' ? 0 : size, bytes] }
  if (size === 'absent') return { why: 'absent' }
  // Node runs what has another name as JavaScript.
  if (!file.endsWith('.node')) return { why: 'name' }
  if (binary?.isCut === true) return { why: 'failed', error: new Error('it is incomplete') }
  try {
    const addon: Exports & { addonVersion?: () => unknown } = createRequire(file)(file)
    if (typeof addon.addonVersion !== 'function') return { why: 'foreign' }
    const its = addon.addonVersion()
    if (version !== undefined && its !== version) return { why: 'version', version: String(its) }
    return { addon }
  } catch (error) {
    return { why: 'failed', error }
  }
}
