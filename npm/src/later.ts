/**
 * Calls whose code is read when they are first called: what asks for headers alone starts in less than half the time.
 * `scripts/lib/bundle-library.mjs` has a program that loads `library.cjs` take this for `auth-fetch.ts` and `login.ts`.
 */
import type * as api from '../../index.js'
import { callerOf, from, traced } from './stack.js'

declare const __VERSION__: string
/** A part says which version it is of. */
type Part<M> = M & { version: string }
declare function require(name: './auth-fetch.js'): Part<typeof import('./auth-fetch.js')>
declare function require(name: './login.js'): Part<typeof import('./login.js')>

/** `createAuthFetch` of the contract. */
export function createAuthFetch(options: api.AuthFetchOptions): ReturnType<typeof api.createAuthFetch> {
  try {
    return ofThisVersion(require('./auth-fetch.js')).createAuthFetch(options)
  } catch (error) {
    throw from(callerOf(createAuthFetch), error)
  }
}

/** `startLogin` of the contract. */
export const startLogin: typeof api.startLogin = traced(async (options) =>
  ofThisVersion(require('./login.js')).startLogin(options),
)

/** `login` of the contract. */
export const login: typeof api.login = traced(async (options) => ofThisVersion(require('./login.js')).login(options))

function ofThisVersion<M>(part: Part<M>): M {
  if (part.version === __VERSION__) return part
  const why = `provider-auth ${__VERSION__} was replaced by version ${part.version} while this program runs: start it again`
  throw Object.assign(new Error(why), { code: 'ADDON_NOT_LOADED' })
}
