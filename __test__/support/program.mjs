/** The command line of the command as built: what commands there are. */
import { createRequire } from 'node:module'

const { createProgram } = createRequire(import.meta.url)('../../npm/dist/cli/program.js')

/** Every command that is not hidden: `{ name, command }`, the name as typed (`key slot add`). */
export function everyCommand() {
  const below = (command, words) =>
    command
      .createHelp()
      .visibleCommands(command)
      .filter((one) => one.name() !== 'help')
      .flatMap((one) => {
        const name = [...words, one.name()]
        return [{ name: name.join(' '), command: one }, ...below(one, name)]
      })
  return below(createProgram(), [])
}

/** Those that do something: no other commands are below them. */
export function leafCommands() {
  return everyCommand().filter(({ command }) => command.commands.length === 0)
}
