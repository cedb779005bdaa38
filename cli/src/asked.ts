/** What the commands about requests share: which request is meant, and when a secret may be printed. */
import type { Account, CredentialRequest } from '../../index.js'
import { usage } from './faults.js'
import { listAccounts } from './library.js'
import { needVault } from './stored.js'
import { isTerminal } from './terminal.js'

/** The options that say which account is meant. */
export interface Choice {
  account?: string
  namespace?: string
  model?: string
  session?: string
  url?: string
}

/** The request that the arguments and options describe; an account is named as elsewhere. */
export async function requested(provider: string, choice: Choice): Promise<CredentialRequest> {
  await needVault(provider)
  const { account: name, namespace, model, session, url } = choice
  const only = { provider, ...(namespace !== undefined && { namespace }) }
  // Most calls name none, and need not wait for its code.
  const meant = name === undefined ? {} : (await import('./accounts.js')).choose(name, await listAccounts(only))
  const { id: account, namespace: pool = namespace }: Partial<Account> = meant
  const given = Object.entries({ account, namespace: pool, model, session, url })
  return { provider, ...Object.fromEntries(given.filter(([, value]) => value !== undefined)) }
}

/** Ends where the answer would show a secret on a screen and `--show` is not given. */
export function keepOffScreen(show: boolean | undefined): void {
  if (show !== true && isTerminal(process.stdout))
    throw usage('this would show a secret on the screen', 'pipe it to the program that needs it, or pass --show')
}
