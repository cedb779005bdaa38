/**
 * Sends a call with the credential on it, and follows redirects so that the credential never leaves
 * its origin.
 *
 * `fetch` itself takes off `authorization` when a redirect changes the origin, but not `x-api-key`
 * or any other header that may hold a key. So every request goes out with `redirect: 'manual'`;
 * Node, Bun and Deno then answer with the real 3xx, where a browser would answer with an opaque
 * one.
 */
import type { AuthHeaders } from '../../index.js'
import type { HeaderRules } from './addon.js'
import { isStream, type Payload } from './body.js'
import type { Call, Redirect } from './call.js'
import { hasCode } from './failure.js'
import { authenticated, type HeaderMap, only, withoutCredentials } from './headers.js'
import { REDIRECTS } from './limits.js'
import { AUTHENTICATED } from './marked.js'
import { bare, read } from './own.js'
import { discard, withFacts } from './response.js'

export interface Sent {
  /** The last response to our credential. */
  readonly response: Response
  /**
   * Set when that response is a redirect that the credential does not follow: what the caller gets
   * instead.
   */
  readonly instead: (() => Promise<Response>) | undefined
}

/** One request of the chain. */
interface Hop {
  readonly url: string
  readonly method: string
  readonly headers: HeaderMap
  readonly payload: Payload
}

type Fetch = typeof globalThis.fetch

const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/**
 * Request-body headers, which go when a redirect drops the body (Fetch standard,
 * "request-body-header name").
 */
const BODY_HEADERS: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-location',
  'content-type',
  'content-length',
])

const NO_BODY: Payload = { body: null, replayable: true }

/** Sends the call, and follows no redirect. Rejects, or throws, as `fetch` does when no response came. */
export function send(fetch: Fetch, call: Call, auth: AuthHeaders, rules: HeaderRules): Promise<Response> {
  return sendHop(fetch, call, firstHop(call, auth, rules))
}

/** Tells whether a response sends the call elsewhere, and that is for us to follow. */
export function isRedirect({ redirect }: Call, response: Response): boolean {
  return redirect !== 'manual' && locationOf(response) !== null
}

/** Follows the redirects of the first response to a call. Rejects as `fetch` does when no response came. */
export async function follow(
  fetch: Fetch,
  call: Call,
  auth: AuthHeaders,
  rules: HeaderRules,
  first: Response,
): Promise<Sent> {
  let [hop, response] = [firstHop(call, auth, rules), first]
  for (let followed = 0; ; followed += 1) {
    const location = locationOf(response)
    if (location === null) return { response: asRedirected(response), instead: undefined }
    discard(response)
    if (call.redirect === 'error') return refusal(response, 'unexpected redirect')
    if (followed === REDIRECTS) return refusal(response, 'redirect count exceeded')
    const next = nextHop(hop, response.status, location)
    if (typeof next === 'string') return refusal(response, next)
    if (new URL(next.url).origin !== new URL(hop.url).origin) {
      const foreign = { ...next, headers: withoutCredentials(call.headers, next.headers, auth, rules) }
      return { response, instead: async () => asRedirected(await fetch(foreign.url, initFor(call, foreign, 'follow'))) }
    }
    hop = next
    response = await sendHop(fetch, call, hop)
  }
}

function sendHop(fetch: Fetch, call: Call, hop: Hop): Promise<Response> {
  return fetch(targetOf(call, hop), initFor(call, hop, 'manual'))
}

/**
 * Tells whether `fetch` would refuse this call whatever the network does: a bad header, a body on a
 * GET.
 */
export function isMisuse(call: Call, auth: AuthHeaders, rules: HeaderRules): boolean {
  try {
    const hop = firstHop(call, auth, rules)
    const init = initFor(call, hop, 'manual')
    void new Request(hop.url, isStream(call.payload.body) ? bare(init, { body: null }) : init)
    return false
  } catch {
    return true
  }
}

/**
 * Tells whether what came was not what the caller's `integrity` says: no code of the network is
 * given then.
 */
export function failsIntegrity({ init }: Call, error: unknown): boolean {
  return Boolean(read(init, 'integrity')) && !hasCode(error)
}

function firstHop({ url, method, headers, payload }: Call, auth: AuthHeaders, rules: HeaderRules): Hop {
  return { url: read(auth, 'url') ?? url, method, headers: authenticated(headers, auth, rules), payload }
}

/**
 * The address that the broker was asked about, as text; in a `Request` of ours where one carries
 * what cannot be read.
 */
function targetOf({ url, carrier }: Call, hop: Hop): string | Request {
  return carrier !== undefined && url === hop.url ? carrier : hop.url
}

function initFor(call: Call, { method, headers, payload }: Hop, redirect: Redirect): RequestInit {
  const body = (payload.body ?? null) as NonNullable<RequestInit['body']> | null
  const init: RequestInit & { duplex?: string; [AUTHENTICATED]?: true } = Object.create(null)
  Object.assign(init, call.init)
  init.method = method
  init.headers = headers
  init.redirect = redirect
  init.body = body
  init[AUTHENTICATED] = true
  if (isStream(body)) init.duplex = 'half'
  return init
}

function locationOf(response: Response): string | null {
  if (!REDIRECT_STATUSES.has(response.status)) return null
  const location = response.headers.get('location')
  // Headers are read letter by letter; Deno's own `fetch` leaves it at that.
  if (location === null || !/[\x80-\xff]/.test(location) || 'Deno' in globalThis) return location
  return Buffer.from(location, 'latin1').toString()
}

/**
 * Returns the next request of the chain (Fetch standard, HTTP-redirect fetch), or why there is
 * none.
 */
function nextHop(hop: Hop, status: number, location: string): Hop | string {
  if (!URL.canParse(location, hop.url)) return 'invalid redirect URL'
  const url = new URL(location, hop.url)
  if (url.username !== '' || url.password !== '') return 'URL must not include credentials'
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'URL scheme must be a HTTP(S) scheme'
  const method = hop.method.toUpperCase()
  const becomesGet = status === 303 ? method !== 'GET' && method !== 'HEAD' : status < 303 && method === 'POST'
  if (becomesGet) return { url: url.href, method: 'GET', headers: withoutBodyHeaders(hop.headers), payload: NO_BODY }
  return hop.payload.replayable ? { ...hop, url: url.href } : 'a stream body cannot be sent again'
}

function withoutBodyHeaders(headers: HeaderMap): HeaderMap {
  return only(headers, (name) => !BODY_HEADERS.has(name))
}

/** `fetch` rejects here with the same kind of error. */
function refusal(response: Response, why: string): Sent {
  return { response, instead: () => Promise.reject(new TypeError('fetch failed', { cause: new Error(why) })) }
}

function asRedirected(response: Response): Response {
  return withFacts(response, { redirected: true })
}
