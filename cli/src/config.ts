/** The configuration in words: places, problems, and how files count. */
import { sep } from 'node:path'
import type { ConfigFile, ConfigProblem, ConfigSource } from '../../index.js'
import { homeFolder } from '../../npm/src/home-folder.js'
import { visible } from '../../npm/src/trust.js'
import { inCommands } from './calls.js'
import type { Output } from './output.js'

/** A path as a person writes it: `~` for the home folder. */
export function shortPath(path: string): string {
  const home = homeFolder()
  return visible(home !== undefined && path.startsWith(home + sep) ? `~${path.slice(home.length)}` : path)
}

/** Where a value comes from. */
export function sourceWords({ kind, name, file, line, column }: ConfigSource): string {
  if (kind === 'file') return place(shortPath(file ?? ''), { line, column })
  if (kind === 'configure') return 'configure()'
  return kind === 'variable' ? (name ?? kind) : kind
}

/** How a file counts. */
export function stateWords({ state, why }: Pick<ConfigFile, 'state' | 'why'>): string {
  const words = {
    absent: 'not there',
    read: 'read',
    faulty: 'has faults: provider-auth config check',
    ignored: `ignored: ${visible(why ?? '')}`,
    unneeded: 'read; wants nothing that needs trust',
    untrusted: 'not trusted: provider-auth trust',
    changed: 'changed since it was trusted: provider-auth trust',
    trusted: 'read; trusted',
  }
  return words[state]
}

/** `file:line:column: path: what`, as compilers write it, so that editors and terminals find the place. */
export function problemLines(
  file: string | undefined,
  { faults, warnings }: { faults: ConfigProblem[]; warnings: ConfigProblem[] },
  { yellow }: Output['colour'],
): string[] {
  const line = (problem: ConfigProblem, kind: string): string => {
    const at = file === undefined ? '' : `${place(visible(file), problem)}: `
    const path = problem.path === '' ? '' : `${visible(problem.path)}: `
    return `${at}${kind}${path}${visible(inCommands(problem.message))}`
  }
  return [...faults.map((fault) => line(fault, '')), ...warnings.map((warning) => line(warning, yellow('warning: ')))]
}

function place(file: string, { line, column }: { line?: number | undefined; column?: number | undefined }): string {
  return line === undefined ? file : `${file}:${line}:${column}`
}
