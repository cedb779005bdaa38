/** A report as one page that loads nothing and runs nothing, and its main chart as a picture. */
import { poolOf } from '../sentences.js'
import { VERSION } from '../version.js'
import { type Figures, isEmpty, modelsOf, type Report, type Step, sumOf, type Window } from './figures.js'
import { number, rangeWords, reasonWords, short, shortTime, stamp, time } from './said.js'
import { bars, CHART_STYLE, chartFile, escaped, filling, REST, type Series } from './svg.js'

/** By this, a file is known as a report that may be replaced. */
export const MARK_OF_PAGE = '<meta name="generator" content="provider-auth report">'

/** A chart is drawn twice: its text has the right size in a window and on a phone. */
const WIDE = { width: 1000, height: 230 }
const NARROW = { width: 320, height: 180 }
/** Windows of which a page has charts, those that were fullest. */
const MOST_WINDOWS = 24

const STYLE = `
:root{color-scheme:light dark;--ground:#f6f8fa;--card:#fff;--text:#1a202c;--quiet:#52606d;--line:#d8dee6}
@media (prefers-color-scheme:dark){:root{--ground:#0f141a;--card:#171d25;--text:#e6edf3;--quiet:#a9b4c2;--line:#2b3440}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 48px}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:4px 14px;margin-bottom:20px}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:0}h3{font-size:14px;margin:0;overflow-wrap:anywhere}
p{margin:0}.quiet,footer{color:var(--quiet)}
.tiles{display:grid;grid-template-columns:repeat(6,1fr);gap:12px;margin:0 0 16px;padding:0}
.tiles div,section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
dt{color:var(--quiet);font-size:13px}dd{margin:0}dd.sum{font-size:23px;font-weight:650;line-height:1.3;white-space:nowrap;font-variant-numeric:tabular-nums}
dd.more{color:var(--quiet);font-size:13px}
section{margin-bottom:16px;padding:18px 18px 14px}
section>p.quiet{margin:2px 0 10px;font-size:14px}
figure{margin:0}figure svg{display:block;width:100%;height:auto}.narrow{display:none}.narrow svg{max-width:480px}
ul.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 16px;margin:0 0 8px;padding:0;font-size:13px;color:var(--quiet)}
.legend svg{vertical-align:-1px;margin-right:6px}
.trio{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(280px,100%),1fr));gap:0 16px}
.share{display:block;width:100%;height:5px;margin-top:3px}
.windows{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(280px,100%),1fr));gap:20px}
details{margin-top:8px;font-size:14px}summary{cursor:pointer;color:var(--quiet)}
summary:focus-visible{outline:2px solid #2f6fed;outline-offset:2px;border-radius:3px}
.scroll{overflow-x:auto}.trio>*,.windows>*,.tiles>*{min-width:0}.legend li,dd,caption{overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}
caption{text-align:left;color:var(--quiet);padding:4px 0}
th,td{padding:6px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--quiet);font-weight:500}tr>:first-child{text-align:left;padding-left:0}
tbody th{color:var(--text);white-space:normal;overflow-wrap:anywhere;min-width:130px}
tbody tr.model th{font-weight:400;color:var(--quiet);padding-left:18px}
tbody tr.pool th{padding-top:16px;font-weight:650}
footer{font-size:13px;margin-top:20px}
@media (max-width:1000px){.tiles{grid-template-columns:repeat(3,1fr)}}
@media (max-width:640px){main{padding:18px 12px 32px}section{padding:14px 12px 10px}.wide{display:none}.narrow{display:block}
.tiles{grid-template-columns:repeat(2,1fr);gap:8px}dd.sum{font-size:20px}.windows{grid-template-columns:1fr}}
@media print{details{display:none}section{break-inside:avoid}}
${CHART_STYLE}`

export function pageOf(report: Report): string {
  const range = rangeWords(report)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
${MARK_OF_PAGE}
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${escaped(`provider-auth report, ${range}`)}</title>
<style>${STYLE}
</style>
</head>
<body>
<main>
<header><h1>provider-auth report</h1><p class="quiet">${escaped(range)}</p></header>
${isEmpty(report) ? nothing(report) : body(report)}
<footer><p>Made by provider-auth ${escaped(VERSION)} from the counters in the vault's folder, which hold numbers, account ids and names of models. Times are UTC.</p></footer>
</main>
</body>
</html>
`
}

/** The chart of requests as a file of its own. */
export function pictureOf(report: Report): string {
  const series = ends(report)
  const chart = bars(report, series, { ...WIDE, title: 'Requests', unit: short })
  return chartFile(chart, WIDE, { title: 'Requests', range: rangeWords(report), series })
}

function nothing({ enabled }: Report): string {
  const words = enabled
    ? 'Nothing was counted in this time. Counts appear half a minute after the first request.'
    : 'Nothing is counted: the configuration says <code>"stats": false</code>.'
  return `<section><h2>Nothing to show</h2><p class="quiet">${words}</p></section>`
}

function body(report: Report): string {
  const { steps } = report
  const refreshes: Series[] = [
    { name: 'renewed', values: steps.map((one) => one.refreshes), colour: 2 },
    { name: 'failed', values: steps.map((one) => one.refreshFailures), colour: 1 },
  ]
  const requests = chartSection(report, 'Requests', ends(report), {
    what: 'How attempts ended. A request that switches to another account has more than one.',
    unit: short,
  })
  const switches = chartSection(report, 'Switches by reason', byReason(steps), {
    what: 'Why requests left one account for another.',
    unit: short,
  })
  const byAccount = chartSection(report, 'Attempts by account', ofAccounts(report), {
    what: 'Who served: a switch shows as another colour.',
    unit: short,
  })
  const trio = [
    chartSection(report, 'Refreshes', refreshes, {
      what: 'Access tokens of logins that were renewed.',
      unit: short,
      size: 'small',
    }),
    lost(report, 'Time waited', 'waitedMs', 'How long requests waited until an account was free.'),
    lost(report, 'Time rested', 'restedMs', 'How long limits kept accounts from serving, counted when each was met.'),
  ]
  return [
    tiles(report.totals),
    requests,
    byAccount,
    switches,
    windows(report),
    `<div class="trio">${trio.join('\n')}</div>`,
    accounts(report),
  ].join('\n')
}

function tiles({
  requests,
  attempts,
  served,
  failed,
  switched,
  refused,
  refreshes,
  refreshFailures,
  waitedMs,
  restedMs,
}: Figures): string {
  const tile = (name: string, sum: string, more: string) =>
    `<div><dt>${name}</dt><dd class="sum">${sum}</dd><dd class="more">${more}</dd></div>`
  return `<dl class="tiles">${[
    tile('Requests', number(requests), `${number(attempts)} attempts, ${number(served)} served`),
    tile('Switches', number(sumOf(switched)), `${number(sumOf(failed))} attempts failed`),
    tile('Refused', number(refused), 'no account could serve'),
    tile('Refreshes', number(refreshes), `${number(refreshFailures)} failed`),
    tile('Waited', shortTime(waitedMs), 'requests, for an account'),
    tile('Rested', shortTime(restedMs), 'accounts, from limits'),
  ].join('')}</dl>`
}

function ends({ steps }: Report): Series[] {
  const series = [
    { name: 'served', values: steps.map(({ served }) => served), colour: 0 },
    { name: 'failed', values: steps.map(({ failed }) => sumOf(failed)), colour: 1 },
    { name: 'refused', values: steps.map(({ refused }) => refused), colour: 3 },
  ]
  return series.filter(({ values }, index) => index === 0 || values.some((value) => value > 0))
}

/** The accounts that served most, each in its colour, and the others together. */
function ofAccounts({ accounts, steps }: Report): Series[] {
  const used = accounts.filter(({ attempts }) => attempts > 0).sort((a, b) => b.attempts - a.attempts)
  const series = used.slice(0, REST).map(({ name, provider, attemptsBySteps: values }, colour) => ({
    name: used.some((one) => one.name === name && one.provider !== provider) ? `${name} (${provider})` : name,
    values,
    colour,
  }))
  const others = used.slice(REST)
  if (others.length === 0) return series
  const values = steps.map((_, index) => others.reduce((sum, one) => sum + (one.attemptsBySteps[index] ?? 0), 0))
  return [...series, { name: `${others.length} others`, values, colour: REST }]
}

/** The most frequent reasons, each in its colour, and the others together. */
function byReason(steps: readonly Step[]): Series[] {
  const sums: Record<string, number> = Object.create(null)
  for (const { switched } of steps)
    for (const [reason, count] of Object.entries(switched)) sums[reason] = (sums[reason] ?? 0) + count
  const reasons = Object.keys(sums).sort((a, b) => (sums[b] ?? 0) - (sums[a] ?? 0) || a.localeCompare(b))
  const [own, others] = [reasons.slice(0, REST), reasons.slice(REST)]
  const valuesOf = (names: string[]) =>
    steps.map(({ switched }) => names.reduce((sum, name) => sum + (switched[name] ?? 0), 0))
  const series = own.map((reason, index) => ({ name: reasonWords(reason), values: valuesOf([reason]), colour: index }))
  return others.length === 0 ? series : [...series, { name: 'other', values: valuesOf(others), colour: REST }]
}

function lost(report: Report, title: string, key: 'waitedMs' | 'restedMs', what: string): string {
  const most = Math.max(...report.steps.map((one) => one[key]))
  const units: [number, string][] = [
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1000, 's'],
  ]
  const [size, name] = units.find(([ms]) => most >= ms) ?? [1, 'ms']
  const values = report.steps.map((one) => one[key] / size)
  const series = [{ name: title.toLowerCase(), values, colour: 4 }]
  return chartSection(report, title, series, {
    what,
    unit: (value) => `${number(value)} ${name}`,
    size: 'small',
  })
}

function chartSection(
  report: Report,
  title: string,
  series: readonly Series[],
  { what, unit, size }: { what: string; unit: (value: number) => string; size?: 'small' },
): string {
  const head = `<section><h2>${escaped(title)}</h2><p class="quiet">${escaped(what)}</p>`
  if (series.every(({ values }) => values.every((value) => value === 0)))
    return `${head}<p>None in this time.</p></section>`
  const legend = series.length === 1 ? '' : `<ul class="legend">${series.map(key).join('')}</ul>`
  const rows = report.steps.map(({ at }, index) => [
    stamp(at, report.step),
    ...series.map(({ values }) => unit(values[index] ?? 0)),
  ])
  const label = `${title}, by the ${report.step}`
  const draw = (of: { width: number; height: number }) => bars(report, series, { ...of, title: label, unit })
  const figure = size === 'small' ? `<figure>${draw(NARROW)}</figure>` : twice(draw)
  return `${head}${legend}${figure}
${numbers(label, [report.step, ...series.map(({ name }) => name)], rows)}</section>`
}

function key({ name, colour }: Series): string {
  return `<li><svg width="11" height="11" aria-hidden="true"><rect class="c${colour}" width="11" height="11" rx="2"/></svg>${escaped(name)}</li>`
}

function twice(draw: (size: { width: number; height: number }) => string): string {
  return `<figure><div class="wide">${draw(WIDE)}</div><div class="narrow">${draw(NARROW)}</div></figure>`
}

/** The figures of a chart, for those who cannot see it, and for all who want to know exactly. */
function numbers(caption: string, heads: string[], rows: string[][]): string {
  return `<details><summary>Numbers</summary><div class="scroll" tabindex="0" role="region" aria-label="${escaped(caption)}">${tableOf(caption, heads, rows)}</div></details>`
}

function tableOf(caption: string, heads: string[], rows: string[][]): string {
  const head = heads.map((name) => `<th scope="col">${escaped(name)}</th>`).join('')
  const lines = rows.map(
    ([first = '', ...rest]) =>
      `<tr><th scope="row">${escaped(first)}</th>${rest.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`,
  )
  return `<table><caption>${escaped(caption)}</caption><thead><tr>${head}</tr></thead><tbody>${lines.join('')}</tbody></table>`
}

function windows(report: Report): string {
  const fullest = ({ samples }: Window) => Math.max(...samples.map(({ usedPercent }) => usedPercent))
  const all = [...report.windows].sort((a, b) => fullest(b) - fullest(a))
  const kept = new Set(all.slice(0, MOST_WINDOWS))
  const shown = report.windows.filter((one) => kept.has(one))
  const head =
    '<section><h2>Quota windows</h2><p class="quiet">How much of each window was used, at most by the hour; it drops where the window reset.</p>'
  if (shown.length === 0) return `${head}<p>No provider told in this time.</p></section>`
  const charts = shown.map((one) => {
    const rows = one.samples.map(({ at, usedPercent, resetAt }) => [
      stamp(at, 'hour'),
      `${usedPercent}%`,
      new Date(resetAt).toISOString().slice(0, 16).replace('T', ' '),
    ])
    const label = `${one.name}: window ${one.window}`
    return `<div><h3>${escaped(one.name)} <span class="quiet">${escaped(`${one.provider}, window ${one.window}`)}</span></h3>
<figure>${filling(report, one, { width: NARROW.width, height: 150 })}</figure>
${numbers(label, ['hour', 'used', 'resets at'], rows)}</div>`
  })
  const left = all.length - shown.length
  const rest = left > 0 ? `<p class="quiet">${number(left)} more, which were less full, are in the JSON alone.</p>` : ''
  return `${head}<div class="windows">${charts.join('\n')}</div>${rest}</section>`
}

function accounts(report: Report): string {
  const heads = ['', 'requests', 'served', 'failed', 'switches', 'refused', 'refreshes', 'waited', 'rested']
  const rows: string[] = []
  let pool = ''
  const most = Math.max(1, ...report.accounts.map(({ attempts }) => attempts))
  for (const account of report.accounts) {
    const own = poolOf(account)
    if (own !== pool)
      rows.push(`<tr class="pool"><th scope="rowgroup" colspan="${heads.length}">${escaped(own)}</th></tr>`)
    pool = own
    rows.push(row('account', account.name, account, most))
    for (const model of modelsOf(account)) rows.push(row('model', model.model ?? 'no model', model, most))
  }
  const head = heads.map((name) => `<th scope="col">${name}</th>`).join('')
  return `<section><h2>Accounts and models</h2><div class="scroll" tabindex="0" role="region" aria-label="Accounts and models">
<table><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div></section>`
}

function row(kind: 'account' | 'model', name: string, figures: Figures, most: number): string {
  const { requests, served, failed, switched, refused, refreshes, refreshFailures, waitedMs, restedMs } = figures
  const cells = [
    number(requests),
    number(served),
    number(sumOf(failed)),
    number(sumOf(switched)),
    number(refused),
    refreshFailures > 0 ? `${number(refreshes)} + ${number(refreshFailures)} failed` : number(refreshes),
    time(waitedMs),
    time(restedMs),
  ]
  const shown = cells.map((cell) => `<td>${/^0( s)?$/.test(cell) ? '–' : escaped(cell)}</td>`)
  const share = Math.round((figures.attempts / most) * 1000) / 10
  const colour = kind === 'account' ? 'c0' : `c${REST}`
  const bar = `<svg class="share" viewBox="0 0 100 5" preserveAspectRatio="none" aria-hidden="true"><rect class="${colour}" width="${share}" height="5"/></svg>`
  return `<tr class="${kind}"><th scope="row">${escaped(name)}${bar}</th>${shown.join('')}</tr>`
}
