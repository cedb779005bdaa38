/** Which provider, and which way to sign in to it. */
import type { LoginOptions, ProviderSummary } from '../../../index.js'
import { LABELS } from '../../../npm/src/opencode/login-words.js'
import { EXIT, fault, usage } from '../faults.js'
import { configuredProviders } from '../library.js'
import { nearest } from '../nearest.js'
import { askChoice, askText, canAsk } from '../prompts.js'
import { counted } from '../sentences.js'
import { storedAccounts } from '../stored.js'
import type { Place } from './place.js'
import { trustedNow } from './trust.js'

export type Method = NonNullable<LoginOptions['method']>

const OTHER = ' an MCP server'

/** The provider that a person picks, or the name and address of an MCP server. */
export async function chosenProvider(): Promise<{ provider: string; resource?: string }> {
  const providers = await configuredProviders()
  if (!canAsk()) {
    const ids = providers.map(({ id }) => id).join(', ')
    throw usage(`name a provider: ${ids}; or your name for an MCP server`, 'provider-auth login <provider>')
  }
  const counts = new Map<string, number>()
  for (const { provider } of await storedAccounts()) counts.set(provider, (counts.get(provider) ?? 0) + 1)
  const rank = ({ id, configured }: ProviderSummary): number => (counts.has(id) ? 0 : configured ? 1 : 2)
  const sorted = [...providers].sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1))
  const answer = await askChoice('Which provider?', [
    ...sorted.map(({ id, configured }) => {
      const count = counts.get(id)
      const hint = count === undefined ? (configured ? 'configured' : '') : counted(count, 'account')
      return { value: id, label: id, ...(hint !== '' && { hint }) }
    }),
    { value: OTHER, label: 'an MCP server, by its address' },
  ])
  if (answer !== OTHER) return { provider: answer }
  const resource = (await askText('Address of the MCP server')).trim()
  return { provider: await askedName(resource), resource }
}

/** The name for an MCP server whose address alone was given. */
export async function askedName(resource: string): Promise<string> {
  if (!canAsk())
    throw usage('--resource takes a name for the server too', `provider-auth login <name> --resource ${resource}`)
  const host = URL.canParse(resource) ? new URL(resource).hostname.replace(/[^a-z0-9-]+/gi, '-') : ''
  return (await askText('Your name for it', host)).trim()
}

/** What is known of a provider; one that is not known ends the command with what to do. */
export async function summaryOf(provider: string): Promise<ProviderSummary> {
  const providers = await configuredProviders()
  const found = providers.find(({ id }) => id === provider)
  if (found !== undefined) return found
  if (await trustedNow(provider)) return summaryOf(provider)
  const near = nearest(
    provider,
    providers.map(({ id }) => id),
  )
  throw fault({
    code: 'UNKNOWN_PROVIDER',
    exit: EXIT.failed,
    provider,
    message: `${provider} is neither built in nor configured`,
    why: near === undefined ? `there are ${providers.map(({ id }) => id).join(', ')}` : `did you mean ${near}?`,
    next: 'configure it (provider-auth config edit); for an MCP server add --resource <url>',
  })
}

/** The ways that a person may choose from; asked only where there are several. */
export async function chosenMethod({ id, methods }: ProviderSummary): Promise<Method | undefined> {
  if (methods.length < 2) return undefined
  const options = methods.map((value) => ({ value, label: LABELS[value] }))
  return askChoice(`How do you want to sign in to ${id}?`, options)
}

/** The way that needs least of a person here. A page goes to the browser where one can come back. */
export function usualMethod(methods: readonly string[], place: Place): 'browser' | 'device' | 'paste' | undefined {
  const order =
    place === 'local' || place === 'wsl'
      ? (['browser', 'device', 'paste'] as const)
      : (['device', 'browser', 'paste'] as const)
  return order.find((method) => methods.includes(method))
}
