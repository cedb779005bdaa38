/** `vault move`: the logins of this vault move to another one. */
import { visible } from '../../../npm/src/trust.js'
import { EXIT, fault, faultOf, interrupted } from '../faults.js'
import { listAccounts, moveVault } from '../library.js'
import { askYes, mustAsk } from '../prompts.js'
import type { Call } from '../run.js'
import { isLoginHere } from '../stored.js'
import { table } from '../table.js'

export async function run({ args: [to = ''], options: { yes = false }, out }: Call<{ yes?: boolean }>): Promise<void> {
  const logins = yes ? 0 : (await listAccounts()).filter(isLoginHere).length
  if (logins > 0) {
    const what = `${logins === 1 ? 'one login moves' : `${logins} logins move`}, and here need a new sign-in; API keys are copied`
    mustAsk(`--yes: ${what}`)
    if (!(await askYes(`Go on? ${what}.`))) throw interrupted()
  }
  // Ctrl-C ends the process at once, whatever has left by then.
  const atExit = () => out.say('What has left and not arrived is kept here: the same command goes on.')
  process.once('exit', atExit)
  const moving = moveVault(to).catch((error) => Promise.reject(unusable(error)))
  const report = await moving.finally(() => process.off('exit', atExit))
  out.answer(report, () =>
    table(
      [],
      report.accounts.map(({ provider, label, action, why = '' }) => [action, provider, visible(label), visible(why)]),
    ),
  )
  out.say(`${report.added} added, ${report.updated} updated, ${report.skipped} skipped in ${report.to}`)
}

/** Where the accounts go cannot be used: the command was called rightly. */
function unusable(error: unknown): unknown {
  const what = faultOf(error)
  if (what.code !== 'INVALID_ARGUMENT') return error
  return fault({
    ...what,
    exit: EXIT.failed,
    next: 'give the address of a store (postgres://…?vault=name), or a folder',
  })
}
