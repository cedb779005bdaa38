/** Commands that show and change accounts. */
import { type Command, Option } from 'commander'
import { examples } from '../examples.js'
import { runs } from '../run.js'

/** How accounts are named, at the end of the help of each command that takes one. */
export const NAMING = `
An account is named by its label or its id; by provider/label, where accounts of
several providers have the label; by provider/pool/label; or by the provider
alone, where it has one account.
`

export function addAccounts(program: Command): void {
  program
    .command('accounts')
    .alias('list')
    .description('list the accounts in the order in which they serve')
    .argument('[provider]', 'only those of this provider')
    .option('--namespace <pool>', 'only those of this pool')
    .option('--long', 'also ids, priorities, how they signed in, when tokens end')
    .addHelpText('after', examples(['provider-auth accounts'], ['provider-auth accounts openai --json', 'for scripts']))
    .action(runs(() => import('../commands/accounts.js')))
  program
    .command('status')
    .description('show the vault, and who serves next in each pool and why')
    .argument('[provider]', 'only the pools of this provider')
    .option('--watch', 'go on: redraw in a terminal, else print each change; until Ctrl-C')
    .addHelpText(
      'after',
      examples(
        ['provider-auth status'],
        ['provider-auth status openai --watch'],
        ['provider-auth status --watch --json', 'a line per change'],
      ),
    )
    .action(runs(() => import('../commands/status.js')))
  program
    .command('use')
    .description('let an account serve first in its pool; the others stand in')
    .argument('<account>', 'label, id or provider')
    .addHelpText('after', NAMING + examples(['provider-auth use work'], ['provider-auth use openai/me@example.com']))
    .action(runs(() => import('../commands/use.js')))
  program
    .command('move')
    .description('move an account in the order of its pool, or to another pool')
    .argument('<account>', 'label, id or provider')
    .argument('[place]', 'up, down, first, last, or before or after another account')
    .argument('[other]', 'that other account')
    .option('--namespace <pool>', 'move it to this pool of its provider')
    .addHelpText(
      'after',
      NAMING +
        examples(
          ['provider-auth move work up'],
          ['provider-auth move work after spare'],
          ['provider-auth move work --namespace team'],
        ),
    )
    .action(runs(() => import('../commands/move.js')))
  program
    .command('rename')
    .description('give an account another label')
    .argument('<account>', 'label, id or provider')
    .argument('<label>', 'the new label; a number is added where it is taken')
    .addHelpText('after', NAMING + examples(['provider-auth rename me@example.com work']))
    .action(runs(() => import('../commands/rename.js')))
  program
    .command('enable')
    .description('let accounts serve again')
    .argument('<account...>', 'labels, ids or providers')
    .addHelpText('after', NAMING + examples(['provider-auth enable work spare']))
    .action(runs(async () => (await import('../commands/enable.js')).enable))
  program
    .command('disable')
    .description('keep accounts from serving; they stay in the vault')
    .argument('<account...>', 'labels, ids or providers')
    .addHelpText(
      'after',
      NAMING + examples(['provider-auth disable work'], ['provider-auth disable openai/me@example.com']),
    )
    .action(runs(async () => (await import('../commands/enable.js')).disable))
  program
    .command('refresh')
    .description('renew the access tokens of logins that are about to end')
    .argument('[account...]', 'labels, ids or providers')
    .option('--provider <provider>', 'every login of this provider')
    .addOption(new Option('--all', 'every login').conflicts('provider'))
    .option('--force', 'renew tokens that are still good too')
    .addHelpText(
      'after',
      NAMING +
        examples(['provider-auth refresh work --force'], ['provider-auth refresh --all', 'exit 3: one needs a login']),
    )
    .action(runs(() => import('../commands/refresh.js')))
  program
    .command('unblock')
    .description('clear cooldowns: the next request tries the accounts again')
    .argument('[account]', 'label, id or provider')
    .option('--provider <provider>', 'of every account of this provider')
    .addOption(new Option('--all', 'of every account').conflicts('provider'))
    .addHelpText(
      'after',
      NAMING + examples(['provider-auth unblock work'], ['provider-auth unblock --provider openai']),
    )
    .action(runs(() => import('../commands/unblock.js')))
}
