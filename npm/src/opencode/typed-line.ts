/** A line that a person types on a terminal in raw mode, where the terminal edits and shows nothing by itself. */

/** How a line ended. */
export type LineEnd = 'entered' | 'cancelled' | 'too-long'

export interface TypedLine {
  /** Takes what the terminal sent; tells how the line ended, once it has. What comes after its end is dropped. */
  take(sent: string): LineEnd | undefined
  text(): string
}

const ESCAPE = '\u001b'
/** What follows it in a key that is no character: `[` … (ECMA-48 §5.4), or `O` and a letter. */
const SEQUENCE = /^(?:\[[0-?]*[ -/]*[@-~]|O[A-Za-z])/
/** The beginning of one, whose rest the terminal has yet to send. */
const UNFINISHED = /^(?:\[[0-?]*[ -/]*)?$/

const PASTE_BEGINS = '[200~'
const PASTE_ENDS = '[201~'

/**
 * Collects a line. Backspace takes a character back, Ctrl-U and Ctrl-W all of them; Enter ends the
 * line, and so does Ctrl-D behind a character; Ctrl-C and a Ctrl-D before the first one cancel. Line
 * breaks inside a bracketed paste are left out: they came along with the copy. Other keys do nothing.
 */
export function createTypedLine(most: number): TypedLine {
  let characters: string[] = []
  let unfinished = ''
  let isPasted = false
  const key = (character: string): LineEnd | undefined => {
    switch (character) {
      case '\r':
      case '\n':
        return isPasted ? undefined : 'entered'
      case '\u0003':
        return isPasted ? undefined : 'cancelled'
      case '\u0004':
        if (isPasted) return undefined
        return characters.length > 0 ? 'entered' : 'cancelled'
      case '\b':
      case '\u007f':
        characters.pop()
        return undefined
      case '\u0015':
      case '\u0017':
        characters = []
        return undefined
      default:
        if (character >= ' ') characters.push(character)
        return characters.length > most ? 'too-long' : undefined
    }
  }
  return {
    take(sent) {
      // A lone escape key, of which this is no part.
      let rest = unfinished === ESCAPE && !sent.startsWith('[') ? sent : unfinished + sent
      unfinished = ''
      while (rest !== '') {
        if (rest.startsWith(ESCAPE)) {
          const behind = rest.slice(1)
          if (UNFINISHED.test(behind)) {
            unfinished = rest
            return undefined
          }
          const [sequence = ''] = SEQUENCE.exec(behind) ?? []
          if (sequence === PASTE_BEGINS) isPasted = true
          if (sequence === PASTE_ENDS) isPasted = false
          rest = behind.slice(sequence.length)
          continue
        }
        const [character = ''] = rest
        rest = rest.slice(character.length)
        const end = key(character)
        if (end !== undefined) return end
      }
      return undefined
    },
    text: () => characters.join(''),
  }
}
