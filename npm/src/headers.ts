/**
 * Header maps with lower-case names: the caller's, the ones that authenticate, and what may follow
 * a redirect.
 */
import type { AuthHeaders } from '../../index.js'
import type { HeaderRules } from './addon.js'
import { bare } from './own.js'

export type HeaderMap = Record<string, string>

type HeadersInput = NonNullable<RequestInit['headers']>

/**
 * What `fetch` itself takes off when a redirect leaves the origin, and `cookie`, which in Node a
 * caller can set.
 */
const SENSITIVE = ['authorization', 'cookie', 'proxy-authorization', 'host']

/** Reads any form of `HeadersInit`. What is not usual is read by the runtime, which also says what is wrong with it. */
export function readHeaders(input: HeadersInput | undefined): HeaderMap {
  const map: HeaderMap = bare()
  if (input === undefined || input === null) return map
  if (typeof input !== 'object') return readHeaders(new Headers(input))
  const pairs = (Symbol.iterator in input ? [...input] : Object.entries(input)) as [string, string][]
  for (const pair of pairs) {
    const [name, value] = pair
    // No pair, or no name that can be sent.
    if (pair.length !== 2 || value === undefined || /[^\x20-\x7e]/.test(name)) return readHeaders(new Headers(pairs))
    const key = String(name).toLowerCase()
    const before = map[key]
    map[key] = before === undefined ? value : joinedValues(key, before, value)
  }
  return map
}

/** The values of one name, as they are sent. */
function joinedValues(name: string, before: string, value: string): string {
  return [before, value].map((one) => String(one).trim()).join(name === 'cookie' ? '; ' : ', ')
}

/** Returns the caller's headers without the placeholders that an SDK set, and with ours. */
export function authenticated(headers: HeaderMap, auth: AuthHeaders, rules: HeaderRules): HeaderMap {
  const merged: HeaderMap = bare()
  for (const name of Object.keys(headers)) if (!auth.strip.includes(name)) merged[name] = headers[name] as string
  for (const name of Object.keys(auth.headers)) {
    const ours = auth.headers[name] as string
    const theirs = merged[name]
    if (theirs === undefined) merged[name] = ours
    else if (rules.appended.includes(name)) merged[name] = joined(theirs, ours)
    else if (!rules.defaulted.includes(name)) merged[name] = ours
  }
  return merged
}

/**
 * Returns the caller's headers as they may go to another origin: none of ours, and no credential of
 * the caller's. `sent` are the headers of the hop that was redirected; what it no longer had is not
 * brought back.
 */
export function withoutCredentials(
  headers: HeaderMap,
  sent: HeaderMap,
  auth: AuthHeaders,
  { appended, defaulted }: HeaderRules,
): HeaderMap {
  const secret = new Set([...SENSITIVE, ...auth.strip, ...Object.keys(auth.headers)])
  for (const name of [...appended, ...defaulted]) secret.delete(name)
  return only(headers, (name) => Object.hasOwn(sent, name) && !secret.has(name))
}

/** Returns those headers whose name fits. */
export function only(headers: HeaderMap, fits: (name: string) => boolean): HeaderMap {
  const map: HeaderMap = bare()
  for (const name of Object.keys(headers)) if (fits(name)) map[name] = headers[name] as string
  return map
}

/** Returns those headers of a response that have one of these names. */
export function observed(response: Response, names: ReadonlySet<string>): HeaderMap {
  const map: HeaderMap = bare()
  const { headers } = response
  if (headers instanceof Headers) {
    for (const [name, value] of headers) if (names.has(name)) map[name] = value
    return map
  }
  // Those of another package may have no iterator, or names as they were sent.
  for (const name of names) {
    const value = (headers as Headers).get(name)
    if (typeof value === 'string') map[name] = value
  }
  return map
}

function joined(theirs: string, ours: string): string {
  const items = `${theirs},${ours}`.split(',').map((item) => item.trim())
  return [...new Set(items)].filter((item) => item !== '').join(',')
}
