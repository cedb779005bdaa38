/** Files that are replaced whole or not at all. */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fault } from './faults.js'

/** Links that are followed to a file that is not there yet; more are a ring. */
const MOST_LINKS = 40

/** The file that a path leads to, through links, be it there or not. */
export function targetOf(path: string): string {
  let here = path
  for (let followed = 0; followed < MOST_LINKS; followed++) {
    try {
      return realpathSync(here)
    } catch {
      try {
        here = resolve(dirname(here), readlinkSync(here))
      } catch {
        return here
      }
    }
  }
  throw fault({ message: `${path} is a ring of links`, next: 'remove the link' })
}

/** Replaces a file, which keeps its mode; a new one is readable for its owner alone. */
export function replaceFile(file: string, text: string): void {
  const folder = dirname(file)
  const next = join(folder, `.${basename(file)}.${randomBytes(4).toString('hex')}.tmp`)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const before = statSync(file, { throwIfNoEntry: false })
    const open = openSync(next, 'wx', 0o600)
    try {
      writeFileSync(open, text)
      fsyncSync(open)
    } finally {
      closeSync(open)
    }
    if (before !== undefined) {
      keepOwner(next, before)
      chmodSync(next, before.mode & 0o7777)
    }
    renameSync(next, file)
  } catch (error) {
    rmSync(next, { force: true })
    throw fault({
      message: `${file} could not be written, and is as it was`,
      why: String((error as Error).message),
      next: 'make room or check the permissions, and try again',
      file,
    })
  }
}

/** Of another user's file, where this user may give files away. */
function keepOwner(file: string, { uid, gid }: { uid: number; gid: number }): void {
  try {
    const made = statSync(file)
    if (made.uid !== uid || made.gid !== gid) chownSync(file, uid, gid)
  } catch {}
}
