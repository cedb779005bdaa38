/**
 * What a body of JSON says of its request: the model, the conversation, how long its prompt is to
 * be cached, and what only the account that made it can serve.
 *
 * A conversation is megabytes of text in few fields. It is walked once, from string to string, and
 * never parsed as a whole.
 */
import type { BoundFields } from './facts.js'
import { ITEM_CHARACTERS } from './limits.js'

export interface Said {
  /** The field `model`, where it is text. */
  readonly model: string | undefined
  /** The field `prompt_cache_key`, where it is text. */
  readonly session: string | undefined
  /** The first `ttl` of a `cache_control`: providers want the longest first. */
  readonly cacheTtl: string | undefined
  /** The first item that binds a request to its account. */
  readonly item: string | undefined
}

/** What tools take and give is the caller's own data, whatever its fields are called. */
const OPAQUE: ReadonlySet<string> = new Set([
  'arguments',
  'args',
  'input_schema',
  'parameters',
  'schema',
  'functionResponse',
])

type Draft = { -readonly [Name in keyof Said]: Said[Name] }

/** What a body says that is not JSON. */
const NOTHING: Said = { model: undefined, session: undefined, cacheTtl: undefined, item: undefined }

const [SPACE, QUOTE, COMMA, BACKSLASH] = [0x20, 0x22, 0x2c, 0x5c]
const [LIST, LIST_END, OBJECT, OBJECT_END] = [0x5b, 0x5d, 0x7b, 0x7d]

/** What a string goes on with, in pieces: for each of them an expression keeps a way back. */
const IN_STRING = /[^"\\]*(?:\\[\s\S][^"\\]*){0,500}/y

/** An object or a list that is open. */
interface Frame {
  readonly isObject: boolean
  /** The field that it is the value of. */
  readonly of: string | undefined
  /** The field whose value comes next; of a list its own, for its first value. */
  field: string | undefined
  /** How a value of this field begins that binds the request. */
  beginnings: readonly string[] | undefined
  isToolCall: boolean
  /** Where the value of its field `input` is. */
  input: [start: number, end: number] | undefined
}

/** Returns what the text says; nothing where it cannot be JSON. `fields` are those that bind. */
export function saidIn(text: string | undefined, fields: BoundFields): Said {
  if (text === undefined) return NOTHING
  const said: Draft = { ...NOTHING }
  /** Where the items begin. */
  let items: number[] = []
  const open: Frame[] = []
  let frame: Frame | undefined
  let at = 0
  for (; at < text.length; at += 1) {
    const letter = text.charCodeAt(at)
    if (letter <= SPACE) continue
    if (frame === undefined) {
      if (letter !== OBJECT && letter !== LIST) return NOTHING
      frame = frameOf(letter === OBJECT, undefined)
      open.push(frame)
      continue
    }
    if (letter === QUOTE) {
      const start = at + 1
      at = endOfString(text, start)
      if (at < 0) return NOTHING
      if (frame.isObject && frame.field === undefined) {
        frame.field = text.slice(start, at)
        frame.beginnings = fields.get(frame.field)
        continue
      }
      if (frame.beginnings?.some((beginning) => text.startsWith(beginning, start)) === true && at > start) {
        items.push(start)
      }
      if (frame.isObject) note(said, frame, open.length, text, start, at)
      else frame.beginnings = undefined
    } else if (letter === COMMA) {
      frame.field = undefined
      frame.beginnings = undefined
    } else if (letter === OBJECT || letter === LIST) {
      const { field }: Frame = frame
      if (field !== undefined && (OPAQUE.has(field) || (field === 'input' && frame.isToolCall))) {
        at = endOfValue(text, at)
        if (at < 0) return NOTHING
        continue
      }
      if (field === 'input') frame.input = [at, at]
      const inner: Frame = frameOf(letter === OBJECT, field)
      if (letter === LIST && frame.isObject) inner.beginnings = frame.beginnings
      open.push(inner)
      frame = inner
    } else if (letter === OBJECT_END || letter === LIST_END) {
      if (frame.isObject !== (letter === OBJECT_END)) return NOTHING
      const { isToolCall, input }: Frame = frame
      if (isToolCall && input !== undefined) items = items.filter((item) => item < input[0] || item > input[1])
      open.pop()
      frame = open.at(-1)
      if (frame === undefined) break
      if (frame.input !== undefined && frame.field === 'input') frame.input[1] = at
    }
  }
  if (frame !== undefined || open.length > 0 || text.slice(at + 1).trim() !== '') return NOTHING
  const [first] = items
  if (first !== undefined) said.item = stringAt(text, first, endOfString(text, first))?.slice(-ITEM_CHARACTERS)
  return said
}

function frameOf(isObject: boolean, of: string | undefined): Frame {
  return { isObject, of, field: undefined, beginnings: undefined, isToolCall: false, input: undefined }
}

/** Takes note of the text of a field, from `start` to `end`; `depth` is that of its object. */
function note(said: Draft, frame: Frame, depth: number, text: string, start: number, end: number): void {
  const { field } = frame
  if (field === 'type') frame.isToolCall = text.slice(start, end) === 'tool_use'
  if (field === 'ttl' && frame.of === 'cache_control') said.cacheTtl ??= /^\w+$/.exec(text.slice(start, end))?.[0]
  if (depth > 1) return
  if (field === 'model') said.model = stringAt(text, start, end)
  if (field === 'prompt_cache_key') said.session = stringAt(text, start, end)
}

/** Returns the string of JSON between its quotes. */
function stringAt(text: string, start: number, end: number): string | undefined {
  const value = text.slice(start, end)
  if (!value.includes('\\')) return value
  try {
    return JSON.parse(`"${value}"`) as string
  } catch {
    return undefined
  }
}

/** Returns where the string ends whose first letter is at `start`; less than zero where it does not. */
function endOfString(text: string, start: number): number {
  // Prose has hardly a quote, and a search is the fastest then.
  const quote = text.indexOf('"', start)
  if (quote < 0 || text.charCodeAt(quote - 1) !== BACKSLASH) return quote
  for (let at = isEscaped(text, start, quote) ? quote + 1 : quote; at < text.length; ) {
    if (text.charCodeAt(at) === QUOTE) return at
    IN_STRING.lastIndex = at
    IN_STRING.test(text)
    // A backslash is the last letter of all.
    if (IN_STRING.lastIndex === at) return -1
    at = IN_STRING.lastIndex
  }
  return -1
}

/** Tells whether the letter at `end` has an odd number of backslashes before it. */
function isEscaped(text: string, start: number, end: number): boolean {
  let first = end
  while (first > start && text.charCodeAt(first - 1) === BACKSLASH) first -= 1
  return (end - first) % 2 === 1
}

/** Returns where the object or list ends that begins at `start`; less than zero where it does not. */
function endOfValue(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at += 1) {
    const letter = text.charCodeAt(at)
    if (letter === QUOTE) {
      at = endOfString(text, at + 1)
      if (at < 0) return -1
    } else if (letter === OBJECT || letter === LIST) depth += 1
    else if (letter === OBJECT_END || letter === LIST_END) depth -= 1
    if (depth === 0) return at
  }
  return -1
}
