/** Which providers `PROVIDER_AUTH_REGISTER` names. */
import type { AuthError } from '../../../index.js'
import { addon } from '../addon.js'

const VARIABLE = 'PROVIDER_AUTH_REGISTER'

/** A provider that every configuration has which can be read. */
const BUILT_IN = 'openai'

/**
 * Returns the ids that the variable names, or `undefined` where it is not set: then every provider
 * is meant.
 *
 * @throws {AuthError} `INVALID_ARGUMENT` for an empty name, `UNKNOWN_PROVIDER` for an unknown one, or
 *   that only a project's file defines which is not trusted
 */
export function namedProviders(): readonly string[] | undefined {
  const text = process.env[VARIABLE]
  if (text === undefined) return undefined
  const names = text.split(',').map((name) => name.trim())
  if (names.includes('')) {
    throw fault(
      'INVALID_ARGUMENT',
      'expected ids of providers, as in "openai,anthropic"; where it is unset, all are served',
    )
  }
  for (const name of names) {
    if (isKnown(name) || !isKnown(BUILT_IN)) continue
    const where = '`provider-auth config show` lists them, and `provider-auth config check` says what is wrong'
    throw fault('UNKNOWN_PROVIDER', `${JSON.stringify(name)} is not a provider that can be used: ${where}`)
  }
  return [...new Set(names)]
}

/** Whether this is a provider. A configuration with a fault has none, which the first request tells. */
function isKnown(provider: string): boolean {
  return addon.headerRules(provider) !== null
}

function fault(code: AuthError['code'], why: string): AuthError {
  return Object.assign(new Error(`${VARIABLE}: ${why}`), { code })
}
