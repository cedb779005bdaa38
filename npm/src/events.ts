/**
 * Server-sent events: what is in the text of a stream, and whether it is output, an error or
 * neither.
 */
import { ERROR_BODY_BYTES } from './limits.js'
import { read } from './own.js'

export interface ServerEvent {
  readonly name: string
  readonly data: string
}

/** How the streams of a provider look. */
export interface StreamKind {
  /** Events without output, by name or `type`, each with its members that would hold some. */
  readonly silent: ReadonlyMap<string, string>
  /** Events that say that the answer failed, by name or `type`. */
  readonly failed: ReadonlySet<string>
  /** Lists of a chunk without a type whose entries hold its output. */
  readonly chunks: readonly string[]
  /** Members that describe output and hold none. */
  readonly labels: ReadonlySet<string>
}

type Fields = Record<string, unknown>

/** Says what an event is. One that cannot be read is output: it is handed on. */
export function meaningOf({ name, data }: ServerEvent, kind: StreamKind): 'silent' | 'output' | 'error' {
  if (kind.failed.has(name)) return 'error'
  const event = parsed(data)
  if (isFailure(event, kind)) return 'error'
  return isSilent(name, event, kind) ? 'silent' : 'output'
}

/** Tells whether an event is an error; parses it only when it may be one. */
export function isError({ name, data }: ServerEvent, kind: StreamKind): boolean {
  return kind.failed.has(name) || (/error|failed/.test(data) && isFailure(parsed(data), kind))
}

/**
 * Tells whether a JSON body is an error and nothing else: beside the error stand at most plain
 * values, as the id of the request. What a program answers to a program (JSON-RPC) is an answer.
 */
export function isOnlyError(body: unknown): boolean {
  const value: unknown = Array.isArray(body) && body.length === 1 ? body[0] : body
  if (!isObject(value) || read(value, 'jsonrpc') !== undefined) return false
  const { error, ...rest } = { __proto__: null, ...value } as Fields
  if (rest.type === 'error' || rest.object === 'error') return true
  // What has failed may be a thing that was asked for, as a batch: then this is a good answer.
  const isThing = rest.object !== undefined || (rest.id !== undefined && rest.status !== undefined)
  const isPlain = (field: unknown): boolean => typeof field !== 'object' || !hasContent(field)
  return hasContent(error) && !isThing && Object.values(rest).every(isPlain)
}

function isFailure(event: Fields | undefined, kind: StreamKind): boolean {
  if (event === undefined || read(event, 'jsonrpc') !== undefined) return false
  return kind.failed.has(String(read(event, 'type'))) || hasContent(read(event, 'error'))
}

function isSilent(name: string, event: Fields | undefined, kind: StreamKind): boolean {
  for (const label of [name, String(event && read(event, 'type'))]) {
    const member = kind.silent.get(label)
    if (member === undefined) continue
    if (member === '' || (event !== undefined && !hasContent(read(event, member), kind.labels))) return true
  }
  const lists = kind.chunks.map((list) => event && read(event, list)).filter((list) => Array.isArray(list))
  return lists.length > 0 && lists.every((list) => !hasContent(list, kind.labels))
}

/**
 * Tells whether there is anything in a value: not so in `null`, `false`, zero, an empty text, and
 * what holds only such.
 */
function hasContent(value: unknown, labels?: ReadonlySet<string>): boolean {
  if (!isObject(value)) return Boolean(value)
  if (Array.isArray(value)) return value.some((item) => hasContent(item, labels))
  return Object.entries(value).some(([name, inner]) => labels?.has(name) !== true && hasContent(inner, labels))
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

/** Returns the object in a text of JSON, also where it is alone in a list. */
function parsed(data: string): Fields | undefined {
  if (!/^\s*[{[]/.test(data)) return undefined
  try {
    const value: unknown = JSON.parse(data)
    return Array.isArray(value) ? value.find(isObject) : (value as Fields)
  } catch {
    return undefined
  }
}

/**
 * Returns a function that takes text as it comes and returns the events that end in it (HTML
 * standard, §9.2.6). The data of one that is longer than an error can be is left out.
 */
export function createParser(): (text: string) => ServerEvent[] {
  let line = ''
  let afterReturn = false
  let name = ''
  let data: string[] = []
  let size = 0

  const add = (text: string): void => {
    size += text.length
    // The name of the field is at the beginning.
    if (size <= ERROR_BODY_BYTES || line === '') line += text
  }

  const endLine = (): ServerEvent | undefined => {
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line) as RegExpExecArray
    const isEnd = line === ''
    line = ''
    if (field === 'event') name = value as string
    if (field === 'data') data.push(value as string)
    if (!isEnd) return undefined
    const event = data.length > 0 ? { name, data: size > ERROR_BODY_BYTES ? '' : data.join('\n') } : undefined
    name = ''
    data = []
    size = 0
    return event
  }

  return (text) => {
    const events: ServerEvent[] = []
    let start = 0
    for (const { 0: end, index } of text.matchAll(/\r\n|\n|\r/g)) {
      // A CRLF may come in two pieces; its line ended at the CR.
      const isRest = index === 0 && end === '\n' && afterReturn
      add(text.slice(start, index))
      start = index + end.length
      const event = isRest ? undefined : endLine()
      if (event !== undefined) events.push(event)
    }
    add(text.slice(start))
    if (text !== '') afterReturn = text.endsWith('\r')
    return events
  }
}
