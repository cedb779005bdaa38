/**
 * What must outlive an instance of OpenCode, in a small file of its own. It holds ids only, and no
 * secret: what is lost with it is a hint.
 */
import { join } from 'node:path'
import { inHome } from '../home-folder.js'
import { read } from '../own.js'
import { readState, writeState } from './state-file.js'

/** What is remembered of one provider. */
export interface Remembered {
  /** It was ours when the last instance started. */
  ours?: boolean
  /** It has accounts in the vault, as they were last read. */
  hasAccounts?: boolean
  /** When a login through us handed our placeholder to OpenCode, in Unix milliseconds. */
  placeholderAt?: number
  /** The process of that login, until OpenCode has written the placeholder. */
  writer?: number
  /** The auth.json that has the placeholder: a machine may have several. */
  authFile?: string
  /** Ids of the accounts that were added under OpenCode. */
  added?: string[]
  /** A key that a person typed into OpenCode could not be moved into the vault yet. */
  keyWaits?: boolean
  /** Its accounts were switched off by `opencode auth logout`. */
  loggedOut?: boolean
}

export type Memory = Record<string, Remembered>

/** Where it lies: beside the state of other programs, by XDG. */
export function memoryFile(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return join(env.XDG_STATE_HOME || inHome('.local', 'state'), 'provider-auth', 'opencode.json')
}

/** Reads it; a file that is missing or damaged remembers nothing. */
export function recall(file = memoryFile()): Memory {
  const entries = Object.entries(readState(file)).filter(([, value]) => typeof value === 'object' && value !== null)
  return Object.assign(bareMemory(), Object.fromEntries(entries.map(([id, value]) => [id, checked(value)])))
}

/** Changes what is remembered, read anew. */
export function remember(change: (memory: Memory) => void, file = memoryFile()): void {
  const memory = recall(file)
  const before = JSON.stringify(memory)
  change(memory)
  if (JSON.stringify(memory) !== before) writeState(file, memory)
}

/** Whether no start was remembered that could read the vault. */
export function isBlank(memory: Memory): boolean {
  return Object.values(memory).every(({ ours, hasAccounts }) => ours !== true && hasAccounts !== true)
}

function bareMemory(): Memory {
  return Object.create(null) as Memory
}

/** Only what has the right type: another program may have written the file. */
function checked(value: object): Remembered {
  const entry = value as Remembered
  const [ours, hasAccounts, loggedOut] = [read(entry, 'ours'), read(entry, 'hasAccounts'), read(entry, 'loggedOut')]
  const keyWaits = read(entry, 'keyWaits')
  const [placeholderAt, writer] = [read(entry, 'placeholderAt'), read(entry, 'writer')]
  const [authFile, added] = [read(entry, 'authFile'), read(entry, 'added')]
  return {
    ...(ours === true && { ours }),
    ...(hasAccounts === true && { hasAccounts }),
    ...(loggedOut === true && { loggedOut }),
    ...(keyWaits === true && { keyWaits }),
    ...(typeof placeholderAt === 'number' && { placeholderAt }),
    ...(typeof writer === 'number' && { writer }),
    ...(typeof authFile === 'string' && { authFile }),
    ...(Array.isArray(added) && { added: added.filter((id) => typeof id === 'string') }),
  }
}
