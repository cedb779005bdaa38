/** Which providers `PROVIDER_AUTH_REGISTER` names. */
import type { AuthError } from '../../../index.js'
import { addon } from '../addon.js'
import { bare } from '../own.js'

const VARIABLE = 'PROVIDER_AUTH_REGISTER'

/** Somewhere that no request goes to: asking for its headers tells why a provider is not known. */
const NOWHERE = 'https://provider-auth.invalid'

/**
 * Returns the ids that the variable names, or `undefined` where it is not set: then every provider
 * is meant.
 *
 * @throws {AuthError} `INVALID_ARGUMENT` for an empty name, and what the library says of a provider
 *   that it does not know or whose project file is not trusted
 */
export function namedProviders(): readonly string[] | undefined {
  const text = process.env[VARIABLE]
  if (text === undefined) return undefined
  const names = text.split(',').map((name) => name.trim())
  if (names.includes('')) {
    const why = `${VARIABLE}: expected ids of providers, as in "openai,anthropic"; where it is unset, all are served`
    throw Object.assign(new Error(why), bare<Pick<AuthError, 'code'>>({ code: 'INVALID_ARGUMENT' }))
  }
  for (const name of names) checkName(name)
  return [...new Set(names)]
}

/** A configuration with a fault is told of with the first request, since nothing is known of names then. */
function checkName(name: string): void {
  if (addon.headerRules(name) !== null) return
  try {
    addon.authHeadersNow(name, undefined, NOWHERE, undefined, undefined, undefined, undefined, undefined, null)
  } catch (error) {
    if (error instanceof Error) error.message = `${VARIABLE}: ${error.message}`
    throw error
  }
}
