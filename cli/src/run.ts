/** How a command is run: its code is loaded only then. */
import type { Command } from 'commander'
import { EXIT, helpOf, usage } from './faults.js'
import { createOutput, type Output } from './output.js'
import { leave } from './terminal.js'

/** What a command is called with. */
export interface Call<Options = Record<string, never>> {
  args: string[]
  options: Options
  out: Output
  command: Command
}

/** A file of `commands/`. A number is the exit code. */
export interface Runnable {
  // biome-ignore lint/suspicious/noExplicitAny: each command knows its own options.
  run(call: Call<any>): Promise<unknown>
}

/** Runs a command whose code is loaded only then. Its words must not be empty unless it `takesEmpty` ones. */
export function runs(
  load: () => Promise<Runnable>,
  { takesEmpty = false } = {},
): (...parts: unknown[]) => Promise<void> {
  return async (...parts) => {
    const command = parts.at(-1) as Command
    const options = command.optsWithGlobals()
    if (!takesEmpty) refuseEmpty(command, parts)
    const args = (parts.slice(0, -2) as (string | string[] | undefined)[]).flat().filter((arg) => arg !== undefined)
    const out = createOutput(options)
    const code = await (await load()).run({ args, options, out, command })
    await leave(typeof code === 'number' ? code : EXIT.done)
  }
}

/** Refuses an empty text, which most often is a variable that is not set. Words of another program may be empty. */
function refuseEmpty(command: Command, parts: unknown[]): void {
  const given: Record<string, unknown> = command.opts()
  const empty =
    command.registeredArguments.find((_, index) => parts[index] === '')?.name() ??
    command.options.find((option) => [given[option.attributeName()]].flat().includes(''))?.long
  if (empty !== undefined) throw usage(`${empty} is empty`, helpOf(command))
}
