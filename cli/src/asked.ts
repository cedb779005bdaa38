/** What the commands about requests share: which request is meant, and when a secret may be printed. */
import type { CredentialRequest } from '../../index.js'
import { usage } from './faults.js'
import { isTerminal } from './terminal.js'

/** The options that say which account is meant. */
export interface Choice {
  account?: string
  namespace?: string
  model?: string
  session?: string
  url?: string
}

/** The request that the arguments and options describe. */
export function requested(provider: string, { account, namespace, model, session, url }: Choice): CredentialRequest {
  const named = Object.entries({ account, namespace, model, session, url }).filter(([, value]) => value !== undefined)
  return { provider, ...Object.fromEntries(named) }
}

/** Ends where the answer would show a secret on a screen and nobody has asked for that. */
export function keepOffScreen(show: boolean | undefined): void {
  if (show !== true && isTerminal(process.stdout))
    throw usage('this would show a secret on the screen', 'pipe it to the program that needs it, or pass --show')
}
