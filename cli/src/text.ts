/** Texts in columns: a character may take two cells of a terminal, or none, and colours take none. */
import measured from 'fast-string-truncated-width'

/** How many cells a text takes. */
export function widthOf(text: string): number {
  return measured(text).width
}

/** The text in at most so many cells; of one that is longer, the beginning and `…`. */
export function cut(text: string, cells: number, ellipsis = '…'): string {
  if (cells <= 0) return ''
  const { ellipsed, index, truncated } = measured(text, { limit: cells, ellipsis, ellipsisWidth: ellipsis.length })
  if (!ellipsed && !truncated) return text
  const end = text.includes('\u001b') ? '\u001b[0m' : ''
  return `${text.slice(0, index)}${ellipsed ? ellipsis : ''}${end}`
}

/** The text in exactly so many cells. */
export function fitted(text: string, cells: number, ellipsis?: string): string {
  const part = cut(text, cells, ellipsis)
  return part + ' '.repeat(Math.max(0, cells - widthOf(part)))
}
