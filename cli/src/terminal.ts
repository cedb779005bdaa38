/** The terminal that the command runs in, and how the process ends. */
import { EXIT } from './faults.js'

/** Whether all of these are a terminal. */
export function isTerminal(...streams: { isTTY?: boolean }[]): boolean {
  return streams.every(({ isTTY }) => isTTY === true)
}

/** Whether a stream shows colours: `NO_COLOR` and `FORCE_COLOR` decide, else whether it is a terminal that can. */
export function showsColour(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false'
  return stream.isTTY === true && env.TERM !== 'dumb'
}

/** Characters in a line; 80 where there is no terminal. */
export function widthOf(stream: { columns?: number }): number {
  return stream.columns !== undefined && stream.columns > 0 ? stream.columns : 80
}

/**
 * Lets the signals that end a process end it in order: the exit waits for a token exchange that is under way, and gives the
 * terminal back.
 */
export function endAtSignals(): void {
  process.on('SIGINT', () => process.exit(EXIT.interrupted))
  process.on('SIGTERM', () => process.exit(143))
  process.on('SIGHUP', () => process.exit(129))
  process.on('SIGQUIT', () => process.exit(131))
  // Who reads the answer may have read enough, as `head` does.
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') process.exit(EXIT.done)
    process.stderr.write(`provider-auth: the answer could not be written to standard output (${code})\n`)
    process.exit(EXIT.failed)
  })
  // A message whose reader is gone ends nothing: what is under way goes on, and the exit code tells how it ended.
  process.stderr.on('error', () => {})
}

/** Ends the process once everything is written. */
export async function leave(code: number): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) await new Promise((resolve) => stream.write('', resolve))
  process.exit(code)
}
