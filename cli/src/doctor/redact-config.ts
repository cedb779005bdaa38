/** A configuration with its form and choices, and without what is its owner's: texts stay only under keys that choose among known words. */
import type { Redact } from './redact.js'

/** Keys whose values are words of ours. */
const WORDS = new Set([
  '$schema',
  'extends',
  'clientAuth',
  'grants',
  'mode',
  'strategy',
  'idToken',
  'renewal',
  'means',
  'scope',
  'header',
  'scheme',
  'level',
])
/** Keys whose values are addresses: the origin stays, if it is everybody's. */
const ADDRESS =
  /^(?:issuer|resource|jwksUri|redirectUri|fallbackRedirectUris|origins|extraOrigins|modelsUrl|.*Endpoint)$/

export function redactConfig(value: unknown, redact: Redact, key = ''): unknown {
  if (typeof value === 'string') return shown(value, redact, key)
  if (Array.isArray(value)) return value.map((part) => redactConfig(part, redact, key))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [redact(name), redactConfig(part, redact, name)]),
  )
}

function shown(text: string, redact: Redact, key: string): string {
  const reference = /^\{(env|file):/.exec(text)?.[1]
  if (reference !== undefined) return `<from ${reference === 'env' ? 'a variable' : 'a file'}>`
  if (WORDS.has(key)) return redact(text)
  if (!ADDRESS.test(key)) return '<redacted>'
  try {
    const { origin, pathname } = new URL(text)
    return redact(origin) + (pathname.length > 1 ? '/…' : '')
  } catch {
    return '<no URL>'
  }
}
