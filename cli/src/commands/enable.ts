/** `enable` and `disable`: accounts may serve, or may not. */
import { visible } from '../../../npm/src/trust.js'
import { namedAll, shown } from '../accounts.js'
import { setEnabled } from '../deeds.js'
import type { Call, Runnable } from '../run.js'
import { poolOf } from '../sentences.js'

export const enable: Runnable = { run: (call) => run(call, true) }
export const disable: Runnable = { run: (call) => run(call, false) }

async function run({ args, out }: Call, enabled: boolean): Promise<void> {
  const accounts = await namedAll(args)
  const withoutServing = await setEnabled(accounts, enabled)
  const word = enabled ? 'enabled' : 'disabled'
  out.answer({ accounts: await shown(accounts), withoutServing }, () =>
    accounts
      .map((account) =>
        visible(`${account.label} of ${poolOf(account)} is ${word}${account.enabled === enabled ? ' already' : ''}`),
      )
      .join('\n'),
  )
  for (const pool of withoutServing)
    out.say(
      out.errorColour.yellow(visible(`no account of ${poolOf(pool)} can serve any more: requests to it fail now`)),
    )
}
