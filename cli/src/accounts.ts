/** The accounts as the command shows them, and how a person names one. */
import type { Account, PoolStatus } from '../../index.js'
import { type AccountStatus, statusOf } from '../../npm/src/opencode/status.js'
import { EXIT, fault } from './faults.js'
import { listAccounts, poolStatus } from './library.js'
import { nearest } from './nearest.js'
import { firstStep, hasVault, storedAccounts } from './stored.js'

/** The accounts of each provider, those of a pool in the order in which they would serve. */
export async function listed(filter: { provider?: string; namespace?: string }): Promise<AccountStatus[]> {
  if (!(await hasVault())) return []
  const [pools, accounts] = await Promise.all([poolStatus(filter), listAccounts(filter)])
  return statusesOf(pools, accounts)
}

/** The same of what was read before. */
export function statusesOf(pools: readonly PoolStatus[], accounts: readonly Account[]): AccountStatus[] {
  return statusOf({ pools, accounts }, { mask: false }).flatMap((provider) => provider.accounts)
}

/** These accounts as an answer has them, as they stand now. */
export async function shown(accounts: readonly { id: string }[]): Promise<AccountStatus[]> {
  const all = await listed({})
  return accounts.flatMap(({ id }) => all.find((account) => account.id === id) ?? [])
}

/**
 * The account that a person names: by its id; by its label; by `provider/label` or `provider/pool/label`, where several have
 * the label; or by a provider that has one account alone.
 *
 * @throws a fault that lists the accounts which the name fits, or says that it fits none
 */
export async function named(name: string): Promise<Account> {
  return choose(name, await nameable())
}

/** The accounts of several names, each once; of none where one of the names fits none. */
export async function namedAll(names: readonly string[]): Promise<Account[]> {
  const all = await nameable()
  return [...new Set(names.map((name) => choose(name, all)))]
}

/** The accounts that a name may mean; where there is none at all, the error says what comes first. */
export async function nameable(): Promise<Account[]> {
  const all = await storedAccounts()
  if (all.length > 0) return all
  throw fault({ code: 'UNKNOWN_ACCOUNT', message: 'there is no account yet', ...(await firstStep()) })
}

/** The one of these accounts that a name means. */
export function choose(name: string, all: readonly Account[]): Account {
  const [first, ...more] = fitting(name, all)
  if (first === undefined) {
    const near = nearest(
      name,
      all.flatMap(({ label, provider }) => [label, provider]),
    )
    throw fault({
      code: 'UNKNOWN_ACCOUNT',
      message: `there is no account ${JSON.stringify(name)}${near === undefined ? '' : `; did you mean ${near}?`}`,
      next: 'provider-auth accounts, for the list of accounts',
    })
  }
  if (more.length === 0) return first
  throw fault({
    code: 'INVALID_ARGUMENT',
    exit: EXIT.usage,
    message: `${name} fits several accounts`,
    why: [first, ...more].map((account) => `${fullName(account, all)} (${account.id})`).join(', '),
    next: 'name one of them by what stands there',
  })
}

/** The shortest name of an account that fits no other one. */
export function fullName(account: Account, all: readonly Account[]): string {
  const isItsOwn = (name: string) => {
    const [first, ...more] = fitting(name, all)
    return first === account && more.length === 0
  }
  return [account.label, ...namesOf(account)].find(isItsOwn) ?? account.id
}

/** Those that a name fits by the first rule that fits any. */
function fitting(name: string, all: readonly Account[]): Account[] {
  for (const fits of RULES) {
    const found = all.filter((account) => fits(account, name))
    if (found.length > 0) return found
  }
  return []
}

type Rule = (account: Account, name: string) => boolean

const RULES: readonly Rule[] = [
  ({ id }, name) => id === name.toUpperCase(),
  ({ label }, name) => label === name,
  (account, name) => namesOf(account).includes(name),
  ({ provider }, name) => provider === name,
]

function namesOf({ provider, namespace, label }: Account): string[] {
  return [`${provider}/${label}`, `${provider}/${namespace}/${label}`]
}
