/** The proxy's own token, which its clients send where they would send the provider's key. */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { EXIT, fault } from '../faults.js'
import { reasonOf, writePrivateFile } from '../files.js'
import { SHORTEST_TOKEN } from './limits.js'

/** A token that cannot be guessed; its beginning says what it is. */
export function newToken(): string {
  return `pa_${randomBytes(32).toString('base64url')}`
}

/** The token in a file that its owner alone can read; a file that is not there is made in its folder, with a new token. */
export async function tokenIn(file: string): Promise<string> {
  const text = await readPrivate(resolve(file))
  if (text === undefined) {
    const token = newToken()
    // What keeps a folder from being made keeps the file from being written, which says it.
    await mkdir(dirname(resolve(file)), { recursive: true, mode: 0o700 }).catch(() => {})
    await writePrivateFile(file, `${token}\n`)
    return token
  }
  const token = text.trim()
  if (token.length < SHORTEST_TOKEN || /[^\x21-\x7e]/.test(token))
    throw refused(
      file,
      `it has no token of at least ${SHORTEST_TOKEN} letters, digits and signs, without spaces`,
      'remove it, and a new one is made',
    )
  return token
}

/** The text of such a file, or `undefined` where there is none. */
export async function readPrivate(path: string): Promise<string | undefined> {
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw refused(path, code === 'ELOOP' ? 'it is a link' : reasonOf(error), 'choose another file')
  }
  try {
    const stats = await handle.stat()
    const { mode, uid, size } = stats
    // Of a pipe nothing may ever come.
    if (!stats.isFile()) throw refused(path, 'it is not a regular file', 'choose another file')
    if (size > LONGEST) throw refused(path, 'it is too long', 'choose another file')
    // Windows has no such rights: there a file in the user's folder is the user's.
    if (process.getuid !== undefined && uid !== process.getuid())
      throw refused(path, 'it belongs to another user', 'choose another file')
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw refused(
        path,
        'other users can read it or write to it',
        `chmod 600 ${path}, and make a new token where they may have read it`,
      )
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}

/** Of a file with one token. */
const LONGEST = 4_096

function refused(file: string, why: string, next: string): Error {
  return fault({
    code: 'PROXY_TOKEN_FILE',
    exit: EXIT.failed,
    message: `the token is not taken from ${file}`,
    why,
    next,
  })
}
