/**
 * What `createAuthFetch` asks for the headers of a request. The usual request is answered without
 * an object for the addon to look at: that would take longer than all the rest.
 */
import type { AuthHeaders, AuthRequest } from '../../index.js'
import { addon, type Rotation } from './addon.js'
import { askedBefore, askFirst } from './again.js'
import { lentBy } from './lent.js'
import { bare } from './own.js'
import { reportServed } from './served.js'
import { callerOf, from } from './stack.js'

/** All that a request says of itself. */
export interface Ask {
  readonly provider: string
  readonly namespace: string | undefined
  readonly url: string
  readonly model: string | undefined
  readonly session: string | undefined
  readonly account: string | undefined
  readonly boundBy: string | undefined
  readonly cacheTtl: string | undefined
}

/**
 * Returns what is at hand, nothing where something must be waited for. Errors begin where `called`
 * was called, if it is running.
 */
export function leaseNow(
  ask: Ask,
  rotation: Rotation | null,
  called: (...args: never[]) => unknown = leaseNow,
): AuthHeaders | undefined {
  reportServed()
  let atHand: ReturnType<typeof addon.authHeadersAgain> = null
  try {
    const number = askedBefore(ask as AuthRequest, rotation)
    if (number !== undefined) atHand = addon.authHeadersAgain(number)
    atHand ??= askFirst(ask, ask.boundBy, rotation)
  } catch (error) {
    throw from(callerOf(called), error)
  }
  if (atHand === null) return undefined
  const attempt = typeof atHand === 'string' ? atHand : atHand[0]
  const lent = lentBy(attempt)
  if (lent === undefined) return undefined
  const { accountId, headers, strip } = lent
  const lease = { attempt, accountId, headers, strip } as AuthHeaders
  if (typeof atHand !== 'string') lease.url = atHand[1]
  return lease
}

/** Returns the same as options of `getAuthHeaders`. */
export function requestOf(ask: Ask, signal: AbortSignal | undefined): AuthRequest {
  const request = bare<Record<string, unknown>>(ask as unknown as Record<string, unknown>)
  for (const name in request) if (request[name] === undefined) delete request[name]
  if (signal !== undefined) request.signal = signal
  return request as unknown as AuthRequest
}
