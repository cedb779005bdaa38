/** How a command is run: its code is loaded only then. */
import type { Command } from 'commander'
import { EXIT } from './faults.js'
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

/** Runs a command whose code is loaded only then. */
export function runs(load: () => Promise<Runnable>): (...parts: unknown[]) => Promise<void> {
  return async (...parts) => {
    const command = parts.at(-1) as Command
    const options = command.optsWithGlobals()
    const args = (parts.slice(0, -2) as (string | string[] | undefined)[]).flat().filter((arg) => arg !== undefined)
    const out = createOutput(options)
    const code = await (await load()).run({ args, options, out, command })
    await leave(typeof code === 'number' ? code : EXIT.done)
  }
}
