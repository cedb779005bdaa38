/** Commands about the hosts that share the vault. */
import { type Command, Option } from 'commander'
import { examples } from '../examples.js'
import { runs } from '../run.js'

const HOW = `
A host that joins makes a key of its own and prints its public part. One that
opens the vault admits it. No host has the key of another.`

type FleetDeed = keyof typeof import('../commands/fleet.js')
const fleet = (deed: FleetDeed) => runs(async () => ({ run: (await import('../commands/fleet.js'))[deed] }))

export function addFleet(program: Command): void {
  const hosts = program
    .command('fleet')
    .description('the hosts that share the vault, each with a key of its own')
    .addHelpText('after', HOW)
  hosts
    .command('join')
    .description('make this host a key for the vault, and print its public part')
    .addOption(
      new Option('--source <source>', 'where the key is kept (default: the keychain, or as configured)').choices([
        'keychain',
        'keyfile',
      ]),
    )
    .addHelpText('after', '\nThe line is no secret. Hand it to somebody on a host that opens the vault.')
    .addHelpText(
      'after',
      examples(
        ['provider-auth fleet join'],
        ['provider-auth fleet join --source keyfile', 'a file of mode 0600 beside the folder'],
      ),
    )
    .action(fleet('join'))
  hosts
    .command('admit')
    .description('let a host open the vault with its own key')
    .argument('<line>', 'what fleet join printed there')
    .requiredOption('--name <name>', 'what to call the host: letters, digits, dots, hyphens')
    .addHelpText('after', examples(['provider-auth fleet admit pa-host1… --name ci-7']))
    .action(fleet('admit'))
  hosts
    .command('hosts')
    .description('list the hosts that were admitted')
    .addHelpText('after', examples(['provider-auth fleet hosts'], ['provider-auth fleet hosts --json']))
    .action(fleet('hosts'))
  hosts
    .command('revoke')
    .description('take a host out: a new key for the vault, new tokens for logins')
    .argument('<host>', 'its name, as fleet hosts shows it')
    .option('--passphrase-stdin', 'read the passphrase from the first line of standard input')
    .option('-y, --yes', 'do not ask')
    .addHelpText(
      'after',
      '\nWhat the host could read and nothing here can replace is listed: API keys and\nclient secrets. If it knows a passphrase or another key of the vault, remove\nthat slot first. The passphrase is needed as for key rotate.',
    )
    .addHelpText('after', examples(['provider-auth fleet revoke ci-7']))
    .action(fleet('revoke'))
}
