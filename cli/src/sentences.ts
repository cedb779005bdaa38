/** What came of a deed, as a person reads it. */
import type { Account } from '../../index.js'
import type { useFirst } from './deeds.js'

/** Goes on with how, where no vault can be made yet. */
export const PLACE_FIRST = "First make a place for the vault's key, in a shell"

/** `work`, or in another pool than the usual one `work (pool team)`. */
export function nameOf({ label, namespace }: Pick<Account, 'label' | 'namespace'>): string {
  return namespace === 'default' ? label : `${label} (pool ${namespace})`
}

export function poolOf({ provider, namespace }: Pick<Account, 'provider' | 'namespace'>): string {
  return namespace === 'default' ? provider : `${provider}, pool ${namespace}`
}

export function useWords({ account, before, now }: Awaited<ReturnType<typeof useFirst>>): string {
  const { label } = account
  const pool = poolOf(account)
  if (now?.id === account.id) {
    if (before?.id === account.id) return `${label} serves first in ${pool}, as before`
    return `${label} serves first in ${pool}${before === undefined ? '' : `; before, ${before.label} did`}`
  }
  const why = !account.enabled
    ? 'it is disabled: provider-auth enable'
    : account.state === 'cooling' || account.state === 'exhausted'
      ? 'it rests'
      : account.state !== 'ready'
        ? `its state is ${account.state}`
        : now !== undefined && now.kind !== 'api' && account.kind === 'api'
          ? 'logins serve before API keys, unless rotation.mode is "api"'
          : 'the strategy of the pool keeps an order of its own'
  return `${label} comes first by priority in ${pool}, but ${now === undefined ? 'no account' : now.label} serves now: ${why}`
}

/** `1 account`, `2 accounts`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
