/** Commands about the configuration, and about trust in what a project's files want. */
import type { Command } from 'commander'
import { examples } from '../examples.js'
import { runs } from '../run.js'

export function addProject(program: Command): void {
  const config = program
    .command('config')
    .description('show, check and edit the configuration')
    .addHelpText(
      'after',
      examples(
        ['provider-auth config edit', 'create or change your own file'],
        ['provider-auth config check', 'after a change, or in CI'],
        ['provider-auth config show openai', 'what is in effect, and why'],
      ),
    )
  config
    .command('path')
    .description('print the path of your configuration file, be it there or not')
    .option('--all', 'print every place that is looked at, with how it counts')
    .addHelpText(
      'after',
      examples(['cat "$(provider-auth config path)"'], ['provider-auth config path --all', "also the project's files"]),
    )
    .action(runs(() => import('../commands/config-path.js')))
  config
    .command('check')
    .description('say all that is wrong with the configuration files, each with its place')
    .argument('[file]', 'only this file, as if it were in effect')
    .option('--strict', 'let warnings fail the check too')
    .addHelpText(
      'after',
      `
A fault is printed as file:line:column: key: what is wrong, and ends the check
with exit code 1. A warning is about what has no effect, such as an unknown key.
${examples(['provider-auth config check'], ['provider-auth config check --strict config.jsonc', 'in CI'])}`,
    )
    .action(runs(() => import('../commands/config-check.js')))
  config
    .command('show')
    .description('show what is in effect, and where each value comes from')
    .argument('[provider]', 'only this provider, also if it is not configured')
    .option('--all', 'every provider, also those that are not configured')
    .addHelpText(
      'after',
      `
No secret is shown: of one that is kept elsewhere, it says where; of headers and
parameters, only that they are set.
${examples(['provider-auth config show'], ['provider-auth config show anthropic --json', 'for scripts'])}`,
    )
    .action(runs(() => import('../commands/config-show.js')))
  config
    .command('schema')
    .description('print the JSON Schema of config.jsonc, for editors')
    .option('--oci', 'that of oci-auth.config.jsonc')
    .addHelpText('after', examples(['provider-auth config schema > provider-auth.schema.json']))
    .action(runs(() => import('../commands/config-schema.js')))
  config
    .command('edit')
    .description('edit your configuration file, and check it before it is replaced')
    .addHelpText(
      'after',
      `
Opens $VISUAL, else $EDITOR, else nano or vi, on a private copy of the file. A
file that is not there yet begins with a commented example.
${examples(['provider-auth config edit'], ['EDITOR="code --wait" provider-auth config edit'])}`,
    )
    .action(runs(() => import('../commands/config-edit.js')))
  program
    .command('trust')
    .description("show what a project's files want, host by host, and trust them")
    .argument('[dir]', "the project's folder (default: the working folder)")
    .option(
      '--shown <hash>',
      'trust the file that has this hash in the answer of\n--json, without a question; once per file',
      collect,
    )
    .addHelpText(
      'after',
      `
A project's file comes with a repository, so it may be anybody's. Untrusted, it
chooses among your accounts and nothing else. Trust is good for the files as
they were shown: after a change they are asked about again.

With --json nothing is trusted; the answer has a hash of what each file wants.
${examples(
  ['provider-auth trust'],
  ['provider-auth trust ~/code/acme --json', 'what it wants; trusts nothing'],
  ['provider-auth trust --shown 5f0c…', 'trust exactly that, from a script'],
)}`,
    )
    .action(runs(() => import('../commands/trust.js')))
  program
    .command('untrust')
    .description("take the trust in a project's files back")
    .argument('[dir]', "the project's folder (default: the working folder)")
    .addHelpText('after', examples(['provider-auth untrust'], ['provider-auth untrust ~/code/acme']))
    .action(runs(() => import('../commands/untrust.js')))
}

/** Collects the values of an option that may come more than once. */
function collect(value: string, earlier: string[] = []): string[] {
  return [...earlier, value]
}
