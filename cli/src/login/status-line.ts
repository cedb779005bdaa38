/** A line at the end of the screen that tells how far something is. */
import { isTerminal, widthOf } from '../terminal.js'
import { wrapped } from '../text.js'

export interface StatusLine {
  /** Prints a message above the line. */
  say(text: string): void
  /** Draws the line where it was, after something else has ended it. */
  rejoin(): void
  /** Removes the line. */
  end(): void
}

/** Shows the line anew each second. Without a terminal that can, it is printed once. */
export function showStatus(line: () => string, look: (say: (text: string) => void) => void): StatusLine {
  const { stderr } = process
  const isMoving = isTerminal(stderr) && process.env.TERM !== 'dumb'
  // The last column stays free: a line that fills it wraps in some terminals.
  const draw = (): void => {
    if (isMoving) stderr.write(`\r${[...line()].slice(0, widthOf(stderr) - 1).join('')}\u001b[K`)
  }
  const clear = (): void => {
    if (isMoving) stderr.write('\r\u001b[K')
  }
  const say = (text: string): void => {
    clear()
    stderr.write(`${wrapped(text, widthOf(stderr) - 1).join('\n')}\n`)
    draw()
  }
  // What comes after a command that was interrupted begins a line of its own.
  const leave = (): void => {
    if (isMoving) stderr.write('\n')
  }
  process.once('exit', leave)
  if (isMoving) draw()
  else say(line())
  const timer = setInterval(() => {
    look(say)
    draw()
  }, 1_000)
  return {
    say,
    rejoin() {
      if (isMoving) stderr.write('\u001b[A')
      draw()
    },
    end() {
      clearInterval(timer)
      process.off('exit', leave)
      clear()
    },
  }
}
