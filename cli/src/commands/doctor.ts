/** `doctor`: what is wrong, why it matters and what to do; and the archive for a bug report. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Account, ConfigReport, Diagnosis, ProviderSummary } from '../../../index.js'
import { bundleFiles, zipped } from '../doctor/bundle.js'
import { counted, inTermsOfTheCommand, isClosed } from '../doctor/finding.js'
import { checkHosts } from '../doctor/hosts.js'
import { report } from '../doctor/report.js'
import { checkRuntime } from '../doctor/runtime.js'
import { checkSources } from '../doctor/sources.js'
import { EXIT, interrupted } from '../faults.js'
import { writePrivateFile } from '../files.js'
import { configuredProviders, diagnose, inspectConfig, listAccounts, logFiles } from '../library.js'
import { before } from '../log-reader.js'
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
  const bundled = bundle === undefined ? undefined : await write(resolve(bundle), looked)
  const counts = counted(findings)
  const labels = new Map(accounts.map(({ id, label }) => [id, label]))
  out.answer({ at: diagnosis.at, summary: counts, findings, ...(bundled !== undefined && { bundle: bundled }) }, () =>
    report(findings, { width: Math.min(100, widthOf(process.stdout)), colour: out.colour, labels }),
  )
  if (bundled !== undefined)
    out.say(`\nwrote ${bundled.file}: ${bundled.entries.join(', ')}\nLook through it before you send it.`)
  if (isClosed(findings)) return EXIT.vaultClosed
  return counts.problems > 0 ? EXIT.failed : EXIT.done
}

interface Looked {
  diagnosis: Diagnosis
  config: ConfigReport
  accounts: Account[]
  providers: ProviderSummary[]
}

/** What the library finds, and what is a matter of this program and of others. */
async function look(options: { fix: boolean; online: boolean }): Promise<Looked> {
  const [{ at, findings }, config] = [await diagnose(options), await inspectConfig()]
  const withAccounts = new Set(findings.flatMap(({ details }) => details?.provider ?? []))
  // Without a configuration or a vault that opens, there are none to tell of.
  const providers = await configuredProviders().catch(() => [])
  const isOpen = findings.some(({ id }) => id === 'vault.open')
  const accounts = isOpen ? await listAccounts().catch(() => []) : []
  const others = await checkHosts(providers, withAccounts)
  const all = [...checkRuntime(), ...checkSources(config), ...findings.map(inTermsOfTheCommand), ...others]
  return { diagnosis: { at, findings: all }, config, accounts, providers }
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

async function write(
  file: string,
  { diagnosis, config, accounts, providers }: Looked,
): Promise<{ file: string; entries: string[] }> {
  // Where the configuration cannot be used, nothing is logged.
  const logs = await logFiles().catch(() => [])
  const parts = bundleFiles({
    diagnosis,
    config,
    accounts,
    logFiles: logs.flatMap((log) => [before(log.file), log.file]),
    keyVariables: providers.flatMap(({ keyVariables }) => keyVariables),
    env: process.env,
  })
  // Whether it may be replaced is settled by now.
  await writePrivateFile(file, zipped(parts), { force: true })
  return { file, entries: Object.keys(parts) }
}
