/** Times, numbers and reasons of a report in words. */
import { span } from '../words.js'
import type { Report } from './figures.js'

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `27 Nov`, `27 Nov 14:00`; short of an hour `14:00`. In UTC, as everything is counted. */
export function stamp(at: number, step: Report['step'], length: 'short' | 'long' = 'long'): string {
  const date = new Date(at)
  const day = `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`
  if (step === 'day') return day
  const hour = `${String(date.getUTCHours()).padStart(2, '0')}:00`
  return length === 'short' ? hour : `${day} ${hour}`
}

/** `21 Nov – 27 Nov 2026 (UTC)`. */
export function rangeWords({ from, to, step }: Pick<Report, 'from' | 'to' | 'step'>): string {
  const [first, last] = [stamp(from, step), stamp(to, step)]
  const year = new Date(to).getUTCFullYear()
  return `${first === last ? '' : `${first} – `}${last} ${year} (UTC)`
}

/** `12,345`, with a comma in every language: a report is read elsewhere. */
export function number(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 1 })
}

/** `12,345`, `1.2k`, `3.4M`: for an axis. */
export function short(value: number): string {
  if (value >= 1_000_000) return `${number(value / 1_000_000)}M`
  return value >= 10_000 ? `${number(value / 1000)}k` : number(value)
}

/** `2 h 5 min`; `850 ms` of what is less than a second. */
export function time(ms: number): string {
  return ms > 0 && ms < 1000 ? `${Math.round(ms)} ms` : span(ms)
}

/** The same for an axis: `1.5 h`. */
export function shortTime(ms: number): string {
  const [size, name] =
    ms >= 86_400_000
      ? [86_400_000, 'd']
      : ms >= 3_600_000
        ? [3_600_000, 'h']
        : ms >= 60_000
          ? [60_000, 'min']
          : [1000, 's']
  return `${number((ms as number) / (size as number))} ${name}`
}

const REASONS: Record<string, string> = {
  throttled: 'throttled',
  rate_limited: 'rate limited',
  quota_exhausted: 'quota exhausted',
  out_of_credit: 'out of credit',
  needs_login: 'sign-in needed',
  token_expired: 'token expired',
  resting: 'account at rest',
  client_error: 'request refused',
}

/** A reason in words. */
export function reasonWords(reason: string): string {
  return REASONS[reason] ?? reason.replaceAll('_', ' ')
}
