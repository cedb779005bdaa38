/** Commands that hand a credential to other programs, and those that tell what a request would get. */
import { type Command, Option } from 'commander'
import { examples } from '../examples.js'
import { runs } from '../run.js'

export function addRequests(program: Command): void {
  choice(program.command('token'))
    .description('print a credential, and nothing else, for a program that runs a command')
    .argument('<provider>')
    .option('--url <url>', 'only an account whose credential may go there')
    .option('--show', 'print it although standard output is a terminal')
    .addHelpText(
      'after',
      `
An access token is renewed first when it is about to end: once, however many
processes ask. With --json comes when it ends, and the header it belongs in.`,
    )
    .addHelpText(
      'after',
      examples(
        ['provider-auth token anthropic | some-tool --key-stdin'],
        ['"apiKeyHelper": "provider-auth token anthropic"', 'settings of Claude Code'],
      ),
    )
    .action(runs(() => import('../commands/token.js')))

  choice(program.command('headers'))
    .description('print the headers that authenticate a request, for curl and scripts')
    .argument('<provider>')
    .argument('<url>', 'the URL about to be called; must be at one of its origins')
    .addOption(
      new Option('--format <form>', 'a config for curl, the whole answer, one header a line, or an object of them')
        .choices(['curl', 'json', 'lines', 'object'])
        .default('curl'),
    )
    .option('--show', 'print them although standard output is a terminal')
    .addHelpText(
      'after',
      `
Hand them on in a pipe, as below. In an argument (curl -H "$(...)") every user
of the machine can read them in the list of processes, and the shell may keep
them. The config for curl names the URL too. "strip" in the JSON has the headers
to delete first, where a program sets some of its own.`,
    )
    .addHelpText(
      'after',
      `
Examples:
  provider-auth headers openai https://api.openai.com/v1/models | curl -K -
  provider-auth headers openai https://api.openai.com/v1/responses |
    curl -K - --json @request.json
  provider-auth headers openai https://api.openai.com/v1/models --format lines |
    curl -H @- https://api.openai.com/v1/models
  "headersHelper": "provider-auth headers notes <url> --format object"
    in the .mcp.json of Claude Code
`,
    )
    .action(runs(() => import('../commands/headers.js')))

  choice(program.command('exec'))
    .description('run one program with a credential in its environment')
    .usage('[options] <provider> -- <command> [args...]')
    .argument('<provider>')
    .argument('<command...>', 'the program and its arguments, behind --')
    .option('--url <url>', 'only an account whose credential may go there')
    .option(
      '--env <name[=text]>',
      'the variable to set, in place of the usual ones: to the credential, or to this text with the credential at {token}; may be given again',
      (value: string, before: string[] = []) => [...before, value],
    )
    .addHelpText(
      'after',
      `
The program takes the place of this command: it has the terminal, gets every
signal, and its exit code is the one you see (127: there is no such program,
126: it cannot be run). It does not get what opens the vault, nor a variable
in which it would find another credential of the same provider.

A variable cannot be renewed: an access token in it is good until it ends, which
is said on standard error where that is within the hour. For a program that runs
longer, give it "provider-auth token" as the command that prints its key, where
it can call one. API keys do not end.`,
    )
    .addHelpText(
      'after',
      examples(
        ['provider-auth exec anthropic -- claude', 'sets ANTHROPIC_API_KEY'],
        ['provider-auth exec acme --env ACME_KEY -- acme run'],
        ["provider-auth exec acme --env AUTH='Bearer {token}' -- sh"],
      ),
    )
    .action(runs(() => import('../commands/exec.js')))

  program
    .command('models')
    .description('list the models that a provider offers you')
    .argument('<provider>')
    .option('--namespace <pool>', 'ask with an account of this pool')
    .option('--refresh', 'ask the provider, though a list of the last 12 hours is kept')
    .addHelpText(
      'after',
      examples(['provider-auth models anthropic'], ['provider-auth models openai --refresh --json', 'for scripts']),
    )
    .action(runs(() => import('../commands/models.js')))

  choice(program.command('explain'))
    .description('say which account would serve a request, and why the others would not')
    .argument('<provider>')
    .argument('[url]', 'the URL to be called; without it, any of its origins')
    .addHelpText(
      'after',
      `
Nothing is sent, renewed or counted. The exit code is 0 when an account serves,
3 when one has to be signed in to, and 5 when none can serve now.`,
    )
    .addHelpText(
      'after',
      examples(
        ['provider-auth explain anthropic'],
        ['provider-auth explain openai --model gpt-5 --json', 'for scripts'],
      ),
    )
    .action(runs(() => import('../commands/explain.js')))
}

/** What says which account is meant, as a request says it. */
function choice(command: Command): Command {
  return command
    .option('--account <id|label>', 'this account and no other')
    .option('--namespace <pool>', 'an account of this pool')
    .option('--model <model>', 'one that may use this model now')
    .option('--session <name>', 'the one that serves this conversation')
}
