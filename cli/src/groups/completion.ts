/** Completion of the command line by shells. */
import { type Command, Option } from 'commander'
import { examples } from '../examples.js'
import { runs } from '../run.js'

const SHELLS = ['bash', 'zsh', 'fish', 'powershell']
const WHERE = `
Where to put it, once:
  bash        echo 'source <(provider-auth completion bash)' >> ~/.bashrc
  zsh         echo 'source <(provider-auth completion zsh)' >> ~/.zshrc
  fish        provider-auth completion fish \\
                > ~/.config/fish/completions/provider-auth.fish
  powershell  add to the file that $PROFILE names:
              provider-auth completion powershell | Out-String |
                Invoke-Expression
Then start a new shell.`

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('print the script with which a shell completes this command')
    .addArgument(program.createArgument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText('after', WHERE)
    .addHelpText('after', examples(['provider-auth completion bash']))
    .action(runs(() => import('../commands/completion.js')))
  program
    .command('complete', { hidden: true })
    .description('print what may come next; the scripts call it')
    .addOption(new Option('--shell <shell>').choices(SHELLS).default('fish'))
    .option('--breaks <characters>', 'bash: those that end a word')
    .argument('[words...]')
    .action(runs(() => import('../commands/complete.js'), { takesEmpty: true }))
}
