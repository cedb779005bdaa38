/** `move`: an account goes to another place in its pool, or to another pool. */

import type { Place } from '../../../npm/src/order.js'
import { visible } from '../../../npm/src/trust.js'
import { choose, nameable, shown } from '../accounts.js'
import { checkPeers, move } from '../deeds.js'
import { usage } from '../faults.js'
import { listAccounts, updateAccount } from '../library.js'
import type { Call } from '../run.js'
import { poolOf } from '../sentences.js'

const PLACES = ['up', 'down', 'first', 'last'] as const
const HELP = 'provider-auth help move'

export async function run({
  args: [name = '', place, other],
  options,
  out,
}: Call<{ namespace?: string }>): Promise<void> {
  const { namespace } = options
  if (place === undefined && namespace === undefined) throw usage('move says neither a place nor a pool', HELP)
  const all = await nameable()
  let account = choose(name, all)
  // Before anything is changed.
  if (place !== undefined && namespace === undefined) placeOf(place, other)
  if (namespace !== undefined) account = await updateAccount(account.id, { namespace })
  const to = place === undefined ? undefined : placeOf(place, other)
  const among = namespace === undefined ? all : await listAccounts()
  if (to !== undefined && typeof to === 'object') {
    const beside = choose(other ?? '', among)
    checkPeers(account, beside, among)
    if ('before' in to) to.before = beside.id
    else to.after = beside.id
  }
  const moved = to === undefined ? undefined : await move(account, to)
  const peers = moved?.peers ?? [account]
  out.answer(
    {
      account: (await shown([account]))[0],
      order: peers.map(({ id, label, priority }) => ({ id, label, priority })),
      changed: moved?.changed ?? 0,
    },
    () => {
      const order = peers.map(({ label }) => label).join(', ')
      const pool = poolOf(account)
      if (moved === undefined) return visible(`${account.label} is in ${pool} now`)
      const words = moved.changed === 0 ? `${account.label} stays where it is in ${pool}` : `the order of ${pool} now`
      return visible(`${words}: ${order}`)
    },
  )
}

function placeOf(place: string, other: string | undefined): Place {
  if (place === 'before' || place === 'after') {
    if (other === undefined) throw usage(`move … ${place} names no other account`, HELP)
    return place === 'before' ? { before: other } : { after: other }
  }
  const known = PLACES.find((word) => word === place)
  if (known === undefined) throw usage(`${place} is no place`, 'up, down, first, last, before <other> or after <other>')
  if (other !== undefined) throw usage(`move … ${place} takes no other account`, HELP)
  return known
}
