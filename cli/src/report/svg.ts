/** Charts as SVG: stacked bars over time, and how a quota window fills and resets. Nothing is loaded, nothing runs. */
import { visible } from '../../../npm/src/trust.js'
import type { Report, Window } from './figures.js'
import { stamp } from './said.js'

/** What is drawn in one colour. */
export interface Series {
  name: string
  values: number[]
  /** Of the palette in `STYLE`. */
  colour: number
}

const LEFT = 44
const RIGHT = 8
const TOP = 10
const BOTTOM = 24

/** Colours that hold against white and against near-black, each three to one at least. */
export const PALETTE = ['#2f6fed', '#d9480f', '#0f8a6d', '#9c36b5', '#b58900', '#c2255c', '#5f6b7a'] as const
/** The last one: what has no colour of its own. */
export const REST = PALETTE.length - 1

export const CHART_STYLE = [
  'text{fill:#4a5568;font:12px system-ui,sans-serif}',
  '.grid{stroke:#d8dee6;stroke-width:1}',
  ...PALETTE.map((colour, index) => `.c${index}{fill:${colour}}.l${index}{stroke:${colour}}`),
  '.line{fill:none;stroke-width:2;stroke-linejoin:round}.area{opacity:.16}',
  '@media (prefers-color-scheme:dark){text{fill:#a9b4c2}.grid{stroke:#313a46}',
  `.c0{fill:#6ea0ff}.l0{stroke:#6ea0ff}.c1{fill:#ff8a4c}.l1{stroke:#ff8a4c}.c2{fill:#3ecfa8}.l2{stroke:#3ecfa8}`,
  `.c3{fill:#d48be6}.l3{stroke:#d48be6}.c4{fill:#e5c04b}.c5{fill:#ff7aa2}.c6{fill:#93a0b1}}`,
].join('')

/** Text that stands in a page or in an attribute of it, and is nothing but text there. */
export function escaped(text: string): string {
  const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  return visible(text).replace(/[&<>"']/g, (c) => ENTITIES[c] as string)
}

/** Bars over the steps of a report, one series on the other. */
export function bars(
  { steps, step }: Pick<Report, 'steps' | 'step'>,
  series: readonly Series[],
  { width, height, title, unit }: { width: number; height: number; title: string; unit: (value: number) => string },
): string {
  const sums = steps.map((_, index) => series.reduce((sum, { values }) => sum + (values[index] ?? 0), 0))
  const top = ceiling(Math.max(0, ...sums))
  const inner = { width: width - LEFT - RIGHT, height: height - TOP - BOTTOM }
  const slot = inner.width / steps.length
  const bar = Math.max(1, Math.min(48, slot * 0.72))
  const y = (value: number) => TOP + inner.height * (1 - value / top)
  const parts = axis(top, unit, { width, y })
  for (const [index, { at }] of steps.entries()) {
    const x = LEFT + slot * index + (slot - bar) / 2
    let below = 0
    const stack: string[] = []
    for (const { values, colour } of series) {
      const value = values[index] ?? 0
      if (value === 0) continue
      // What is there is seen, however little it is.
      const pixels = Math.max(1, y(below) - y(below + value))
      stack.push(rect(x, y(below) - pixels, bar, pixels, `c${colour}`))
      below += value
    }
    const told = series.filter(({ values }) => (values[index] ?? 0) > 0)
    const words = told.map(({ name, values }) => `${name}: ${unit(values[index] ?? 0)}`)
    if (stack.length > 0)
      parts.push(`<g><title>${escaped([stamp(at, step), ...words].join('\n'))}</title>${stack.join('')}</g>`)
  }
  parts.push(...dates(steps, step, { slot, y: height - 6, width }))
  return svg(width, height, title, parts)
}

/** How full a window was: it rises with use, and is empty again at its reset. */
export function filling(
  { from, to, step }: Pick<Report, 'from' | 'to' | 'step'>,
  { samples, window, name }: Window,
  { width, height }: { width: number; height: number },
): string {
  const inner = { width: width - LEFT - RIGHT, height: height - TOP - BOTTOM }
  const x = (at: number) => LEFT + (inner.width * (Math.min(to, Math.max(from, at)) - from)) / Math.max(1, to - from)
  const y = (percent: number) => TOP + inner.height * (1 - Math.min(100, percent) / 100)
  const points: [number, number][] = []
  for (const [index, { at, usedPercent, resetAt }] of samples.entries()) {
    const next = samples[index + 1]?.at ?? to
    const before = points.at(-1)
    if (before !== undefined && before[1] === 0) points.push([at, 0])
    points.push([at, usedPercent])
    // Until the next look it stays as it is, unless it resets.
    if (resetAt <= next) points.push([resetAt, usedPercent], [resetAt, 0])
    else points.push([next, usedPercent])
  }
  const last = points.at(-1)
  if (last !== undefined && last[1] === 0) points.push([to, 0])
  const line = points.map(([at, percent]) => `${round(x(at))},${round(y(percent))}`).join(' ')
  const ends = [x(points[0]?.[0] ?? from), x(points.at(-1)?.[0] ?? to)]
  const parts = axis(100, (value) => `${value}%`, { width, y })
  parts.push(
    `<polygon class="area c0" points="${round(ends[0] ?? 0)},${y(0)} ${line} ${round(ends[1] ?? 0)},${y(0)}"/>`,
  )
  parts.push(`<polyline class="line l0" points="${line}"/>`)
  const ticks = [from, to]
  for (const [index, at] of ticks.entries())
    parts.push(text(index === 0 ? LEFT : width - RIGHT, height - 6, stamp(at, step), index === 0 ? 'start' : 'end'))
  return svg(width, height, `${name}: use of the window ${window}`, parts)
}

/** A whole file: the chart with its title and legend, on a ground of its own. */
export function chartFile(
  chart: string,
  { width, height }: { width: number; height: number },
  head: ChartHead,
): string {
  const top = 58
  const legend: string[] = []
  let x = 16
  for (const { name, colour } of head.series) {
    legend.push(rect(x, 38, 10, 10, `c${colour}`), text(x + 15, 47, name))
    x += 15 + name.length * 7 + 18
  }
  return `${[
    MARK_OF_SVG,
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height + top}" width="${width}" height="${height + top}" role="img">`,
    `<title>${escaped(`${head.title}, ${head.range}`)}</title>`,
    `<style>.ground{fill:#fff}${CHART_STYLE}.head{font-weight:600;font-size:15px;fill:#1a202c}`,
    '@media (prefers-color-scheme:dark){.ground{fill:#0f141a}.head{fill:#e6edf3}}</style>',
    `<rect class="ground" width="${width}" height="${height + top}" rx="8"/>`,
    `<text class="head" x="16" y="26">${escaped(head.title)}</text>`,
    text(width - 16, 26, head.range, 'end'),
    ...legend,
    `<g transform="translate(0 ${top})">${chart}</g>`,
    '</svg>',
  ].join('\n')}\n`
}

export interface ChartHead {
  title: string
  range: string
  series: readonly Pick<Series, 'name' | 'colour'>[]
}

/** By this, a file is known as a report that may be replaced. */
export const MARK_OF_SVG = '<!-- a report of provider-auth -->'

function svg(width: number, height: number, title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img"`,
    ` aria-label="${escaped(title)}">`,
    ...parts,
    '</svg>',
  ].join('')
}

/** Lines at nothing, half and all, with their figures. */
function axis(
  top: number,
  unit: (value: number) => string,
  { width, y }: { width: number; y: (value: number) => number },
): string[] {
  const values = top < 10 && top % 2 === 1 ? [0, top] : [0, top / 2, top]
  return values.flatMap((value) => [
    `<line class="grid" x1="${LEFT}" x2="${width - RIGHT}" y1="${round(y(value))}" y2="${round(y(value))}"/>`,
    text(LEFT - 6, y(value) + 4, unit(value), 'end'),
  ])
}

/** As many dates as have room. */
function dates(
  steps: Report['steps'],
  step: Report['step'],
  { slot, y, width }: { slot: number; y: number; width: number },
): string[] {
  const every = Math.max(1, Math.ceil(64 / slot))
  return steps.flatMap(({ at }, index) => {
    const middle = LEFT + slot * (index + 0.5)
    const fits = middle - 28 >= 0 && middle + 28 <= width
    return index % every === 0 && fits ? [text(middle, y, stamp(at, step, 'short'), 'middle')] : []
  })
}

/** The least round number that is not below it: a digit and zeros. */
function ceiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)))
  const found = [1, 2, 3, 4, 5, 6, 8, 10].find((times) => times * power >= value)
  return (found ?? 10) * power
}

function rect(x: number, y: number, width: number, height: number, kind: string): string {
  return `<rect class="${kind}" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"/>`
}

function text(x: number, y: number, words: string, anchor: 'start' | 'middle' | 'end' = 'start'): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped(words)}</text>`
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10)
}
