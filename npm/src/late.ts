/**
 * Looks for an error in a stream whose output is with the caller already. The bytes are searched for
 * the words without which there is none; an event is read only where one of them is.
 */
import { Buffer } from 'node:buffer'
import { createParser, isError, type StreamKind } from './events.js'
import { ERROR_BODY_BYTES } from './limits.js'
import type { Bytes } from './source.js'

/** One of them is in each event that `isError` tells. */
const WORDS = ['error', 'failed'] as const

const [NEWLINE, RETURN] = [0x0a, 0x0d]

const NONE = Buffer.alloc(0)
const decoder = new TextDecoder()

/**
 * Returns a function that takes chunks as they come and returns the data of the first error that
 * ends in one; `begun` is what of an event came before.
 */
export function watchFor(kind: StreamKind, begun: Bytes): (chunk: Bytes) => string | undefined {
  let rest = lastOf(bufferOf(begun))
  return (chunk) => {
    const bytes = rest.byteLength === 0 ? bufferOf(chunk) : Buffer.concat([rest, chunk])
    rest = lastOf(bytes)
    const events = bytes.subarray(0, bytes.byteLength - rest.byteLength)
    if (rest.byteLength > ERROR_BODY_BYTES) rest = NONE
    if (!WORDS.some((word) => events.includes(word))) return undefined
    return createParser()(decoder.decode(events)).find((event) => isError(event, kind))?.data
  }
}

/** Returns what of the bytes is of an event that has not ended. */
function lastOf(bytes: Buffer): Buffer {
  const [before, last] = [bytes[bytes.byteLength - 2], bytes[bytes.byteLength - 1]]
  // Of the end of a line that is two letters, the second may be still to come.
  const isEnd =
    (last === NEWLINE && before === NEWLINE) || (last === RETURN && (before === NEWLINE || before === RETURN))
  if (isEnd) return NONE
  const ends = ['\n\n', '\n\r\n', '\r\r'].map((end) => {
    const at = bytes.lastIndexOf(end)
    return at < 0 ? 0 : at + end.length
  })
  return bytes.subarray(Math.max(...ends))
}

function bufferOf(bytes: Bytes): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
