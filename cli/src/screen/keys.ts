/** Keys by name, and what they do to a line that is typed. */
import type { Press } from './terminal.js'

/** `up`, `shift+up`, `ctrl+l`, `escape`; of a key that types something, that: `j`, `J`, `?`. */
export function keyName({ name = '', text, shift = false, ctrl = false }: Press): string {
  if (ctrl) return `ctrl+${name}`
  if (text.length > 0 && !/\p{Cc}/u.test(text)) return text
  return shift ? `shift+${name}` : name
}

export interface Typed {
  typed: string
  /** Where the cursor stands, in characters. */
  at: number
}

/** The typed text after a key. */
export function edited(press: Press, { typed, at }: Typed): Typed {
  const all = [...typed]
  switch (keyName(press)) {
    case 'left':
    case 'ctrl+b':
      return { typed, at: Math.max(0, at - 1) }
    case 'right':
    case 'ctrl+f':
      return { typed, at: Math.min(all.length, at + 1) }
    case 'home':
    case 'ctrl+a':
      return { typed, at: 0 }
    case 'end':
    case 'ctrl+e':
      return { typed, at: all.length }
    case 'backspace':
    case 'ctrl+h':
      return at === 0 ? { typed, at } : { typed: all.toSpliced(at - 1, 1).join(''), at: at - 1 }
    case 'delete':
    case 'ctrl+d':
      return { typed: all.toSpliced(at, 1).join(''), at }
    case 'ctrl+u':
      return { typed: all.slice(at).join(''), at: 0 }
    case 'ctrl+k':
      return { typed: all.slice(0, at).join(''), at }
  }
  if (press.ctrl || press.meta || press.text === '' || /\p{Cc}/u.test(press.text)) return { typed, at }
  return { typed: all.toSpliced(at, 0, press.text).join(''), at: at + [...press.text].length }
}
