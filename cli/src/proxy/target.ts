/** Where a request goes: `/<provider>/<path>` or `/<provider>@<pool>/<path>`. */
import { hasToken } from './guard.js'
import type { Refusal } from './refusals.js'

/** What the proxy serves: the origin of each provider. */
export type Origins = (provider: string) => string | undefined

export interface Target {
  provider: string
  namespace: string | undefined
  url: string
  /** Whether the token stands in the query, as `key`: where older clients of Google have it. */
  hasToken: boolean
}

const PLACE = /^\/([\w.-]+)(?:@([^/?]+))?(\/[^?]*)?(\?.*)?$/s
/** What `fetch` would leave out or write otherwise, so that the provider would get another path. */
const OTHERWISE = /[^\x21-\x7e]|[\\#]/
const DOTS = /\/(?:\.|%2e){1,2}(?=\/|$)/i

/** Reads the address of a request; the path goes on as it is written, and cannot name another host. */
export function targetOf(asked: string, origins: Origins, token: Buffer): Target | Refusal {
  if (!asked.startsWith('/'))
    return bad('this is not a forward proxy: set its address as the base URL of the client, not as its proxy')
  const [, provider, pool, path = '/', query = ''] = PLACE.exec(asked) ?? []
  if (provider === undefined) return unknown('the path begins with a provider, as in /openai/v1/models')
  if (OTHERWISE.test(asked)) return bad('the address has a character that has to be escaped')
  if (DOTS.test(path)) return bad('the path has a segment of dots')
  const origin = origins(provider)
  if (origin === undefined)
    return unknown(`${provider} is not served here: it is unknown, has no origins, or was not among the --provider`)
  const kept = query === '' ? [] : query.slice(1).split('&')
  const left = kept.filter((part) => !(part.startsWith('key=') && hasToken(part.slice('key='.length), token)))
  const search = left.length === kept.length ? query : left.length === 0 ? '' : `?${left.join('&')}`
  const namespace = pool === undefined ? undefined : decoded(pool)
  return { provider, namespace, url: `${origin}${path}${search}`, hasToken: left.length < kept.length }
}

const bad = (message: string): Refusal => ({ status: 400, code: 'INVALID_ARGUMENT', message })
const unknown = (message: string): Refusal => ({ status: 404, code: 'UNKNOWN_PROVIDER', message })

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
