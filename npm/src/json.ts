/**
 * Looks at a JSON answer before the caller does: some providers say "200" and send nothing but an
 * error.
 */
import { isOnlyError } from './events.js'
import { ERROR_BODY_BYTES, ERROR_WITHIN, ONE_PIECE_BYTES, PEEK_MS } from './limits.js'
import { isReadAsClone, lengthOf } from './reread.js'
import { joined, unread } from './response.js'
import { type Bytes, openBytes, type Source } from './source.js'
import { patience } from './wait.js'

export interface Looked {
  /** The same response, unread again. */
  readonly response: Response
  /** The body, when it is only an error. */
  readonly error: string | undefined
}

/** One for all, since to make one costs more than to look. */
const decoder = new TextDecoder()

const ERROR = '"error"'

/**
 * Bun's `peek`: what a promise has come to, or the promise itself. Small answers are there whole, and to wait for such takes
 * longer than to look.
 */
const settled = (globalThis as { Bun?: { peek?: (promise: Promise<unknown>) => unknown } }).Bun?.peek

/** Tells whether a good response may be an error by its body. */
export function mayBeError({ ok, headers }: Response): boolean {
  if (!ok || !/^application\/([\w.+-]+\+)?json\b/i.test(headers.get('content-type') ?? '')) return false
  return Number(headers.get('content-length')) <= ERROR_BODY_BYTES
}

/**
 * Holds a JSON answer until it turns out to be a success, or is wholly there. Rejects only with the
 * reason of an abort.
 */
export async function look(response: Response, signal: AbortSignal | undefined): Promise<Looked> {
  const length = lengthOf(response)
  if (length === 0) return { response, error: undefined }
  const isClone = isReadAsClone(response, ONE_PIECE_BYTES)
  // Before `body` is read, after which Bun takes longer with a response.
  if (isClone && length <= ONE_PIECE_BYTES) {
    const reading = response.clone().text()
    const there = settled?.(reading)
    const text = typeof there === 'string' ? there : await patience(PEEK_MS, signal)(reading.catch(() => undefined))
    return { error: errorIn(text ?? ''), response }
  }
  const wait = patience(PEEK_MS, signal)
  if (response.body === null) return { response, error: undefined }
  const source = openBytes(isClone ? response.clone().body : response.body)
  const chunks: Bytes[] = []
  let saysError = false
  let pending: ReturnType<Source<Bytes>['read']> | undefined
  const held = (isWhole: boolean): Response => {
    if (!isClone) return unread(response, { chunks, pending, source, isWhole, signal })
    void source.cancel().catch(() => {})
    return response
  }
  try {
    for (let size = 0; size < ERROR_BODY_BYTES; ) {
      const reading = source.read()
      pending = reading
      const next = await wait(reading)
      if (next === undefined) break
      pending = undefined
      if (next.value !== undefined) {
        chunks.push(next.value)
        size += next.value.byteLength
      }
      const isWhole = next.value === undefined || size === length
      if (isWhole) return { error: errorIn(decoder.decode(joined(chunks))), response: held(true) }
      if (size < ERROR_WITHIN || saysError) continue
      saysError = decoder.decode(joined(chunks)).includes(ERROR)
      if (!saysError) break
    }
  } catch {
    if (signal?.aborted === true) {
      void source.cancel(signal.reason).catch(() => {})
      throw signal.reason
    }
    // A body that breaks off is the caller's to meet.
  }
  return { response: held(false), error: undefined }
}

/** Returns the text, when it is only an error. */
function errorIn(text: string): string | undefined {
  if (!text.includes(ERROR)) return undefined
  try {
    return isOnlyError(JSON.parse(text)) ? text : undefined
  } catch {
    return undefined
  }
}
