/** `migrate`: what OpenCode keeps in plain files and the environment comes into the vault, and back. */
import type { MigrateOptions, MigrationReport } from '../../../index.js'
import { visible } from '../../../npm/src/trust.js'
import { EXIT, fault, interrupted, usage } from '../faults.js'
import { migrate } from '../library.js'
import type { Output } from '../output.js'
import { askYes, canAsk, mustAsk } from '../prompts.js'
import type { Call } from '../run.js'
import { table } from '../table.js'

interface Options {
  from: 'opencode'
  dir?: string
  dryRun?: boolean
  source: 'keep' | 'backup' | 'remove'
  entries?: string[]
  env?: true | string[]
  undo?: boolean
  yes?: boolean
}

export async function run({ options, out }: Call<Options>): Promise<void> {
  const { from, dir, source, entries, env, undo = false, dryRun = false, yes = false } = options
  if (undo && entries !== undefined) throw usage('--undo brings whole files back; leave out --entries')
  const call: MigrateOptions = {
    from,
    source,
    undo,
    ...(dir !== undefined && { dir }),
    ...(entries !== undefined && { entries: names(entries) }),
    ...(env !== undefined && { env: env === true || names(env) }),
  }
  const plan = await migrate({ ...call, dryRun: true })
  if (dryRun || !hasWork(plan)) {
    answer(plan, true, out)
    failIfLeft(plan)
    if (plan.files.length === 0) out.say(undo ? 'There is no migration to undo.' : 'Nothing was found.')
    else if (!hasWork(plan)) out.say('There is nothing to do.')
    return
  }
  if (!yes) {
    const deed = undo
      ? 'the files come back as they were, and their accounts leave the vault'
      : source === 'keep'
        ? 'the accounts come into the vault; the files stay as they are'
        : "the accounts come into the vault, and out of OpenCode's files"
    if (canAsk()) {
      process.stderr.write(`${reportText(plan, out.errorColour, true)}\n`)
      if (!(await askYes(`Go on? ${deed}.`))) throw interrupted()
    } else if (undo || source !== 'keep') mustAsk(`--yes: ${deed} (--dry-run shows the plan)`)
  }
  const done = await migrate(call)
  answer(done, false, out)
  if (!undo && source === 'keep' && done.imported.some(({ kind }) => kind !== 'api'))
    out.say(
      'OpenCode still has these logins. Two programs that renew one login can end it: use --source backup, or let OpenCode use this vault, with its plugin.',
    )
  failIfLeft(done)
}

/** What could not be read as a whole may hold accounts that are in use: the command fails. */
function failIfLeft({ skipped }: MigrationReport): void {
  const left = skipped.filter(({ key }) => key === '')
  if (left.length === 0) return
  throw fault({
    message: `left as it is: ${left.map(({ file, why }) => `${file} (${why})`).join(', ')}`,
    exit: EXIT.failed,
    next: 'mend it or move it away, and run the same command again',
  })
}

function names(given: string[]): string[] {
  return given.flatMap((name) => name.split(',')).filter((name) => name !== '')
}

function hasWork({ imported, sources }: MigrationReport): boolean {
  return imported.some(({ action }) => action !== 'unchanged') || sources.some(({ state }) => state !== 'kept')
}

function answer(report: MigrationReport, isPlan: boolean, out: Output): void {
  out.answer({ dryRun: isPlan, ...report }, () => reportText(report, out.colour, isPlan))
}

const DEEDS = {
  added: ['to add', 'added'],
  updated: ['to update', 'updated'],
  removed: ['to remove', 'removed'],
  unchanged: ['there already', 'there already'],
} as const
const FILES = {
  kept: ['stays as it is', 'left as it is'],
  rewritten: ['to rewrite', 'rewritten'],
  removed: ['to remove', 'removed'],
  restored: ['to restore', 'restored'],
  changed: ['changed since by somebody else: stays', 'changed meanwhile by somebody else: left'],
} as const
const KINDS = {
  api: 'API key',
  oauth: 'login',
  wellknown: 'token of an organisation',
  mcp: 'login of an MCP server',
} as const

function reportText(report: MigrationReport, { bold, yellow }: Output['colour'], isPlan: boolean): string {
  const tense = isPlan ? 0 : 1
  const part = (title: string, rows: string[][]) =>
    rows.length === 0
      ? []
      : [
          bold(title),
          ...table([], rows)
            .split('\n')
            .map((line) => `  ${line}`),
        ]
  return [
    ...part(
      'Accounts',
      report.imported.map(({ provider, kind, action }) => [visible(provider), KINDS[kind], DEEDS[action][tense]]),
    ),
    ...part(
      'Files',
      report.sources.map(({ file, state, backup }) => [
        visible(file),
        FILES[state][tense] + (backup === undefined ? '' : `, copy: ${visible(backup)}`),
      ]),
    ),
    ...report.sources.flatMap(({ warning }) => (warning === undefined ? [] : [yellow(`  ${visible(warning)}`)])),
    ...part(
      'Left where they are',
      report.skipped.map(({ file, key, why }) => [visible(key === '' ? file : key), visible(why)]),
    ),
    ...Object.entries(report.terms).map(
      ([provider, text]) => `${bold(`Terms of ${visible(provider)}`)}\n  ${visible(text)}`,
    ),
  ].join('\n')
}
