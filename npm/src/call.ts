/**
 * What a caller asked `fetch` for, read once: address, headers, a body that can be repeated, and
 * what the pool should know.
 */
import type { AuthFetchInit } from '../../index.js'
import { isStream, type Payload, readPayload } from './body.js'
import { fieldOf, jsonText } from './content.js'
import { SESSION_HEADERS } from './facts.js'
import { type HeaderMap, readHeaders } from './headers.js'
import { checkOptions } from './library.js'
import { bare, has, read } from './own.js'
import type { Said } from './said.js'

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
  readonly overrides: Overrides | undefined
  readonly redirect: Redirect
  readonly signal: AbortSignal | undefined
  /** All options of the caller, those that no standard knows included. */
  readonly init: RequestInit
  /**
   * The caller's `Request` as the runtime knows it, without its body: it may carry options that
   * cannot be read from it.
   */
  readonly carrier: Request | undefined
}

/**
 * Reads a call, at once where its body needs no waiting. Throws or rejects with the reason of an
 * abort, and as `fetch` does with a body that was read already.
 */
export function readCall(
  input: FetchInput,
  options: AuthFetchInit | undefined,
  replayLimit: number,
): Call | Promise<Call> {
  // `fetch(url, request)` is legal: the Request's fields are getters and would not survive a
  // spread.
  if (isRequest(options)) return readCall(new Request(input, options), undefined, replayLimit)
  const { url, fields, body: own, carrier } = isRequest(input) ? readRequest(input) : readAddress(input)
  const given = readInit(options)
  const { providerAuth } = given
  if (providerAuth !== undefined) delete given.providerAuth
  const init: RequestInit = fields === undefined ? given : bare<RequestInit>(fields, given)
  const signal = init.signal ?? undefined
  // What is none of these, the runtime refuses in its own words.
  if (init.redirect !== undefined && !REDIRECT_MODES.has(init.redirect))
    void new Request(url, { redirect: init.redirect })
  if (signal !== undefined && typeof signal.throwIfAborted !== 'function') void new Request(url, { signal })
  signal?.throwIfAborted()
  const headers = readHeaders(init.headers)
  const call: Mutable<Call> = {
    url,
    method: init.method ?? 'GET',
    headers,
    payload: NO_PAYLOAD,
    text: undefined,
    overrides: takeOverrides(headers, providerAuth),
    redirect: init.redirect ?? 'follow',
    signal,
    init,
    carrier,
  }
  const body = init.body ?? own
  if (isStream(body)) return withPayload(call, readPayload(body, replayLimit, signal), replayLimit)
  call.payload = { body, replayable: true }
  const text = jsonText(body, headers, replayLimit)
  if (text instanceof Promise) return withText(call, text)
  call.text = text
  return call
}

const REDIRECT_MODES: ReadonlySet<unknown> = new Set(['follow', 'error', 'manual'])

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] }

const NO_PAYLOAD: Payload = { body: undefined, replayable: true }

async function withPayload(call: Mutable<Call>, payload: Promise<Payload>, replayLimit: number): Promise<Call> {
  call.payload = await payload
  call.signal?.throwIfAborted()
  return withText(call, jsonText(call.payload.body, call.headers, replayLimit))
}

async function withText(call: Mutable<Call>, text: ReturnType<typeof jsonText>): Promise<Call> {
  call.text = await text
  call.signal?.throwIfAborted()
  return call
}

/** How a host that cannot add to `init` says the same; never sent on. */
const OVERRIDES = (['session', 'account', 'model'] as const).map((name) => ({
  name,
  header: `x-provider-auth-${name}` as const,
}))

/**
 * Returns what names the conversation: a host's session header, else the body's `prompt_cache_key`.
 */
export function sessionOf({ headers }: Call, said: Said): string | undefined {
  for (const name of SESSION_HEADERS) if (headers[name]) return headers[name]
  return said.session
}

/**
 * What comes before a model in a path: `/v1beta/models/<id>:generateContent`,
 * `/openai/deployments/<id>/chat/completions`.
 */
const MODEL_IN_PATH = /^[^?#]*?\/(?:models|tunedModels|model|deployments|engines)\/([^/:?#]+)/

/** Returns the model that a body names, as JSON or in a form, else the one in the path. */
export function modelOf({ url, payload, headers }: Call, said: Said): string | undefined {
  const named = said.model ?? fieldOf(payload.body, headers, 'model')
  if (named !== undefined && named !== '') return named
  const inPath = MODEL_IN_PATH.exec(url)?.[1]
  return inPath === undefined ? undefined : decode(inPath)
}

/** What the first argument of a call says, each part of it read once. */
interface Source {
  readonly url: string
  readonly fields?: RequestInit
  readonly body: RequestInit['body'] | undefined
  readonly carrier: Request | undefined
}

/** What of a `Request` an `init` can say as well. */
const REQUEST_FIELDS = [
  'method',
  'headers',
  'redirect',
  'signal',
  'credentials',
  'mode',
  'integrity',
  'keepalive',
  'referrer',
  'referrerPolicy',
] as const

/** What a class of options may define by getters; all else of an `init` must be its own. */
const INIT_FIELDS = [...REQUEST_FIELDS, 'body', 'providerAuth'] as const

/**
 * The runtime's own getters. Those of a subclass may answer otherwise than what is sent. Looked up
 * when a `Request` comes: Node loads its whole `fetch` with the class.
 */
let getters: Readonly<Record<string, PropertyDescriptor | undefined>> | undefined

/**
 * A plain object with a `url` is not a `Request`, whatever else it has: `fetch(config.url, config)`
 * is a way to write a call.
 */
function isRequest(value: unknown): value is Request {
  if (typeof value !== 'object' || value === null || !('url' in value)) return false
  if (!has(value, 'url') || !has(value, 'headers') || !has(value, 'method')) return false
  return value instanceof Request || read(value as Tagged, Symbol.toStringTag) === 'Request'
}

interface Tagged {
  readonly [Symbol.toStringTag]?: unknown
}

function readAddress(input: FetchInput): Source {
  const text = String(input)
  // Written as `fetch` reads it: the addon refuses a host that programs read differently.
  const url = /[\\\s\p{Cc}]/u.test(text) && URL.canParse(text) ? new URL(text).href : text
  return { url, body: undefined, carrier: undefined }
}

function readRequest(request: Request): Source {
  const url = slotOf(request, 'url')
  const isGenuine = typeof url === 'string'
  const field = (name: keyof Request): unknown => (isGenuine ? slotOf(request, name) : request[name])
  const fields = bare<Record<string, unknown>>()
  for (const name of REQUEST_FIELDS) fields[name] = field(name)
  const body = field('body') as Source['body']
  const carrier = isGenuine ? carrierOf(request, url, body) : undefined
  return { url: isGenuine ? url : String(request.url), fields: fields as RequestInit, body, carrier }
}

/**
 * Returns what the runtime itself has under this name; `undefined` for what is no `Request` of its
 * making.
 */
function slotOf(request: Request, name: keyof Request): unknown {
  getters ??= Object.getOwnPropertyDescriptors(Request.prototype)
  const getter = getters[name]?.get
  try {
    return getter === undefined ? undefined : Reflect.apply(getter, request, [])
  } catch {
    return undefined
  }
}

/**
 * Returns the same request without its body and as no subclass, for the sake of options that cannot
 * be read from it.
 */
function carrierOf(request: Request, url: string, body: Source['body']): Request | undefined {
  try {
    const init = body === null || body === undefined ? undefined : { body: new Uint8Array() }
    const carrier = new Request(request, init)
    if (slotOf(carrier, 'url') !== url) return undefined
    // A `fetch` of another package sees no `Request` in it, and reads it as an address.
    return Object.defineProperty(carrier, 'toString', { value: () => url })
  } catch {
    return undefined
  }
}

/**
 * Returns the options of a call, each read once. What is `undefined` is not there (Web IDL,
 * dictionaries).
 */
function readInit(options: AuthFetchInit | undefined): AuthFetchInit {
  const init = bare<Record<string, unknown>>(options as Record<string, unknown> | undefined)
  for (const name in init) if (init[name] === undefined) delete init[name]
  if (isPlain(options)) return init
  for (const name of INIT_FIELDS) {
    const value = Object.hasOwn(init, name) ? undefined : read(options, name)
    if (value !== undefined) init[name] = value
  }
  return init
}

/** Tells whether an object is of no class. */
function isPlain(options: object | undefined): boolean {
  const prototype = Object.getPrototypeOf(options ?? {})
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Takes the overrides out of the headers; those of `init` come first. */
function takeOverrides(headers: HeaderMap, given: Overrides | undefined): Overrides | undefined {
  if (typeof given === 'object') checkOptions('providerAuth', given)
  let overrides: Overrides | undefined
  for (const { name, header } of OVERRIDES) {
    const inHeader = headers[header]
    const value = (given === undefined ? undefined : read(given, name)) ?? inHeader
    if (inHeader !== undefined) delete headers[header]
    if (!value) continue
    overrides ??= bare<Overrides>()
    overrides[name] = value
  }
  return overrides
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
