/** Questions on the terminal. They are shown on standard error, and Ctrl-C ends the command. */
import { confirm, isCancel, password, select, text } from '@clack/prompts'
import { fault, interrupted } from './faults.js'
import { isTerminal } from './terminal.js'

const output = process.stderr

/** Whether a person can be asked. */
export function canAsk(): boolean {
  return isTerminal(process.stdin, process.stderr)
}

/** Ends with what to pass instead, where no person can be asked. */
export function mustAsk(instead: string): void {
  if (!canAsk())
    throw fault({ code: 'USAGE', exit: 2, message: 'this asks a question, and there is no terminal', next: instead })
}

/** The answer to a question, which hides the cursor; it is shown again also where a signal ends the process meanwhile. */
async function answered<T>(answer: Promise<T>): Promise<Exclude<T, symbol>> {
  const showCursor = (): void => void output.write('\u001b[?25h')
  process.once('exit', showCursor)
  try {
    const given = await answer
    if (isCancel(given)) throw interrupted()
    return given as Exclude<T, symbol>
  } finally {
    process.off('exit', showCursor)
  }
}

export async function askYes(message: string): Promise<boolean> {
  return answered(confirm({ message, initialValue: false, output }))
}

/** A secret; nothing of it is shown but that keys were pressed. */
export async function askSecret(message: string): Promise<string> {
  return answered(password({ message, output }))
}

export async function askText(message: string, initialValue = ''): Promise<string> {
  return answered(text({ message, initialValue, output }))
}

export async function askChoice<T extends string>(
  message: string,
  options: { value: T; label: string; hint?: string }[],
): Promise<T> {
  // The types of the library distinguish values by whether they are texts.
  return (await answered(select<string>({ message, options, output, maxItems: 12 }))) as T
}
