/** The report for a person: findings by topic, each in words, at the width of the terminal. */
import { sep } from 'node:path'
import type { Finding } from '../../../index.js'
import { homeFolder } from '../../../npm/src/home-folder.js'
import { visible } from '../../../npm/src/trust.js'
import type { Colours } from '../output.js'
import { counted as many } from '../sentences.js'
import { wrapped } from '../text.js'
import { counted, stands } from './finding.js'

/** Topics in the order of the report, with the first parts of the ids that belong to each. */
const TOPICS: readonly (readonly [title: string, ...parts: string[]])[] = [
  ['Program', 'runtime'],
  ['Configuration', 'config', 'log'],
  ['Folder and disk', 'files', 'disk', 'locks'],
  ['Vault and key', 'vault', 'keychain', 'store'],
  ['Accounts', 'refresh', 'accounts', 'pool', 'account'],
  ['Network and clock', 'proxy', 'ca', 'clock', 'host'],
  ['Other programs', 'opencode', 'env'],
]

const MARKS: Record<Finding['state'], string> = { ok: '✓', note: '·', warning: '!', problem: '✗' }
/** Columns before a title: mark and word. */
const INDENT = 12
/** Narrower lines would hold a word each. */
const LEAST_WIDTH = 40

export interface Look {
  width: number
  colour: Colours
  /** Names of accounts, by id. */
  labels: ReadonlyMap<string, string>
}

/** The findings by topic, the worst of a topic last, and a summary at the end, where a person looks first. */
export function report(findings: Finding[], look: Look): string {
  const known = TOPICS.map(
    ([title, ...parts]) => [title, findings.filter(({ id }) => parts.includes(topicOf(id)))] as const,
  )
  const all = new Set(TOPICS.flatMap(([, ...parts]) => parts))
  const rest = ['Other', findings.filter(({ id }) => !all.has(topicOf(id)))] as const
  const blocks = [...known, rest]
    .filter(([, its]) => its.length > 0)
    .map(([title, its]) => [look.colour.bold(title), ...bySeverity(its).map((it) => said(it, look))].join('\n'))
  return [...blocks, summary(findings, look)].join('\n\n')
}

function topicOf(id: string): string {
  return id.slice(0, id.indexOf('.'))
}

function bySeverity(findings: Finding[]): Finding[] {
  const rank = ({ state }: Finding) => Object.keys(MARKS).indexOf(state)
  return [...findings].sort((a, b) => rank(a) - rank(b))
}

function said(finding: Finding, look: Look): string {
  const { state, title, why, remedy } = finding
  const word = stands(finding) ? state : 'mended'
  const mark = stands(finding) ? MARKS[state] : MARKS.ok
  const head = painted(finding, look.colour)(`  ${mark} ${word.padEnd(INDENT - 4)}`)
  const width = Math.max(look.width, LEAST_WIDTH)
  const indent = ' '.repeat(INDENT)
  const lines = wrapped(named(title, look), width, [head, indent])
  const beside = (label: string, text: string) =>
    lines.push(
      ...wrapped(text, width, [`${indent}${look.colour.dim(`${label}:`)} `, ' '.repeat(INDENT + label.length + 2)]),
    )
  // Of a pool that serves it says why the others do not.
  if (why !== undefined) beside(state === 'ok' ? 'others' : 'why', named(why, look))
  // A command takes an id.
  if (remedy !== undefined && stands(finding)) beside('do', visible(remedy))
  return lines.join('\n')
}

/** The text with the names of accounts in place of their ids, and `~` for the home folder. */
function named(text: string, { labels }: Look): string {
  const home = homeFolder()
  const short = home === undefined ? text : text.replaceAll(home + sep, `~${sep}`)
  return visible(short).replace(/\b[0-9A-HJKMNP-TV-Z]{26}\b/g, (id) => {
    const label = labels.get(id)
    return label === undefined ? id : `“${visible(label)}”`
  })
}

function painted(finding: Finding, { green, yellow, red, cyan }: Colours): (text: string) => string {
  if (finding.state === 'ok' || !stands(finding)) return green
  if (finding.state === 'note') return cyan
  return finding.state === 'warning' ? yellow : red
}

function summary(findings: Finding[], { colour }: Look): string {
  const { problems, warnings, ok, fixed, fixable } = counted(findings)
  const parts = [counts(problems, 'problem'), counts(warnings, 'warning'), `${ok} in order`]
  if (fixed > 0) parts.push(`${fixed} mended`)
  const paint = problems > 0 ? colour.red : warnings > 0 ? colour.yellow : colour.green
  const lines = [paint(parts.join(', '))]
  if (fixable > 0) lines.push(`provider-auth doctor --fix mends ${fixable} of these`)
  return lines.join('\n')
}

function counts(count: number, what: string): string {
  return count === 0 ? `no ${what}s` : many(count, what)
}
