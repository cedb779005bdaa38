/**
 * Checks the options of calls that are made of JavaScript; those of the others are checked
 * natively, by the same list.
 */
import type { AuthError, AuthFetchOptions, LoginOptions } from '../../index.js'
import { checkOptions } from './library.js'
import { read } from './own.js'

type Kind = 'a string' | 'a function' | 'true or false' | 'a number of bytes'

const FETCH_OPTIONS: readonly (readonly [keyof AuthFetchOptions, ...Kind[]])[] = [
  ['provider', 'a string'],
  ['namespace', 'a string'],
  ['account', 'a string'],
  ['fetch', 'a function'],
  ['model', 'a string', 'a function'],
  ['session', 'a string', 'a function'],
  ['maxReplayBytes', 'a number of bytes'],
  ['peekStream', 'true or false'],
  ['onTrace', 'a function'],
]

const LOGIN_OPTIONS: readonly (readonly [keyof LoginOptions, ...Kind[]])[] = [
  ['onPrompt', 'a function'],
  ['confirmTrust', 'a function'],
  ['readCode', 'a function'],
]

/** Checks the options of `createAuthFetch`. */
export function checkFetchOptions(options: AuthFetchOptions): void {
  if (typeof options !== 'object' || options === null) throw invalid('options: expected an object')
  checkOptions('createAuthFetch', options)
  if (isAbsent(read(options, 'provider'))) throw invalid('provider: expected a string')
  checkKinds(options, FETCH_OPTIONS)
}

/** Checks those of the options of `login` and `startLogin` that the addon does not see. */
export function checkLoginOptions(call: 'login' | 'startLogin', options: LoginOptions): void {
  if (typeof options !== 'object' || options === null) throw invalid('options: expected an object')
  checkOptions(call, options)
  checkKinds(options, LOGIN_OPTIONS)
}

/** An error with the code of a wrong argument. */
export function invalid(message: string): AuthError {
  return Object.assign(new Error(message), { code: 'INVALID_ARGUMENT' as const })
}

function checkKinds<T extends object>(options: T, known: readonly (readonly [keyof T, ...Kind[]])[]): void {
  for (const [name, ...kinds] of known) {
    const value: unknown = read(options, name)
    if (!isAbsent(value) && !kinds.some((kind) => isOf(kind, value)))
      throw invalid(`${String(name)}: expected ${kinds.join(' or ')}`)
  }
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null
}

function isOf(kind: Kind, value: unknown): boolean {
  switch (kind) {
    case 'a string':
      return typeof value === 'string'
    case 'a function':
      return typeof value === 'function'
    case 'true or false':
      return typeof value === 'boolean'
    case 'a number of bytes':
      return typeof value === 'number' && value >= 0
  }
}
