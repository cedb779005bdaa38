/** Tells requests that `createAuthFetch` sends from those of the program. */

/**
 * Marks the options of a request that has its credential, or is not to get one: a `fetch` of ours
 * in the process's place, of this or another copy of the package, sends it as it is.
 */
export const AUTHENTICATED: unique symbol = Symbol.for('provider-auth.authenticated') as never
