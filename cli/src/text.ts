/** Texts in columns: a character may take two cells of a terminal, or none, and colours take none. */
import measured from 'fast-string-truncated-width'

const COLOUR = new RegExp(`(${'\u001b'}\\[[\\d;]*m)`)

/** Characters of one cell each, known without the tables of all others, whose first use takes 5 ms. */
const PLAIN = /^[ -~…]*$/

/** How many cells a text takes. */
export function widthOf(text: string): number {
  return PLAIN.test(text) ? text.length : measured(text).width
}

/** The text in at most so many cells, with its colours; of one that is longer, the beginning and `…`. */
export function cut(text: string, cells: number, ellipsis = '…'): string {
  if (widthOf(text) <= cells) return text
  let room = cells
  return text
    .split(COLOUR)
    .map((part) => {
      if (COLOUR.test(part) || room <= 0) return COLOUR.test(part) ? part : ''
      const whole = widthOf(part)
      // The last part too gives way to the ellipsis where more follows it.
      const short = whole < room ? part : `${part.slice(0, measured(part, { limit: room - 1 }).index)}${ellipsis}`
      room -= Math.min(whole, room)
      return short
    })
    .join('')
}

/** The text in exactly so many cells. */
export function fitted(text: string, cells: number, ellipsis?: string): string {
  const part = cut(text, cells, ellipsis)
  return part + ' '.repeat(Math.max(0, cells - widthOf(part)))
}

/**
 * The text in lines of at most so many cells, broken between words; longer words stay whole. `first` begins the first line,
 * and `rest` the others.
 */
export function wrapped(text: string, width: number, [first, rest]: [string, string] = ['', '']): string[] {
  const [start = '', ...words] = text.split(' ')
  const lines = [first + start]
  for (const word of words) {
    const longer = `${lines.at(-1)} ${word}`
    if (widthOf(longer) > width) lines.push(rest + word)
    else lines[lines.length - 1] = longer
  }
  return lines
}
