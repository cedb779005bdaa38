/** What a person reads while they sign in under OpenCode. */
import { visible } from '../trust.js'
import { codeOf, message, reason } from './words.js'

/** What the methods are called where they are offered. */
export const LABELS = {
  browser: 'Sign in with the browser',
  device: 'Sign in with a device code',
  paste: 'Sign in and paste the code',
  'api-key': 'API key',
} as const

/** The errors of a login that need more words than their own. */
const MORE: Record<string, string> = {
  KEYCHAIN_UNAVAILABLE:
    'no keychain answers on this machine; set PROVIDER_AUTH_KEY or PROVIDER_AUTH_PASSPHRASE_FILE, and sign in again',
  KEYCHAIN_TIMEOUT: 'the keychain does not answer; unlock it, and sign in again',
  LOGIN_CANCELLED: 'a login that was begun before was called off',
  VAULT_LOCKED: 'the keychain is locked; unlock it, and sign in again',
}

/** The reason of a failure, cleaned of what a terminal would act on. */
export function reasonOf(fault: unknown): string {
  const code = codeOf(fault)
  return visible((code !== undefined && Object.hasOwn(MORE, code) ? MORE[code] : undefined) ?? reason(fault))
}

/** What to look at when a server refuses a code: its own words are about grants. */
export function wrongCode(fault: Error): Error {
  return new Error(`${fault.message}. Is it the whole code, of the page that was opened last?`)
}

/** What the page of a login wants. Nothing opens it: OpenCode shows its address. */
export function instructionsOf({ method, instructions, userCode }: Shown): string {
  const page = instructions.replace(/Sign in on the page that opens|Open the page(?=,| on)/, (found) =>
    found.startsWith('Sign') ? 'Open this page and sign in' : 'Open this page',
  )
  return message(method === 'device' && userCode !== undefined ? withCode(page, userCode) : page)
}

interface Shown {
  method: string
  instructions: string
  userCode?: string
}

/**
 * The same with a code of eight as `XXXX-XXXX`: the TUI's key `c` copies that form alone. A server
 * should ignore the dash (RFC 8628 §6.1); the text also helps where one does not.
 */
function withCode(instructions: string, code: string): string {
  if (!/^[A-Z0-9]{8}$/.test(code)) return instructions
  const dashed = `${code.slice(0, 4)}-${code.slice(4)}`
  const at = instructions.lastIndexOf(code)
  if (at < 0) return instructions
  return `${instructions.slice(0, at)}${dashed}${instructions.slice(at + code.length)} (without the dash, if the page wants it so)`
}

/** What is asked for, and how it is piped in. */
export interface Wanted {
  provider: string
  what: 'key' | 'code'
  /** The label of the login method. */
  method: string
}

export function askHidden({ provider }: Wanted): string {
  return message(`API key of ${provider}, not shown while you type: `)
}

export function awaited({ provider, what }: Wanted): string {
  const input = what === 'key' ? 'the end of standard input, with the key' : 'a line of standard input with the code'
  return message(`waiting for ${input} of ${provider}`)
}

/** Why an input was not taken. */
export function notRead(
  { provider, what, method }: Wanted,
  end: 'empty' | 'cancelled' | 'too-long',
  typed: boolean,
): Error {
  if (end === 'cancelled') return new Error('cancelled, nothing was stored')
  if (end === 'too-long') return new Error(`what came is too long for a ${what}, so nothing was stored`)
  if (typed) return new Error(`no ${what} was typed, so nothing was stored`)
  const value = what === 'key' ? '"$KEY"' : '"$CODE"'
  const command = `opencode auth login --provider ${provider} --method "${method}"`
  return new Error(
    `no ${what} came on standard input. Run it in a terminal, or pipe the ${what} in: printf %s ${value} | ${command}`,
  )
}
