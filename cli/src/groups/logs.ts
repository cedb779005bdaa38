/** The command that shows the log. */
import type { Command } from 'commander'
import { Option } from 'commander'
import { examples } from '../examples.js'
import { runs } from '../run.js'

export function addLogs(program: Command): void {
  program
    .command('logs')
    .description('show the log, oldest line first: warnings and errors, and what PROVIDER_AUTH_LOG_FILE has')
    .addOption(
      new Option('--level <level>', 'only lines of this level and graver ones').choices([
        'error',
        'warn',
        'info',
        'debug',
        'trace',
      ]),
    )
    .option('--since <when>', 'only lines since then: 30s, 30m, 2h, 7d ago, a date, or a time (RFC 3339)')
    .option('-f, --follow', 'go on with the lines that come, until Ctrl-C')
    .option('--file <path>', 'read this log instead')
    .option('--path', 'print where the log is, and nothing of it')
    .addHelpText(
      'after',
      examples(
        ['provider-auth logs --since 2h', 'what went wrong lately'],
        ['provider-auth logs --level warn --follow'],
        ['provider-auth logs --json | jq .message', 'one JSON object per line'],
        ['PROVIDER_AUTH_LOG=debug \\\n  PROVIDER_AUTH_LOG_FILE=~/auth.log my-program', 'log more than warnings'],
      ),
    )
    .action(runs(() => import('../commands/logs.js')))
}
