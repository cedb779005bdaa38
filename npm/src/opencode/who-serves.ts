/**
 * Who serves a provider: the host with what it has itself, or we with an account of the vault.
 *
 * | row | provider | who serves |
 * |---|---|---|
 * | `auth-option` | `options.auth` is set, `{}` too | we |
 * | `own-key` | opencode.json has a key for it: `apiKey`, or a header that carries one | the host |
 * | `placeholder` | auth.json has our placeholder | we |
 * | `host-credential` | auth.json has anything else, or a key variable is set | the host |
 * | `account` | the vault has an account of it | we |
 * | `configured` | configured in provider-auth, and named in opencode.json | we |
 * | `other` | all others | the host |
 *
 * The first row that fits decides. A provider that another plugin took before us is left alone
 * (`other-plugin`), and one that an untrusted file of the project would define is refused by the
 * name of that file (`untrusted`).
 */
import { read } from '../own.js'

/**
 * Stands wherever OpenCode wants a key, in its memory and in its auth.json. If it is ever sent, it
 * opens nothing.
 */
export const PLACEHOLDER = 'kept-by-provider-auth'

export type Row =
  | 'other-plugin'
  | 'auth-option'
  | 'own-key'
  | 'placeholder'
  | 'host-credential'
  | 'account'
  | 'configured'
  | 'untrusted'
  | 'other'

export interface Decision {
  provider: string
  who: 'us' | 'host'
  row: Row
  /** The row in words, to go on with after a colon. */
  why: string
}

/** What is known when it is decided. */
export interface Facts {
  /** The providers of opencode.json, with their options. */
  named: ReadonlyMap<string, Readonly<Record<string, unknown>>>
  /** What the host itself has, by provider: our placeholder, or where its own credential is. */
  hostHas: ReadonlyMap<string, typeof PLACEHOLDER | string>
  /** Those with an account of models in the vault, as far as is known. */
  withAccounts: ReadonlySet<string>
  /** Those that a configuration of provider-auth defines or changes. */
  configured: ReadonlySet<string>
  /** Those that an untrusted file of the project would define. */
  untrusted: ReadonlySet<string>
  /** Tells whether a `fetch` was put there by us. */
  isOurs(fetch: unknown): boolean
}

/** For what opencode.json alone decides. */
export const NOTHING_KNOWN: Omit<Facts, 'named' | 'isOurs'> = {
  hostHas: new Map(),
  withAccounts: new Set(),
  configured: new Set(),
  untrusted: new Set(),
}

/** Decides about every provider that any of the facts names. */
export function decideAll(facts: Facts): Map<string, Decision> {
  const { named, hostHas, withAccounts, configured, untrusted } = facts
  const ids = new Set([...named.keys(), ...hostHas.keys(), ...withAccounts, ...configured, ...untrusted])
  return new Map([...ids].sort().map((provider) => [provider, decide(provider, facts)]))
}

/** Decides about one provider. */
export function decide(provider: string, facts: Facts): Decision {
  const by = (who: Decision['who'], row: Row, why: string): Decision => ({ provider, who, row, why })
  const options = facts.named.get(provider)
  const foreign = read(options, 'fetch')
  if (foreign !== undefined && !facts.isOurs(foreign)) {
    return by('host', 'other-plugin', 'another plugin has set its fetch before us')
  }
  if (read(options, 'auth') !== undefined) return by('us', 'auth-option', 'options.auth is set')
  const key = ownKey(options)
  if (key !== undefined) return by('host', 'own-key', `opencode.json has ${key}`)
  const host = facts.hostHas.get(provider)
  if (host === PLACEHOLDER) return by('us', 'placeholder', 'it was signed in to through provider-auth')
  if (host !== undefined) return by('host', 'host-credential', host)
  if (facts.withAccounts.has(provider)) return by('us', 'account', 'the vault has an account of it')
  if (options !== undefined && facts.configured.has(provider)) {
    return by('us', 'configured', 'it is configured in provider-auth and named in opencode.json')
  }
  if (options !== undefined && facts.untrusted.has(provider)) {
    return by('us', 'untrusted', "a file of the project would define it, and that file isn't trusted yet")
  }
  return by('host', 'other', 'provider-auth has no account of it')
}

/** Headers that carry a key, in lower case. */
const KEY_HEADERS: ReadonlySet<string> = new Set(['authorization', 'x-api-key', 'api-key', 'x-goog-api-key'])

/** Where opencode.json has a key for a provider. An unset variable leaves an empty text, which is none. */
function ownKey(options: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const key = read(options, 'apiKey')
  if (key !== undefined && key !== null && key !== '' && key !== PLACEHOLDER) return 'a key of its own'
  const headers = read(options, 'headers')
  if (typeof headers !== 'object' || headers === null) return undefined
  const own = Object.entries(headers).find(([name, value]) => KEY_HEADERS.has(name.toLowerCase()) && hasText(value))
  return own === undefined ? undefined : `the header ${own[0]} of its own`
}

function hasText(value: unknown): boolean {
  return typeof value === 'string' && value.trim() !== ''
}
