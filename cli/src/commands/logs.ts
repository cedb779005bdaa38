/** `logs`: the lines of the log files by time, and those that come. */
import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { visible } from '../../../npm/src/trust.js'
import { fault, usage } from '../faults.js'
import { logFiles } from '../library.js'
import { isWanted, type LogLine, merged, parsed, pointIn, worded } from '../log-lines.js'
import { before, openTail } from '../log-reader.js'
import type { Call } from '../run.js'
import { counted } from '../sentences.js'

/** A person sees a line as it comes, and a look at two files costs nothing. */
const LOOKS_EVERY_MS = 250

interface Options {
  level?: string
  since?: string
  follow?: boolean
  file?: string
  path?: boolean
}

export async function run({ options, out }: Call<Options>): Promise<void> {
  const { level, file, follow = false } = options
  const since = options.since === undefined ? undefined : pointIn(options.since, Date.now())
  if (options.since !== undefined && since === undefined)
    throw usage(
      `--since ${options.since} is no point in time`,
      'write 30m, 2h, 7d, 2026-11-27, or 2026-11-27T14:00:00Z',
    )
  const files = file === undefined ? await logFiles() : [{ file, kind: 'configured' as const }]
  if (options.path) {
    out.answer({ files }, files.map((one) => visible(one.file)).join('\n'))
    return
  }
  if (files.length === 0) {
    out.say('nothing is logged: the log level is none')
    return
  }
  if (file !== undefined && !follow && ![file, before(file)].some((name) => existsSync(name)))
    throw fault({ message: `there is no log at ${file}`, next: 'provider-auth logs --path, for where the log is' })
  const print = (lines: LogLine[]): void => {
    const wanted = lines.filter((line) => isWanted(line, { level, since }))
    const text = wanted.map((line) => `${out.json ? line.raw : worded(line, out.colour)}\n`).join('')
    if (text !== '') process.stdout.write(text)
  }
  let skipped = 0
  const linesOf = (raw: string[]): LogLine[] => {
    const lines = raw.map(parsed).filter((line) => line !== undefined)
    skipped += raw.length - lines.length
    return lines
  }
  const tails = files.map((one) => openTail(one.file))
  const all = files.map((one, index) => linesOf([...whole(before(one.file)), ...readOf(one.file, tails[index])]))
  const first = merged(all)
  print(first)
  if (skipped > 0) out.say(`${counted(skipped, 'line was', 'lines were')} cut off or of another program`)
  if (!first.some((line) => isWanted(line, { level, since })) && !follow)
    out.say(
      first.length === 0
        ? 'the log is empty: nothing has gone wrong'
        : 'no line of that level or time; without --level and --since there are more',
    )
  // A line that is in two files may be read from the second one later.
  let last = all
  while (follow) {
    await pause(LOOKS_EVERY_MS)
    const came = files.map((one, index) => linesOf(readOf(one.file, tails[index])))
    const known = new Set(last.flat().map(({ raw }) => raw))
    print(merged(came).filter(({ raw }) => !known.has(raw)))
    if (came.some((lines) => lines.length > 0)) last = came
  }
}

/** The file before; it stays as it is, or is replaced as a whole. */
function whole(file: string): string[] {
  const tail = openTail(file)
  try {
    return readOf(file, tail)
  } finally {
    tail.close()
  }
}

function readOf(file: string, tail: ReturnType<typeof openTail> | undefined): string[] {
  try {
    return tail?.read() ?? []
  } catch (error) {
    throw fault({
      message: `the log ${file} cannot be read`,
      why: (error as Error).message,
      next: 'provider-auth doctor',
    })
  }
}
