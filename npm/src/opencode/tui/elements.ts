/** The few elements that the screens are made of. */
import type { Api, Element, Inserted, KeyPress, Paste, Signals, Solid } from './host.js'

export interface Elements {
  text(value: string | (() => string), color?: Color): Element
  /** A column of elements. */
  column(props: Record<string, unknown>, ...children: Inserted[]): Element
  /** A dialog's head: its title, and the key that closes it. */
  head(title: string): Element
  /**
   * A field for a secret: what is typed or pasted into it is neither shown nor kept by the screen.
   * `done` gets it once.
   */
  secret(done: (value: string) => void): Element
  /** Something without a look that hears keys. */
  keys(heard: (key: KeyPress) => void): Element
}

export type Color = 'text' | 'textMuted' | 'accent' | 'warning'

/** A dialog's content stands this far from its border, as in OpenCode's own dialogs. */
export const PADDING = { paddingLeft: 4, paddingRight: 4, paddingBottom: 1, gap: 1 }

export function createElements(api: Api, solid: Solid, { createSignal, untrack }: Signals): Elements {
  const element = (tag: 'box' | 'text', props: Record<string, unknown>, children: readonly Inserted[]) => {
    const made = solid.createElement(tag)
    for (const [name, value] of Object.entries(props)) solid.setProp(made, name, value)
    for (const child of children) solid.insert(made, child, null)
    return made
  }
  const column: Elements['column'] = (props, ...children) => element('box', props, children)
  const text: Elements['text'] = (value, color = 'text') => {
    const shown = typeof value === 'string' ? value : () => unharmed(value, '')
    return element('text', { fg: untrack(() => api.theme.current[color]), wrapMode: 'word' }, [shown])
  }
  const keys: Elements['keys'] = (heard) => {
    const field = column({ focusable: true, onKeyDown: heard })
    // Where the dialog stood before, the focus is given back a moment after.
    setTimeout(() => field.focus(), 1)
    return field
  }
  return {
    text,
    column,
    keys,
    head: (title) =>
      column({ flexDirection: 'row', justifyContent: 'space-between' }, text(title), text('esc', 'textMuted')),
    secret(done) {
      let value = ''
      const [length, setLength] = createSignal(0)
      const set = (next: string) => {
        value = next
        setLength([...next].length)
      }
      const field = keys((key) => {
        if (key.name === 'return') {
          const typed = value
          set('')
          if (typed !== '') done(typed)
        } else if (key.name === 'backspace') set([...value].slice(0, -1).join(''))
        else if (key.ctrl && key.name === 'u') set('')
        else if (!key.ctrl && !key.meta && isText(key.sequence)) set(value + key.sequence)
        else return
        key.preventDefault()
      })
      solid.setProp(field, 'onPaste', (paste: Paste) => {
        set(value + new TextDecoder().decode(paste.bytes).replace(/\s+/g, ''))
        paste.preventDefault()
      })
      solid.insert(
        field,
        text(() => `${'•'.repeat(length())}▏`),
        null,
      )
      return field
    },
  }
}

/** What a screen is made of; where that fails, a substitute: an error while drawing ends OpenCode. */
export function unharmed<T>(make: () => T, substitute: T): T {
  try {
    return make()
  } catch {
    return substitute
  }
}

function isText(sequence: string): boolean {
  return sequence !== '' && !/\p{Cc}/u.test(sequence)
}
