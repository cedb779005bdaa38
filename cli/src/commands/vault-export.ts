/** `vault export`: the accounts in a file that a passphrase opens. */
import type { Account } from '../../../index.js'
import { type Fault, fault, faultOf, interrupted, usage } from '../faults.js'
import { beginPrivateFile } from '../files.js'
import { exportVault, listAccounts, movedBundle } from '../library.js'
import { askYes, mustAsk } from '../prompts.js'
import type { Call } from '../run.js'
import { passphrase } from '../secrets.js'

interface Options {
  includeLogins?: boolean
  again?: boolean
  force?: boolean
  passphraseStdin?: boolean
  allowWeakPassphrase?: boolean
  yes?: boolean
}

export async function run({ args: [name = ''], options, out }: Call<Options>): Promise<void> {
  const { includeLogins = false, again = false, force = false } = options
  if (again && includeLogins) throw usage('--again writes a bundle that is there; leave out --include-logins')
  const file = await beginPrivateFile(name, { force })
  try {
    const { bundle, moved } = again ? await lastBundle() : await newBundle(options)
    await file.keep(bundle).catch((error) => Promise.reject(moved.length > 0 || again ? stillKept(error) : error))
    out.answer({ file: file.path, bytes: bundle.length, moved }, file.path)
    if (moved.length > 0)
      out.say(
        `${moved.length === 1 ? 'One login is' : `${moved.length} logins are`} in this file and no longer in this vault. On the other machine: provider-auth vault import`,
      )
  } finally {
    await file.drop()
  }
}

interface Made {
  bundle: Uint8Array
  moved: { accountId: string; provider: string; label: string }[]
}

async function newBundle(options: Options): Promise<Made> {
  const { includeLogins = false, passphraseStdin, allowWeakPassphrase = false, yes = false } = options
  const before = await listAccounts()
  const logins = before.filter(moves)
  if (includeLogins && logins.length > 0 && !yes) {
    const what = `${logins.length === 1 ? 'one login moves' : `${logins.length} logins move`} to the file, and here need a new login`
    mustAsk(`--yes: ${what}`)
    if (!(await askYes(`Go on? ${what}.`))) throw interrupted()
  }
  const given = await passphrase({ what: 'Passphrase of the file', stdin: passphraseStdin, twice: true })
  const bundle = await exportVault(given, { includeOAuth: includeLogins, allowWeakPassphrase })
  const known = new Set(before.filter(({ movedAt }) => movedAt !== undefined).map(({ id }) => id))
  // The bundle is made: whatever fails from here on must not lose it.
  const after = includeLogins ? await listAccounts().catch(() => logins.map((one) => ({ ...one, movedAt: 0 }))) : []
  const moved = after.filter(({ id, movedAt }) => movedAt !== undefined && !known.has(id))
  return { bundle, moved: moved.map(({ id, provider, label }) => ({ accountId: id, provider, label })) }
}

/** A login that this vault has; one that has ended stays. */
function moves({ kind, movedAt, state }: Account): boolean {
  return kind !== 'api' && kind !== 'wellknown' && movedAt === undefined && state !== 'needs_login'
}

async function lastBundle(): Promise<Made> {
  const bundle = await movedBundle()
  if (bundle === undefined)
    throw fault({
      message: 'the vault keeps no bundle of logins',
      why: 'it is gone once its logins are used again, here or after a new login',
      next: 'provider-auth vault export <file> --include-logins, for a new one',
    })
  return { bundle, moved: [] }
}

function stillKept(error: unknown): Error {
  const { exit: _, code: __, ...what }: Fault = faultOf(error)
  return fault({
    ...what,
    why: [what.why, 'nothing is lost: the vault keeps the bundle with the logins'].filter(Boolean).join('; '),
    next: 'provider-auth vault export <another file> --again',
  })
}
