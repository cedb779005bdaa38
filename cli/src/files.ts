/** Files that hold secrets: their owner alone reads them, and they are there whole or not at all. */
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { link, lstat, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fault } from './faults.js'

export interface PrivateFile {
  path: string
  /** Writes the content, and gives the file its name. */
  keep(content: string | Uint8Array): Promise<void>
  /** Removes what was begun; nothing after `keep`. */
  drop(): Promise<void>
}

/**
 * Begins a file of mode 0600 that gets its name only when all of it is on the disk. A file that is there already is replaced
 * only with `force`. What keeps it from being written is mostly told before `keep`.
 */
export async function beginPrivateFile(file: string, { force = false } = {}): Promise<PrivateFile> {
  const path = resolve(file)
  const there = await lstat(path).catch(() => undefined)
  if (there !== undefined && !force) throw alreadyThere(path)
  if (there !== undefined && !there.isFile())
    throw fault({ message: `${path} is no file`, next: 'choose another name' })
  const draft = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.tmp`)
  const handle = await open(draft, 'wx', 0o600).catch((error) => Promise.reject(notWritten(path, error)))
  // Ctrl-C ends the process at once.
  const atExit = () => rmSync(draft, { force: true })
  process.once('exit', atExit)
  const drop = async () => {
    await handle.close().catch(() => {})
    await rm(draft, { force: true })
    process.off('exit', atExit)
  }
  return {
    path,
    drop,
    async keep(content) {
      try {
        await handle.writeFile(content)
        await handle.sync()
        await handle.close()
        if (force) await rename(draft, path)
        else await nameOnce(draft, path)
      } catch (error) {
        throw notWritten(path, error)
      } finally {
        await drop()
      }
    },
  }
}

/** Writes such a file at once. */
export async function writePrivateFile(
  file: string,
  content: string | Uint8Array,
  options?: { force?: boolean },
): Promise<string> {
  const { path, keep } = await beginPrivateFile(file, options)
  await keep(content)
  return path
}

/** A link, other than a renaming, takes no name that another has. Not every file system has links. */
async function nameOnce(draft: string, path: string): Promise<void> {
  try {
    await link(draft, path)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw alreadyThere(path)
    await rename(draft, path)
  }
}

function alreadyThere(path: string): Error {
  return fault({ message: `${path} is there already`, next: 'choose another name, or pass --force to replace it' })
}

function notWritten(path: string, error: unknown): unknown {
  if (codeOf(error) === undefined) return error
  return fault({
    message: `could not write ${path}`,
    why: reasonOf(error),
    next: 'choose a folder that has room and that you may write to',
  })
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}

/** What the system said, in its words: `no space left on device`. */
export function reasonOf(error: unknown): string {
  return (error as Error).message.replace(/^[A-Z]+: /, '').replace(/, \w+( '.*)?$/, '')
}
