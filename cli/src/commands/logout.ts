/** `logout`: removes an account, on demand also at the provider. */
import type { Account } from '../../../index.js'
import { readAuthFile } from '../../../npm/src/opencode/auth-file.js'
import { authFile } from '../../../npm/src/opencode/host-credentials.js'
import { accountStatus } from '../../../npm/src/opencode/status.js'
import { visible } from '../../../npm/src/trust.js'
import { interrupted, usage } from '../faults.js'
import { listAccounts, removeAccount } from '../library.js'
import { nearest } from '../login/choose.js'
import { askYes, mustAsk } from '../prompts.js'
import type { Call } from '../run.js'

export async function run({
  args: [name = ''],
  options,
  out,
}: Call<{ revoke?: boolean; yes?: boolean }>): Promise<void> {
  const { revoke = false, yes = false } = options
  const account = named(name, await listAccounts())
  const words =
    account === undefined
      ? `what is left of ${visible(name)}`
      : `${visible(account.label)} of ${visible(account.provider)}`
  if (!yes) {
    mustAsk(`provider-auth logout ${name} --yes`)
    const also = revoke ? ', and end it at the provider' : ''
    if (!(await askYes(`Remove ${words} from the vault${also}?`))) throw interrupted()
  }
  await removeAccount(account?.id ?? name, { revoke })
  const keepers = account === undefined ? [] : await keptBy(account, revoke)
  const shown = account === undefined ? { id: name } : accountStatus(account, undefined, false)
  out.answer({ removed: shown, revoked: revoke, keptBy: keepers }, () =>
    [
      `${words} was removed${revoke ? ' and ended at the provider' : ''}.`,
      ...keepers.map((one) => `Still there: ${one}`),
    ].join('\n'),
  )
}

/** The account of this id or label, or the only one of this provider; none for a name of no account. */
function named(name: string, accounts: Account[]): Account | undefined {
  const ways = [
    accounts.filter(({ id }) => id === name),
    accounts.filter(({ label }) => label === name),
    accounts.filter(({ provider }) => provider === name),
  ]
  const found = ways.find((matching) => matching.length > 0) ?? []
  if (found.length > 1) {
    const each = found.map(({ id, label, provider, namespace }) => `${label} of ${provider} in ${namespace} (${id})`)
    throw usage(`${name} means ${found.length} accounts: ${each.join('; ')}`, 'provider-auth logout <id>')
  }
  const [only] = found
  // What was set aside as damaged is known by its id alone; the library says what is no account.
  if (only !== undefined || /^[0-9A-HJKMNP-TV-Z]{26}$/.test(name)) return only
  const near = nearest(
    name,
    accounts.flatMap(({ label, provider }) => [label, provider]),
  )
  throw Object.assign(new Error(`no account is called ${name}${near === undefined ? '' : `; did you mean ${near}?`}`), {
    code: 'UNKNOWN_ACCOUNT',
  })
}

/** Who has the login still, in a sentence each. */
async function keptBy({ provider, kind }: Account, isRevoked: boolean): Promise<string[]> {
  const kept: string[] = []
  const entry = (await readAuthFile())?.get(provider)
  if (entry !== undefined && !entry.isPlaceholder)
    kept.push(`OpenCode's own entry of ${visible(provider)} in ${visible(authFile())}: opencode auth logout`)
  if (kind === 'api') kept.push("the key itself, which is good until you delete it on the provider's page")
  else if (!isRevoked)
    kept.push('the login at the provider, which --revoke would have ended: copies of it go on to serve')
  return kept
}
