/**
 * The headers that the accounts of late requests are lent with, so that they are made once and not
 * for every request.
 */
import { addon } from './addon.js'
import { LENT_ACCOUNTS } from './limits.js'

/** What an account is lent with. */
export interface Lent {
  readonly accountId: string
  readonly headers: Readonly<Record<string, string>>
  readonly strip: readonly string[]
}

/** By their version, newest last. */
const lent = new Map<string, Lent>()

/** The one that served last, and how its attempts end. */
let latest: { readonly ending: string; readonly known: Lent } | undefined

/**
 * Returns what an attempt's account is lent with, as the version at the end of the attempt says;
 * asked for once per version.
 */
export function lentBy(attempt: string): Lent | undefined {
  if (latest !== undefined && attempt.endsWith(latest.ending)) return latest.known
  const ending = attempt.slice(attempt.lastIndexOf('-'))
  const known = lent.get(ending.slice(1))
  if (known !== undefined) {
    latest = { ending, known }
    return known
  }
  const asked = addon.lentHeaders(attempt)
  if (asked === null) return undefined
  const [version, accountId, headers, strip] = asked
  // An account's earlier headers serve no request any more.
  for (const [other, earlier] of lent) {
    if (earlier.accountId === accountId || lent.size >= LENT_ACCOUNTS) lent.delete(other)
  }
  const news = { accountId, headers, strip }
  lent.set(version, news)
  return news
}

/** Forgets what was lent. */
export function forgetLent(): void {
  lent.clear()
  latest = undefined
}
