/** Commands that look for what is wrong. */
import type { Command } from 'commander'
import { examples } from '../examples.js'
import { runs } from '../run.js'

export function addHealth(program: Command): void {
  program
    .command('doctor')
    .description('look for what is wrong: vault, key, locks, accounts, network, plugins')
    .option('--fix', 'mend what can be mended without losing anything')
    .option('--online', "ask the providers' hosts, without a credential")
    .option('--bundle <file>', 'write a zip for a bug report, without secrets and names')
    .option('--force', 'overwrite the file of --bundle')
    .addHelpText(
      'after',
      `
Exit codes: 0 no problem (there may be warnings), 1 a problem, 4 the vault is
locked or has no key.
${examples(
  ['provider-auth doctor'],
  ['provider-auth doctor --online', 'can the providers be reached?'],
  ['provider-auth doctor --fix', 'mend rights, clear leftovers'],
  ['provider-auth doctor --bundle report.zip', 'to send to somebody'],
)}`,
    )
    .action(runs(() => import('../commands/doctor.js')))
}
