/** Lines of a log: read, chosen, put in order, and worded for a person. */
import { visible } from '../../npm/src/trust.js'
import type { Colours } from './output.js'

/** Each level holds those before it. */
const LEVELS = ['error', 'warn', 'info', 'debug', 'trace']

export interface LogLine {
  /** As it stands in the file. */
  raw: string
  /** Unix milliseconds. */
  at: number
  level: string
  message: string
  fields: [name: string, value: unknown][]
}

export interface Wanted {
  level: string | undefined
  since: number | undefined
}

/** A line of the library's; nothing of one that was cut off, or is another program's. */
export function parsed(raw: string): LogLine | undefined {
  let value: unknown
  try {
    value = JSON.parse(raw)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { time, level, message, ...fields } = value as Record<string, unknown>
  const at = typeof time === 'string' ? Date.parse(time) : Number.NaN
  if (Number.isNaN(at) || typeof level !== 'string' || typeof message !== 'string') return undefined
  return { raw, at, level, message, fields: Object.entries(fields) }
}

export function isWanted({ at, level }: LogLine, { level: most, since }: Wanted): boolean {
  return (since === undefined || at >= since) && (most === undefined || LEVELS.indexOf(level) <= LEVELS.indexOf(most))
}

/** The lines of several files by time, a line that stands in two of them once. */
export function merged(files: LogLine[][]): LogLine[] {
  const seen = new Set<string>()
  const lines: LogLine[] = []
  for (const file of files) {
    lines.push(...file.filter(({ raw }) => !seen.has(raw)))
    for (const { raw } of file) seen.add(raw)
  }
  return lines.sort((one, other) => one.at - other.at)
}

/** `2026-11-27 14:03:27.512 WARN  an account cannot serve … provider=acme`. */
export function worded({ at, level, message, fields }: LogLine, colour: Colours): string {
  const name = level.toUpperCase().padEnd(5)
  const rest = fields.map(([key, value]) => colour.dim(`${visible(key)}=`) + quoted(value))
  return [colour.dim(localTime(at)), painted(level, colour)(visible(name)), visible(message), ...rest].join(' ')
}

function quoted(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /^[^\s"=]+$/.test(text) ? visible(text) : `"${visible(text).replaceAll('"', '\\"')}"`
}

function painted(level: string, { red, yellow, cyan, dim }: Colours): (text: string) => string {
  return { error: red, warn: yellow, info: cyan }[level] ?? dim
}

/** `2026-11-27 14:03:27.512`, where the person is. */
function localTime(at: number): string {
  const date = new Date(at - new Date(at).getTimezoneOffset() * 60_000)
  return date.toISOString().replace('T', ' ').replace('Z', '')
}

const SPANS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** The point in time that `--since` names; nothing where it names none. A date is its midnight here. */
export function pointIn(text: string, now: number): number | undefined {
  const span = /^(\d+)\s*(s|m|min|h|d)$/.exec(text.trim())
  if (span !== null) return now - Number(span[1]) * (SPANS[(span[2] as string)[0] as string] as number)
  if (!/^\d{4}-\d\d-\d\d($|[T ])/.test(text.trim())) return undefined
  const written = text.trim()
  const at = Date.parse(written.length === 10 ? `${written}T00:00` : written)
  return Number.isNaN(at) ? undefined : at
}
