/**
 * Looks at an event stream before the caller does, until there is output: a provider that has
 * already said "200" may still answer with an error, and then another account can serve. What was
 * read is handed on byte for byte. An error that comes later is the caller's, and told, so that the
 * next request knows.
 */
import { createParser, isError, meaningOf, type ServerEvent, type StreamKind } from './events.js'
import { watchFor } from './late.js'
import { PEEK_BYTES, PEEK_MS } from './limits.js'
import { joined, restored } from './response.js'
import { type Bytes, openBytes, type Source, streamBy } from './source.js'
import { heeding, patience } from './wait.js'

export interface Peeked {
  /** The same response, unread again. */
  readonly response: Response
  /** Data of an error event that came before any output; empty for a stream that ended there. */
  readonly error: string | undefined
  /** The stream broke before any output. The response still tells its reader so. */
  readonly broken: boolean
}

/** Told of what befalls a stream whose output is with the caller; at most one of them, once. */
export interface Late {
  onBreak(): void
  /** The error's event is handed on when this has resolved. */
  onError(data: string): Promise<void>
}

type Read = ReturnType<Source<Bytes>['read']>

/** What of a stream is with the peek still. */
interface Rest {
  readonly chunks: Bytes[]
  /** The read under way. */
  readonly pending: Read | undefined
  /** Events of the chunks that came after output. */
  readonly events: readonly ServerEvent[]
  /** Reads on. */
  readonly source: Source<Bytes>
  readonly signal: AbortSignal | undefined
}

/** Tells whether a response is an event stream. */
export function isEventStream(response: Response): boolean {
  return (
    response.status === 200 &&
    /^text\/event-stream\b/i.test(response.headers.get('content-type') ?? '') &&
    response.body !== null
  )
}

/**
 * Holds a stream until its first event with output, until enough was read, or until long enough was
 * waited. Rejects only with the reason of an abort.
 */
export async function peek(
  response: Response,
  kind: StreamKind,
  signal: AbortSignal | undefined,
  late: Late,
): Promise<Peeked> {
  const source = openBytes(response.body)
  const decoder = new TextDecoder()
  const parse = createParser()
  const eventsIn = (chunk: Bytes): ServerEvent[] => parse(decoder.decode(chunk, { stream: true }))
  const chunks: Bytes[] = []
  const wait = patience(PEEK_MS, signal)
  let pending: Read | undefined
  const held = (told: Late | undefined, events: readonly ServerEvent[] = []): Response =>
    restored(response, resumed({ chunks, pending, events, source, signal }, kind, told))
  try {
    for (let size = 0; size < PEEK_BYTES; ) {
      pending = source.read()
      const next = await wait(pending)
      if (next === undefined) break
      if (next.value === undefined) return { response: held(undefined), error: '', broken: false }
      pending = undefined
      chunks.push(next.value)
      size += next.value.byteLength
      const events = eventsIn(next.value)
      for (const [place, event] of events.entries()) {
        const meaning = meaningOf(event, kind)
        if (meaning === 'error') return { response: held(undefined), error: event.data, broken: false }
        if (meaning === 'output') {
          return { response: held(late, events.slice(place + 1)), error: undefined, broken: false }
        }
      }
    }
    return { response: held(late), error: undefined, broken: false }
  } catch (error) {
    if (signal?.aborted === true) {
      void source.cancel(error).catch(() => {})
      throw signal.reason
    }
    return { response: held(undefined), error: undefined, broken: true }
  }
}

/**
 * A stream of what was read, then of the read under way, then of the rest, as fast as it is asked
 * for.
 */
function resumed(rest: Rest, kind: StreamKind, late: Late | undefined): ReadableStream<Bytes> {
  const { chunks, events, source, signal } = rest
  let { pending } = rest
  let told = late
  const errorIn = late === undefined ? undefined : watchFor(kind, joined(chunks))
  const earlier = events.find((event) => isError(event, kind))?.data
  /** Hands a chunk on, when the error is told that is in it. */
  const hand = (controller: ReadableStreamDefaultController<Bytes>, chunk: Bytes, error: string | undefined) => {
    if (told === undefined || error === undefined) return controller.enqueue(chunk)
    const { onError } = told
    told = undefined
    return onError(error).then(() => controller.enqueue(chunk))
  }
  return streamBy((controller) => {
    const chunk = chunks.shift()
    if (chunk !== undefined) return hand(controller, chunk, chunks.length === 0 ? earlier : undefined)
    const next = heeding(pending ?? source.read(), signal)
    pending = undefined
    return next.then(
      ({ value }) => {
        if (value === undefined) return controller.close()
        return hand(controller, value, told === undefined ? undefined : errorIn?.(value))
      },
      (error: unknown) => {
        told?.onBreak()
        throw error
      },
    )
  }, source.cancel.bind(source))
}
