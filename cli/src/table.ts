/** Columns of text without lines around them, as other commands of a terminal print them. */
import Table from 'cli-table3'

const NO_LINES = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((name) => [name, '']),
)

/** The rows below one another, the heads first; a cell may hold colours. */
export function table(heads: string[], rows: string[][]): string {
  const made = new Table({
    chars: NO_LINES,
    style: { 'padding-left': 0, 'padding-right': 2, head: [], border: [], compact: true },
  })
  made.push(...(heads.length > 0 ? [heads, ...rows] : rows))
  return made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}
