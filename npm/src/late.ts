/**
 * Looks for an error in a stream whose output is with the caller already. The bytes are searched for
 * the words without which there is none; an event is read only where one of them is.
 */
import { Buffer } from 'node:buffer'
import { createParser, isError, type StreamKind } from './events.js'
import { ERROR_BODY_BYTES } from './limits.js'
import type { Bytes } from './source.js'

/** One of them is in each event that `isError` tells. */
const WORDS = ['error', 'failed'].map((word) => Buffer.from(word))

/** What an event ends with. */
const ENDS = ['\n\n', '\n\r\n', '\r\r'].map((end) => Buffer.from(end))

const [NEWLINE, RETURN] = [0x0a, 0x0d]

const NONE: Bytes = new Uint8Array()
const decoder = new TextDecoder()

/** Those of a `Buffer`, for any bytes: to make one of each chunk would take longer than to search it. */
const { indexOf, lastIndexOf } = Buffer.prototype

/**
 * Returns a function that takes chunks as they come and returns the data of the first error that
 * ends in one; `begun` is what of an event came before.
 */
export function watchFor(kind: StreamKind, begun: Bytes): (chunk: Bytes) => string | undefined {
  let rest = lastOf(begun)
  return (chunk) => {
    const bytes = rest.byteLength === 0 ? chunk : Buffer.concat([rest, chunk])
    rest = lastOf(bytes)
    const size = bytes.byteLength - rest.byteLength
    if (rest.byteLength > ERROR_BODY_BYTES) rest = NONE
    if (!WORDS.some((word) => indexOf.call(bytes, word) >= 0)) return undefined
    const events = decoder.decode(bytes.subarray(0, size))
    return createParser()(events).find((event) => isError(event, kind))?.data
  }
}

/** Returns what of the bytes is of an event that has not ended. */
function lastOf(bytes: Bytes): Bytes {
  const [before, last] = [bytes[bytes.byteLength - 2], bytes[bytes.byteLength - 1]]
  // Of the end of a line that is two letters, the second may be still to come.
  const isEnd =
    (last === NEWLINE && before === NEWLINE) || (last === RETURN && (before === NEWLINE || before === RETURN))
  if (isEnd) return NONE
  const ends = ENDS.map((end) => {
    const at = lastIndexOf.call(bytes, end)
    return at < 0 ? 0 : at + end.byteLength
  })
  return bytes.subarray(Math.max(...ends))
}
