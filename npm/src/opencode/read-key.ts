/** A secret that a person types, or that another program pipes in. It is shown nowhere. */
import { StringDecoder } from 'node:string_decoder'
import { createTypedLine, type LineEnd } from './typed-line.js'

/** Four times the longest key that the vault takes, so that a longer one is refused by name and not cut. */
const MOST_CHARACTERS = 65_536

/** After this time without an end of the input a person may wonder what is awaited. */
const PATIENCE_MS = 3_000
/** As long as any other login may take. */
const LONGEST_MS = 300_000

/** Those that end a process. Ctrl-C sends none in raw mode. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

/** How an input ended. The text is there with `entered` alone. */
export type Read = { end: 'entered'; text: string } | { end: Exclude<LineEnd, 'entered'> }

/**
 * Reads a line of the terminal that doesn't show what is typed. Its mode is put back whatever
 * happens, also when the process is told to end meanwhile.
 *
 * @param prompt goes to standard error, where no pipe takes it for output
 */
export async function readHidden(prompt: string, signal: AbortSignal): Promise<Read> {
  const { stdin, stderr } = process
  const line = createTypedLine(MOST_CHARACTERS)
  const wasRaw = stdin.isRaw === true
  // With it a paste of several lines is one text, and its rest doesn't go to whatever reads next.
  const [pasteOn, pasteOff] = process.env.TERM === 'dumb' ? ['', ''] : ['\u001b[?2004h', '\u001b[?2004l']
  const putBack = (): void => {
    stderr.write(pasteOff)
    stdin.setRawMode(wasRaw)
  }
  const endBy = (name: NodeJS.Signals): void => {
    putBack()
    process.kill(process.pid, name)
  }
  stderr.write(pasteOn + prompt)
  stdin.setRawMode(true)
  process.once('exit', putBack)
  for (const name of SIGNALS) process.once(name, endBy)
  try {
    const end = await follow((text) => line.take(text), signal)
    return end === 'entered' ? { end, text: line.text() } : { end: end ?? 'cancelled' }
  } finally {
    process.off('exit', putBack)
    for (const name of SIGNALS) process.off(name, endBy)
    putBack()
    stderr.write('\n')
  }
}

/**
 * Reads standard input to its end, or one line of it, without the white space around it.
 *
 * @param hint goes to standard error when the input keeps one waiting
 */
export async function readPiped(until: 'end' | 'line', hint: string, signal: AbortSignal): Promise<Read> {
  let piped = ''
  const wait = setTimeout(() => process.stderr.write(`${hint}\n`), PATIENCE_MS)
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)])
  const end = await follow((text) => {
    piped += text
    if (piped.length > MOST_CHARACTERS) return 'too-long'
    return until === 'line' && /\S.*\n/.test(piped) ? 'entered' : undefined
  }, inTime)
  clearTimeout(wait)
  return end === undefined || end === 'entered' ? { end: 'entered', text: piped.trim() } : { end }
}

/** Hands over what standard input brings, until that has an end; resolves to `undefined` at the end of the input. */
function follow(take: (text: string) => LineEnd | undefined, signal: AbortSignal): Promise<LineEnd | undefined> {
  const { stdin } = process
  const decoder = new StringDecoder('utf8')
  return new Promise((resolve) => {
    const settle = (end: LineEnd | undefined): void => {
      for (const [event, listener] of listeners) stdin.off(event, listener)
      signal.removeEventListener('abort', abort)
      stdin.pause()
      resolve(end)
    }
    const abort = (): void => settle('cancelled')
    const onEnd = (): void => settle(undefined)
    const onData = (sent: Buffer | string): void => {
      const end = take(typeof sent === 'string' ? sent : decoder.write(sent))
      if (end !== undefined) settle(end)
    }
    // An input that isn't there, or cannot be read, has nothing in it.
    const listeners = [
      ['data', onData],
      ['end', onEnd],
      ['close', onEnd],
      ['error', onEnd],
    ] as const
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    if (stdin.readableEnded || stdin.destroyed) return onEnd()
    for (const [event, listener] of listeners) stdin.on(event, listener)
    stdin.resume()
  })
}
