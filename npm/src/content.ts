/** What bodies say: the text of those that are JSON, and fields of forms. */
import type { Payload } from './body.js'
import type { HeaderMap } from './headers.js'
import { tagOf, viewOf } from './source.js'

type Body = Payload['body']

const FORMS: ReadonlySet<string> = new Set(['FormData', 'URLSearchParams'])
const FILES: ReadonlySet<string> = new Set(['Blob', 'File'])

/** Where a body of JSON begins; spaces may come before. */
const OBJECT = /^\s*\{/

/** Returns the body, where it is JSON. A file is read for that up to a size. */
export function jsonText(
  body: Body,
  headers: HeaderMap,
  limit: number,
): string | undefined | Promise<string | undefined> {
  if (typeof body === 'string') return OBJECT.test(body) ? body : undefined
  if (typeof body !== 'object' || body === null) return undefined
  const isJson = (type: string | undefined): boolean => type?.includes('json') === true
  const bytes = viewOf(body)
  if (bytes !== undefined) return isJson(headers['content-type']) || beginsAsObject(bytes) ? textOf(bytes) : undefined
  if (!FILES.has(tagOf(body))) return undefined
  const file = body as Blob
  return file.size <= limit ? textOfFile(file, isJson(headers['content-type'] ?? file.type)) : undefined
}

/** Returns a text field of a form. */
export function fieldOf(body: Body, headers: HeaderMap, name: string): string | undefined {
  if (typeof body === 'string') {
    const isForm = headers['content-type']?.includes('x-www-form-urlencoded') === true
    return isForm ? (new URLSearchParams(body).get(name) ?? undefined) : undefined
  }
  if (typeof body !== 'object' || body === null || !FORMS.has(tagOf(body))) return undefined
  const value: unknown = (body as FormData).get(name)
  return typeof value === 'string' ? value : undefined
}

async function textOfFile(file: Blob, isJson: boolean): Promise<string | undefined> {
  try {
    return isJson || OBJECT.test(await file.slice(0, 64).text()) ? await file.text() : undefined
  } catch {
    // A file that cannot be read, `fetch` will say so of.
    return undefined
  }
}

function beginsAsObject(bytes: Uint8Array): boolean {
  return OBJECT.test(textOf(bytes.subarray(0, 64)))
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}
