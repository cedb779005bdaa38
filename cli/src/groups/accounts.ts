/** Commands that show and change accounts. */
import type { Command } from 'commander'
import { examples } from '../examples.js'
import { runs } from '../run.js'

export function addAccounts(program: Command): void {
  program
    .command('accounts')
    .alias('list')
    .description('list the accounts: state, expiry, who serves next')
    .argument('[provider]', 'only those of this provider')
    .option('--namespace <pool>', 'only those of this pool')
    .addHelpText('after', examples(['provider-auth accounts'], ['provider-auth accounts openai --json', 'for scripts']))
    .action(runs(() => import('../commands/accounts.js')))
}
