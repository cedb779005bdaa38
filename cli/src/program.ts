/** The command line: its commands by topic, and how a run of one of them ends. */
import { Command, CommanderError, Option } from 'commander'
import { EXIT, faultOf, usage, usageFault } from './faults.js'
import { addAccounts } from './groups/accounts.js'
import { addCompletion } from './groups/completion.js'
import { addFleet } from './groups/fleet.js'
import { addHealth } from './groups/health.js'
import { addLogin } from './groups/login.js'
import { addLogs } from './groups/logs.js'
import { addProject } from './groups/project.js'
import { addProxy } from './groups/proxy.js'
import { addReport } from './groups/report.js'
import { addRequests } from './groups/requests.js'
import { addStore } from './groups/store.js'
import { addVault } from './groups/vault.js'
import { createOutput } from './output.js'
import { runs } from './run.js'
import { endAtSignals, isTerminal, leave } from './terminal.js'
import { VERSION } from './version.js'

/** As the help lists them. */
const TOPICS: [topic: string, ...adds: ((program: Command) => void)[]][] = [
  ['Accounts', addLogin, addAccounts],
  ['Requests', addRequests, addProxy, addReport],
  ['Configuration', addProject],
  ['Vault', addVault, addStore, addFleet],
  ['Help', addHealth, addLogs, addCompletion],
]

/** Commands that other programs call, and the list of accounts: for them nothing else is made. */
const OFTEN = new Map<string | undefined, (program: Command) => void>([
  ...['token', 'headers', 'exec', 'explain', 'models'].map((name) => [name, addRequests] as const),
  ['accounts', addAccounts],
])

/** The command line: every command and option, or of the topic that `only` adds. */
export function createProgram(only?: (program: Command) => void): Command {
  const program = new Command('provider-auth')
    .description('Accounts of model providers: one encrypted vault, rotation, one refresh for all processes.')
    .version(VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .showHelpAfterError(false)
    // Names alone, as `gh` lists them, leave room for what they do.
    .configureHelp({ minWidthToWrap: 20, subcommandTerm: (one) => [one.name(), ...one.aliases()].join(', ') })
    .enablePositionalOptions()
  program.addHelpText(
    'after',
    '\nWithout a command, in a terminal: the screen of accounts. With --plain the same\nin lines, for screen readers and simple terminals.\n',
  )
  for (const [topic, ...adds] of only === undefined ? TOPICS : [['', only] as const]) {
    program.commandsGroup(`${topic}:`)
    for (const add of adds) add(program)
  }
  program
    .command('screen', { hidden: true })
    .option('--plain', 'a screen without redraws')
    .action(runs(() => import('./commands/screen.js')))
  for (const command of everyCommand(program)) {
    command.addOption(new Option('--json', 'print the answer as JSON (schemas/cli)'))
    command.addOption(new Option('-q, --quiet', 'print nothing but the answer and errors'))
    if (command.commands.length > 0) command.helpCommand('help [command]', 'print the help of a command')
    // Usage errors are thrown, and printed in one place.
    command.configureOutput({ outputError: () => {} }).exitOverride((error) => {
      throw Object.assign(error, { command })
    })
  }
  return program
}

/** Reads the command line and runs it; ends the process. */
export async function main(args: string[]): Promise<void> {
  endAtSignals()
  const program = createProgram(OFTEN.get(args[0]))
  try {
    if (args[0] === 'help') helpFor(program, args.slice(1))
    await program.parseAsync(isAlone(args) ? ['screen', ...args] : args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) await leave(EXIT.done)
    // The help of a topic without its command, such as `config`, is on standard error by now.
    if (error instanceof CommanderError && error.code === 'commander.help' && !args.includes('--json'))
      await leave(EXIT.usage)
    const fault = error instanceof CommanderError ? usageFault(error) : faultOf(error)
    createOutput({ json: ownArgs(args).includes('--json') }).fault(fault)
    await leave(fault.exit)
  }
}

/** Prints the help of a command, also of one below another: `help key slot add`. */
function helpFor(program: Command, words: string[]): void {
  let command = program
  for (const word of words.filter((one) => !one.startsWith('-'))) {
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word))
    if (next === undefined)
      throw usage(`there is no command ${words.join(' ')}`, 'provider-auth help, for the list of commands')
    command = next
  }
  command.help()
}

/** Whether no command is named; without a terminal that is a call for help. */
function isAlone(args: string[]): boolean {
  if (args.length === 0) return isTerminal(process.stdin, process.stdout)
  return args.every((arg) => arg.startsWith('-') && !['-h', '--help', '--version'].includes(arg))
}

/** Without those of another program, which stand behind `--`. */
function ownArgs(args: string[]): string[] {
  const end = args.indexOf('--')
  return end < 0 ? args : args.slice(0, end)
}

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)]
}
