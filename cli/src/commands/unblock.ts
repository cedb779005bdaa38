/** `unblock`: cooldowns are cleared. */
import { visible } from '../../../npm/src/trust.js'
import { named } from '../accounts.js'
import { clear } from '../deeds.js'
import { usage } from '../faults.js'
import type { Call } from '../run.js'
import { counted } from '../sentences.js'

export async function run({ args: [name], options, out }: Call<{ provider?: string; all?: boolean }>): Promise<void> {
  const { provider, all = false } = options
  if (name !== undefined && (all || provider !== undefined))
    throw usage('unblock takes an account, or --provider, or --all', 'provider-auth help unblock')
  if (name === undefined && !all && provider === undefined)
    throw usage('unblock names no account', 'name an account, or pass --provider <provider> or --all')
  const account = name === undefined ? undefined : await named(name)
  const cleared = await clear({
    ...(provider !== undefined && { provider }),
    ...(account !== undefined && { account: account.id }),
  })
  const of = account?.label ?? provider ?? 'all accounts'
  out.answer({ cleared }, () =>
    visible(
      cleared === 0
        ? `${of}: nothing to clear`
        : `${of}: ${counted(cleared, 'cooldown')} cleared; the next request tries it again`,
    ),
  )
}
