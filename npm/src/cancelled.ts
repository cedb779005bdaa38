/** The error of a login that the person or the program called off. */
import type { AuthError } from '../../index.js'

export function cancelled(): AuthError {
  return Object.assign(new Error('the login was cancelled'), { code: 'LOGIN_CANCELLED' as const })
}
