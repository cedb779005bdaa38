/** Which headers go on, to the provider and back. */
import { hasToken, mentions } from './guard.js'

/** Of one connection (RFC 9110, section 7.6.1), or known in practice as such. */
const OF_CONNECTION = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/** Where clients put a key. */
const KEYS = ['authorization', 'x-api-key', 'x-goog-api-key', 'api-key']

const NOT_TO_PROVIDER = new Set([
  ...OF_CONNECTION,
  ...KEYS,
  'host',
  'expect',
  'content-length',
  // `fetch` asks for what it can decode.
  'accept-encoding',
  // Those of one account are nothing to another one.
  'cookie',
  'sec-fetch-mode',
])

const NOT_TO_CLIENT = new Set([
  ...OF_CONNECTION,
  // `fetch` has decoded the body.
  'content-encoding',
  'set-cookie',
  // Of the provider's host, and not of this one.
  'alt-svc',
  'strict-transport-security',
])

/** Whether the token is one of the headers, wherever this provider's clients put their key. */
export function givesToken(raw: readonly string[], token: Buffer): boolean {
  return pairs(raw).filter(([, value]) => hasToken(value, token)).length > 0
}

/** The headers of a request for the provider, without those that hold the client's token. */
export function forProvider(raw: readonly string[], token: Buffer): [name: string, value: string][] {
  const all = pairs(raw)
  const named = namedIn(all.filter(([name]) => name === 'connection').map(([, value]) => value))
  return all.filter(([name, value]) => !NOT_TO_PROVIDER.has(name) && !named.has(name) && !mentions(value, token))
}

/** The headers of an answer for the client, one after the other. */
export function forClient(headers: Headers): string[] {
  const named = namedIn([headers.get('connection') ?? ''])
  const isDecoded = headers.has('content-encoding')
  const kept: string[] = []
  for (const [name, value] of headers) {
    if (NOT_TO_CLIENT.has(name) || named.has(name) || name.startsWith('access-control-')) continue
    if (isDecoded && name === 'content-length') continue
    kept.push(name, value)
  }
  return kept
}

function pairs(raw: readonly string[]): [name: string, value: string][] {
  return Array.from({ length: raw.length / 2 }, (_, at) => [
    (raw[2 * at] as string).toLowerCase(),
    raw[2 * at + 1] as string,
  ])
}

function namedIn(values: readonly string[]): Set<string> {
  return new Set(values.flatMap((value) => value.split(',')).map((name) => name.trim().toLowerCase()))
}
