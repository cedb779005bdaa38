/** A report in lines for a terminal. */
import { visible } from '../../../npm/src/trust.js'
import type { Colours } from '../output.js'
import { counted, poolOf } from '../sentences.js'
import { table } from '../table.js'
import { type Figures, isEmpty, modelsOf, type Report, sumOf } from './figures.js'
import { number, rangeWords, reasonWords, shortTime, stamp, time } from './said.js'

const BAR = '█'
const PARTS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']
const BAR_CELLS = 28
/** Steps that a terminal shows, the latest. */
const MOST_STEPS = 31

export function linesOf(report: Report, { colour, width }: { colour: Colours; width: number }): string {
  const { totals, steps, step } = report
  const head = `${colour.bold('report')}  ${rangeWords(report)}`
  if (isEmpty(report)) return `${head}\n  nothing was counted in that time`
  const lines = [head, '', ...totalLines(totals).map((line) => `  ${line}`), '']
  const most = Math.max(1, ...steps.map(({ attempts }) => attempts))
  const shown = steps.slice(-MOST_STEPS)
  const name = shown.map(({ at }) => stamp(at, step)).reduce((longest, one) => Math.max(longest, one.length), 0)
  for (const one of shown) {
    const switches = sumOf(one.switched)
    const notes = [
      number(one.requests),
      ...(switches > 0 ? [`${counted(switches, 'switch', 'switches')}`] : []),
      ...(one.refused > 0 ? [`${number(one.refused)} refused`] : []),
    ]
    lines.push(
      `  ${colour.dim(stamp(one.at, step).padStart(name))}  ${colour.blue(bar(one.attempts / most))} ${notes.join(', ')}`,
    )
  }
  const pools = new Map<string, Report['accounts']>()
  for (const account of report.accounts) {
    const pool = poolOf(account)
    pools.set(pool, [...(pools.get(pool) ?? []), account])
  }
  for (const [pool, accounts] of pools) {
    lines.push('', colour.bold(visible(pool)))
    const rows = accounts.flatMap((account) => [
      [visible(account.name), ...cells(account)],
      ...modelsOf(account).map((one) => [
        `  ${one.model === undefined ? 'no model' : visible(one.model)}`,
        ...cells(one),
      ]),
    ])
    const heads = ['', 'requests', 'switches', 'refused', 'refreshes', 'waited', 'rested']
    lines.push(
      ...table(heads, rows, { width: width - 2, shrinks: [0] })
        .split('\n')
        .map((line) => `  ${line}`),
    )
  }
  if (report.windows.length > 0) {
    lines.push('', colour.bold('quota windows'))
    const rows = report.windows.map(({ name: account, provider, window, samples }) => {
      const highest = Math.max(...samples.map(({ usedPercent }) => usedPercent))
      return [
        visible(account),
        visible(provider),
        visible(window),
        `up to ${highest}%`,
        `last ${samples.at(-1)?.usedPercent}%`,
      ]
    })
    lines.push(
      ...table([], rows, { width: width - 2, shrinks: [0] })
        .split('\n')
        .map((line) => `  ${line}`),
    )
  }
  return lines.join('\n')
}

function totalLines(totals: Figures): string[] {
  const { requests, served, failed, switched, refused, refreshes, refreshFailures, waitedMs, restedMs } = totals
  const reasons = (of: Record<string, number>) =>
    Object.entries(of)
      .filter(([, count]) => count > 0)
      .sort(([, a], [, b]) => b - a)
      .map(([reason, count]) => `${reasonWords(visible(reason))} ${number(count)}`)
      .join(', ')
  const rows = [
    ['requests', number(requests), `${number(served)} attempts served, ${number(refused)} requests refused`],
    ['failed', number(sumOf(failed)), reasons(failed)],
    ['switches', number(sumOf(switched)), reasons(switched)],
    ['refreshes', number(refreshes), refreshFailures > 0 ? `and ${number(refreshFailures)} failed` : ''],
    ['waited', time(waitedMs), 'requests, for an account to be free'],
    ['rested', time(restedMs), 'accounts, from limits'],
  ]
  return table([], rows).split('\n')
}

function cells({ requests, switched, refused, refreshes, refreshFailures, waitedMs, restedMs }: Figures): string[] {
  const orDash = (value: number, words = number(value)) => (value === 0 ? '–' : words)
  return [
    orDash(requests),
    orDash(sumOf(switched)),
    orDash(refused),
    orDash(
      refreshes + refreshFailures,
      refreshFailures > 0 ? `${refreshes}+${refreshFailures} failed` : number(refreshes),
    ),
    orDash(waitedMs, shortTime(waitedMs)),
    orDash(restedMs, shortTime(restedMs)),
  ]
}

function bar(share: number): string {
  const eighths = Math.round(share * BAR_CELLS * 8)
  return BAR.repeat(Math.floor(eighths / 8)) + (PARTS[eighths % 8] ?? '')
}
