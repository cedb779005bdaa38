// How figures are written. A part returns `{ tables, promises, notes }`; a table has
// `{ id, title, columns: [{ title, unit, chart? }], rows: [{ name, isOurs?, values }] }`, where `chart` names the bars that a
// column gives, and a promise `{ text, value, most, unit }`. Times are in nanoseconds, sizes in bytes.

const UNITS = {
  ns: (value) => `${Math.round(value).toLocaleString('en')} ns`,
  us: (value) => `${digits(value / 1e3)} µs`,
  ms: (value) => `${digits(value / 1e6)} ms`,
  MB: (value) => `${(value / 1e6).toFixed(1)} MB`,
  ratio: digits,
  count: (value) => Math.round(value).toLocaleString('en'),
  share: (value) => `${(value * 100).toFixed(1)} %`,
}

/** A figure with its unit; a dash for none. */
export function figure(value, unit) {
  return value === undefined ? '–' : UNITS[unit](value)
}

/** Whether a promise holds, in a sentence. */
export function verdict({ text, value, most, unit }) {
  const holds = value <= most
  const [has, may] = [value, most].map((one) => figure(one, unit))
  return { holds, sentence: `${holds ? '✔ holds' : '✖ does not hold here'}: ${text} (${has}, at most ${may})` }
}

/** The lines of a table for a terminal. */
export function tableLines({ title, columns, rows }) {
  const cells = rows.map(({ values }) => columns.map(({ unit }, index) => figure(values[index], unit)))
  const heads = columns.map((column) => column.title.replaceAll('`', ''))
  const widths = heads.map((head, index) => Math.max(head.length, ...cells.map((row) => row[index].length)) + 2)
  const names = [title, ...rows.map(({ name }) => name.replaceAll('`', ''))]
  const first = Math.max(...names.map(({ length }) => length))
  return [heads, ...cells].map((row, line) => {
    const figures = row.map((cell, index) => cell.padStart(widths[index])).join('')
    return `   ${names[line].padEnd(first)}${figures}`
  })
}

/** Three digits of a figure, as far as there are any behind the point. */
function digits(value) {
  if (value >= 1_000) return Math.round(value).toLocaleString('en')
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)
}

/** Two columns for each runtime: a time, and its ratio to what cannot be beaten. */
export function spanAndRatio(runtimes) {
  return runtimes.flatMap(({ name }) => [
    { title: name, unit: 'ns' },
    { title: `${name}, ratio`, unit: 'ratio', chart: name },
  ])
}
