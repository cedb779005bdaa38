/** Where the values of the configuration come from: in a sentence for the report, and whole for the archive. */
import type { ConfigProblem, ConfigReport, ConfigSource, Finding } from '../../../index.js'
import { shortPath, sourceWords } from '../config.js'
import { finding } from './finding.js'
import type { Redact } from './redact.js'
import { redactConfig } from './redact-config.js'

/** Names that one sentence lists. */
const LISTED = 8

/** What each file, each variable and `configure` sets; defaults are left out. */
export function checkSources({ settings, providers }: ConfigReport): Finding[] {
  const set = new Map<string, { file: string | undefined; names: Set<string> }>()
  const add = ({ kind, name, file }: ConfigSource, what: string): void => {
    if (kind === 'default' || kind === 'built-in') return
    const words = kind === 'file' ? shortPath(file ?? '') : sourceWords({ kind, ...(name !== undefined && { name }) })
    const one = set.get(words) ?? { file, names: new Set() }
    set.set(words, one)
    one.names.add(what)
  }
  for (const { name, source } of settings) add(source, name)
  for (const { id, values } of providers) for (const { source } of values) add(source, `providers.${id}`)
  return [...set].map(([words, { file, names }]) =>
    finding(
      'ok',
      'config.values',
      `${words} sets ${listed([...names])}`,
      file === undefined ? {} : { details: { file } },
    ),
  )
}

function listed(names: string[]): string {
  const rest = names.length - LISTED
  return names.slice(0, LISTED).join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}

/** The whole report, of which a stranger may read all. */
export function redactedSources(report: ConfigReport, redact: Redact): unknown {
  const from = (source: ConfigSource): string => redact(sourceWords(source))
  const problems = (all: ConfigProblem[]) =>
    all.map(({ path, message, line, column }) => ({ path: redact(path), message: redact(message), line, column }))
  const odd = ({ faults, warnings }: Pick<ConfigReport, 'faults' | 'warnings'>) => ({
    faults: problems(faults),
    warnings: problems(warnings),
  })
  return {
    files: report.files.map((file) => ({
      kind: file.kind,
      file: redact(shortPath(file.file)),
      state: file.state,
      why: file.why === undefined ? undefined : redact(file.why),
      ...odd(file),
    })),
    settings: report.settings.map(({ name, value, source }) => ({
      name,
      value: value === undefined ? undefined : redact(value),
      from: from(source),
    })),
    providers: report.providers
      .filter(({ configured }) => configured)
      .map(({ id, values }) => ({
        id: redact(id),
        values: values.map(({ key, value, source }) => ({
          key: redact(key),
          value: redactConfig(value, redact, key.slice(key.lastIndexOf('.') + 1)) ?? '<not shown>',
          from: from(source),
        })),
      })),
    ...odd(report),
  }
}
