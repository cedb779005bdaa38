/** `doctor`: what is wrong, why it matters and what to do; and the archive for whoever helps. */
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Account, Diagnosis, ProviderSummary } from '../../../index.js'
import { bundleFiles, zipped } from '../doctor/bundle.js'
import { counted, isOpen } from '../doctor/finding.js'
import { checkHosts } from '../doctor/hosts.js'
import { report } from '../doctor/report.js'
import { checkRuntime } from '../doctor/runtime.js'
import { EXIT, fault, interrupted } from '../faults.js'
import { configuredProviders, diagnose, listAccounts } from '../library.js'
import type { Output } from '../output.js'
import { askYes, mustAsk } from '../prompts.js'
import type { Call } from '../run.js'
import { isTerminal, widthOf } from '../terminal.js'

interface Options {
  fix?: boolean
  online?: boolean
  bundle?: string
  force?: boolean
}

export async function run({ options, out }: Call<Options>): Promise<number> {
  const { fix = false, online = false, bundle, force = false } = options
  if (bundle !== undefined) await mayWrite(bundle, force)
  const done = progress(out)
  const looked = await look({ fix, online }).finally(done)
  const { diagnosis, accounts } = looked
  const { findings } = diagnosis
  const bundled = bundle === undefined ? undefined : write(resolve(bundle), looked)
  const counts = counted(findings)
  const labels = new Map(accounts.map(({ id, label }) => [id, label]))
  out.answer({ at: diagnosis.at, summary: counts, findings, ...(bundled !== undefined && { bundle: bundled }) }, () =>
    report(findings, { width: Math.min(100, widthOf(process.stdout)), colour: out.colour, labels }),
  )
  if (bundled !== undefined)
    out.say(`\nwrote ${bundled.file}: ${bundled.entries.join(', ')}\nLook through it before you send it.`)
  if (!isOpen(findings)) return EXIT.vaultClosed
  return counts.problems > 0 ? EXIT.failed : EXIT.done
}

interface Looked {
  diagnosis: Diagnosis
  accounts: Account[]
  providers: ProviderSummary[]
}

/** What the library finds, and what is a matter of this program and of others. */
async function look(options: { fix: boolean; online: boolean }): Promise<Looked> {
  const { at, findings } = await diagnose(options)
  const withAccounts = new Set(findings.flatMap(({ details }) => details?.provider ?? []))
  // Without a configuration or a vault that opens, there are none to tell of.
  const providers = await configuredProviders().catch(() => [])
  const accounts =
    isOpen(findings) && findings.some(({ id }) => id === 'vault.open') ? await listAccounts().catch(() => []) : []
  const others = await checkHosts(providers, withAccounts)
  return { diagnosis: { at, findings: [...checkRuntime(), ...findings, ...others] }, accounts, providers }
}

/** Says on a terminal that it is at work. Returns what clears that. */
function progress({ json, quiet }: Output): () => void {
  if (quiet || json || !isTerminal(process.stderr) || process.env.TERM === 'dumb') return () => {}
  const began = Date.now()
  const show = (): void => {
    process.stderr.write(`\r\u001b[Klooking for what is wrong … ${Math.floor((Date.now() - began) / 1000)} s`)
  }
  show()
  const timer = setInterval(show, 1000)
  return () => {
    clearInterval(timer)
    process.stderr.write('\r\u001b[K')
  }
}

/** Asks before a file is overwritten. */
async function mayWrite(file: string, force: boolean): Promise<void> {
  if (force || !existsSync(file)) return
  mustAsk(`${file} exists: pass --force to overwrite it, or name another file`)
  if (!(await askYes(`${file} exists. Overwrite it?`))) throw interrupted()
}

function write(file: string, { diagnosis, accounts, providers }: Looked): { file: string; entries: string[] } {
  const files = (fits: RegExp) =>
    diagnosis.findings.flatMap(({ id, details }) => (fits.test(id) ? (details?.file ?? []) : []))
  const [dir] = files(/^(?:disk\.space|vault\.(?:open|empty))$/)
  const parts = bundleFiles({
    diagnosis,
    accounts,
    configFiles: files(/^config\.(?:file|project|untrusted|invalid)$/),
    dir,
    logFiles: [...files(/^log\./), ...(dir === undefined ? [] : [join(dir, 'log.1.jsonl'), join(dir, 'log.jsonl')])],
    keyVariables: providers.flatMap(({ keyVariables }) => keyVariables),
    env: process.env,
  })
  const temporary = `${file}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, zipped(parts), { mode: 0o600, flag: 'wx' })
    renameSync(temporary, file)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw fault({
      message: `${file} cannot be written: ${(error as Error).message}`,
      next: 'name a file in another folder',
    })
  }
  return { file, entries: Object.keys(parts) }
}
