/** The order that a person gives the accounts of a pool: by priority, lowest first. */
import type { Account } from '../../index.js'

type Library = Pick<typeof import('./index.js'), 'listAccounts' | 'updateAccount'>
type Ordered = Pick<Account, 'id' | 'provider' | 'namespace' | 'kind' | 'priority' | 'createdAt'>

/** How often an order is set again that another process has changed meanwhile. */
const MOST_TRIES = 3

/** Where an account is to stand: first, last, one place on, or beside another one of its pool. */
export type Place = 'first' | 'last' | 'up' | 'down' | { before: string } | { after: string }

/**
 * The accounts of one pool in the order in which their user wants them: logins before API keys, as
 * they serve, then by priority, then by age. Rests and quotas do not change it.
 */
export function preferred<T extends Ordered>(accounts: readonly T[]): T[] {
  const tier = ({ kind }: Ordered) => (kind === 'api' ? 1 : 0)
  return [...accounts].sort(
    (a, b) =>
      tier(a) - tier(b) ||
      a.priority - b.priority ||
      a.createdAt - b.createdAt ||
      (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
  )
}

/** Those that an account can be moved among: of its pool, and as it a login or an API key. */
export function peersOf<T extends Ordered>(account: Ordered, accounts: readonly T[]): T[] {
  return preferred(
    accounts.filter(
      ({ provider, namespace, kind }) =>
        provider === account.provider &&
        namespace === account.namespace &&
        (kind === 'api') === (account.kind === 'api'),
    ),
  )
}

/** Whether an account comes before all others that it can be moved among. */
export function isFirst(account: Ordered, accounts: readonly Ordered[]): boolean {
  return peersOf(account, accounts).every(({ id, priority }) => id === account.id || account.priority < priority)
}

/**
 * The new priorities that bring an account to a place among its peers, those of the fewest accounts,
 * in the order in which they are to be set: the order of all others stays as it is at each step.
 */
export function renumbered(
  account: Ordered,
  index: number,
  accounts: readonly Ordered[],
): Pick<Account, 'id' | 'priority'>[] {
  const others = peersOf(account, accounts).filter(({ id }) => id !== account.id)
  const before = others.slice(0, index)
  const behind = others.slice(index)
  const low = before.at(-1)?.priority ?? Number.NEGATIVE_INFINITY
  const high = behind[0]?.priority ?? Number.POSITIVE_INFINITY
  if (low < account.priority && account.priority < high) return []
  if (behind.length === 0) return [{ id: account.id, priority: low + 1 }]
  if (high - low > 1) return [{ id: account.id, priority: high - 1 }]
  const later = shifted(behind, low + 1, 1)
  const sooner = shifted(before.toReversed(), high - 1, -1)
  return later.length <= sooner.length
    ? [...later.toReversed(), { id: account.id, priority: low + 1 }]
    : [...sooner.toReversed(), { id: account.id, priority: high - 1 }]
}

/** Makes room: accounts beginning beside `taken` go on in the direction of `step` as far as they must. */
function shifted(accounts: readonly Ordered[], taken: number, step: 1 | -1): Pick<Account, 'id' | 'priority'>[] {
  const changes: Pick<Account, 'id' | 'priority'>[] = []
  let [last, lastWas] = [taken, Number.NaN]
  for (const { id, priority } of accounts) {
    // Equals stay equal.
    const nearest = priority === lastWas ? last : last + step
    lastWas = priority
    if ((priority - nearest) * step >= 0) break
    last = nearest
    changes.push({ id, priority: nearest })
  }
  return changes
}

/**
 * Moves an account within its pool. Where another process moves accounts of the pool at the same
 * time, it is moved once more.
 *
 * @returns the accounts that it was moved among, in their new order, and how many priorities were set
 */
export async function moveAccount(
  library: Library,
  id: string,
  place: Place,
): Promise<{ peers: Account[]; changed: number }> {
  let changed = 0
  /** The account it is to stand behind: one place up is meant from where it stood first. */
  let left: { id: string | undefined } | undefined
  for (let tries = 0; ; tries += 1) {
    const all = await library.listAccounts()
    const account = all.find((other) => other.id === id)
    // The call says that it was removed.
    if (account === undefined) return { peers: [await library.updateAccount(id, {})], changed }
    const peers = peersOf(account, all)
    const rest = peers.filter((other) => other.id !== id)
    const now = peers.indexOf(account)
    const index = left === undefined ? indexOf(place, rest, now) : rest.findIndex((other) => other.id === left?.id) + 1
    const stays = left === undefined && index === now && (place === 'up' || place === 'down')
    const changes = stays ? [] : renumbered(account, index, all)
    if (changes.length === 0 || tries === MOST_TRIES) return { peers, changed }
    left ??= { id: rest[index - 1]?.id }
    for (const change of changes) await library.updateAccount(change.id, { priority: change.priority })
    changed += changes.length
  }
}

/** The index of a place among the others, for an account that stands at `now`. */
function indexOf(place: Place, rest: readonly Account[], now: number): number {
  if (place === 'first') return 0
  if (place === 'last') return rest.length
  if (place === 'up') return Math.max(0, now - 1)
  if (place === 'down') return Math.min(rest.length, now + 1)
  const beside = 'before' in place ? place.before : place.after
  const index = rest.findIndex(({ id }) => id === beside)
  if (index < 0) return now
  return 'before' in place ? index : index + 1
}
