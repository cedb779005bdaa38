/**
 * Request bodies that can be sent more than once.
 *
 * Strings, bytes, Blob, FormData and URLSearchParams are sent as they are, as often as needed. A
 * stream is read into memory first, up to a limit; a longer one passes through and is sent once. No
 * `Request` is ever built to hold a body: that copies it twice.
 */
import { read } from './own.js'
import { isStream, openSource, type Source } from './source.js'
import { abortable } from './wait.js'

export { isStream }

export interface Payload {
  readonly body: RequestInit['body'] | Uint8Array
  readonly replayable: boolean
}

/**
 * Returns a payload for `body`. Only a stream is waited for; an error of the stream is left for
 * `fetch` to meet. Rejects as `fetch` does with a stream that was read from, and with the reason of
 * an abort.
 */
export async function readPayload(
  body: RequestInit['body'],
  limit: number,
  signal: AbortSignal | undefined,
): Promise<Payload> {
  refuseSpent(body)
  const source = openSource(body)
  if (source === undefined) return { body, replayable: true }
  const chunks: Uint8Array[] = []
  for (let size = 0; ; ) {
    const next = abortable(source.read(), signal)
    let chunk: Awaited<typeof next>
    try {
      chunk = await next
    } catch (error) {
      if (signal?.aborted === true) void source.cancel(error).catch(() => {})
      return passThrough(chunks, next, source)
    }
    if (chunk.done === true) return { body: concatenate(chunks, size), replayable: true }
    // Anything but bytes is an error that fetch words better.
    if (!(chunk.value instanceof Uint8Array)) return passThrough(chunks, next, source)
    size += chunk.value.byteLength
    if (size > limit) return passThrough(chunks, next, source)
    chunks.push(chunk.value)
  }
}

/** Throws what `fetch` throws of a stream that somebody reads, or has read from. */
function refuseSpent(body: unknown): void {
  const isOfNode = typeof body === 'object' && body !== null && read(body as Spendable, 'readableDidRead') === true
  if (body instanceof ReadableStream || isOfNode) void new Response(body as ReadableStream)
}

/** A stream of Node's own, which tells of itself. */
interface Spendable {
  readableDidRead?: boolean
}

/** A stream of the chunks read so far, then of what `next` brings, then of the rest. */
function passThrough(chunks: readonly unknown[], next: ReturnType<Source['read']>, source: Source): Payload {
  const queue = [...chunks]
  let pending: typeof next | undefined = next
  const body = new ReadableStream<unknown>(
    {
      async pull(controller) {
        if (queue.length > 0) return controller.enqueue(queue.shift())
        const chunk = await (pending ?? source.read())
        pending = undefined
        if (chunk.done === true) controller.close()
        else controller.enqueue(chunk.value)
      },
      cancel: async (reason) => {
        await source.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
  return { body: body as ReadableStream<Uint8Array>, replayable: false }
}

function concatenate(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.byteLength
  }
  return bytes
}
