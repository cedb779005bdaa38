/** The accounts as the command shows them: those of a pool in the order in which they would serve. */
import { type AccountStatus, accountStatus } from '../../npm/src/opencode/status.js'
import { poolStatus } from './library.js'

export async function listed(filter: { provider?: string; namespace?: string }): Promise<AccountStatus[]> {
  const pools = await poolStatus(filter)
  return pools.flatMap(({ accounts }) =>
    accounts.map((account, index) => accountStatus(account, account.enabled ? index + 1 : undefined, false)),
  )
}
