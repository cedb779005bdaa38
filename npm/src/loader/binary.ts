/** What a file is, by its first bytes: for which system and processor it was built, and whether it is whole. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import type { Libc } from './platform.js'

export interface Binary {
  /** As Node names the system; absent where the file is something else. */
  readonly platform?: 'linux' | 'darwin' | 'win32'
  /** As Node names the processor. */
  readonly arch?: string
  readonly bytes: number
  /** Whether its end is missing, as far as it can be told. */
  readonly isCut: boolean
}

const ELF_MACHINES: Readonly<Record<number, string>> = { 3: 'ia32', 40: 'arm', 62: 'x64', 183: 'arm64', 243: 'riscv64' }
const MACH_CPUS: Readonly<Record<number, string>> = { 16777223: 'x64', 16777228: 'arm64' }
const PE_MACHINES: Readonly<Record<number, string>> = { 332: 'ia32', 34404: 'x64', 43620: 'arm64' }

/** The headers of a PE stand behind a small program of DOS. */
const HEAD = 4096
/** Of a 64-bit ELF. */
const ELF_HEADER = 64

/** Returns what can be read; `undefined` where the file cannot be opened. */
export function inspect(file: string): Binary | undefined {
  const head = Buffer.alloc(HEAD)
  let bytes: number
  try {
    const opened = openSync(file, 'r')
    try {
      bytes = fstatSync(opened).size
      readSync(opened, head, 0, HEAD, 0)
    } finally {
      closeSync(opened)
    }
  } catch {
    return undefined
  }
  const magic = head.readUInt32BE(0)
  if (magic === 0x7f454c46)
    return { ...arch('linux', ELF_MACHINES[head.readUInt16LE(18)]), bytes, isCut: isCutElf(head, bytes) }
  if (magic === 0xcffaedfe) return { ...arch('darwin', MACH_CPUS[head.readUInt32LE(4)]), bytes, isCut: false }
  if (magic >>> 16 === 0x4d5a) {
    const at = Math.min(head.readUInt32LE(60) + 4, HEAD - 2)
    return { ...arch('win32', PE_MACHINES[head.readUInt16LE(at)]), bytes, isCut: false }
  }
  return { bytes, isCut: bytes === 0 }
}

/** Returns the C library that an addon names as what it needs; reads all of it. */
export function libcNeeded(file: string): Libc | undefined {
  try {
    const text = readFileSync(file, 'latin1')
    if (/\0libc\.(?:musl-[\w.-]+|so)\0/.test(text)) return 'musl'
    return text.includes('\0libc.so.6\0') ? 'gnu' : undefined
  } catch {
    return undefined
  }
}

function arch(platform: NonNullable<Binary['platform']>, name: string | undefined): Pick<Binary, 'platform' | 'arch'> {
  return { platform, ...(name !== undefined && { arch: name }) }
}

/** The table of the sections is the last thing in an ELF. */
function isCutElf(head: Buffer, bytes: number): boolean {
  if (bytes < ELF_HEADER) return true
  const table = Number(head.readBigUInt64LE(40))
  return table + head.readUInt16LE(58) * head.readUInt16LE(60) > bytes
}
