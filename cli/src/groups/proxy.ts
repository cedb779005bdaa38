/** The command that serves programs of other languages. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { examples } from '../examples.js'
import { PORT } from '../proxy/limits.js'
import { runs } from '../run.js'

export function addProxy(program: Command): void {
  const proxy = program
    .command('proxy')
    .description('serve programs of any language at an address of this machine')
    .option('--port <number>', `the port of 127.0.0.1 (default: ${PORT}; 0: a free one)`, portIn)
    .option('--provider <provider>', 'serve this one and no other; may be given again', listed)
    .option('--origin <provider=origin>', 'of a provider with several: where its API is; may be given again', listed)
    .option('--token-file <file>', 'keep the token in this file, so that it is the same after the next start')
    .option('--ipv6', 'listen at ::1, too')
    .addHelpText(
      'after',
      `
http://127.0.0.1:${PORT}/openai/v1/models goes to https://api.openai.com/v1/models
with the credential of an account that can serve it, and likewise for every
provider; /openai@work/v1/models is served by the pool "work". A client gives
the proxy's token as its key: "proxy env" prints what to set. Browsers are
refused. Ctrl-C lets requests end for 10 s, a second one ends at once.`,
    )
    .addHelpText(
      'after',
      examples(
        ['provider-auth proxy'],
        ['provider-auth proxy --provider openai --provider anthropic'],
        ['provider-auth proxy --token-file ~/.config/provider-auth/proxy-token', 'as a service'],
      ),
    )
    .action(runs(() => import('../commands/proxy.js')))

  proxy
    .command('env')
    .description('print the variables that lead the clients of a provider to the proxy')
    .argument('<provider>')
    .option('--port <number>', 'of several that run, the one on this port', portIn)
    .option('--namespace <pool>', 'requests are served by this pool')
    .addOption(
      new Option('--shell <shell>', 'whose words to write').choices(['sh', 'fish', 'powershell']).default('sh'),
    )
    .option('--show', 'print them although standard output is a terminal')
    .addHelpText(
      'after',
      examples(
        ['eval "$(provider-auth proxy env openai)"', 'sh, bash, zsh'],
        ['provider-auth proxy env openai --shell fish | source'],
        ['provider-auth proxy env anthropic --show', 'to copy into a form'],
      ),
    )
    .action(runs(() => import('../commands/proxy-env.js')))
}

function listed(value: string, before: string[] = []): string[] {
  return [...before, value]
}

function portIn(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('expected a number up to 65535')
  return port
}
