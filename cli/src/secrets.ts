/** Secrets that a person types, or that another program hands over on standard input. */
import { usage } from './faults.js'
import { askSecret, mustAsk } from './prompts.js'
import { isTerminal } from './terminal.js'

/** Of a key or a passphrase; what is longer is another file. */
const LONGEST = 65_536

/** The first line of standard input. */
export async function lineOfInput(what: string): Promise<string> {
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk
    if (text.includes('\n') || text.length > LONGEST) break
  }
  const line = (text.split('\n')[0] ?? '').replace(/\r$/, '')
  if (line === '' || line.length > LONGEST)
    throw usage(`standard input has no ${what}`, `give the ${what} as its first line`)
  return line
}

interface Asked {
  /** What is asked for, as the question names it. */
  what: string
  /** `--passphrase-stdin` */
  stdin?: boolean | undefined
  /** Typed a second time, since a slip would lock its owner out. */
  twice?: boolean
}

/** A passphrase: from standard input with `--passphrase-stdin`, else asked for without echo. */
export async function passphrase({ what, stdin = false, twice = false }: Asked): Promise<string> {
  // A terminal would show what is typed.
  if (stdin && !isTerminal(process.stdin)) return lineOfInput('passphrase')
  mustAsk('--passphrase-stdin, with the passphrase as the first line of standard input')
  const first = await askSecret(what)
  if (first === '') throw usage('the passphrase is empty')
  if (twice && (await askSecret(`${what}, once more`)) !== first) throw usage('the two passphrases are not the same')
  return first
}
