/** What to do where a login fails: the next step that fits this provider. */
import { join } from 'node:path'
import type { AuthError, ProviderSummary } from '../../../index.js'
import { inHome } from '../../../npm/src/home-folder.js'
import { visible } from '../../../npm/src/trust.js'
import { type Fault, fault, faultOf } from '../faults.js'
import type { Output } from '../output.js'
import { widthOf } from '../terminal.js'
import { wrapped } from '../text.js'

/** The error with the next step; what to register is printed before it. */
export function explained(error: unknown, provider: string, known: ProviderSummary | undefined, out: Output): unknown {
  const { code } = error as AuthError
  const again = `provider-auth login ${provider}`
  const but = (parts: Partial<Fault>): Error => fault({ ...faultOf(error), provider, ...parts })
  switch (code) {
    case 'CLIENT_ID_REQUIRED':
      return but(withoutClient(provider, known, out))
    case 'CALLBACK_PORT_BUSY': {
      const device = known?.methods.includes('device') === true ? `, or ${again} --method device` : ''
      return but({ next: `end that program, or: ${again} --method paste${device}` })
    }
    case 'LOGIN_TIMEOUT':
      return but({ next: `${again}, with a larger --timeout if that was too short` })
    case 'LOGIN_FAILED':
      // The server's own code (RFC 6749, section 5.2).
      if (/\b(invalid_client|unauthorized_client)\b/.test((error as AuthError).message))
        return but({ next: `correct clientId or clientSecret of ${provider}: provider-auth config edit` })
      return but({ next: again })
    case 'LOGIN_DENIED':
      return but({ next: again })
    default:
      return error
  }
}

function withoutClient(provider: string, known: ProviderSummary | undefined, out: Output): Partial<Fault> {
  const { registration, terms, methods, keyVariables = [] } = known ?? {}
  const isExplained = registration !== undefined && !out.json
  if (isExplained) process.stderr.write(`${registrationLines(provider, registration).join('\n')}\n\n`)
  // Of a built-in provider whose keys are not known, none is said to exist.
  const takesKeys = keyVariables.length > 0 || (terms === undefined && methods?.includes('api-key') === true)
  const first = methods?.includes('api-key') === true ? '' : 'set its origins there and '
  const key = takesKeys ? `${first}add an API key: provider-auth login ${provider} --with-token` : undefined
  const client = registration === undefined ? undefined : `add its client to ${configFile()}`
  const next = [client, key].filter((step) => step !== undefined).join(', or ')
  return {
    // A server of the user's own, or an MCP server, has no terms that are known here.
    ...(terms !== undefined && {
      message:
        registration === undefined
          ? `no login at ${provider} is known for other programs than its own`
          : `a login at ${provider} takes an OAuth client of your own`,
      ...(!isExplained && { why: terms }),
    }),
    ...(next !== '' && { next }),
  }
}

type Registration = NonNullable<ProviderSummary['registration']>

function registrationLines(provider: string, { url, steps, settings }: Registration): string[] {
  const values = settings.map(({ key, value }) => [key, key === 'origins' ? [value] : value])
  const snippet = JSON.stringify({ providers: { [provider]: Object.fromEntries(values) } }, undefined, 2)
  const width = widthOf(process.stderr) - 1
  return [
    `A login at ${provider} takes a client of your own. Where to register it:`,
    visible(url),
    ...steps.flatMap((step, index) => wrapped(visible(step), width, [`  ${index + 1}. `, '     '])),
    ...wrapped(`Then add this to ${visible(configFile())}:`, width),
    ...snippet.split('\n').map(visible),
  ]
}

/** The user's own configuration, where the library looks for it. */
function configFile(env: NodeJS.ProcessEnv = process.env): string {
  if (env.PROVIDER_AUTH_CONFIG) return env.PROVIDER_AUTH_CONFIG
  const base =
    process.platform === 'win32'
      ? env.APPDATA || inHome('AppData', 'Roaming')
      : env.XDG_CONFIG_HOME || inHome('.config')
  return join(base, 'provider-auth', 'config.jsonc')
}
