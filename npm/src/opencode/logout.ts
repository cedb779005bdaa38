/**
 * Signing out under OpenCode. `opencode auth logout` and the apps delete OpenCode's entry and tell no
 * plugin, so it is found out when an instance starts: where our placeholder was and is gone.
 */
import { read } from '../own.js'
import { type FileEntry, readAuthFile } from './auth-file.js'
import { authFile } from './host-credentials.js'
import { reasonOf } from './login-words.js'
import { type Memory, type Remembered, recall, remember } from './remembered.js'
import type { Surface } from './surface.js'
import { codeOf, message } from './words.js'

type Library = Pick<typeof import('../index.js'), 'updateAccount'>

/**
 * How long OpenCode may take to write the placeholder after a login has handed it over, while the
 * process of the login lives. It takes milliseconds; an instance that starts in between must not
 * take the login for a logout.
 */
const WRITING_MS = 5_000
/** When to look for what OpenCode writes, in milliseconds after the last look. */
const LOOKS_MS = [20, 50, 100, 300, 1_000, 3_000]

/** Notes that an account was added, and that OpenCode is being handed the placeholder of its provider. */
export function noteLogin(account: Added): void {
  note(account, { placeholderAt: Date.now(), writer: process.pid, authFile: authFile() })
  void noteWritten(account.provider)
}

/** Notes when OpenCode has written the placeholder: from then on its absence is a logout. */
export async function noteWritten(provider: string): Promise<void> {
  for (const ms of LOOKS_MS) {
    await new Promise((resolve) => setTimeout(resolve, ms).unref())
    if ((await readAuthFile())?.get(provider)?.isPlaceholder !== true) continue
    return remember((memory) => {
      const { writer: _, placeholderAt = Date.now(), ...known } = entryOf(memory, provider)
      memory[provider] = { ...known, placeholderAt, authFile: authFile() }
    })
  }
}

/** Notes that an account was added. */
export function noteAdded(account: Added): void {
  note(account, {})
}

type Added = { id: string; provider: string }

function note({ id, provider }: Added, more: Remembered): void {
  remember((memory) => {
    const { loggedOut: _, added = [], ...known } = entryOf(memory, provider)
    memory[provider] = { ...known, ...more, added: [...new Set([...added, id])] }
  })
}

/**
 * Disables the accounts that were added here of each provider that was signed out of, and returns
 * these providers. Their removal is the person's to choose: `/accounts` has both.
 */
export async function noticeLogouts({ library, report }: { library: Library; report: Report }): Promise<string[]> {
  const entries = await readAuthFile()
  if (entries === undefined) return []
  const before = recall()
  const { gone, memory } = compare(before, entries, { file: authFile(), now: Date.now(), isRunning })
  if (memory !== undefined) remember((current) => Object.assign(current, memory))
  const noticed: string[] = []
  for (const provider of gone) {
    const { added = [], placeholderAt } = entryOf(recall(), provider)
    // Signed in to again meanwhile, by another process.
    if (placeholderAt !== entryOf(before, provider).placeholderAt) continue
    try {
      for (const id of added) await disable(library, id)
      remember((current) => {
        const { placeholderAt: _, writer: __, ...known } = entryOf(current, provider)
        current[provider] = { ...known, ...(added.length > 0 && { loggedOut: true }) }
      })
      noticed.push(provider)
      report(added.length > 0 ? signedOut(provider, 'ui') : leftAlone(provider))
    } catch (fault) {
      // The next instance tries again.
      report(message(`the accounts of ${provider} could not be disabled: ${reasonOf(fault)}`))
    }
  }
  return noticed
}

type Report = (message: string) => void

/** What a request says whose provider was signed out of. */
export function signedOut(provider: string, surface: Surface): string {
  const how = {
    ui: 'enable or remove them in /accounts, or sign in again with /connect',
    cli: `sign in again with: opencode auth login --provider ${provider}, or enable them in /accounts of OpenCode's window`,
  }
  return message(
    `you signed out of ${provider} with opencode, so its accounts that were added here are disabled; ${how[surface]}`,
  )
}

function leftAlone(provider: string): string {
  return message(`you signed out of ${provider} with opencode; its accounts came from elsewhere, and stay as they are`)
}

async function disable(library: Library, id: string): Promise<void> {
  try {
    await library.updateAccount(id, { enabled: false })
  } catch (fault) {
    // Removed since.
    if (codeOf(fault) !== 'UNKNOWN_ACCOUNT') throw fault
  }
}

/**
 * Compares what is remembered with what OpenCode has: the providers whose placeholder is gone, and
 * what is to be remembered of those whose placeholder or own credential is there.
 */
export function compare(
  before: Memory,
  entries: ReadonlyMap<string, Pick<FileEntry, 'isPlaceholder'>>,
  { file, now, isRunning }: { file: string; now: number; isRunning(pid: number): boolean },
): { gone: string[]; memory: Memory | undefined } {
  const gone: string[] = []
  const memory: Memory = Object.create(null)
  for (const [provider, known] of Object.entries(before)) {
    const { placeholderAt, writer, ...rest } = known
    // Another folder of OpenCode's has credentials of its own.
    if (placeholderAt === undefined || read(known, 'authFile') !== file) continue
    const entry = entries.get(provider)
    // A credential of OpenCode's own in its place is no logout.
    if (entry?.isPlaceholder === false) memory[provider] = rest
    if (entry !== undefined) continue
    const isWriting = writer !== undefined && now - placeholderAt < WRITING_MS && isRunning(writer)
    if (!isWriting) gone.push(provider)
  }
  for (const [provider, { isPlaceholder }] of entries) {
    if (!isPlaceholder) continue
    const { loggedOut: _, writer, ...known } = entryOf(before, provider)
    if (known.placeholderAt === undefined || known.authFile !== file) {
      memory[provider] = { ...known, placeholderAt: now, authFile: file }
    } else if (writer !== undefined) memory[provider] = known
  }
  return { gone, memory: Object.keys(memory).length > 0 ? memory : undefined }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (fault) {
    // It is there, and another user's.
    return read(fault as NodeJS.ErrnoException, 'code') === 'EPERM'
  }
}

function entryOf(memory: Memory, provider: string): Remembered {
  return memory[provider] ?? {}
}
