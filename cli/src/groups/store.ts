/** Commands about a store: one vault that many machines use. */
import type { Command } from 'commander'
import { examples } from '../examples.js'
import { runs } from '../run.js'

const ROLE = ['--role <role...>', 'roles that hosts log in as: they may use the vault'] as const
const PRINT = ['--print', 'print the SQL instead, for whoever may run it; asks nobody'] as const

type StoreDeed = keyof typeof import('../commands/store.js')
const store = (deed: StoreDeed) => runs(async () => ({ run: (await import('../commands/store.js'))[deed] }))

export function addStore(program: Command): void {
  const group = program.command('store').description('one vault for many machines, in PostgreSQL (PROVIDER_AUTH_STORE)')
  group
    .command('status', { isDefault: true })
    .description('how the store stands: tables, vault, rights')
    .addHelpText('after', examples(['provider-auth store'], ['provider-auth store status --json', 'for scripts']))
    .action(store('status'))
  group
    .command('init')
    .description('make what is missing: tables, the vault, rights of roles')
    .option(...ROLE)
    .option(...PRINT)
    .addHelpText(
      'after',
      `
The tables take a role that may create roles and schemas; the vault one in
pa_admin, and the key that it is to have. Run again, it changes nothing.`,
    )
    .addHelpText(
      'after',
      examples(['provider-auth store init --role pa_ci'], ['provider-auth store init --print | psql -f - auth']),
    )
    .action(store('init'))
  group
    .command('migrate')
    .description('bring the tables of an earlier version up to date')
    .option(...PRINT)
    .addHelpText('after', examples(['provider-auth store migrate']))
    .action(store('migrate'))
}
