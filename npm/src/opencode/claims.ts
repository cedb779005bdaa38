/** Which providers are ours where the plugin cannot start, as far as that can be told. */
import { VARIABLES } from './host-credentials.js'
import { isBlank, recall } from './remembered.js'
import type { Known, Vault } from './start.js'

/** The longest that the start waits for it. */
const CLAIMS_MS = 1_500

type Claims = Pick<Known, 'providers' | 'untrusted' | 'memory'> & { vault: Vault }

/**
 * Reads what a configuration with a fault still tells, and the accounts.
 *
 * @param inline the providers that the plugin's own options name
 * @param named the providers of opencode.json
 */
export async function readClaims(inline: readonly string[], named: readonly string[]): Promise<Claims> {
  const memory = recall()
  const told = await ask()
  const configured = new Set([...inline, ...(told?.configured ?? [])])
  // At the first start, where even that cannot be told, every one that is named may be meant.
  if ((told?.mayLack ?? true) && isBlank(memory)) for (const id of named) configured.add(id)
  const known = new Set([...VARIABLES.keys(), ...configured, ...Object.keys(memory)])
  const isMeant = (id: string) => configured.has(id) || memory[id]?.ours === true
  return {
    memory,
    untrusted: new Set(),
    providers: [...known].map((id) => ({ id, configured: isMeant(id) })),
    vault: { state: 'read', withAccounts: new Set([...(told?.withAccounts ?? []), ...remembered(memory)]) },
  }
}

function remembered(memory: Known['memory']): string[] {
  return Object.keys(memory).filter((id) => memory[id]?.hasAccounts === true)
}

/** What the addon tells, if it loads and the vault opens in time. */
async function ask() {
  try {
    const { addon } = await import('../addon.js')
    const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), CLAIMS_MS).unref())
    return await Promise.race([addon.claimedProviders(), late])
  } catch {
    return undefined
  }
}
