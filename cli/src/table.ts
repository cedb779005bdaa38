/** Columns of text without lines around them, as other commands of a terminal print them. */
import { cut, fitted, widthOf } from './text.js'

const GAP = 2

/**
 * The rows below one another, the heads first; a cell may hold colours.
 *
 * @param options.width cells of a line: columns of `shrinks` are cut until the lines fit, none below 12 cells
 */
export function table(
  heads: string[],
  rows: string[][],
  { width = Number.POSITIVE_INFINITY, shrinks = [] }: { width?: number; shrinks?: number[] } = {},
): string {
  const all = heads.length > 0 ? [heads, ...rows] : rows
  const columns = Math.max(0, ...all.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...all.map((row) => widthOf(row[column] ?? ''))),
  )
  let excess = widths.reduce((sum, cells) => sum + cells + GAP, -GAP) - width
  for (const column of shrinks) {
    const cells = widths[column] ?? 0
    const taken = Math.min(Math.max(0, excess), Math.max(0, cells - 12))
    widths[column] = cells - taken
    excess -= taken
  }
  const shown = (cell: string, column: number) =>
    column === columns - 1 ? cut(cell, widths[column] ?? 0) : fitted(cell, widths[column] ?? 0)
  return all.map((row) => row.map(shown).join(' '.repeat(GAP)).trimEnd()).join('\n')
}
