/** What went wrong, in the terms of the command: what happened, why, what to do next, and the exit code. */
import type { CommanderError } from 'commander'
import type { AuthError } from '../../index.js'

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

/** A call that makes no sense as it is written. */
export function usage(message: string, next?: string): Error {
  return fault({ code: 'USAGE', exit: EXIT.usage, message, ...(next !== undefined && { next }) })
}

/** The person has pressed Ctrl-C, or said no. */
export function interrupted(): Error {
  return fault({ code: 'INTERRUPTED', exit: EXIT.interrupted, message: 'interrupted; nothing was changed' })
}

/** What the parser of the command line says. */
export function usageFault({ code, message: said }: CommanderError): Fault {
  const message = code === 'commander.help' ? 'a command is missing' : said
  const [what = '', ...suggestion] = message.replace(/^error: /, '').split('\n')
  return {
    code: 'USAGE',
    exit: EXIT.usage,
    message: what,
    next: [...suggestion, 'provider-auth help shows what there is'].join(' ').replace(/^\(|\)(?= |$)/g, ''),
  }
}

export function faultOf(error: unknown): Fault {
  const thrown = error as Partial<AuthError> & { fault?: Fault }
  if (thrown.fault !== undefined) return thrown.fault
  const { code, message = String(error), provider, accountId, retryAt, file, path } = thrown
  const remedy = REMEDIES[code as string]?.({ ...thrown, message, provider: provider ?? '<provider>' })
  return {
    code: code ?? 'FAILED',
    message,
    exit: EXIT.failed,
    ...remedy,
    ...(provider !== undefined && { provider }),
    ...(accountId !== undefined && { accountId }),
    ...(retryAt !== undefined && { retryAt }),
    ...(file !== undefined && { file }),
    ...(path !== undefined && { path }),
  }
}

type Remedy = (
  error: Partial<AuthError> & { message: string; provider: string },
) => Pick<Fault, 'exit' | 'next' | 'why'> & { message?: string }

const closed =
  (next: string): Remedy =>
  () => ({ exit: EXIT.vaultClosed, next })
const failed =
  (next: string): Remedy =>
  () => ({ exit: EXIT.failed, next })

/** The exit code and the next step, by the library's code. */
const REMEDIES: Record<string, Remedy> = {
  INVALID_CONFIG: failed('provider-auth config check'),
  PROJECT_NOT_TRUSTED: failed('provider-auth trust'),
  INVALID_ARGUMENT: () => ({ exit: EXIT.usage }),
  UNKNOWN_PROVIDER: failed('provider-auth login, for the list of providers'),
  UNKNOWN_ACCOUNT: failed('provider-auth accounts, for the list of accounts'),
  NO_ACCOUNT: ({ provider }) => ({ exit: EXIT.needsLogin, next: `provider-auth login ${provider}` }),
  NEEDS_LOGIN: ({ provider }) => ({ exit: EXIT.needsLogin, next: `provider-auth login ${provider}` }),
  EXHAUSTED: ({ provider }) => ({ exit: EXIT.nothingServes, next: `provider-auth explain ${provider}` }),
  REFRESH_FAILED: () => ({ exit: EXIT.nothingServes, next: 'provider-auth doctor --online' }),
  ORIGIN_NOT_ALLOWED: failed('provider-auth config show, for the origins of each provider'),
  LOGIN_CANCELLED: () => ({ exit: EXIT.interrupted }),
  ABORTED: () => ({ exit: EXIT.interrupted }),
  LOGIN_TIMEOUT: ({ provider }) => ({ exit: EXIT.failed, next: `provider-auth login ${provider}` }),
  VAULT_LOCKED: closed('unlock the keychain, and try again'),
  KEYCHAIN_TIMEOUT: closed('provider-auth doctor'),
  KEYCHAIN_UNAVAILABLE: ({ message }) => {
    // The library lists what a program can set; here a command does it.
    const [, what, why] = /^(there is no vault yet[^(]*) \((.+)\): start/s.exec(message) ?? []
    if (what === undefined || why === undefined) return { exit: EXIT.vaultClosed, next: 'provider-auth key status' }
    const next =
      'provider-auth key init --source keyfile (a file beside the vault), or --source env (a key that you keep)'
    return { exit: EXIT.vaultClosed, message: what, why, next }
  },
  VAULT_KEY_MISSING: closed('provider-auth key status'),
  VAULT_KEY_MISMATCH: closed('provider-auth key status'),
  KEY_EXISTS: failed('provider-auth key rotate for a new key, provider-auth key slot add for a further way to it'),
  VAULT_CORRUPT: failed('provider-auth doctor'),
  VAULT_IO: failed('provider-auth doctor'),
  NETWORK: failed('provider-auth doctor --online'),
}
