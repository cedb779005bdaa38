/** `report`: what happened in the last days, in lines, as a page or as a picture. */
import { lstat, open } from 'node:fs/promises'
import { usage } from '../faults.js'
import { writePrivateFile } from '../files.js'
import { inspectConfig, listAccounts, stats, vaultStatus } from '../library.js'
import { isEmpty, type Naming, type Report, rangeOf, reportOf } from '../report/figures.js'
import { linesOf } from '../report/lines.js'
import { MARK_OF_PAGE, pageOf, pictureOf } from '../report/page.js'
import { MARK_OF_SVG } from '../report/svg.js'
import type { Call } from '../run.js'
import { isTerminal, widthOf } from '../terminal.js'

/** Bytes of a file in which the mark of a report stands. */
const HEAD_BYTES = 512

interface Options {
  since: string
  html?: string
  svg?: string
  names?: 'label' | 'id'
  force?: boolean
}

export async function run({ args: [provider], options, out }: Call<Options>): Promise<void> {
  const now = Date.now()
  const range = rangeOf(options.since, now)
  if (range === undefined)
    throw usage(`--since ${options.since} is not a time before now`, 'write 24h, 7d, 30d, or a date: 2026-11-27')
  const file = options.html ?? options.svg
  if (file === '-' && out.json) throw usage('--json and a page cannot both be printed', 'name a file, or leave one out')
  const report = await look({ ...(provider !== undefined && { provider }) }, range, now, options.names ?? 'discreet')
  if (file === undefined) {
    const width = isTerminal(process.stdout) ? widthOf(process.stdout) : 80
    out.answer(report, () => linesOf(report, { colour: out.colour, width: Math.min(100, width) }))
  } else {
    const content = options.html === undefined ? pictureOf(report) : pageOf(report)
    if (file === '-') process.stdout.write(content)
    else {
      const path = await writePrivateFile(file, content, { force: options.force === true || (await isReport(file)) })
      out.answer({ ...report, file: path }, `wrote ${path}`)
    }
  }
  if (!report.enabled) out.say('nothing is counted: your configuration says "stats": false')
  else if (isEmpty(report) && file !== undefined) out.say('nothing was counted in that time')
}

/** A vault that is not there is not made. */
async function look(
  filter: { provider?: string },
  range: Pick<Report, 'from' | 'step'>,
  now: number,
  naming: Naming,
): Promise<Report> {
  const isThere = (await vaultStatus()).state !== 'empty'
  const [counted, accounts] = isThere
    ? await Promise.all([stats({ ...filter, since: range.from }), listAccounts(filter)])
    : [{ enabled: await counts(), counts: [], quota: [] }, []]
  return reportOf(counted, accounts, range, { now, naming })
}

/** Whether the configuration has what happens counted. */
async function counts(): Promise<boolean> {
  const { settings } = await inspectConfig()
  return settings.some(({ name, value }) => name === 'stats' && value === 'true')
}

/** Whether a file is one that this command has written: it may be written anew. */
async function isReport(file: string): Promise<boolean> {
  const there = await lstat(file).catch(() => undefined)
  if (there?.isFile() !== true) return false
  // One that cannot be read is told to be in the way.
  const reader = await open(file).catch(() => undefined)
  const { buffer } = (await reader?.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0)) ?? { buffer: Buffer.alloc(0) }
  await reader?.close()
  const head = buffer.toString()
  return head.includes(MARK_OF_PAGE) || head.startsWith(MARK_OF_SVG)
}
