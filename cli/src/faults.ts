/** What went wrong, in the terms of the command: what happened, why, what to do next, and the exit code. */
import type { Command, CommanderError } from 'commander'
import type { AuthError } from '../../index.js'
import type { LoadError } from '../../npm/src/loader/fault.js'
import { inCommands } from './calls.js'
import { afterFault, afterRefusal } from './mending.js'

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  needsLogin: 3,
  vaultClosed: 4,
  nothingServes: 5,
  interrupted: 130,
} as const

export interface Fault {
  /** The library's, or `USAGE`, `INTERRUPTED`, `FAILED` of the command itself. */
  code: string
  message: string
  why?: string
  next?: string
  exit: number
  provider?: string
  accountId?: string
  /** Unix milliseconds. */
  retryAt?: number
  file?: string
  path?: string
}

/** An error of the command itself; `Fault` without the exit code is a failure. */
export function fault(parts: Partial<Fault> & Pick<Fault, 'message'>): Error & { fault: Fault } {
  const whole = { code: 'FAILED', exit: EXIT.failed, ...parts }
  return Object.assign(new Error(parts.message), { fault: whole })
}

const LIST = 'provider-auth help, for the list of commands'

/** A call that makes no sense as it is written. */
export function usage(message: string, next?: string): Error {
  return fault({ code: 'USAGE', exit: EXIT.usage, message, ...(next !== undefined && { next }) })
}

/** The person has pressed Ctrl-C, or said no. */
export function interrupted(): Error {
  return fault({ code: 'INTERRUPTED', exit: EXIT.interrupted, message: 'interrupted; nothing was changed' })
}

/** What the parser of the command line says, of this command. */
export function usageFault({ code, message: said, command }: CommanderError & { command?: Command }): Fault {
  const message = code === 'commander.help' ? 'a command is missing' : said
  const [what = '', ...suggestion] = message.replace(/^error: /, '').split('\n')
  return {
    code: 'USAGE',
    exit: EXIT.usage,
    message: what,
    next: [...suggestion, helpOf(command)].join(' ').replace(/^\(|\)(?= |$)/g, ''),
  }
}

/** Where the help of a command is, and of the program the list of its commands. */
export function helpOf(command?: Command | null): string {
  const names: string[] = []
  for (let one = command; one?.parent; one = one.parent) names.unshift(one.name())
  return names.length === 0 ? LIST : ['provider-auth help', ...names].join(' ')
}

export function faultOf(error: unknown): Fault {
  const thrown = error as Partial<AuthError> & LoadParts & { fault?: Fault }
  if (thrown.fault !== undefined) return thrown.fault
  const { code, message = String(error), provider, accountId, retryAt, file, path } = thrown
  const remedy = REMEDIES[code as string]?.({
    ...thrown,
    ...loadParts(thrown),
    message,
    provider: provider ?? '<provider>',
  })
  return {
    code: code ?? 'FAILED',
    message: inCommands(message),
    exit: EXIT.failed,
    ...remedy,
    ...(provider !== undefined && { provider }),
    ...(accountId !== undefined && { accountId }),
    ...(retryAt !== undefined && { retryAt }),
    ...(file !== undefined && { file }),
    ...(path !== undefined && { path }),
  }
}

/** What the error has when the addon does not load. */
type LoadParts = Partial<Pick<LoadError, 'summary' | 'why' | 'remedies'>>

/** They are not enumerable. */
function loadParts({ summary, why, remedies }: LoadParts): object {
  return summary === undefined ? {} : { summary, why, remedies }
}

type Remedy = (
  error: Partial<AuthError> & LoadParts & { message: string; provider: string },
) => Pick<Fault, 'exit' | 'next' | 'why'> & { message?: string }

function originRemedy(provider: string, message: string): string {
  // Where the account was made for another place, the message names what makes it anew.
  if (/sign in|add the key again/.test(message))
    return /provider-auth login[^;,]*/.exec(inCommands(message))?.[0] ?? `provider-auth login ${provider}`
  const show = `provider-auth config show ${provider}, for its origins`
  return /neither https/.test(message) ? show : `${show}; add one: provider-auth config edit`
}

const closed =
  (next: string): Remedy =>
  () => ({ exit: EXIT.vaultClosed, next })
const failed =
  (next: string): Remedy =>
  () => ({ exit: EXIT.failed, next })

/** The exit code and the next step, by the library's code. */
const REMEDIES: Record<string, Remedy> = {
  INVALID_CONFIG: (error) => ({ exit: EXIT.failed, next: afterFault(error) }),
  PROJECT_NOT_TRUSTED: failed('provider-auth trust, which shows what the file wants, and asks'),
  INVALID_ARGUMENT: () => ({ exit: EXIT.usage }),
  UNKNOWN_PROVIDER: ({ provider: name }) => ({
    exit: EXIT.failed,
    next: `configure it: provider-auth config edit; or sign in to an MCP server: provider-auth login ${name === '<provider>' ? '<name>' : name} --resource <url>; those that are known: provider-auth config show --all`,
  }),
  UNKNOWN_ACCOUNT: failed('provider-auth accounts, for the list of accounts'),
  NO_ACCOUNT: ({ provider, accountId }) => ({
    exit: EXIT.needsLogin,
    next: accountId === undefined ? `provider-auth login ${provider}` : `provider-auth enable ${accountId}`,
  }),
  NEEDS_LOGIN: ({ provider }) => ({ exit: EXIT.needsLogin, next: `provider-auth login ${provider}` }),
  EXHAUSTED: ({ provider }) => ({
    exit: EXIT.nothingServes,
    next: `provider-auth explain ${provider}, for who serves when; or add an account: provider-auth login ${provider}`,
  }),
  STORE_UNAVAILABLE: () => ({ exit: EXIT.nothingServes, next: 'try again; provider-auth doctor, if it stays so' }),
  STORE_REFUSED: closed('provider-auth config show, for the store that is set; provider-auth doctor'),
  STORE_SCHEMA: closed('do what the message names, with the rights of the owner of the database'),
  REFRESH_FAILED: () => ({ exit: EXIT.nothingServes, next: 'provider-auth doctor --online' }),
  ORIGIN_NOT_ALLOWED: ({ provider, message }) => ({
    exit: EXIT.failed,
    next: originRemedy(provider, message),
  }),
  CLIENT_ID_REQUIRED: ({ provider }) => ({
    exit: EXIT.failed,
    next: `add your client: provider-auth config edit; or an API key: provider-auth login ${provider} --with-token`,
  }),
  CALLBACK_PORT_BUSY: ({ provider }) => ({
    exit: EXIT.failed,
    next: `end that program, or: provider-auth login ${provider} --method paste`,
  }),
  LOGIN_CANCELLED: () => ({ exit: EXIT.interrupted }),
  ABORTED: () => ({ exit: EXIT.interrupted, next: 'run the command again' }),
  LOGIN_TIMEOUT: ({ provider }) => ({
    exit: EXIT.failed,
    next: `provider-auth login ${provider}, with a larger --timeout if that was too short`,
  }),
  LOGIN_DENIED: ({ provider }) => ({
    exit: EXIT.failed,
    next: `allow it on the page of the provider: provider-auth login ${provider}`,
  }),
  LOGIN_FAILED: ({ provider }) => ({
    exit: EXIT.failed,
    next: `provider-auth login ${provider}; if it fails again, provider-auth doctor --online`,
  }),
  VAULT_LOCKED: closed('unlock the keychain, and try again; provider-auth key status tells the ways to the key'),
  KEYCHAIN_TIMEOUT: closed('provider-auth doctor'),
  KEYCHAIN_UNAVAILABLE: ({ message }) => {
    // The library lists what a program can set; here a command does it.
    const [, what, why] = /^(there is no vault yet[^(]*) \((.+)\): start/s.exec(message) ?? []
    if (what === undefined || why === undefined) return { exit: EXIT.vaultClosed, next: 'provider-auth key status' }
    const next =
      'provider-auth key init --source keyfile; for the other places where a key can live: provider-auth help key'
    return { exit: EXIT.vaultClosed, message: what, why, next }
  },
  VAULT_KEY_MISSING: closed('provider-auth key status'),
  VAULT_KEY_MISMATCH: closed('provider-auth key status'),
  KEY_EXISTS: failed(
    'provider-auth key rotate for a new key, provider-auth key slot add <source> for a further way to it',
  ),
  // Neither locked nor without a key: what is damaged ends with 1, in `doctor` too.
  VAULT_CORRUPT: failed('provider-auth doctor, for what is damaged and what can be done'),
  VAULT_IO: ({ message }) => ({ exit: EXIT.failed, next: afterRefusal(message) }),
  ADDON_NOT_LOADED: ({ summary, why, remedies = [] }) => ({
    exit: EXIT.failed,
    ...(summary !== undefined && { message: summary }),
    ...(why !== undefined && { why }),
    next: remedies.join('; or: '),
  }),
  NETWORK: failed('provider-auth doctor --online, for which host cannot be reached and why'),
}
