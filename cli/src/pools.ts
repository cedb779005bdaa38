/** The vault and its pools as they stand: one reading, for `status` and the screen. */
import type { Account, PoolStatus, VaultStatus } from '../../index.js'
import { configuredProviders, listAccounts, poolStatus, vaultStatus } from './library.js'
import { type Next, nextOf } from './next.js'
import { type FirstStep, firstStep } from './stored.js'

export interface Standing {
  at: number
  /** What comes first, where there is no vault yet. */
  first?: FirstStep
  accounts: Account[]
  pools: (PoolStatus & { next: Next })[]
}

/** Asked once: to find it out takes longer than a look. */
let first: Promise<FirstStep> | undefined

/** Reads how the pools stand; a vault that is not there is not made. */
export async function readStanding(filter: { provider?: string } = {}): Promise<Standing> {
  const at = Date.now()
  if ((await vaultStatus()).state === 'empty') {
    first ??= firstStep(filter.provider)
    return { at, first: await first, accounts: [], pools: [] }
  }
  const [pools, accounts, providers] = await Promise.all([
    poolStatus(filter),
    listAccounts(filter),
    configuredProviders(),
  ])
  const nexts = await Promise.all(pools.map((pool) => nextOf(pool, providers, at)))
  return {
    at,
    accounts,
    pools: pools.flatMap((pool, index) => {
      const next = nexts[index]
      return next === undefined ? [] : [{ ...pool, next }]
    }),
  }
}

/** The vault in a line: `open, key in the keychain, 3 accounts, ~/…`. */
export function vaultWords({ state, keySource, dir, store }: VaultStatus): string {
  const place = store === undefined ? dir : `${store.where}, ${store.state}`
  return state === 'empty' ? `empty (${place})` : `${state}, key from ${keySource} (${place})`
}
