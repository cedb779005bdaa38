// Writes what was measured as a page with charts.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { drawChart } from './chart.mjs'
import { figure, verdict } from './format.mjs'

const CHARTS = 'performance'

/** Writes `performance.md` and its charts into a folder; each result is a part with what it returned. */
export function writePage(folder, { machine, isQuick, results }) {
  rmSync(join(folder, CHARTS), { recursive: true, force: true })
  mkdirSync(join(folder, CHARTS), { recursive: true })
  const quick = isQuick ? ['**A quick look with few rounds: do not quote these figures.**', ''] : []
  const lines = [
    '# Performance',
    '',
    '`npm run bench` wrote this page and its charts, in one run. Contenders of one table were measured in turns, so that what',
    'else the machine did fell on all of them. Each figure is the median of the rounds, and each ratio is to the first row unless the',
    'text says otherwise.',
    '',
    ...quick,
    ...machine.map((line) => `- ${line}`),
    '',
    ...promisesOf(results),
  ]
  for (const { title, what, tables, promises, notes = [] } of results) {
    lines.push(`## ${title}`, '', what, '')
    for (const table of tables) {
      const chart = drawChart(table)
      if (chart !== undefined) {
        writeFileSync(join(folder, CHARTS, `${table.id}.svg`), chart)
        lines.push(`![${table.title}](${CHARTS}/${table.id}.svg)`, '')
      }
      lines.push(...markdown(table), '')
    }
    lines.push(...promises.map((promise) => `- ${verdict(promise).sentence}`), ...(promises.length > 0 ? [''] : []))
    for (const note of notes) lines.push(note, '')
  }
  writeFileSync(join(folder, 'performance.md'), `${lines.join('\n').trimEnd()}\n`)
}

/** What does not hold, at the head of the page. */
function promisesOf(results) {
  const all = results.flatMap(({ title, promises }) => promises.map((promise) => ({ title, ...verdict(promise) })))
  if (all.length === 0) return []
  const broken = all.filter(({ holds }) => !holds)
  const held = `Of ${all.length} goals, ${all.length - broken.length} hold.`
  if (broken.length === 0) return [held, '']
  return [
    `${held} These do not:`,
    '',
    ...broken.map(({ title, sentence }) => `- ${title}: ${sentence.slice(sentence.indexOf(':') + 2)}`),
    '',
  ]
}

function markdown({ title, columns, rows }) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  const body = rows.map(({ name, isOurs, values }) => {
    const figures = columns.map(({ unit }, index) => figure(values[index], unit))
    return line([isOurs ? `**${name}**` : name, ...figures])
  })
  return [line([title, ...columns.map((column) => column.title)]), `|---|${'---:|'.repeat(columns.length)}`, ...body]
}
