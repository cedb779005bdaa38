/**
 * What an instance of OpenCode starts with: what is known of its providers within the time that a
 * start may take, and what becomes of it when the rest is known.
 *
 * OpenCode draws nothing until the plugins are in place. So a vault that does not open in time, say
 * because its keychain asks a person, is gone on without: with what was known at the last start.
 */
import type { AuthError } from '../../../index.js'
import { read } from '../own.js'
import type { HostConfig } from './host.js'
import { keyVariable, listedVariables, readHostEntries } from './host-credentials.js'
import { isBlank, type Memory } from './remembered.js'
import { decideAll, type Facts, PLACEHOLDER } from './who-serves.js'

type Library = typeof import('../index.js')
type Account = Awaited<ReturnType<Library['listAccounts']>>[number]
type Provider = Awaited<ReturnType<Library['configuredProviders']>>[number]

/** The longest that the start waits for the vault; the whole hook may take 2 s. */
export const VAULT_MS = 1_500

/** The kinds of account that serve requests to models. */
const OF_MODELS: ReadonlySet<Account['kind']> = new Set(['oauth', 'api'])

/** What the vault says of accounts. */
export type Vault =
  | { state: 'read'; withAccounts: ReadonlySet<string> }
  | { state: 'late'; ready: Promise<Vault> }
  | { state: 'failed'; fault: AuthError; isEmpty: boolean }

/** Reads which providers have accounts of models, in the time that there is. */
export async function readVault(library: Library, servers: ReadonlySet<string>, within: number): Promise<Vault> {
  const reading = readAccounts(library, servers)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Vault>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, within), { state: 'late', ready: reading })
  })
  const vault = await Promise.race([reading, late])
  clearTimeout(timer)
  return vault
}

/** Reads them, however long it takes. */
export async function readAccounts(library: Library, servers: ReadonlySet<string>): Promise<Vault> {
  try {
    const accounts = await library.listAccounts()
    // What an MCP server is called by is no provider of models, even if one has the same name.
    const ofModels = accounts.filter(({ kind, provider }) => OF_MODELS.has(kind) && !servers.has(provider))
    return { state: 'read', withAccounts: new Set(ofModels.map(({ provider }) => provider)) }
  } catch (fault) {
    return { state: 'failed', fault: fault as AuthError, isEmpty: await isEmpty(library) }
  }
}

/** Whether there is no vault, so that no account was missed. */
async function isEmpty(library: Library): Promise<boolean> {
  try {
    const { state } = await library.vaultStatus()
    return state === 'empty'
  } catch {
    return false
  }
}

/** What is known besides the vault. */
export interface Known {
  config: HostConfig
  /** All that can be used: built in, or configured. */
  providers: readonly Pick<Provider, 'id' | 'configured'>[]
  untrusted: ReadonlySet<string>
  memory: Memory
  isOurs: Facts['isOurs']
}

/** Reads what the host has of its own. Once per instance: what is in its files now is what it starts with. */
export async function readHost(env: Readonly<Record<string, string | undefined>> = process.env) {
  const [entries, listed] = await Promise.all([readHostEntries(env), listedVariables(env)])
  return { entries, listed, env }
}

export type HostCredentials = Awaited<ReturnType<typeof readHost>>

/** Puts the facts together and decides. */
export function decisionsOf(known: Known, host: HostCredentials, vault: Vault): ReturnType<typeof decideAll> {
  const { config, providers, memory } = known
  const named = read(config, 'provider') ?? {}
  const hostHas = new Map<string, string>()
  const variables = { named, listed: host.listed }
  const ids = new Set([...Object.keys(named), ...providers.map(({ id }) => id), ...Object.keys(memory)])
  for (const id of ids) {
    const name = keyVariable(id, variables, host.env)
    if (name !== undefined) hostHas.set(id, `the variable ${name} is set`)
  }
  for (const [id, { type, isPlaceholder }] of host.entries) {
    const what = type === 'oauth' ? 'a login' : 'a key'
    hostHas.set(id, isPlaceholder ? PLACEHOLDER : `OpenCode has ${what} of its own in auth.json`)
  }
  return decideAll({
    named: new Map(Object.entries(named).map(([id, provider]) => [id, read(provider, 'options') ?? {}])),
    hostHas,
    withAccounts: withAccounts(vault, known),
    configured: new Set(providers.filter(({ configured }) => configured).map(({ id }) => id)),
    untrusted: known.untrusted,
    isOurs: known.isOurs,
  })
}

/**
 * Those with an account. While the vault cannot be read: those that had one at the last start; and
 * at the first start, where it has accounts of which nothing is known, all that may.
 */
export function withAccounts(
  vault: Vault,
  { memory, providers }: Pick<Known, 'memory' | 'providers'>,
): ReadonlySet<string> {
  if (vault.state === 'read') return vault.withAccounts
  const remembered = Object.keys(memory).filter((id) => read(memory[id], 'hasAccounts') === true)
  const isFirst = isBlank(memory)
  if (vault.state === 'failed' && isFirst && !vault.isEmpty) return new Set(providers.map(({ id }) => id))
  return new Set(remembered)
}
