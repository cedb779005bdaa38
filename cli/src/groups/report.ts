/** The command that shows what has happened. */
import type { Command } from 'commander'
import { Option } from 'commander'
import { examples } from '../examples.js'
import { runs } from '../run.js'

export function addReport(program: Command): void {
  program
    .command('report')
    .argument('[provider]', 'only this provider')
    .description('show requests, switches, quota windows, refreshes and waits over time')
    .option('--since <when>', 'since then: 24h, 7d, 30d, or a date', '7d')
    .addOption(new Option('--html <file>', 'write a page that needs nothing else; - prints it').conflicts('svg'))
    .option('--svg <file>', 'write the chart of requests as a picture; - prints it')
    .addOption(
      new Option('--names <how>', 'name accounts so; default: by label, but not by an e-mail').choices(['label', 'id']),
    )
    .option('--force', 'overwrite a file that is not a report')
    .addHelpText(
      'after',
      `
Hours and days are those of UTC. Nothing is counted with "stats": false in your
configuration.
${examples(
  ['provider-auth report'],
  ['provider-auth report --since 24h', 'by the hour'],
  ['provider-auth report --html report.html', 'one page, to look at or to send'],
  ['provider-auth report --json | jq .totals'],
)}`,
    )
    .action(runs(() => import('../commands/report.js')))
}
