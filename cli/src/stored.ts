/** What the vault has. Reading makes no vault where there is none yet, so it needs no place for a key either. */
import type { Account } from '../../index.js'
import { addon } from '../../npm/src/addon.js'
import { EXIT, fault } from './faults.js'
import { diagnose, listAccounts } from './library.js'

export const hasVault = (): Promise<boolean> => addon.hasVault()

export async function storedAccounts(filter: { provider?: string; namespace?: string } = {}): Promise<Account[]> {
  return (await hasVault()) ? listAccounts(filter) : []
}

/** Ends a command that needs an account of this provider, where there is no vault yet. */
export async function needVault(provider: string): Promise<void> {
  if (await hasVault()) return
  throw fault({
    code: 'NO_ACCOUNT',
    exit: EXIT.needsLogin,
    message: `there is no account of ${provider} yet`,
    ...(await firstStep(provider)),
    provider,
  })
}

export interface FirstStep {
  /** Why no vault can be made here, where that is so. */
  why?: string
  next: string
}

/** What comes first where there is no account yet: a login, or before it a place for the vault's key. */
export async function firstStep(provider?: string): Promise<FirstStep> {
  const login = loginTo(provider)
  if (await hasVault()) return { next: login }
  const { findings } = await diagnose()
  const lacking = findings.find(({ id }) => id === 'keychain.no_place_for_key')
  return lacking === undefined
    ? { next: login }
    : { why: lacking.title, next: lacking.remedy ?? 'provider-auth doctor' }
}

/** The command that adds an account, of this provider or of one that is asked for. */
export function loginTo(provider?: string): string {
  return provider === undefined ? 'provider-auth login' : `provider-auth login ${provider}`
}

/** The step as a person reads it. */
export function stepWords({ why, next }: FirstStep): string {
  return `${why === undefined ? 'sign in with' : "first make a place for the vault's key"}: ${next}`
}

/** A login that this vault has; one that has ended stays where it is. */
export function isLoginHere({ kind, movedAt, state }: Account): boolean {
  return kind !== 'api' && kind !== 'wellknown' && movedAt === undefined && state !== 'needs_login'
}
