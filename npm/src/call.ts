/** What a caller asked `fetch` for, read once: address, headers, a body that can be repeated, and what the pool should know. */
import type { AuthFetchInit } from '../../index.js'
import { isStream, type Payload, readPayload } from './body.js'
import { type HeaderMap, readHeaders } from './headers.js'

export type FetchInput = string | URL | Request

export type Redirect = NonNullable<RequestInit['redirect']>

/** What one call says to the pool; it outranks what its headers and body say. */
export type Overrides = NonNullable<AuthFetchInit['providerAuth']>

export interface Call {
  readonly url: string
  readonly method: string
  readonly headers: HeaderMap
  readonly payload: Payload
  /** The body, where it is JSON text. */
  readonly text: string | undefined
  readonly overrides: Overrides
  readonly redirect: Redirect
  readonly signal: AbortSignal | undefined
  /** All options of the caller, those that no standard knows included. */
  readonly init: RequestInit
  /** The caller's `Request`, which may carry options that cannot be read from it. */
  readonly request: Request | undefined
}

/** Reads a call. Rejects only with the reason of an abort. */
export async function readCall(
  input: FetchInput,
  options: AuthFetchInit | undefined,
  replayLimit: number,
): Promise<Call> {
  // `fetch(url, request)` is legal: the Request's fields are getters and would not survive a spread.
  if (isRequest(options)) return readCall(new Request(input, options), undefined, replayLimit)
  const request = isRequest(input) ? input : undefined
  const url = request?.url ?? String(input)
  const { providerAuth, ...given } = options ?? {}
  const init: RequestInit = request === undefined ? given : { ...initOf(request), ...given }
  const signal = init.signal ?? undefined
  signal?.throwIfAborted()
  const body = options?.body ?? request?.body
  const payload = isStream(body) ? await readPayload(body, replayLimit, signal) : { body, replayable: true }
  signal?.throwIfAborted()
  const headers = readHeaders(init.headers)
  const overrides = takeOverrides(headers, providerAuth)
  return {
    url,
    method: init.method ?? 'GET',
    headers,
    payload,
    text: jsonText(payload.body, headers),
    overrides,
    redirect: init.redirect ?? 'follow',
    signal,
    init,
    request,
  }
}

/** How a host that cannot add to `init` says the same; never sent on. */
const OVERRIDES = ['session', 'account', 'model'] as const

/** Session headers, in the order of trust: the hosts that send them name one conversation. */
const SESSION_HEADERS = ['x-session-id', 'x-session-affinity', 'x-claude-code-session-id']

/** Returns what names the conversation: a host's session header, else the body's `prompt_cache_key`. */
export function sessionOf(call: Call): string | undefined {
  for (const name of SESSION_HEADERS) if (call.headers[name]) return call.headers[name]
  return call.text === undefined ? undefined : readField(call.text, 'prompt_cache_key')
}

/** Returns the life of the prompt cache that a body asks for. Of several the first counts: providers want the longest first. */
export function cacheTtlOf({ text }: Call): string | undefined {
  if (text === undefined || !text.includes('"cache_control"')) return undefined
  return /"ttl"\s*:\s*"(\w+)"/.exec(text)?.[1]
}

/** How SDKs begin a body. A conversation can be megabytes, and this spares parsing it. */
const LEADING_MODEL = '{"model":"'

/** Returns the model that a JSON body names, else the one in a path like `/v1beta/models/<id>:generateContent`. */
export function modelOf({ text, url }: Call): string | undefined {
  const named = text === undefined ? undefined : (leadingModel(text) ?? readField(text, 'model'))
  if (named !== undefined) return named
  const inPath = /\/models\/([^/:?#]+)/.exec(url)?.[1]
  return inPath === undefined ? undefined : decode(inPath)
}

function leadingModel(text: string): string | undefined {
  if (!text.startsWith(LEADING_MODEL)) return undefined
  const model = text.slice(LEADING_MODEL.length, text.indexOf('"', LEADING_MODEL.length))
  return model.includes('\\') ? undefined : model
}

function isRequest(value: unknown): value is Request {
  return typeof value === 'object' && value !== null && 'url' in value && 'headers' in value && 'method' in value
}

function initOf(request: Request): RequestInit {
  const { method, headers, redirect, signal, credentials, mode, integrity, keepalive, referrer, referrerPolicy } =
    request
  return { method, headers, redirect, signal, credentials, mode, integrity, keepalive, referrer, referrerPolicy }
}

/** Takes the overrides out of the headers; those of `init` come first. */
function takeOverrides(headers: HeaderMap, given: Overrides | undefined): Overrides {
  const overrides: Overrides = {}
  for (const name of OVERRIDES) {
    const header = `x-provider-auth-${name}`
    const value = given?.[name] ?? headers[header]
    if (value) overrides[name] = value
    delete headers[header]
  }
  return overrides
}

function jsonText(body: Payload['body'], headers: HeaderMap): string | undefined {
  if (typeof body === 'string') return body.startsWith('{') || /^\s+\{/.test(body) ? body : undefined
  const isJson = headers['content-type']?.includes('json') === true
  return isJson && body instanceof Uint8Array ? new TextDecoder().decode(body) : undefined
}

/** Returns a string field of a JSON object. The text is only parsed when the name is somewhere in it. */
function readField(text: string, name: string): string | undefined {
  if (!text.includes(`"${name}"`)) return undefined
  try {
    const value: unknown = (JSON.parse(text) as Record<string, unknown>)[name]
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
