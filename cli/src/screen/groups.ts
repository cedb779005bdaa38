/** The accounts in groups: by provider and pool, each in the order in which its user wants them. */
import type { Account } from '../../../index.js'
import type { AccountStatus } from '../../../npm/src/opencode/status.js'
import { preferred } from '../../../npm/src/order.js'
import { statusesOf } from '../accounts.js'
import type { Next } from '../next.js'
import type { Standing } from '../pools.js'

export interface Group {
  provider: string
  namespace: string
  /** Absent of a provider that is not configured any more. */
  next?: Next
  accounts: Account[]
  /** Of the same accounts. */
  statuses: AccountStatus[]
}

export function groupsOf({ pools, accounts }: Standing): Group[] {
  const statuses = new Map(statusesOf(pools, accounts).map((status) => [status.id, status]))
  const nexts = new Map(pools.map((pool) => [keyOf(pool), pool.next]))
  const members = new Map<string, Account[]>()
  for (const account of accounts) members.set(keyOf(account), [...(members.get(keyOf(account)) ?? []), account])
  return [...members]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([key, group]) => {
      const ordered = preferred(group)
      const [first] = ordered
      if (first === undefined) return []
      const next = nexts.get(key)
      return {
        provider: first.provider,
        namespace: first.namespace,
        ...(next !== undefined && { next }),
        accounts: ordered,
        statuses: ordered.flatMap(({ id }) => statuses.get(id) ?? []),
      }
    })
}

/** Sorts by provider, and the usual pool first. */
function keyOf({ provider, namespace }: { provider: string; namespace: string }): string {
  return `${provider}\n${namespace === 'default' ? '' : namespace}`
}
