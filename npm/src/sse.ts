/**
 * Looks at the first event of an event stream before the caller does: a provider that has already said "200" may still
 * open with an error, and then another account can serve. What was read is handed on byte for byte.
 */
import { PEEK_BYTES, PEEK_MS } from './limits.js'
import { read } from './own.js'
import { rebuilt } from './response.js'
import { abortable, deadline } from './wait.js'

export interface Peeked {
  /** The same response, unread again. */
  readonly response: Response
  /** Data of the first event, when that event is an error. */
  readonly error: string | undefined
  /** The stream broke before its first event. The response still tells its reader so. */
  readonly broken: boolean
}

interface ServerEvent {
  readonly name: string
  readonly data: string
}

type Bytes = Uint8Array<ArrayBuffer>
type Reader = ReadableStreamDefaultReader<Bytes>
type Read = ReturnType<Reader['read']>

/** Tells whether a response is an event stream. */
export function isEventStream(response: Response): boolean {
  return (
    response.status === 200 &&
    response.body !== null &&
    /^text\/event-stream\b/i.test(response.headers.get('content-type') ?? '')
  )
}

/**
 * Holds a stream until its first event that is not a ping, until enough was read, or until long enough was waited.
 * Rejects only with the reason of an abort. `onBreak` is called once if the stream breaks after that.
 */
export async function peek(response: Response, signal: AbortSignal | undefined, onBreak: () => void): Promise<Peeked> {
  const reader = (response.body as ReadableStream<Bytes>).getReader()
  const decoder = new TextDecoder()
  const nextEvent = createParser()
  const chunks: Bytes[] = []
  const patience = deadline(PEEK_MS)
  let pending: Read | undefined
  const held = (whenBroken = onBreak): Response =>
    rebuilt(response, { body: resumed(chunks, pending, reader, whenBroken) })
  try {
    for (let size = 0; size < PEEK_BYTES; ) {
      pending = reader.read()
      const next = await abortable(Promise.race([pending, patience.passed]), signal)
      if (next === undefined || next.done) break
      pending = undefined
      chunks.push(next.value)
      size += next.value.byteLength
      const event = nextEvent(decoder.decode(next.value, { stream: true }))
      if (event === undefined) continue
      return { response: held(), error: isError(event) ? event.data : undefined, broken: false }
    }
    return { response: held(), error: undefined, broken: false }
  } catch (error) {
    if (signal?.aborted === true) {
      void reader.cancel(error).catch(() => {})
      throw signal.reason
    }
    return { response: held(() => {}), error: undefined, broken: true }
  } finally {
    patience.stop()
  }
}

/** A stream of what was read, then of the read under way, then of the rest, as fast as it is asked for. */
function resumed(
  chunks: Bytes[],
  underWay: Read | undefined,
  reader: Reader,
  onBreak: () => void,
): ReadableStream<Bytes> {
  let pending = underWay
  return new ReadableStream<Bytes>(
    {
      async pull(controller) {
        const chunk = chunks.shift()
        if (chunk !== undefined) return controller.enqueue(chunk)
        try {
          const next = await (pending ?? reader.read())
          pending = undefined
          if (next.done) controller.close()
          else controller.enqueue(next.value)
        } catch (error) {
          onBreak()
          throw error
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

/** The shapes in use: an event named `error`, data of type `error` or `….failed`, and data with an `error` in it. */
function isError({ name, data }: ServerEvent): boolean {
  if (name === 'error') return true
  if (!/error|failed/.test(data)) return false
  try {
    const event = JSON.parse(data) as { type?: unknown; error?: unknown }
    const [type, error] = [read(event, 'type'), read(event, 'error')]
    return (
      type === 'error' ||
      (typeof type === 'string' && type.endsWith('.failed')) ||
      (error !== undefined && error !== null)
    )
  } catch {
    return false
  }
}

/** Returns a function that takes text as it comes and returns the first event that is not a ping (HTML standard, §9.2.6). */
function createParser(): (text: string) => ServerEvent | undefined {
  let line = ''
  let afterReturn = false
  let name = ''
  let data: string[] = []

  const endLine = (): ServerEvent | undefined => {
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line) as RegExpExecArray
    const isEnd = line === ''
    line = ''
    if (field === 'event') name = value as string
    if (field === 'data') data.push(value as string)
    if (!isEnd) return undefined
    const event = { name, data: data.join('\n') }
    const isOutput = data.length > 0 && name !== 'ping'
    name = ''
    data = []
    return isOutput ? event : undefined
  }

  return (text) => {
    let start = 0
    for (const { 0: end, index } of text.matchAll(/\r\n|\n|\r/g)) {
      // A CRLF may come in two pieces; its line ended at the CR.
      const isRest = index === 0 && end === '\n' && afterReturn
      line += text.slice(start, index)
      start = index + end.length
      const event = isRest ? undefined : endLine()
      if (event !== undefined) return event
    }
    line += text.slice(start)
    if (text !== '') afterReturn = text.endsWith('\r')
    return undefined
  }
}
