/** What a person reads of us inside OpenCode. Every message says who speaks. */
import type { Surface } from './surface.js'

/** A message of ours. */
export function message(text: string): string {
  return text.startsWith('provider-auth: ') ? text : `provider-auth: ${text}`
}

/** How a person signs in to a provider. */
export interface SignIn {
  provider: string
  /** Where the person reads it. `connect`: in a window that has no `/accounts` of ours. */
  surface: Surface | 'connect'
  /** Whether OpenCode offers our login of it; else it has logins of its own under that name. */
  isOffered: boolean
}

/** The next step of a person who has to sign in. */
export function signIn({ provider, surface, isOffered }: SignIn): string {
  if (surface === 'connect') return 'sign in with /connect'
  if (!isOffered)
    return surface === 'ui' ? 'add an account in /accounts' : "add an account in /accounts of OpenCode's window"
  return surface === 'ui'
    ? `sign in with /connect, or add an account in /accounts`
    : `sign in with: opencode auth login --provider ${provider}`
}

/** What to do next, by the code of what went wrong. */
export function explained(code: string | undefined, text: string, to: SignIn): string {
  const { provider } = to
  switch (code) {
    case 'NO_ACCOUNT':
      return `no account for ${provider} yet; ${signIn(to)}`
    case 'NEEDS_LOGIN':
      return `the login of ${provider} has ended; ${signIn(to).replace('sign in', 'sign in again')}`
    case 'ORIGIN_NOT_ALLOWED':
      return `${text}; nothing was sent there`
    case 'PROJECT_NOT_TRUSTED':
      return `${text}, or ${signIn(to)}`
    case 'KEYCHAIN_UNAVAILABLE':
      return 'no keychain answers on this machine; set PROVIDER_AUTH_KEY or PROVIDER_AUTH_PASSPHRASE_FILE'
    case 'KEYCHAIN_TIMEOUT':
      return 'the keychain does not answer; unlock it and send the message once more'
    case 'VAULT_LOCKED':
      return 'the keychain is locked; unlock it and send the message once more'
    default:
      return text
  }
}

/** Who rests, and until when. */
export interface Resting {
  provider: string
  /** How many accounts could serve if they did not rest. */
  accounts: number
  /** The one account that the request was to use. */
  pinned?: string
  until: number
}

/** "all 4 accounts of acme are resting; the first is free at 14:05" */
export function resting({ provider, accounts, pinned, until }: Resting, now = Date.now()): string {
  const at = clock(until, now)
  if (pinned !== undefined) return `the account ${pinned} of ${provider} is resting; it is free at ${at}`
  if (accounts === 1) return `the only account of ${provider} is resting; it is free at ${at}`
  return `all ${accounts} accounts of ${provider} are resting; the first is free at ${at}`
}

/** A local time; with the day where that is not today. */
export function clock(at: number, now = Date.now()): string {
  const when = new Date(at)
  const time = `${pad(when.getHours())}:${pad(when.getMinutes())}`
  if (when.toDateString() === new Date(now).toDateString()) return time
  return `${time} on ${when.getFullYear()}-${pad(when.getMonth() + 1)}-${pad(when.getDate())}`
}

function pad(number: number): string {
  return String(number).padStart(2, '0')
}

/**
 * Says the same in words that OpenCode does not take for a passing fault. It looks for such words
 * in the text of every error, and for the digits of statuses even inside an address, and would send
 * the request five times more.
 */
export function terminal(text: string): string {
  return TERMINAL.reduce((said, [pattern, instead]) => said.replace(pattern, instead), text)
}

/** Splits digits for a machine, and not for the eye. */
const WORD_JOINER = '\u2060'

const TERMINAL: readonly (readonly [RegExp, string])[] = [
  [/4(?=29)|5(?=0[0234]|24)/g, `$&${WORD_JOINER}`],
  [/rate increased too quickly|rate[ _-]limit(ed|s)?|too[ _]many[ _]requests/gi, 'limit'],
  [/(temporarily |currently )?(unavailable|at capacity)/gi, 'not available'],
  [/(resource[ _])?exhausted/gi, 'used up'],
  [/overloaded/gi, 'busy'],
  [/\b(internal|server|network|connection)[ _-](server[ _-])?error/gi, '$1 fault'],
  [/provider[ _-]returned[ _-]error/gi, 'the provider refused'],
  [/terminated/gi, 'ended'],
  [/fetch failed|failed to fetch/gi, 'the request did not get through'],
  [/upstream connect/gi, 'upstream'],
  [
    /\b(connection|socket connection) (was )?(refused|lost|closed)|socket hang up|reset before headers/gi,
    'no connection',
  ],
  [/econnrefused|econnreset|etimedout|eai_again|enotfound|getaddrinfo/gi, 'no connection'],
  [/\b(request|response|connection|network|stream|read) (timeout|timed out|time out)\b/gi, '$1 took too long'],
  [/^timeout$/gi, 'it took too long'],
  [/\b(try|retry) your request( again)?/gi, 'send the message once more'],
  [/\btry again (later|in)\b/gi, 'send it once more $1'],
]

/** The code of an error of the library. */
export function codeOf(fault: unknown): string | undefined {
  return fault instanceof Error && Object.hasOwn(fault, 'code') ? String((fault as { code?: unknown }).code) : undefined
}

export function reason(fault: unknown): string {
  return fault instanceof Error ? fault.message : String(fault)
}
