/** `config check`: all faults and warnings of all files, or of one. */
import { statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { ConfigReport } from '../../../index.js'
import { problemLines } from '../config.js'
import { EXIT, fault, usage } from '../faults.js'
import { inspectConfig } from '../library.js'
import { mendConfig } from '../mending.js'
import type { Call } from '../run.js'
import { counted } from '../sentences.js'

type Checked = Pick<ConfigReport, 'files' | 'faults' | 'warnings'>

export async function run({ args: [named], options, out }: Call<{ strict?: boolean }>): Promise<void> {
  const { files, faults, warnings } = named === undefined ? await inspectConfig() : await checked(named)
  const there = files.filter((file) => file.exists || file.faults.length > 0)
  const everywhere = [...there, { faults, warnings }]
  const lines = everywhere.flatMap((part) => problemLines('file' in part ? part.file : undefined, part, out.colour))
  const count = { faults: 0, warnings: 0 }
  for (const part of everywhere) {
    count.faults += part.faults.length
    count.warnings += part.warnings.length
  }
  const fails = count.faults > 0 || (options.strict === true && count.warnings > 0)
  out.answer({ ok: !fails, files: there, faults, warnings }, lines.join('\n'))
  const found = [
    count.faults > 0 && counted(count.faults, 'fault'),
    count.warnings > 0 && counted(count.warnings, 'warning'),
  ]
  const told = found.filter(Boolean).join(' and ') || 'no fault'
  const summary =
    there.length === 0 ? `${told}: there is no configuration file` : `${told} in ${counted(there.length, 'file')}`
  const [first] = everywhere.flatMap((part) =>
    part.faults.map((one) => ({ ...one, file: 'file' in part ? part.file : undefined })),
  )
  if (fails)
    throw fault({
      code: 'INVALID_CONFIG',
      message: summary,
      exit: EXIT.failed,
      next: first === undefined ? 'mend it, or leave --strict out' : mendConfig(first),
    })
  out.say(summary)
}

/** Checks one file as if it were in effect: a project's by its name, any other as the user's own. */
async function checked(named: string): Promise<Checked> {
  const file = resolve(named)
  if (statSync(file, { throwIfNoEntry: false }) === undefined) throw usage(`there is no file ${named}`)
  const name = basename(file)
  const isProjects = name === 'provider-auth.jsonc' || name === 'oci-auth.config.jsonc'
  let path = file
  if (isProjects) {
    process.chdir(dirname(file))
    path = join(process.cwd(), name)
  } else process.env.PROVIDER_AUTH_CONFIG = file
  const report = await inspectConfig()
  const found = report.files.filter((known) => known.file === path || known.file === file)
  for (const { state, why } of found)
    if (state === 'ignored')
      throw fault({
        message: `${named} does not count`,
        ...(why !== undefined && { why }),
        next: 'provider-auth config path --all, for the files that count',
      })
  return { files: found.map((known) => ({ ...known, file: named })), faults: [], warnings: [] }
}
