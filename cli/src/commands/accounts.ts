/** `accounts`: the accounts by provider and pool, in the order in which they would serve. */
import { type AccountStatus, stateWords } from '../../../npm/src/opencode/status.js'
import { listed } from '../accounts.js'
import type { Call } from '../run.js'
import { table } from '../table.js'
import { ago } from '../words.js'

export async function run({ args: [provider], options, out }: Call<{ namespace?: string }>): Promise<void> {
  const { namespace } = options
  const accounts = await listed({
    ...(provider !== undefined && { provider }),
    ...(namespace !== undefined && { namespace }),
  })
  const now = Date.now()
  out.answer({ accounts }, () => {
    if (accounts.length === 0) return ''
    const { dim } = out.colour
    const rows = accounts.map((account) => [
      account.provider,
      account.namespace === 'default' ? '' : account.namespace,
      account.label,
      painted(account, out.colour)(stateWords(account, now)),
      account.expiresAt === undefined ? '' : ago(account.expiresAt, now),
      dim(account.id),
    ])
    const heads = ['PROVIDER', 'POOL', 'LABEL', 'STATE', 'TOKEN ENDS', 'ID'].map((head) => dim(head))
    return table(heads, rows)
  })
  if (accounts.length === 0)
    out.say(
      provider === undefined
        ? 'no account yet; sign in with: provider-auth login'
        : `no account of ${provider} yet; sign in with: provider-auth login ${provider}`,
    )
}

function painted(
  { state, enabled }: AccountStatus,
  { green, yellow, red, dim }: Call['out']['colour'],
): (text: string) => string {
  if (!enabled || state === 'disabled') return dim
  if (state === 'ready') return green
  return state === 'cooling' || state === 'exhausted' ? yellow : red
}
