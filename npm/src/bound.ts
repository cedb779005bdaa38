/**
 * Finds what in a call only the account that made it can serve. Which fields and paths these are
 * comes from the provider's descriptor; what follows from it is decided natively.
 */
import type { BoundItems } from './addon.js'
import type { Call } from './call.js'
import { ITEM_CHARACTERS } from './limits.js'
import { read } from './own.js'

/** What tools take and give is the caller's own data, whatever its fields are called. */
const OPAQUE: ReadonlySet<string> = new Set([
  'arguments',
  'args',
  'input_schema',
  'parameters',
  'schema',
  'functionResponse',
])

/**
 * Returns a name of the first such item, or `undefined` when any account may serve. The body is
 * parsed only when a field's name, or the beginning of its value, is somewhere in it.
 */
export function boundItemOf(
  { url, text }: Pick<Call, 'url' | 'text'>,
  { fields, paths }: BoundItems,
): string | undefined {
  const path = url.split(/[?#]/, 1)[0] as string
  for (const part of paths) {
    const id = path.split(part)[1]?.split(/[/:]/, 1)[0]
    if (id) return id
  }
  if (text === undefined || !fields.some((field) => text.includes(traceOf(field)))) return undefined
  try {
    return itemIn(JSON.parse(text), fields)?.slice(-ITEM_CHARACTERS)
  } catch {
    return undefined
  }
}

/** A text inside another text of the JSON has its quotes escaped, and is not found. */
function traceOf([name, beginning]: readonly [string, string]): string {
  return beginning === '' ? `"${name}"` : `"${beginning}`
}

function itemIn(value: unknown, fields: BoundItems['fields']): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const isToolCall = read(value as { type?: unknown }, 'type') === 'tool_use'
  for (const [name, inner] of Object.entries(value)) {
    if (OPAQUE.has(name) || (isToolCall && name === 'input')) continue
    const text = Array.isArray(inner) ? inner[0] : inner
    const isItem = (text: string) => fields.some(([field, beginning]) => field === name && text.startsWith(beginning))
    if (typeof text === 'string' && text !== '' && isItem(text)) return text
    const found = itemIn(inner, fields)
    if (found !== undefined) return found
  }
  return undefined
}
