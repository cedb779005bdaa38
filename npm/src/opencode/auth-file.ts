/** OpenCode's own auth.json, read to tell what is in it from what is not known. */
import { readFile } from 'node:fs/promises'
import { read } from '../own.js'
import { authFile } from './host-credentials.js'
import { PLACEHOLDER } from './who-serves.js'

/** An entry, without its secret. */
export interface FileEntry {
  isPlaceholder: boolean
  /** It is an API key of the person's. */
  isKey: boolean
}

/**
 * Reads auth.json. A file that isn't there has no entries; `undefined` means that nothing can be
 * concluded: it cannot be read, OpenCode is just writing it, or reads a variable instead of it.
 */
export async function readAuthFile(env: NodeJS.ProcessEnv = process.env): Promise<Map<string, FileEntry> | undefined> {
  if ((env.OPENCODE_AUTH_CONTENT ?? '') !== '') return undefined
  try {
    const all: unknown = JSON.parse(await readFile(authFile(env), 'utf8'))
    return typeof all === 'object' && all !== null ? new Map(Object.entries(all).map(known)) : undefined
  } catch (fault) {
    return read(fault as NodeJS.ErrnoException, 'code') === 'ENOENT' ? new Map() : undefined
  }
}

function known([id, entry]: [string, unknown]): [string, FileEntry] {
  const { type, key } = { type: read(entry as Stored, 'type'), key: read(entry as Stored, 'key') }
  const isPlaceholder = key === PLACEHOLDER
  return [id, { isPlaceholder, isKey: type === 'api' && typeof key === 'string' && key !== '' && !isPlaceholder }]
}

type Stored = { type?: unknown; key?: unknown } | null
