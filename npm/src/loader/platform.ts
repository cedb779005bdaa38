/** Which of the platforms' addons fits this process. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'

/** Where there is a package with an addon; `napi.targets` of package.json, as Node names them. */
export const SUPPORTED: readonly string[] = [
  'linux-x64-gnu',
  'linux-arm64-gnu',
  'linux-x64-musl',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64-msvc',
  'win32-arm64-msvc',
]

/** The package that everybody installs. */
export const PLAIN = 'provider-auth'
/** The package that adds the store for many machines: its addon does all that the plain one does. */
export const STORE = 'provider-auth-postgres'
/** What the names of addons and of their packages begin with, the one that is preferred first. */
export const FAMILIES: readonly string[] = [STORE, PLAIN]

export type Libc = 'gnu' | 'musl'

/** How much of an executable is read: the name of its interpreter stands behind its headers. */
const HEAD = 4096

/** Returns what comes behind the family in the names of the packages that fit, the likeliest first. */
export function platformNames(): string[] {
  const { platform, arch } = process
  if (platform === 'win32') return [`win32-${arch}-msvc`]
  if (platform !== 'linux') return [`${platform}-${arch}`]
  const libc = libcOf()
  return (libc === undefined ? ['gnu', 'musl'] : [libc]).map((abi) => `linux-${arch}-${abi}`)
}

/**
 * Returns the C library of this process, by what is named in its executable, or else by what is mapped. A report of
 * Node's would take some milliseconds, and Deno's says what Deno was built with.
 */
export function libcOf(): Libc | undefined {
  return named(headOf) ?? named(() => readFileSync('/proc/self/maps', 'latin1'))
}

function named(text: () => string): Libc | undefined {
  try {
    const [, kind] = /\/ld-(musl|linux)/.exec(text()) ?? []
    return kind === undefined ? undefined : kind === 'musl' ? 'musl' : 'gnu'
  } catch {
    return undefined
  }
}

function headOf(): string {
  const file = openSync(process.execPath, 'r')
  try {
    const head = Buffer.alloc(HEAD)
    return head.toString('latin1', 0, readSync(file, head, 0, HEAD, 0))
  } finally {
    closeSync(file)
  }
}
