/** Which providers an address may belong to, and which of them serves it. */
import type { ProviderSummary } from '../../../index.js'
import { addon } from '../addon.js'
import { configuredProviders, explain, factsVersion, subscribe } from '../library.js'

/** The providers of each origin, in the order in which they are asked for an account. */
export type Owners = ReadonlyMap<string, readonly ProviderSummary[]>

/** The pause after which a configuration with a fault is read again. */
const READ_AGAIN_MS = 5_000

const NONE: Owners = new Map()

/** Answers with the owners of every origin, at once where they are known. */
export type FindOwners = () => Owners | Promise<Owners>

/**
 * Returns what finds the owners under the configuration as it is. It is read with the first
 * request, and again after this process was told of another one.
 */
export function ownersOf(names: readonly string[] | undefined): FindOwners {
  let [known, version, voidAt]: [Owners | Promise<Owners> | undefined, number, number] = [undefined, -1, Infinity]
  let hasWarned = false
  const read = async (): Promise<Owners> => {
    const asked = factsVersion()
    let owners = NONE
    try {
      owners = sorted(await configuredProviders(), names)
      voidAt = Infinity
    } catch (fault) {
      voidAt = performance.now() + READ_AGAIN_MS
      const why = `provider-auth/register serves no request: ${(fault as Error).message}`
      if (!hasWarned) process.emitWarning(why, { code: (fault as { code?: string }).code ?? '' })
      hasWarned = true
    }
    if (asked === version) known = owners
    return owners
  }
  return () => {
    const isOld = version !== factsVersion() || (voidAt !== Infinity && performance.now() > voidAt)
    if (known === undefined || isOld) {
      version = factsVersion()
      voidAt = Infinity
      known = read()
    }
    return known
  }
}

/** Those that are named come in the order of the names; else what the user has configured is before what is built in. */
function sorted(providers: readonly ProviderSummary[], names: readonly string[] | undefined): Owners {
  const rank = ({ id, configured }: ProviderSummary) => names?.indexOf(id) ?? (configured ? 0 : 1)
  const owners = new Map<string, ProviderSummary[]>()
  for (const provider of providers.filter(({ id }) => names?.includes(id) ?? true).sort((a, b) => rank(a) - rank(b)))
    for (const origin of provider.origins) owners.set(origin, [...(owners.get(origin) ?? []), provider])
  return owners
}

/** Finds the provider with accounts that an address belongs to. */
export type FindProvider = (candidates: readonly ProviderSummary[], address: string) => Promise<string | undefined>

/**
 * Returns what finds it. Which providers have accounts is kept until accounts go; those without are
 * asked again with each request, so that an account serves from the moment when it is added.
 */
export function providersWithAccounts(): { find: FindProvider; forget(): void } {
  const withAccounts = new Set<string>()
  let isListening = false
  const hasAccounts = async (provider: string, url: string): Promise<boolean> => {
    if (withAccounts.has(provider)) return true
    // Opening a vault would make one, and may ask a keychain.
    if (!(await addon.hasVault())) return false
    const { accounts } = await explain({ provider, url })
    if (accounts.length > 0) withAccounts.add(provider)
    return accounts.length > 0
  }
  const forget = () => withAccounts.clear()
  return {
    forget,
    async find(candidates, address) {
      if (!isListening) subscribe(({ type }) => void (type === 'account_removed' && forget()))
      isListening = true
      for (const { id } of fitting(candidates, address)) if (await hasAccounts(id, address)) return id
      return undefined
    },
  }
}

/**
 * Those whose address this is: an MCP server's is its path, and all below it; any other provider's
 * is the whole origin, and comes after.
 */
export function fitting(candidates: readonly ProviderSummary[], address: string): readonly ProviderSummary[] {
  const { pathname } = new URL(address)
  const depth = ({ resource }: ProviderSummary): number => {
    if (resource === undefined) return 0
    const base = new URL(resource).pathname.replace(/\/$/, '')
    return pathname === base || pathname.startsWith(`${base}/`) ? base.length + 1 : -1
  }
  return candidates.filter((provider) => depth(provider) >= 0).sort((a, b) => depth(b) - depth(a))
}
