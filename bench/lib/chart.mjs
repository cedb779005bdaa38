// Draws a table as bars, in an SVG that needs nothing else: no script, no font, no page around it. It is readable on light
// and dark pages, since it follows the reader's preference and has a ground of its own.

import { figure } from './format.mjs'

const WIDTH = 920
const LABELS = 400
const FIGURES = 90
const BAR = 14
const GAP = 10
const TOP = 44
/** The shortest bar on a logarithmic scale, which has no zero, as a share of the longest. */
const LEAST = 0.04

const STYLE = `
  .ground { fill: #ffffff; } text { fill: #1f2328; font: 12px system-ui, sans-serif; } .title { font-weight: 600; font-size: 14px; }
  .quiet { fill: #59636e; } .ours { fill: #0969da; } .other { fill: #8c959f; } .second { opacity: 0.65; } .third { opacity: 0.4; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; } text { fill: #e6edf3; } .quiet { fill: #9198a1; } .ours { fill: #4493f8; } .other { fill: #656c76; }
  }`

/** The SVG of a table's columns with `chart`; undefined where no column has. */
export function drawChart({ title, columns, rows, isLogarithmic = false }) {
  const series = columns.flatMap(({ chart, unit }, index) => (chart === undefined ? [] : [{ chart, unit, index }]))
  if (series.length === 0) return undefined
  const scale = scaleOf(
    rows.flatMap(({ values }) => series.map(({ index }) => values[index])),
    isLogarithmic,
  )
  const height = (bars) => bars * (BAR + 2) + GAP
  const lines = []
  let y = TOP + 4
  for (const { name, isOurs, values } of rows) {
    const middle = y + (series.length * (BAR + 2)) / 2 + 4
    lines.push(text(LABELS - 10, middle, escaped(name.replaceAll('`', '')), 'text-anchor="end"'))
    for (const [place, { index, unit }] of series.entries()) {
      const value = values[index]
      const width = value === undefined ? 0 : Math.max(1, scale(value) * (WIDTH - LABELS - FIGURES))
      const kind = `${isOurs ? 'ours' : 'other'} ${['', 'second', 'third'][Math.min(place, 2)]}`.trim()
      lines.push(`<rect class="${kind}" x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>`)
      lines.push(text(LABELS + width + 6, y + BAR - 3, escaped(figure(value, unit)), 'class="quiet"'))
      y += BAR + 2
    }
    y += GAP
  }
  const total = TOP + rows.length * height(series.length) + 4
  const kinds = series.map(({ chart }) => chart).join('; ')
  const legend = `${kinds}${isLogarithmic ? ' (logarithmic)' : ''}`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${total}" width="${WIDTH}" height="${total}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="ground" width="${WIDTH}" height="${total}" rx="6"/>`,
    text(16, 20, escaped(title), 'class="title"'),
    text(16, 37, escaped(series.length > 1 ? `from above: ${legend}` : legend), 'class="quiet"'),
    ...lines,
    '</svg>',
    '',
  ].join('\n')
}

/** Returns the length of a value's bar, of 1 at most. */
function scaleOf(all, isLogarithmic) {
  const values = all.filter((value) => value > 0)
  const [least, most] = [Math.min(...values), Math.max(...values)]
  if (!isLogarithmic || least === most) return (value) => Math.max(0, value) / most
  const span = Math.log(most / least)
  return (value) => (value <= 0 ? 0 : LEAST + (1 - LEAST) * (Math.log(value / least) / span))
}

function text(x, y, content, more = '') {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${content}</text>`
}

function escaped(content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
