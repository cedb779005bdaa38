/** Small files of the plugin's own, in JSON, with nothing secret in them. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Reads one; a missing or damaged file is an empty object. The caller checks what is in it. */
export function readState(file: string): object {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
  } catch {
    return {}
  }
}

/**
 * Puts one in place in one step, so that a reader never meets half a file. A disk that does not
 * take it costs a hint, and no request.
 */
export function writeState(file: string, value: object): void {
  const unfinished = `${file}.${randomBytes(4).toString('hex')}`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    writeFileSync(unfinished, JSON.stringify(value), { mode: 0o600 })
    renameSync(unfinished, file)
  } catch {
    discard(unfinished)
  }
}

function discard(file: string): void {
  try {
    rmSync(file, { force: true })
  } catch {
    // Where there is no folder there is no file.
  }
}
