/** Response headers in the forms in which HTTP clients hold them. */
import { bare, has } from './own.js'

export type HeaderRecord = Record<string, unknown>

/**
 * Returns headers as one object: those of a `Headers`, a `Map`, a list of pairs or a flat list (as
 * Node's `rawHeaders`), and an object with values other than texts. An object of texts is returned
 * as it is; so is what holds no headers, for native code to refuse.
 */
export function headersOf(given: unknown): HeaderRecord | undefined {
  if (typeof given !== 'object' || given === null) return given as undefined
  if (Symbol.iterator in given && has(given, Symbol.iterator)) {
    // Native code says what is wrong with an entry that cannot be a header.
    return ofPairs(given as Iterable<unknown>) ?? (false as unknown as undefined)
  }
  const record = given as HeaderRecord
  return Object.keys(record).every((name) => typeof record[name] === 'string') ? record : ofRecord(record)
}

function ofRecord(given: HeaderRecord): HeaderRecord {
  const headers: HeaderRecord = bare()
  for (const name of Object.keys(given)) add(headers, name, given[name])
  return headers
}

/** Returns nothing when one of the entries cannot be a header. */
function ofPairs(given: Iterable<unknown>): HeaderRecord | undefined {
  const entries = [...given]
  const isFlat = Array.isArray(given) && entries.every((entry) => typeof entry === 'string')
  const pairs = isFlat ? entries.flatMap((name, at) => (at % 2 === 0 ? [[name, entries[at + 1]]] : [])) : entries
  const headers: HeaderRecord = bare()
  for (const pair of pairs) {
    const isHeader = Array.isArray(pair) && pair.length === 2 && typeof pair[0] === 'string' && pair[1] !== undefined
    if (!isHeader) return undefined
    add(headers, pair[0], pair[1])
  }
  return headers
}

/** A header that came more than once has its values joined. */
function add(headers: HeaderRecord, name: string, value: unknown): void {
  const text = Array.isArray(value) ? value.join(', ') : value
  if (typeof text !== 'string' && typeof text !== 'number') return
  const key = name.toLowerCase()
  headers[key] = headers[key] === undefined ? String(text) : `${headers[key]}, ${text}`
}
