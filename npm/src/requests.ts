/**
 * `getAuthHeaders` and `reportResponse` of the contract: what is at hand settles at once, and only
 * the rest waits for the addon.
 */
import type * as api from '../../index.js'
import { type Addon, addon, type Rotation } from './addon.js'
import { askedBefore, askFirst, waitAsOne } from './again.js'
import { lentBy } from './lent.js'
import { read } from './own.js'
import { headersOf } from './reported.js'
import { reportServed } from './served.js'
import { callerOf, from } from './stack.js'
import { waitFor } from './waits.js'

/**
 * The options that are read on the path of every request, where a native look at all of them would
 * take too long.
 */
const REQUEST_OPTIONS: ReadonlySet<string> = new Set(addon.optionNames('getAuthHeaders'))
const REPORT_OPTIONS: ReadonlySet<string> = new Set(addon.optionNames('reportResponse'))

/** `getAuthHeaders` of the contract. */
export function getAuthHeaders(request: api.AuthRequest): Promise<api.AuthHeaders> {
  return headersFor(request, null, getAuthHeaders)
}

/** The options that take a look of the addon at the whole request. */
const LOOKED_AT = ['retryOf', 'explain', 'rotation'] as const

/**
 * Headers for a request, and for a `rotation` that was read before. What is at hand is handed out
 * without waiting for anything.
 */
export async function headersFor(
  request: api.AuthRequest,
  rotation: Rotation | null,
  called: (...args: never[]) => unknown = headersFor,
): Promise<api.AuthHeaders> {
  reportServed()
  try {
    const lease = leaseAtHand(request, rotation)
    if (lease !== undefined) return lease
  } catch (error) {
    throw from(callerOf(called), error)
  }
  const caller = callerOf(called)
  return waitAsOne(request, rotation, {
    atHand: () => leaseAtHand(request, rotation),
    wait: () => waitFor(request, (asked, wait) => addon.getAuthHeaders(asked, wait, rotation)),
  }).catch((error: unknown) => {
    throw from(caller, error)
  })
}

function leaseAtHand(request: api.AuthRequest, rotation: Rotation | null): api.AuthHeaders | undefined {
  let atHand: ReturnType<Addon['authHeadersAgain']> = null
  if (holdsOther(request, REQUEST_OPTIONS)) addon.checkOptions('getAuthHeaders', request)
  const number = askedBefore(request, rotation)
  if (number !== undefined) atHand = addon.authHeadersAgain(number)
  if (atHand === null && LOOKED_AT.every((name) => read(request, name) === undefined)) {
    const asked = {
      provider: read(request, 'provider'),
      namespace: read(request, 'namespace'),
      url: read(request, 'url'),
      model: read(request, 'model'),
      session: read(request, 'session'),
      account: read(request, 'account'),
      cacheTtl: read(request, 'cacheTtl'),
    }
    atHand = askFirst(asked, read(request, 'boundBy'), rotation)
  }
  if (atHand === null) return undefined
  const attempt = typeof atHand === 'string' ? atHand : atHand[0]
  const known = lentBy(attempt)
  if (known === undefined) return undefined
  const { accountId, headers, strip } = known
  const lease = { attempt, accountId, headers: { ...headers }, strip: strip.slice() }
  return typeof atHand === 'string' ? lease : { ...lease, url: atHand[1] }
}

/** `reportResponse` of the contract. A success is taken note of without waiting for anything. */
export async function reportResponse(report: api.ResponseReport): Promise<api.Verdict> {
  let [isTaken, judged] = [false, report]
  reportServed()
  try {
    if (holdsOther(report, REPORT_OPTIONS)) addon.checkOptions('reportResponse', report)
    const given = read(report, 'headers')
    const [body, failure] = [read(report, 'body'), read(report, 'failure')]
    const isPlainSuccess = body === undefined && failure === undefined
    isTaken = isPlainSuccess && isServed(report, given)
    const headers = isTaken ? given : (headersOf(given) as api.ResponseReport['headers'])
    if (headers !== given) {
      isTaken = isPlainSuccess && isServed(report, headers)
      const [attempt, status] = [read(report, 'attempt'), read(report, 'status')]
      judged = { attempt, status, headers, body, failure } as api.ResponseReport
    }
  } catch (error) {
    throw from(callerOf(reportResponse), error)
  }
  if (isTaken) return { action: 'deliver', delayMs: 0, reason: 'ok' }
  const caller = callerOf(reportResponse)
  return addon.reportResponse(judged).catch((error: unknown) => {
    throw from(caller, error)
  })
}

function isServed(report: api.ResponseReport, headers: api.ResponseReport['headers']): boolean {
  const lines = asLines(headers)
  return lines !== undefined && addon.reportServed(read(report, 'attempt'), read(report, 'status'), lines)
}

/**
 * Name and value of each header in turn, as lines; `undefined` for anything but a map of header
 * lines: `reportResponse` judges it.
 */
function asLines(headers: api.ResponseReport['headers']): string | undefined {
  if (headers == null) return ''
  if (typeof headers !== 'object' || Symbol.iterator in headers) return undefined
  let lines = ''
  for (const name of Object.keys(headers)) {
    const value: unknown = (headers as Record<string, unknown>)[name]
    if (typeof value !== 'string' || /[\r\n]/.test(name) || /[\r\n]/.test(value)) return undefined
    lines += `${name.toLowerCase()}\n${value}\n`
  }
  return lines
}

/**
 * Tells whether an object has something that is not one of these, as far as it can be told without
 * a look at its class.
 */
function holdsOther(options: object | undefined, known: ReadonlySet<string>): boolean {
  for (const name in options) if (!known.has(name)) return true
  return false
}
