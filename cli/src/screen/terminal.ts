/** A terminal that is drawn on: its other screen, its keys, and how it is given back, whatever ends the process. */
import { writeSync } from 'node:fs'
import { emitKeypressEvents, type Interface, type Key } from 'node:readline'
import { EXIT, faultOf } from '../faults.js'
import { createOutput } from '../output.js'
import { cut } from '../text.js'

const ESC = '\u001b['
/** The other screen, without a cursor, and without wrapping: a line that is too long must not push others away. */
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l`
const LEAVE = `${ESC}?7h${ESC}?25h${ESC}?1049l`
/** Terminals that know it show what is between both at once. */
const [BEGIN, END] = [`${ESC}?2026h`, `${ESC}?2026l`]
/** Until a lone Escape is a key of its own; the rest of an arrow key takes a while over a slow line. */
const ESCAPE_MS = 150
/** How often it is written to a terminal that takes nothing at the moment. */
const MOST_TRIES = 1_000

export interface Press extends Key {
  /** The character itself, where the key has one. */
  text: string
}

export interface Terminal {
  /** Shows these lines, those that do not fit cut; the cursor at a place, or none. */
  draw(lines: readonly string[], cursor?: { row: number; column: number }): void
  onKey(listener: (press: Press) => void): void
  size(): { width: number; height: number }
  /** Called when the size has changed, or the terminal has come back: all is to be drawn again. */
  onResize(listener: () => void): void
  /** Draws all of it again at the next chance, for a terminal that another program wrote to. */
  redraw(): void
  /** Gives the terminal back while something else uses it. */
  lend<T>(work: () => Promise<T>): Promise<T>
  close(): void
}

/** Whether this terminal can be drawn on, and its keys read one by one. */
export function canDraw(): boolean {
  const { stdin, stdout, env } = process
  return stdin.isTTY === true && stdout.isTTY === true && typeof stdin.setRawMode === 'function' && env.TERM !== 'dumb'
}

/** Takes the terminal. Ctrl-C ends the process and Ctrl-Z stops it; all other keys go to `onKey`. */
export function openTerminal(): Terminal {
  const { stdin, stdout } = process
  let isOpen = false
  let drawn: string[] = []
  let listener: (press: Press) => void = () => {}
  let resized: () => void = () => {}

  const size = () => ({ width: stdout.columns || 80, height: stdout.rows || 24 })
  const redraw = (): void => {
    drawn = []
    resized()
  }
  const enter = (): void => {
    if (isOpen) return
    isOpen = true
    stdin.setRawMode(true)
    stdin.resume()
    put(ENTER)
    redraw()
  }
  const leave = (): void => {
    if (!isOpen) return
    isOpen = false
    put(LEAVE)
    try {
      stdin.setRawMode(false)
    } catch {
      // The terminal is gone.
    }
    stdin.pause()
  }
  const suspend = (): void => {
    if (process.platform === 'win32') return
    leave()
    // The whole job, as the terminal itself does it. Where no shell could continue it, nothing stops.
    process.off('SIGTSTP', suspend)
    process.kill(0, 'SIGTSTP')
    setTimeout(() => {
      process.on('SIGTSTP', suspend)
      enter()
    })
  }
  const crash = (error: unknown): void => {
    leave()
    createOutput().fault(faultOf(error))
    process.exit(EXIT.failed)
  }
  const press = (text: string | undefined, key: Key): void => {
    if (!isOpen) return
    if (key.ctrl && key.name === 'c') process.exit(EXIT.interrupted)
    if (key.ctrl && key.name === 'z') suspend()
    else listener({ ...key, text: text ?? '' })
  }

  // The lone Escape waits as long as this says.
  emitKeypressEvents(stdin, { escapeCodeTimeout: ESCAPE_MS } as unknown as Interface)
  stdin.on('keypress', press)
  // The terminal went away.
  stdin.on('end', () => process.exit(129))
  stdin.on('error', () => process.exit(129))
  stdout.on('resize', redraw)
  process.prependListener('exit', leave)
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
  process.on('SIGTSTP', suspend)
  process.on('SIGCONT', enter)
  enter()

  return {
    size,
    close: leave,
    onKey(next) {
      listener = next
    },
    onResize(next) {
      resized = next
    },
    redraw,
    draw(lines, cursor) {
      if (!isOpen) return
      const { width, height } = size()
      const fit = lines.slice(0, height).map((line) => cut(line, width))
      const isNew = drawn.length === 0
      const changed = Array.from({ length: Math.max(fit.length, drawn.length) }, (_, row) =>
        fit[row] === drawn[row] ? '' : `${ESC}${row + 1};1H${ESC}K${fit[row] ?? ''}${ESC}0m`,
      ).join('')
      drawn = fit
      const place = cursor === undefined ? `${ESC}?25l` : `${ESC}${cursor.row + 1};${cursor.column + 1}H${ESC}?25h`
      stdout.write(`${BEGIN}${isNew ? `${ESC}2J` : ''}${changed}${place}${END}`)
    },
    async lend(work) {
      leave()
      process.off('SIGCONT', enter).off('SIGTSTP', suspend)
      try {
        return await work()
      } finally {
        process.on('SIGCONT', enter).on('SIGTSTP', suspend)
        enter()
      }
    },
  }
}

/** Written at once: it must be out before the process ends. */
function put(text: string): void {
  for (let tries = 0; tries < MOST_TRIES; tries += 1)
    try {
      writeSync(process.stdout.fd, text)
      return
    } catch (fault) {
      // A terminal that is slow takes it soon; one that is gone takes nothing any more.
      if ((fault as NodeJS.ErrnoException).code !== 'EAGAIN') return
    }
}
