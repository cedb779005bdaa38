/** `refresh`: the tokens of logins are renewed. */
import type { Account } from '../../../index.js'
import { visible } from '../../../npm/src/trust.js'
import { namedAll, shown } from '../accounts.js'
import { exitOf, refresh } from '../deeds.js'
import { EXIT, fault, faultOf, usage } from '../faults.js'
import type { Call } from '../run.js'
import { counted, poolOf } from '../sentences.js'
import { firstStep, stepWords, storedAccounts } from '../stored.js'

interface Options {
  provider?: string
  all?: boolean
  force?: boolean
}

export async function run({ args, options, out }: Call<Options>): Promise<number> {
  const { provider, all = false, force = false } = options
  if (args.length > 0 && (all || provider !== undefined))
    throw usage('refresh takes accounts, or --provider, or --all', 'provider-auth help refresh')
  if (args.length === 0 && !all && provider === undefined)
    throw usage('refresh names no account', 'name accounts, or pass --provider <provider> or --all')
  const accounts =
    args.length > 0 ? await namedAll(args) : await storedAccounts(provider === undefined ? {} : { provider })
  if (accounts.length === 0 && provider !== undefined)
    throw fault({
      code: 'NO_ACCOUNT',
      exit: EXIT.needsLogin,
      message: `there is no account of ${provider} yet`,
      ...(await firstStep(provider)),
    })
  const { refreshed, skipped, failed } = await refresh(accounts, force)
  const [only] = failed
  // What one account alone rejects with says most.
  if (accounts.length === 1 && only !== undefined) throw only.error
  const ref = ({ id, label, provider: of }: Account) => ({ id, label, provider: of })
  const data = {
    refreshed: await shown(refreshed),
    skipped: skipped.map(({ account, why }) => ({ ...ref(account), why })),
    failed: failed.map(({ account, error }) => {
      const { code, message } = faultOf(error)
      return { ...ref(account), code, message }
    }),
  }
  out.answer(data, () =>
    [
      ...refreshed.map((account) => {
        const before = accounts.find(({ id }) => id === account.id)
        const isNew = before?.expiresAt !== account.expiresAt
        return `${nameIn(account)}: ${isNew || force ? 'renewed' : 'still good; --force renews it all the same'}`
      }),
      // Of all accounts, those that have no token are not what was meant.
      ...(args.length > 0 ? skipped : []).map(({ account, why }) => `${nameIn(account)}: skipped, ${why}`),
    ]
      .map(visible)
      .join('\n'),
  )
  for (const { account, error } of failed)
    if (!out.json) out.fault({ ...faultOf(error), message: `${nameIn(account)}: ${faultOf(error).message}` })
  if (accounts.length === 0) out.say(`no account yet; ${stepWords(await firstStep())}`)
  else if (refreshed.length === 0 && failed.length === 0)
    out.say(`nothing to renew: ${counted(skipped.length, 'account')} skipped`)
  return exitOf(failed)
}

function nameIn(account: Account): string {
  return `${account.label} of ${poolOf(account)}`
}
