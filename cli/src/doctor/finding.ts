/** Findings of the command itself, in the form of those of the library. */
import type { Finding } from '../../../index.js'
import { inCommands } from '../calls.js'
import { EXIT, faultOf } from '../faults.js'
import { afterFault } from '../mending.js'

type Parts = Pick<Finding, 'why' | 'remedy' | 'details'>

export function finding(state: Finding['state'], id: string, title: string, parts: Parts = {}): Finding {
  return { id, state, title, ...parts }
}

/** Whether a finding is still so: it was not mended. */
export function stands({ fixed }: Finding): boolean {
  return fixed !== true
}

/** Whether the vault is locked or has no key: what every call is refused with says so, by the code that it has elsewhere. */
export function isClosed(findings: Finding[]): boolean {
  return findings.some((one) => one.state === 'problem' && stands(one) && closes(one.details?.code))
}

function closes(code: string | undefined): boolean {
  return code !== undefined && faultOf({ code }).exit === EXIT.vaultClosed
}

/** The finding with commands in place of the calls of the library. */
export function inTermsOfTheCommand(one: Finding): Finding {
  const { id, title, why, details } = one
  const remedy = id === 'config.invalid' ? afterFault({ ...details, message: title }) : one.remedy
  return {
    ...one,
    title: inCommands(title),
    ...(why !== undefined && { why: inCommands(why) }),
    ...(remedy !== undefined && { remedy: inCommands(remedy) }),
  }
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
