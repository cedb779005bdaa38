/** What can be done with accounts, for the commands and the screen: a few calls of the library, and a sentence about what came of it. */
import type { Account } from '../../index.js'
import { noteAdded } from '../../npm/src/opencode/logout.js'
import { forgetAccount, pinsFile } from '../../npm/src/opencode/pins.js'
import { recall } from '../../npm/src/opencode/remembered.js'
import { mayServe } from '../../npm/src/opencode/status.js'
import { moveAccount, type Place } from '../../npm/src/order.js'
import { fullName } from './accounts.js'
import { EXIT, fault, faultOf, usage } from './faults.js'
import { clearCooldowns, listAccounts, poolStatus, refreshAccount, removeAccount, updateAccount } from './library.js'
import { hasVault } from './stored.js'

/** How many tokens are renewed at the same time: each is a request, often to the same host. */
const REFRESHES_AT_ONCE = 4

/** Gives an account a label; the library adds a number where another one of the pool has it. */
export async function rename({ id }: Account, label: string): Promise<Account> {
  return updateAccount(id, { label })
}

/** Switches accounts on or off; returns the pools that are left without an account that may serve. */
export async function setEnabled(
  accounts: readonly Account[],
  enabled: boolean,
): Promise<{ provider: string; namespace: string }[]> {
  for (const account of accounts) {
    await updateAccount(account.id, { enabled })
    // Where signing out of OpenCode had switched it off, that is over.
    if (enabled && recall()[account.provider]?.added?.includes(account.id)) noteAdded(account)
  }
  if (enabled) return []
  const all = await listAccounts()
  const pools = new Map(
    accounts.map(({ provider, namespace }) => [`${provider}\n${namespace}`, { provider, namespace }]),
  )
  return [...pools.values()].filter((pool) => all.filter(isOf(pool)).every((account) => !mayServe(account)))
}

/** Makes an account the first of its pool. */
export async function useFirst(account: Account): Promise<{ before?: Account; now?: Account; account: Account }> {
  const before = await firstOf(account)
  const { peers } = await moveAccount({ listAccounts, updateAccount }, account.id, 'first')
  const now = await firstOf(account)
  return {
    account: peers.find(({ id }) => id === account.id) ?? account,
    ...(before !== undefined && { before }),
    ...(now !== undefined && { now }),
  }
}

/** Moves an account within its pool; see `moveAccount`. */
export async function move(account: Account, place: Place): Promise<{ peers: Account[]; changed: number }> {
  return moveAccount({ listAccounts, updateAccount }, account.id, place)
}

export interface Refreshed {
  refreshed: Account[]
  skipped: { account: Account; why: string }[]
  failed: { account: Account; error: unknown }[]
}

/** Renews the tokens of logins, a few at a time; what has none to renew is skipped. */
export async function refresh(accounts: readonly Account[], force: boolean): Promise<Refreshed> {
  const done: Refreshed = { refreshed: [], skipped: [], failed: [] }
  const waiting = [...accounts]
  const work = async (): Promise<void> => {
    for (let account = waiting.shift(); account !== undefined; account = waiting.shift()) {
      const why = whyNotRefreshed(account)
      if (why !== undefined) {
        done.skipped.push({ account, why })
        continue
      }
      try {
        done.refreshed.push(await refreshAccount(account.id, { force }))
      } catch (error) {
        done.failed.push({ account, error })
      }
    }
  }
  await Promise.all(Array.from({ length: REFRESHES_AT_ONCE }, work))
  return done
}

/** Why a token is not renewed; `undefined` where it can be. */
export function whyNotRefreshed({ kind, refreshable, movedAt }: Account): string | undefined {
  if (kind === 'api') return 'an API key does not end'
  if (movedAt !== undefined) return 'it was moved to a bundle'
  return refreshable ? undefined : 'it has no refresh token; sign in again when it ends'
}

export async function clear(filter: { provider?: string; account?: string }): Promise<number> {
  return (await hasVault()) ? clearCooldowns(filter) : 0
}

/** Removes an account, and the choices of OpenCode's sessions that name it. */
export async function remove({ id }: Account, revoke: boolean): Promise<void> {
  await removeAccount(id, { revoke })
  try {
    forgetAccount(id, pinsFile())
  } catch {
    // A choice of an account that was removed has no effect.
  }
}

/** The exit code of several refreshes: that of the worst. */
export function exitOf(failed: Refreshed['failed']): number {
  const exits = failed.map(({ error }) => faultOf(error).exit)
  if (exits.length === 0) return EXIT.done
  return exits.includes(EXIT.needsLogin) ? EXIT.needsLogin : EXIT.failed
}

/** Refuses a move among accounts that never serve in turn. */
export function checkPeers(account: Account, other: Account, all: readonly Account[]): void {
  const [name, otherName] = [fullName(account, all), fullName(other, all)]
  if (account.id === other.id) throw usage(`${name} is the account itself`, 'provider-auth help move')
  if (!isOf(account)(other))
    throw fault({
      code: 'USAGE',
      exit: EXIT.usage,
      message: `${otherName} is in another pool than ${name}`,
      why: `the order of accounts is that of one pool: ${account.provider}, ${account.namespace}`,
      next:
        account.provider === other.provider
          ? `provider-auth move "${name}" --namespace ${other.namespace}`
          : 'provider-auth accounts',
    })
  if ((account.kind === 'api') !== (other.kind === 'api'))
    throw fault({
      code: 'USAGE',
      exit: EXIT.usage,
      message: `${name} and ${otherName} have no order`,
      why: 'one is a login and the other an API key: logins serve before API keys, and rotation.mode can choose one kind alone',
      next: 'provider-auth help move',
    })
}

/** The account that comes first in a pool as it stands. */
async function firstOf({ provider, namespace }: Account): Promise<Account | undefined> {
  const [pool] = await poolStatus({ provider, namespace })
  return pool?.accounts.find(mayServe)
}

function isOf(pool: { provider: string; namespace: string }): (account: Account) => boolean {
  return ({ provider, namespace }) => provider === pool.provider && namespace === pool.namespace
}
