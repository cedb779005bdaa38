/**
 * Responses: read a little without spoiling them, rebuild them with one thing changed, let them go.
 */
import type { AuthError } from '../../index.js'
import { ERROR_BODY_BYTES, PEEK_MS } from './limits.js'
import { read } from './own.js'
import { isReadAsClone, reread } from './reread.js'
import { type Bytes, discardBody, openBytes, type Source, streamBy } from './source.js'
import { heeding, patience } from './wait.js'

/** A body that was begun to be read. */
export interface Begun {
  /** What was read, and was not handed on. */
  readonly chunks: Bytes[]
  /** The read under way. */
  readonly pending: ReturnType<Source<Bytes>['read']> | undefined
  readonly source: Source<Bytes>
  /** Whether everything is read. */
  readonly isWhole: boolean
  /** Of the call. */
  readonly signal: AbortSignal | undefined
}

/**
 * Returns the beginning of an error body as text, and the response, which can still be read in
 * full. Rejects only with the reason of an abort.
 */
export async function readErrorText(
  response: Response,
  signal: AbortSignal | undefined,
): Promise<{ text: string; response: Response }> {
  if (response.body === null) return { text: '', response }
  // A clone of another package's response may wait until the other one is read. One of Node throws at nobody when it is
  // given up and the call is aborted; and the connection of what is left of a long one is never closed.
  const isClone = isReadAsClone(response, ERROR_BODY_BYTES)
  const source = openBytes(isClone ? response.clone().body : response.body)
  const decoder = new TextDecoder()
  const wait = patience(PEEK_MS, signal)
  const chunks: Bytes[] = []
  let pending: ReturnType<typeof source.read> | undefined
  let text = ''
  let isWhole = false
  try {
    for (let left = ERROR_BODY_BYTES; left > 0; ) {
      pending = source.read()
      const next = await wait(pending)
      isWhole = next !== undefined && next.value === undefined
      if (next?.value === undefined) break
      pending = undefined
      chunks.push(next.value)
      const bytes = next.value.subarray(0, left)
      left -= bytes.byteLength
      text += decoder.decode(bytes, { stream: true })
    }
  } catch {
    signal?.throwIfAborted()
    // A body that breaks off has said what it said; its reader will meet the error.
  } finally {
    if (isClone || signal?.aborted === true) void source.cancel().catch(() => {})
  }
  return { text, response: isClone ? response : unread(response, { chunks, pending, source, isWhole, signal }) }
}

/** Returns the response as if nothing had been read of it. */
export function unread(response: Response, begun: Begun): Response {
  return restored(response, begun.isWhole ? joined(begun.chunks) : streamOf(begun))
}

/** Returns the response with another body: the same object, where that can be. */
export function restored(response: Response, body: ReadableStream<Uint8Array> | Bytes): Response {
  return reread(response, body, rebuilt) ?? rebuilt(response, { body })
}

/** Returns the response with another body or other headers, and otherwise as `fetch` made it. */
export function rebuilt(
  response: Response,
  change: { body?: ReadableStream<Uint8Array> | Bytes; headers?: Headers },
): Response {
  const { status, statusText, url, type, redirected } = response
  const body = read(change, 'body') ?? bodyOf(response)
  const headers = read(change, 'headers') ?? new Headers([...response.headers])
  // A server may send what no program may say: such a status, and letters that are not Latin.
  const isOdd = status < 200 || status > 599
  const copy = new Response(body, { status: isOdd ? 200 : status, headers })
  const odd = isOdd ? { status, ok: false } : undefined
  return withFacts(copy, { url: url ?? '', type: type ?? 'basic', redirected: redirected ?? false, statusText, ...odd })
}

type Facts = Partial<Pick<Response, 'url' | 'type' | 'redirected' | 'status' | 'statusText' | 'ok'>>

/** Makes a response, and each clone of it, say this of itself. */
export function withFacts(response: Response, facts: Facts): Response {
  const { clone: plain } = response
  const clone = (): Response => withFacts(Reflect.apply(plain, response, []), facts)
  for (const [name, value] of Object.entries({ ...facts, clone })) {
    Object.defineProperty(response, name, { value, configurable: true })
  }
  return response
}

/** Returns the response with these headers set. */
export function withHeaders(response: Response, changes: Readonly<Record<string, string>>): Response {
  const headers = new Headers([...response.headers])
  for (const [name, value] of Object.entries(changes)) headers.set(name, value)
  return rebuilt(response, { headers })
}

/**
 * Returns the answer that stands for "no account can serve this", when no request was made: native
 * code says which.
 */
export function exhaustedResponse(answer: NonNullable<AuthError['answer']>, retryAt: number | undefined): Response {
  const { status, statusText, contentType, body } = answer
  const headers = { 'content-type': contentType, ...(retryAt === undefined ? {} : retryHeaders(retryAt)) }
  return new Response(body, { status, statusText, headers })
}

/** Gives up a body that will not be read, so that its connection can serve again. */
export function discard(response: Response): void {
  discardBody(response.body)
}

/** The time until `retryAt` in both retry headers. */
export function retryHeaders(retryAt: number): Record<string, string> {
  const ms = Math.max(0, Math.ceil(retryAt - Date.now()))
  return { 'retry-after': String(Math.ceil(ms / 1000)), 'retry-after-ms': String(ms) }
}

/** The body of a response as this runtime can take it. */
function bodyOf({ body }: Response): ReadableStream<Uint8Array> | null {
  if (body === null || body === undefined || body instanceof ReadableStream) return body ?? null
  return streamOf({ chunks: [], pending: undefined, source: openBytes(body), isWhole: false, signal: undefined })
}

/**
 * A stream of what was read, then of the read under way, then of the rest, as fast as it is asked
 * for.
 */
function streamOf({ chunks, pending: begun, source, signal }: Begun): ReadableStream<Bytes> {
  let pending = begun
  return streamBy(async (controller) => {
    const chunk = chunks.shift()
    if (chunk !== undefined) return controller.enqueue(chunk)
    const { value } = await heeding(pending ?? source.read(), signal)
    pending = undefined
    if (value === undefined) controller.close()
    else controller.enqueue(value)
  }, source.cancel.bind(source))
}

/** The bytes of these chunks. */
export function joined(chunks: readonly Bytes[]): Bytes {
  const [first] = chunks
  if (first !== undefined && chunks.length === 1) return first
  const bytes = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.byteLength, 0))
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.byteLength
  }
  return bytes
}
