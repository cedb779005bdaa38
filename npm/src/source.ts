/**
 * Reads bodies, whatever they are: streams of this realm or another, Node's own streams,
 * generators.
 */

/**
 * Reads the next chunk, and gives the rest up. What `ReadableStream` readers and async iterators
 * have in common.
 */
export interface Source<T = unknown> {
  read(): Promise<{ done?: boolean | undefined; value?: T | undefined }>
  cancel(reason?: unknown): Promise<unknown>
}

export type Bytes = Uint8Array<ArrayBuffer>

/** Tells whether a body is a stream, which can be read only once. */
export function isStream(body: unknown): body is ReadableStream | AsyncIterable<unknown> {
  return typeof body === 'object' && body !== null && ('getReader' in body || Symbol.asyncIterator in body)
}

/** Begins to read a stream; `undefined` for anything else. */
export function openSource(body: unknown): Source | undefined {
  if (!isStream(body)) return undefined
  if ('getReader' in body) return body.getReader()
  const iterator = body[Symbol.asyncIterator]()
  return { read: () => iterator.next(), cancel: async () => iterator.return?.() }
}

/** Begins to read the body of a response as bytes; one that is not there has ended. */
export function openBytes(body: unknown): Source<Bytes> {
  const source = openSource(body)
  if (source === undefined) return { read: async () => ({ done: true }), cancel: async () => {} }
  // What the runtime made holds bytes already: nothing stands between, for the sake of speed.
  if (body instanceof ReadableStream) return source as Source<Bytes>
  return {
    async read() {
      const { done, value } = await source.read()
      return done === true ? { done } : { done, value: bytesOf(value) }
    },
    cancel: (reason) => source.cancel(reason),
  }
}

/**
 * Runtimes close the connection of a response that nobody holds any more, but not of one that is being read: that is for
 * us to end.
 */
const dropped = new FinalizationRegistry<Source['cancel']>((cancel) => void cancel().catch(() => {}))

/**
 * Returns a stream that calls `pull` for each chunk that is asked for, and not before. `cancel` is also called when nobody
 * holds the stream any more.
 */
export function streamBy(
  pull: (controller: ReadableStreamDefaultController<Bytes>) => void | Promise<void>,
  cancel: Source['cancel'],
): ReadableStream<Bytes> {
  const stream = new ReadableStream<Bytes>(
    { pull, cancel: (reason) => cancel(reason) as Promise<void> },
    { highWaterMark: 0 },
  )
  dropped.register(stream, cancel)
  return stream
}

/** Returns a stream of these bytes, which fills a caller's buffer as well. */
export function streamOfBytes(bytes: Bytes): ReadableStream<Uint8Array> {
  return new ReadableStream({
    type: 'bytes',
    pull(controller) {
      // Such a stream takes the memory of what it is given.
      controller.enqueue(new Uint8Array(bytes))
      controller.close()
    },
  })
}

/** Gives up a body that the caller will not get, so that its connection can serve again. */
export function discardBody(body: unknown): void {
  if (typeof body !== 'object' || body === null) return
  const { cancel, destroy } = body as { cancel?: () => Promise<void>; destroy?: () => void }
  if (typeof cancel === 'function') void Promise.resolve(cancel.call(body)).catch(() => {})
  else if (typeof destroy === 'function') destroy.call(body)
}

/** The bytes of a buffer or a view of whatever realm; `undefined` for what is neither. */
export function viewOf(value: unknown): Bytes | undefined {
  if (value instanceof Uint8Array) return value as Bytes
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength)
  return tagOf(value) === 'ArrayBuffer' ? new Uint8Array(value as ArrayBuffer) : undefined
}

/** What the platform calls a kind of object; also one that another realm or package made. */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1)
}

function bytesOf(value: unknown): Bytes {
  return viewOf(value) ?? new TextEncoder().encode(String(value))
}
