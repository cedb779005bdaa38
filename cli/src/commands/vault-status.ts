/** `vault status`, and `vault` by itself: where the vault is, and how its store stands. */
import { closedFault, storeRows, vaultRows } from '../key-words.js'
import { vaultStatus } from '../library.js'
import type { Call } from '../run.js'
import { table } from '../table.js'

export async function run({ out }: Call): Promise<void> {
  const found = await vaultStatus()
  const { store, dir, state, accounts, quarantined } = found
  out.answer({ ...(store !== undefined && { store }), dir, state, accounts, quarantined }, () => {
    const rows = [...storeRows(found, out.colour), ...vaultRows(found, out.colour)]
    return table(
      [],
      rows.map(([name = '', ...values]) => [out.colour.dim(name), ...values]),
    )
  })
  if (store?.state === 'offline') out.say('What is fresh serves on; nothing is renewed until the store answers.')
  const closed = closedFault(found)
  if (closed !== undefined) throw closed
}
