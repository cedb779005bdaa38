/** Commands that add accounts and remove them. */
import { type Command, Option } from 'commander'
import { examples } from '../examples.js'
import { runs } from '../run.js'

const METHODS = ['browser', 'device', 'paste', 'api-key', 'assertion', 'client-credentials']

export function addLogin(program: Command): void {
  program
    .command('login')
    .description('sign in to a provider, or add an API key')
    .argument('[provider]', 'a provider, or your name for an MCP server; asked for where it is left out')
    .addOption(new Option('--method <how>', 'default: what this machine allows, a browser first').choices(METHODS))
    .option('--with-token', 'add the API key that standard input brings')
    .option('--check', 'ask the provider first whether it takes the API key')
    .option('--resource <url>', 'address of the MCP server to sign in to')
    .option('--label <name>', 'what the account is called; default: who signed in')
    .option('--namespace <pool>', 'the pool that it joins; default: default')
    .option('--priority <number>', 'its place in the pool, lowest first; default: 0')
    .option('--login-hint <user>', "which user to offer on the provider's page")
    .option('--timeout <seconds>', 'give up after; default: 300')
    .option('--no-browser', 'open no browser, only show the address of the page')
    .option('--no-qr', 'show no QR code beside a device code')
    .addHelpText(
      'after',
      examples(
        ['provider-auth login', 'choose from a list'],
        ['provider-auth login openai', 'the usual way of this machine'],
        ['provider-auth login work --method device', 'a code for any other device'],
        ['provider-auth login qwen --with-token < key', 'an API key from a file'],
        ['provider-auth login notes --resource https://mcp.example'],
      ),
    )
    .action(runs(() => import('../commands/login.js')))
  program
    .command('logout')
    .alias('remove')
    .description('remove an account with its secrets from the vault')
    .argument('<account>', 'its label or id, or a provider that has one account')
    .option('--revoke', 'end the login at the provider first')
    .option('-y, --yes', 'ask nothing')
    .addHelpText(
      'after',
      examples(
        ['provider-auth logout work', 'asks first'],
        ['provider-auth logout work --revoke --yes', 'copies of it end as well'],
      ),
    )
    .action(runs(() => import('../commands/logout.js')))
}
