/** `logout`: removes an account, on demand also at the provider. */
import type { Account } from '../../../index.js'
import { readAuthFile } from '../../../npm/src/opencode/auth-file.js'
import { authFile } from '../../../npm/src/opencode/host-credentials.js'
import { accountStatus } from '../../../npm/src/opencode/status.js'
import { visible } from '../../../npm/src/trust.js'
import { named } from '../accounts.js'
import { remove } from '../deeds.js'
import { interrupted } from '../faults.js'
import { removeAccount } from '../library.js'
import { askYes, mustAsk } from '../prompts.js'
import type { Call } from '../run.js'
import { storedAccounts } from '../stored.js'

/** What was set aside as damaged is known by its id alone; the library says where an id names none. */
const ID = /^[0-9A-HJKMNP-TV-Z]{26}$/

export async function run({
  args: [name = ''],
  options,
  out,
}: Call<{ revoke?: boolean; yes?: boolean }>): Promise<void> {
  const { revoke = false, yes = false } = options
  const id = name.toUpperCase()
  const account = ID.test(id) ? (await storedAccounts()).find((one) => one.id === id) : await named(name)
  const words =
    account === undefined
      ? `what is left of ${visible(name)}`
      : `${visible(account.label)} of ${visible(account.provider)}`
  if (!yes) {
    mustAsk(`provider-auth logout ${name} --yes`)
    const also = revoke ? ', and end it at the provider' : ''
    if (!(await askYes(`Remove ${words} from the vault${also}?`))) throw interrupted()
  }
  await (account === undefined ? removeAccount(id, { revoke }) : remove(account, revoke))
  const keepers = account === undefined ? [] : await keptBy(account, revoke)
  const shown = account === undefined ? { id } : accountStatus(account, undefined, false)
  out.answer({ removed: shown, revoked: revoke, keptBy: keepers }, () =>
    [
      `${words} was removed${revoke ? ' and ended at the provider' : ''}.`,
      ...keepers.map((one) => `Still there: ${one}`),
    ].join('\n'),
  )
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
