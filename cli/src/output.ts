/**
 * What the command prints. Standard output has the answer and nothing else; messages, questions and errors go to standard
 * error.
 */
import pc from 'picocolors'
import { visible } from '../../npm/src/trust.js'
import type { Fault } from './faults.js'
import { isTerminal, showsColour, widthOf } from './terminal.js'
import { wrapped } from './text.js'

/** Of the JSON answers and their schemas in `schemas/cli`; a change that a reader must know of makes it one more. */
const VERSION_OF_ANSWERS = 1

/** Before the further lines of an error. */
const INDENT = '        '

export interface Output {
  json: boolean
  quiet: boolean
  /** Colours of standard output. */
  colour: Colours
  /** Colours of standard error. */
  errorColour: Colours
  /** The answer: `data` with `--json`, else the text, which may be made only then. */
  answer(data: object, text: string | (() => string)): void
  /** A message beside the answer. */
  say(text: string): void
  fault(fault: Fault): void
}

export type Colours = ReturnType<typeof pc.createColors>

export function createOutput({ json = false, quiet = false }: { json?: boolean; quiet?: boolean } = {}): Output {
  const errorColour = pc.createColors(showsColour(process.stderr))
  return {
    json,
    quiet,
    colour: pc.createColors(showsColour(process.stdout)),
    errorColour,
    answer(data, text) {
      const lines = json
        ? JSON.stringify({ version: VERSION_OF_ANSWERS, ...data })
        : typeof text === 'string'
          ? text
          : text()
      if (lines !== '') process.stdout.write(`${lines}\n`)
    },
    say(text) {
      if (!quiet) process.stderr.write(`${text}\n`)
    },
    fault(fault) {
      const { exit, ...error } = fault
      if (json) {
        process.stderr.write(
          `${JSON.stringify({ version: VERSION_OF_ANSWERS, error: { ...error, exitCode: exit } })}\n`,
        )
        return
      }
      // Elsewhere than in a terminal each part is one line, which is easier to search.
      const width = isTerminal(process.stderr) ? widthOf(process.stderr) : Number.POSITIVE_INFINITY
      const parts = { [errorColour.red('error: ')]: error.message, '  why:  ': error.why, '  next: ': error.next }
      for (const [head, text] of Object.entries(parts))
        if (text !== undefined) process.stderr.write(`${wrapped(visible(text), width, [head, INDENT]).join('\n')}\n`)
    },
  }
}
