/** Responses: read a little without spoiling them, rebuild them with one thing changed, let them go. */
import type { AuthError } from '../../index.js'
import { ERROR_BODY_BYTES, PEEK_MS } from './limits.js'
import { read } from './own.js'
import { abortable, deadline } from './wait.js'

/**
 * Returns the beginning of an error body as text. The response can still be read in full. Rejects only with the reason
 * of an abort.
 */
export async function readErrorText(response: Response, signal: AbortSignal | undefined): Promise<string> {
  const reader = response.clone().body?.getReader()
  if (reader === undefined) return ''
  const decoder = new TextDecoder()
  const patience = deadline(PEEK_MS)
  let text = ''
  try {
    for (let left = ERROR_BODY_BYTES; left > 0; ) {
      const next = await abortable(Promise.race([reader.read(), patience.passed]), signal)
      if (next === undefined || next.done) break
      const bytes = next.value.subarray(0, left)
      left -= bytes.byteLength
      text += decoder.decode(bytes, { stream: true })
    }
  } catch {
    signal?.throwIfAborted()
    // A body that breaks off has said what it said; its reader will meet the error.
  } finally {
    patience.stop()
    void reader.cancel().catch(() => {})
  }
  return text
}

/** Returns the response with another body or other headers, and otherwise as `fetch` made it. */
export function rebuilt(
  response: Response,
  change: { body?: ReadableStream<Uint8Array>; headers?: Headers },
): Response {
  const { status, statusText, url, type, redirected } = response
  const copy = new Response(read(change, 'body') ?? response.body, {
    status,
    statusText,
    headers: read(change, 'headers') ?? response.headers,
  })
  return withFacts(copy, { url, type, redirected })
}

/** Makes a response, and each clone of it, say this of itself. */
export function withFacts(response: Response, facts: Partial<Pick<Response, 'url' | 'type' | 'redirected'>>): Response {
  const clone = (): Response => withFacts(Response.prototype.clone.call(response), facts)
  for (const [name, value] of Object.entries({ ...facts, clone })) {
    Object.defineProperty(response, name, { value, configurable: true })
  }
  return response
}

/** Returns the response with the time until `retryAt` in both retry headers. */
export function withRetryAt(response: Response, retryAt: number): Response {
  const headers = new Headers(response.headers)
  for (const [name, value] of Object.entries(retryHeaders(retryAt))) headers.set(name, value)
  return rebuilt(response, { headers })
}

/** Returns the answer that stands for "no account can serve this", when no request was made: native code says which. */
export function exhaustedResponse(answer: NonNullable<AuthError['answer']>, retryAt: number | undefined): Response {
  const { status, statusText, contentType, body } = answer
  const headers = { 'content-type': contentType, ...(retryAt === undefined ? {} : retryHeaders(retryAt)) }
  return new Response(body, { status, statusText, headers })
}

/** Gives up a body that nobody will read, so that its connection can serve again. */
export function discard(response: Response): void {
  void response.body?.cancel().catch(() => {})
}

function retryHeaders(retryAt: number): Record<string, string> {
  const ms = Math.max(0, Math.ceil(retryAt - Date.now()))
  return { 'retry-after': String(Math.ceil(ms / 1000)), 'retry-after-ms': String(ms) }
}
