/**
 * Requests that were asked for lately. One that comes again is put to the addon by its number, so
 * that nothing of it is read a second time.
 */
import type * as api from '../../index.js'
import { type Addon, addon, type Rotation } from './addon.js'
import { ASKED_CONVERSATIONS, ASKED_OF_ONE } from './limits.js'

/** The fields that tell one request from another, as they were read. */
export type Asked = Readonly<
  Record<'provider' | 'namespace' | 'url' | 'model' | 'session' | 'account' | 'cacheTtl', unknown>
>

interface Noted extends Asked {
  readonly rotation: Rotation | null
}

interface Numbered extends Noted {
  readonly number: number
}

/** By conversation, the oldest first, and so are those of one. */
const asked = new Map<unknown, readonly Numbered[]>()

/** Has what every object of the process inherits. */
const bystander: Partial<api.AuthRequest> = {}

/** Returns the number of a request that was asked for before, if it has one. */
export function askedBefore(request: api.AuthRequest, rotation: Rotation | null): number | undefined {
  if (!isPlain(request)) return undefined
  return asked.get(request.session)?.find((known) => isSame(known, request, rotation))?.number
}

/** Asks for the first time: returns what is at hand, and notes the number that stands for it from now on. */
export function askFirst(
  what: Asked,
  boundBy: unknown,
  rotation: Rotation | null,
): ReturnType<Addon['authHeadersAgain']> {
  const { provider, namespace, url, model, session, account, cacheTtl } = what
  const first = addon.authHeadersNow(provider, namespace, url, model, session, account, boundBy, cacheTtl, rotation)
  if (first === null) return null
  const [attempt, placed, number] = first
  if (number !== null) noteAsked(what, rotation, number)
  return placed === null ? attempt : [attempt, placed]
}

/** Notes the number of what was asked. */
function noteAsked(what: Asked, rotation: Rotation | null, number: number): void {
  const known = asked.get(what.session) ?? []
  if (known.length === 0 && asked.size >= ASKED_CONVERSATIONS) asked.delete(asked.keys().next().value)
  const others = known.filter((other) => !isSame(other, what, rotation))
  asked.set(what.session, [...others.slice(1 - ASKED_OF_ONE), { ...what, rotation, number }])
}

interface Waited extends Noted {
  readonly outcome: Promise<api.AuthHeaders>
}

/** By conversation. */
const waited = new Map<unknown, readonly Waited[]>()

/**
 * Waits for what is not at hand. Of the same requests at once one waits for the addon; the others then find it at hand, or
 * fail for the same reason.
 */
export async function waitAsOne(
  request: api.AuthRequest,
  rotation: Rotation | null,
  { atHand, wait }: { atHand(): api.AuthHeaders | undefined; wait(): Promise<api.AuthHeaders> },
): Promise<api.AuthHeaders> {
  // An abort ends the wait of one.
  if (!isPlain(request) || request.signal != null) return wait()
  const others = waited.get(request.session) ?? []
  const same = others.find((other) => isSame(other, request, rotation))
  if (same !== undefined) {
    await same.outcome.catch((error: unknown) => {
      throw error instanceof Error ? likewise(error) : error
    })
    return atHand() ?? wait()
  }
  if (others.length >= ASKED_OF_ONE) return wait()
  const { provider, namespace, url, model, session, account, cacheTtl } = request
  const one = { provider, namespace, url, model, session, account, cacheTtl, rotation, outcome: wait() }
  waited.set(session, [...others, one])
  try {
    return await one.outcome
  } finally {
    const left = waited.get(session)?.filter((other) => other !== one) ?? []
    if (left.length > 0) waited.set(session, left)
    else waited.delete(session)
  }
}

/** An error of its own for each caller, who may read where it was called, and change it. */
function likewise(error: Error): Error {
  return Object.defineProperties(new Error(error.message), Object.getOwnPropertyDescriptors(error))
}

/**
 * Tells whether nothing in a request is about this very one, and all that is read of it is its own:
 * told faster than property by property, on the path of every request.
 */
function isPlain(request: api.AuthRequest): boolean {
  if (typeof request !== 'object' || request === null) return false
  if (request.retryOf !== undefined || request.boundBy !== undefined || request.explain !== undefined) return false
  if (request.rotation !== undefined) return false
  const prototype = Object.getPrototypeOf(request)
  return prototype === null || (prototype === Object.prototype && !inheritsField())
}

/** Tells whether all objects inherit one of the fields. Spelled out, since a loop takes as long as all else here. */
function inheritsField(): boolean {
  return !(
    bystander.provider === undefined &&
    bystander.namespace === undefined &&
    bystander.url === undefined &&
    bystander.model === undefined &&
    bystander.session === undefined &&
    bystander.account === undefined &&
    bystander.cacheTtl === undefined
  )
}

function isSame(known: Noted, what: Asked | api.AuthRequest, rotation: Rotation | null): boolean {
  return (
    known.rotation === rotation &&
    known.url === what.url &&
    known.model === what.model &&
    known.provider === what.provider &&
    known.namespace === what.namespace &&
    known.account === what.account &&
    known.cacheTtl === what.cacheTtl
  )
}
