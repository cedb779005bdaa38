/** `provider-auth` alone: the screen of accounts, or without redraws the same in lines. */
import { usage } from '../faults.js'
import type { Call } from '../run.js'
import { canDraw } from '../screen/terminal.js'

export async function run({ options, out }: Call<{ plain?: boolean }>): Promise<void> {
  if (out.json) throw usage('--json needs a command', 'provider-auth status --json, or provider-auth accounts --json')
  if (options.plain === true || !canDraw()) await (await import('../screen/plain.js')).showPlain()
  else await (await import('../screen/screen.js')).showScreen(out)
}
