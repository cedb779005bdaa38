/** The command line of the command as built: what commands there are. */
import program from '../../npm/dist/cli/program.js'

/** Every command that is not hidden: `{ name, command }`, the name as typed (`key slot add`). */
export async function everyCommand() {
  const below = (command, words) =>
    command
      .createHelp()
      .visibleCommands(command)
      .filter((one) => one.name() !== 'help')
      .flatMap((one) => {
        const name = [...words, one.name()]
        return [{ name: name.join(' '), command: one }, ...below(one, name)]
      })
  return below(program.createProgram(), [])
}

/** Those that do something: no other commands are below them. */
export async function leafCommands() {
  return (await everyCommand()).filter(({ command }) => command.commands.length === 0)
}
