/** Reads a log file to its end, and on from there, also when it is renamed and begun anew. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { extname } from 'node:path'

const BLOCK = 256 * 1024

/** The name of the file that was full: `auth.1.log` of `auth.log`. */
export function before(file: string): string {
  const ending = extname(file)
  return `${file.slice(0, file.length - ending.length)}.1${ending}`
}

/** A file that is read on and on. */
export interface Tail {
  /** The whole lines that have come since the last call. */
  read(): string[]
  close(): void
}

/** Where there is no file, it may come. */
export function openTail(file: string): Tail {
  let fd: number | undefined
  let rest = Buffer.alloc(0)
  /** What comes until the end of the file that is open. */
  const drain = (): string[] => {
    const chunks = [rest]
    if (fd !== undefined)
      for (;;) {
        const block = Buffer.alloc(BLOCK)
        const length = readSync(fd, block, 0, BLOCK, null)
        if (length === 0) break
        chunks.push(block.subarray(0, length))
      }
    const all = Buffer.concat(chunks)
    const end = all.lastIndexOf('\n') + 1
    rest = all.subarray(end)
    return all
      .subarray(0, end)
      .toString()
      .split('\n')
      .filter((line) => line !== '')
  }
  const close = (): void => {
    if (fd !== undefined) closeSync(fd)
    fd = undefined
    rest = Buffer.alloc(0)
  }
  return {
    read() {
      fd ??= opened(file)
      const lines = drain()
      if (fd !== undefined && !isInPlace(fd, file)) {
        // Others may have written to it until they saw that.
        lines.push(...drain())
        close()
        fd = opened(file)
        lines.push(...drain())
      }
      return lines
    },
    close,
  }
}

function opened(file: string): number | undefined {
  try {
    // Opening a pipe would wait for its writer.
    return statSync(file).isFIFO() ? undefined : openSync(file, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Whether the name leads to the file that is open. A file that was cut is read again from its begin. */
function isInPlace(fd: number, file: string): boolean {
  try {
    const [open, named] = [fstatSync(fd, { bigint: true }), statSync(file, { bigint: true })]
    return open.ino === named.ino && open.dev === named.dev
  } catch {
    return false
  }
}
