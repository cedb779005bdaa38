/** The command line of the command as built: what commands there are. */
import { readdirSync } from 'node:fs'

const FOLDER = new URL('../../npm/dist/cli/', import.meta.url)

/** Every command that is not hidden: `{ name, command }`, the name as typed (`key slot add`). */
export async function everyCommand() {
  const [file] = readdirSync(FOLDER).filter((name) => /^program-\w+\.js$/.test(name))
  const { createProgram } = await import(new URL(file, FOLDER))
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
export async function leafCommands() {
  return (await everyCommand()).filter(({ command }) => command.commands.length === 0)
}
