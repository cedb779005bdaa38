/** Findings of the command itself, in the form of those of the library. */
import type { Finding } from '../../../index.js'

type Parts = Pick<Finding, 'why' | 'remedy' | 'details'>

export function finding(state: Finding['state'], id: string, title: string, parts: Parts = {}): Finding {
  return { id, state, title, ...parts }
}

/** Ids of findings with which no account can be used. */
const CLOSED = new Set([
  'keychain.locked',
  'keychain.timeout',
  'keychain.unavailable',
  'vault.key_missing',
  'vault.key_mismatch',
  'vault.corrupt',
  'vault.unsafe',
  'vault.unusable',
  'vault.slow',
])

/** Whether a finding is still so: it was not mended. */
export function stands({ fixed }: Finding): boolean {
  return fixed !== true
}

export function isOpen(findings: Finding[]): boolean {
  return !findings.some(({ id }) => CLOSED.has(id))
}

export interface Counts {
  problems: number
  warnings: number
  notes: number
  ok: number
  /** What was mended. */
  fixed: number
  /** What `--fix` would mend. */
  fixable: number
}

export function counted(findings: Finding[]): Counts {
  const count = (fits: (finding: Finding) => boolean): number => findings.filter(fits).length
  const of = (state: Finding['state']) => count((finding) => finding.state === state && stands(finding))
  return {
    problems: of('problem'),
    warnings: of('warning'),
    notes: of('note'),
    ok: of('ok'),
    fixed: count((finding) => !stands(finding)),
    fixable: count((finding) => finding.fixable === true && stands(finding)),
  }
}
