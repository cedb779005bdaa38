/** The error of the calls about stores for many machines, where the addon has no store in it. */
import type { AuthError } from '../../index.js'

export function withoutStore(): AuthError {
  const message = 'this addon keeps vaults in folders alone: install provider-auth-postgres'
  return Object.assign(new Error(message), { code: 'STORE_REFUSED' as const })
}
