/** What this process runs on, for a message. */
import { libcOf } from './platform.js'

/** Such as `linux-x64, glibc 2.36, Node 20.20.2`. */
export function systemName(): string {
  const { bun, deno, node } = process.versions
  const runtime = bun !== undefined ? `Bun ${bun}` : deno !== undefined ? `Deno ${deno}` : `Node ${node}`
  return [`${process.platform}-${process.arch}`, libcName(), runtime].filter(Boolean).join(', ')
}

export function libcName(): string | undefined {
  const libc = process.platform === 'linux' ? libcOf() : undefined
  if (libc !== 'gnu') return libc
  const version = glibcVersion()
  return version === undefined ? 'glibc' : `glibc ${version}`
}

/** Deno tells the one that it was built with. */
function glibcVersion(): string | undefined {
  if (process.versions.deno !== undefined) return undefined
  const { report } = process as { report?: { excludeNetwork?: boolean; getReport(): object } }
  if (report === undefined) return undefined
  const before = report.excludeNetwork ?? false
  try {
    // It would look up the name of every peer.
    report.excludeNetwork = true
    return (report.getReport() as { header?: { glibcVersionRuntime?: string } }).header?.glibcVersionRuntime
  } catch {
    return undefined
  } finally {
    report.excludeNetwork = before
  }
}
