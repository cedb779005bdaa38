/** `vault import`: the accounts of a bundle come into this vault. */
import { createReadStream } from 'node:fs'
import { visible } from '../../../npm/src/trust.js'
import { EXIT, fault, faultOf } from '../faults.js'
import { reasonOf } from '../files.js'
import { configuredProviders, importVault } from '../library.js'
import type { Call } from '../run.js'
import { passphrase } from '../secrets.js'
import { table } from '../table.js'

/** As the library has it; a longer file is not read. */
const LARGEST = 16 * 1024 * 1024

export async function run({ args: [file = ''], options, out }: Call<{ passphraseStdin?: boolean }>): Promise<void> {
  const bundle = await read(file)
  const given = await passphrase({ what: 'Passphrase of the file', stdin: options.passphraseStdin })
  const report = await importVault(bundle, given).catch((error) => Promise.reject(unusable(error)))
  out.answer(report, () =>
    table(
      [],
      report.accounts.map(({ provider, label, action, why = '' }) => [action, provider, visible(label), visible(why)]),
    ),
  )
  out.say(`${report.added} added, ${report.updated} updated, ${report.skipped} skipped`)
  const known = new Set((await configuredProviders()).map(({ id }) => id))
  const unknown = new Set(report.accounts.map(({ provider }) => provider).filter((provider) => !known.has(provider)))
  for (const provider of unknown)
    out.say(
      `${visible(provider)} is not configured here: copy its part of the other machine's config.jsonc (provider-auth config edit)`,
    )
}

/** A wrong passphrase or file is a failure (1), and the command was called rightly (not 2). */
function unusable(error: unknown): unknown {
  const what = faultOf(error)
  if (what.code !== 'INVALID_ARGUMENT') return error
  return fault({
    ...what,
    exit: EXIT.failed,
    next: 'give a file of provider-auth vault export, and the passphrase that it was made with',
  })
}

async function read(file: string): Promise<Uint8Array> {
  const next = 'give the file that provider-auth vault export wrote'
  const parts: Buffer[] = []
  try {
    for await (const part of createReadStream(file, { end: LARGEST })) parts.push(part)
  } catch (error) {
    throw fault({ message: `could not read ${file}`, why: reasonOf(error), next })
  }
  const bundle = Buffer.concat(parts)
  if (bundle.length > LARGEST) throw fault({ message: `${file} is too large for a bundle`, next })
  return bundle
}
