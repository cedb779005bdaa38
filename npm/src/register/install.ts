/** Puts our `fetch` in the place of the process's. */
import { createAuthFetch } from '../index.js'
import { AUTHENTICATED } from '../marked.js'
import { read } from '../own.js'
import { addressOf, originOf } from './address.js'
import { namedProviders } from './names.js'
import { type Owners, ownersOf, providersWithAccounts } from './owners.js'

type Fetch = typeof globalThis.fetch
type Arguments = Parameters<Fetch>

/** Says that a `fetch` of ours is there, whichever copy of the package it is of. */
const REGISTERED = Symbol.for('provider-auth.registered')

/**
 * Registers once per realm: the process, or each of its worker threads.
 *
 * @throws {AuthError} what is wrong with `PROVIDER_AUTH_REGISTER`; `INVALID_CONFIG` where `fetch` cannot be replaced
 */
export function register(): void {
  const [names, original] = [namedProviders(), globalThis.fetch]
  if (Object.hasOwn(globalThis, REGISTERED) || typeof original !== 'function') return
  const place = Object.getOwnPropertyDescriptor(globalThis, 'fetch')
  if (place?.configurable === false || !Object.isExtensible(globalThis))
    throw Object.assign(new Error(FROZEN), { code: 'INVALID_CONFIG', path: 'globalThis.fetch' })
  const { enumerable = true } = place ?? {}
  const value = registered(original, names)
  Object.defineProperty(globalThis, 'fetch', { value, enumerable, writable: true, configurable: true })
  Object.defineProperty(globalThis, REGISTERED, { value: true })
}

const FROZEN =
  'globalThis.fetch: provider-auth/register cannot replace it, since it was frozen before; load provider-auth/register ' +
  'first, or leave it out and give createAuthFetch() to the clients'

/** Returns a `fetch` that serves providers, and hands all other calls on as they came. */
function registered(original: Fetch, names: readonly string[] | undefined): Fetch {
  const findOwners = ownersOf(names)
  const accounts = providersWithAccounts()
  const fetches = new Map<string, ReturnType<typeof createAuthFetch>>()
  const authFetch = (provider: string) => {
    const known = fetches.get(provider) ?? createAuthFetch({ provider, fetch: original })
    fetches.set(provider, known)
    return known
  }

  async function serve(owners: Owners | Promise<Owners>, self: unknown, call: Arguments): Promise<Response> {
    const [input, init] = call
    const address = addressOf(input) ?? ''
    const candidates = (await owners).get(originOf(address) ?? '')
    const provider = candidates === undefined ? undefined : await accounts.find(candidates, address)
    if (provider === undefined) return Reflect.apply(original, self, call)
    try {
      return await authFetch(provider)(input as string, init ?? {})
    } catch (fault) {
      if ((fault as { code?: unknown } | null)?.code !== 'NO_ACCOUNT') throw fault
      // Another process may have removed the last one.
      accounts.forget()
      const next = await accounts.find(candidates ?? [], address)
      if (next === provider || isSpent(input, init)) throw fault
      return next === undefined ? Reflect.apply(original, self, call) : authFetch(next)(input as string, init ?? {})
    }
  }

  function fetch(this: unknown, ...call: Arguments): Promise<Response> {
    const [input, init] = call
    // A `fetch` of `createAuthFetch` has seen to it already.
    if (init !== undefined && read(init as Marked, AUTHENTICATED) === true) return Reflect.apply(original, this, call)
    const address = addressOf(input)
    const origin = address === undefined ? undefined : originOf(address)
    if (origin === undefined) return Reflect.apply(original, this, call)
    const owners = findOwners()
    if (owners instanceof Promise || owners.has(origin)) return serve(owners, this, call)
    return Reflect.apply(original, this, call)
  }
  // What a program, or the other `fetch` of its runtime, has put there stays.
  for (const [name, place] of Object.entries(Object.getOwnPropertyDescriptors(original)))
    if (name !== 'prototype') Object.defineProperty(fetch, name, place)
  return fetch as Fetch
}

interface Marked {
  readonly [AUTHENTICATED]?: unknown
}

/** Whether a call has a body that was read already. */
function isSpent(input: unknown, init: RequestInit | undefined): boolean {
  const body = read(init, 'body')
  if (typeof body === 'object' && body !== null && ('getReader' in body || Symbol.asyncIterator in body)) return true
  return typeof input === 'object' && input !== null && (input as { bodyUsed?: unknown }).bodyUsed === true
}
