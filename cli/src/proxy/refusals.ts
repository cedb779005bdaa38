/** What the proxy answers where the provider does not, in the form that the SDKs of OpenAI, Anthropic and Google show. */
import type { AuthError } from '../../../index.js'
import { faultOf } from '../faults.js'

export interface Refusal {
  status: number
  code: string
  message: string
  /** Unix milliseconds. */
  retryAt?: number
}

const TYPES: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
}

/** The status of each code of the library; of the others it is 500. */
const STATUSES: Record<string, number> = {
  NO_ACCOUNT: 401,
  NEEDS_LOGIN: 401,
  ORIGIN_NOT_ALLOWED: 403,
  PROJECT_NOT_TRUSTED: 403,
  UNKNOWN_PROVIDER: 404,
  UNKNOWN_ACCOUNT: 400,
  INVALID_ARGUMENT: 400,
  EXHAUSTED: 429,
  REFRESH_FAILED: 503,
  VAULT_LOCKED: 503,
  KEYCHAIN_TIMEOUT: 503,
  STORE_UNAVAILABLE: 503,
}

/** What a client is told of an error of `createAuthFetch`. */
export function refusalOf(error: unknown): Refusal {
  const { code, retryAt } = error as Partial<AuthError>
  if (!isOurs(error)) return { status: 502, code: 'NETWORK', message: `the provider cannot be reached${why(error)}` }
  const { message, next } = faultOf(error)
  return {
    status: STATUSES[code as string] ?? 500,
    code: code as string,
    message: next === undefined ? message : `${message}; next: ${next}`,
    ...(retryAt !== undefined && { retryAt }),
  }
}

/** Errors of the library have a code of their own; what `fetch` throws has that of its cause. */
function isOurs(error: unknown): boolean {
  const { name, code } = error as { name?: unknown; code?: unknown }
  return name !== 'TypeError' && typeof code === 'string' && /^[A-Z_]+$/.test(code)
}

/** The system's words, which name a host or an address, and no secret. */
function why(error: unknown): string {
  const { cause } = error as { cause?: { code?: unknown; message?: unknown } }
  const words = [cause?.message, cause?.code].find((text) => typeof text === 'string' && text !== '')
  return words === undefined ? '' : `: ${words}`
}

/** Headers and body. The SDKs of OpenAI and Anthropic do not try again what says so: that was done, or would not help. */
export function answerOf(refusal: Refusal): [status: number, headers: Record<string, string>, body: string] {
  const { status, code, message, retryAt } = refusal
  const type = TYPES[status] ?? 'api_error'
  const body = JSON.stringify({ type: 'error', error: { type, message, code } })
  const wait = retryAt === undefined ? undefined : Math.max(0, Math.ceil((retryAt - Date.now()) / 1000))
  const headers = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    'x-should-retry': 'false',
    ...(wait !== undefined && { 'retry-after': String(wait) }),
  }
  return [status, headers, body]
}
