/** Commands about the vault as a whole: its key, bundles of accounts, and what comes from other programs. */
import { type Command, Option } from 'commander'
import { examples } from '../examples.js'
import { runs } from '../run.js'

const SOURCES = ['keychain', 'env', 'passphrase', 'keyfile']
const WHERE = `
Where the key can live:
  keychain    the system's keychain: a desktop
  env         PROVIDER_AUTH_KEY, which you keep: servers, CI
  passphrase  PROVIDER_AUTH_PASSPHRASE, or PROVIDER_AUTH_PASSPHRASE_FILE
  keyfile     a file of mode 0600 beside the vault's folder: a program
              that reads both can use every login
A lost key is a lost vault: keep a second way to it (key slot add).`

const PASSPHRASE_STDIN = ['--passphrase-stdin', 'read the passphrase from the first line of standard input'] as const
const YES = ['-y, --yes', 'do not ask'] as const

type KeyDeed = keyof typeof import('../commands/key.js')
const key = (deed: KeyDeed) => runs(async () => ({ run: (await import('../commands/key.js'))[deed] }))

export function addVault(program: Command): void {
  const keys = program.command('key').description("the vault's key, and the ways to it").addHelpText('after', WHERE)
  addKey(keys)
  addSlots(keys.command('slot').description('further ways to the key: each opens the vault by itself'))
  const vault = program
    .command('vault')
    .description('where the vault is, and how its store stands; take its accounts to another machine')
  vault
    .command('status', { isDefault: true })
    .description('where the vault is, what is in it, and how its store stands')
    .addHelpText('after', '\nExits with 4 when the vault does not open, and says what to do.')
    .addHelpText('after', examples(['provider-auth vault'], ['provider-auth vault status --json', 'for scripts']))
    .action(runs(() => import('../commands/vault-status.js')))
  addBundles(vault)
  addMigrate(program)
}

function addKey(keys: Command): void {
  keys
    .command('status')
    .description('whether the vault opens, by which key, and what is in it')
    .addHelpText('after', '\nExits with 4 when the vault does not open, and says what to do.')
    .addHelpText('after', examples(['provider-auth key status'], ['provider-auth key status --json', 'for scripts']))
    .action(key('status'))
  keys
    .command('init')
    .description('make the vault and its key, where you choose')
    .addOption(sourceOption('where the key is to live (default: the keychain, else what the environment gives)'))
    .option('--force', 'give a vault that is there a new key: all other ways to it end')
    .option('--show', 'with --source env: make a key, and print it once')
    .option(...PASSPHRASE_STDIN)
    .option(...YES)
    .addHelpText('after', WHERE)
    .addHelpText(
      'after',
      examples(
        ['provider-auth key init', 'on a desktop'],
        ['provider-auth key init --source keyfile', 'a server without a keychain'],
        ['export PROVIDER_AUTH_KEY="$(provider-auth key init --source env --show)"'],
      ),
    )
    .action(key('init'))
  keys
    .command('export')
    .description("print the key that the vault's records are encrypted under")
    .option('--show', 'print it although standard output is a terminal')
    .option('-o, --out <file>', 'write it to a new file of mode 0600 instead')
    .option('--force', 'replace that file')
    .addHelpText('after', "\nWith the vault's folder, this key is all that is needed to read every login.")
    .addHelpText(
      'after',
      examples(['provider-auth key export --out key.txt'], ['provider-auth key export | age -p > key.age']),
    )
    .action(key('exportKey'))
  keys
    .command('import')
    .description('open the vault with an exported key, from standard input or typed')
    .addOption(sourceOption('where the key is to live from now on (default: the configured place)'))
    .addHelpText(
      'after',
      examples(['provider-auth key import < key.txt'], ['provider-auth key import --source keyfile']),
    )
    .action(key('importKey'))
  keys
    .command('rotate')
    .description('encrypt every record under a new key; the ways to it stay')
    .option(...PASSPHRASE_STDIN)
    .addHelpText(
      'after',
      '\nThe passphrase is needed for a slot that an earlier version made, and that the\nenvironment does not give.',
    )
    .addHelpText('after', examples(['provider-auth key rotate']))
    .action(key('rotate'))
}

function addSlots(slots: Command): void {
  slots
    .command('add')
    .description('add a way to the key, beside those that are there')
    .addArgument(slots.createArgument('<source>', 'where its key is to live').choices(SOURCES))
    .option(...PASSPHRASE_STDIN)
    .addHelpText('after', examples(['provider-auth key slot add passphrase', 'for when the keychain is lost']))
    .action(key('addSlot'))
  slots
    .command('remove')
    .description('remove a way to the key, but never the last one')
    .argument('<slot>', 'its id, as key status shows it')
    .option(...YES)
    .addHelpText('after', '\nRotate the key afterwards if somebody else may know what opened the slot.')
    .addHelpText('after', examples(['provider-auth key slot remove 1a2b3c4d'], ['provider-auth key rotate']))
    .action(key('removeSlot'))
}

function addBundles(vault: Command): void {
  vault
    .command('export')
    .description('write the accounts to a file, encrypted under a passphrase (age)')
    .argument('<file>', 'a new file; it gets mode 0600')
    .option('--include-logins', 'take the logins along: they move, and end here')
    .option('--again', 'write the last bundle that took logins once more')
    .option('--force', 'replace the file')
    .option(...PASSPHRASE_STDIN)
    .option('--allow-weak-passphrase', 'take one that is easy to guess')
    .option(...YES)
    .addHelpText(
      'after',
      '\nAPI keys are copied. Logins are moved, since two machines that use one refresh\ntoken end the login for both; importing the file here brings them back.',
    )
    .addHelpText(
      'after',
      examples(
        ['provider-auth vault export keys.age'],
        ['provider-auth vault export all.age --include-logins', 'move to another machine'],
        ['provider-auth vault export all.age --again', 'if writing it has failed'],
      ),
    )
    .action(runs(() => import('../commands/vault-export.js')))
  vault
    .command('import')
    .description('bring the accounts of such a file into this vault')
    .argument('<file>', 'what vault export wrote')
    .option(...PASSPHRASE_STDIN)
    .addHelpText('after', examples(['provider-auth vault import all.age']))
    .action(runs(() => import('../commands/vault-import.js')))
  vault
    .command('move')
    .description('move the logins to a store for many machines, or back to a folder')
    .argument('<to>', "a store's address (postgres://…?vault=name), or a folder")
    .option(...YES)
    .addHelpText(
      'after',
      '\nLogins are moved, API keys copied. Killed in between, it loses nothing: run it\nagain. Afterwards set PROVIDER_AUTH_STORE, or unset it, to use the other vault.',
    )
    .addHelpText(
      'after',
      examples(
        ['provider-auth vault move "$STORE"', 'from this machine to a store'],
        ['provider-auth vault move ~/.local/share/provider-auth', 'and back'],
      ),
    )
    .action(runs(() => import('../commands/vault-move.js')))
}

function addMigrate(program: Command): void {
  program
    .command('migrate')
    .description('bring the logins and keys of OpenCode into the vault')
    .addOption(new Option('--from <program>', 'whose they are').choices(['opencode']).default('opencode'))
    .option('--dir <dir>', "the folder with its files (default: OpenCode's own)")
    .option('-n, --dry-run', 'only show what would be done')
    .addOption(
      new Option('--source <deed>', 'its files: leave them, or take out what is in the vault, with or without a copy')
        .choices(['keep', 'backup', 'remove'])
        .default('keep'),
    )
    .option('--entries <names...>', 'only these entries of auth.json')
    .option('--env [names...]', 'API keys of these environment variables too; all known ones without names')
    .option('--undo', 'put the files back as they were, and take those accounts out again')
    .option(...YES)
    .addHelpText(
      'after',
      examples(
        ['provider-auth migrate --dry-run'],
        ['provider-auth migrate --source backup'],
        ['provider-auth migrate --env OPENAI_API_KEY'],
        ['provider-auth migrate --undo'],
      ),
    )
    .action(runs(() => import('../commands/migrate.js')))
}

function sourceOption(text: string): Option {
  return new Option('--source <source>', text).choices(SOURCES)
}
