/** Where this package lies, whatever file of it this code was bundled into. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Written in by our bundler. */
declare const __VERSION__: string | undefined

export interface Home {
  /** The package's folder; of a bundle its own, and absent where no file system has it. */
  readonly folder?: string
  /** Absent in a bundle of somebody else's that does not say. */
  readonly version?: string
  /** Whether a bundler has taken the library into a file of somebody else's program. */
  readonly isBundle: boolean
}

/** Returns the folder above this file whose package.json has our name, and its version. */
export function findHome(): Home {
  const version = typeof __VERSION__ === 'string' ? { version: __VERSION__ } : {}
  let here: string
  try {
    // A bundler may leave out the address, or make up one. Ours puts a path in its place.
    const url: string = import.meta.url
    here = dirname(isAbsolute(url) ? url : fileURLToPath(url))
  } catch {
    return { ...version, isBundle: true }
  }
  for (let folder = here; ; folder = dirname(folder)) {
    const manifest = manifestIn(folder)
    if (manifest?.name === 'provider-auth') return { folder, version: String(manifest.version), isBundle: false }
    if (folder === dirname(folder)) break
  }
  return isVirtual(here) ? { ...version, isBundle: true } : { folder: here, ...version, isBundle: true }
}

/** Whether a path is inside of an executable that `bun build --compile` has made. */
function isVirtual(path: string): boolean {
  return /^(\/\$bunfs\/|[A-Z]:[\\/]~BUN[\\/])/i.test(path)
}

/** Returns the package.json of a folder, if it has one that can be read. */
export function manifestIn(folder: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  } catch {
    return undefined
  }
}

/** Whether a folder is a clone of the repository, where the addon is built. */
export function isClone(folder: string): boolean {
  return existsSync(join(folder, 'Cargo.toml'))
}

/** Returns the package's folder; where somebody else's bundle has this code, that bundle's. */
export function packageFolder(): string {
  return findHome().folder ?? dirname(process.execPath)
}
