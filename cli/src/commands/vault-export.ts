/** `vault export`: the accounts in a file that a passphrase opens. */
import type { Account } from '../../../index.js'
import { type Fault, fault, faultOf, interrupted, usage } from '../faults.js'
import { beginPrivateFile } from '../files.js'
import { exportVault, listAccounts, movedBundle } from '../library.js'
import { askYes, mustAsk } from '../prompts.js'
import type { Call } from '../run.js'
import { passphrase } from '../secrets.js'
import { isLoginHere } from '../stored.js'

const AGAIN = 'provider-auth vault export <another file> --again'

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
  // Ctrl-C ends the process at once, whatever has moved by then.
  const atExit = () => out.say(`If logins have moved, this writes them: ${AGAIN}`)
  try {
    const given = again ? '' : await agreed(options)
    if (includeLogins) process.once('exit', atExit)
    const { bundle, moved } = again ? await lastBundle() : await newBundle(given, options)
    await file.keep(bundle).catch((error) => Promise.reject(moved.length > 0 || again ? stillKept(error) : error))
    out.answer({ file: file.path, bytes: bundle.length, moved }, file.path)
    if (moved.length > 0)
      out.say(
        `${moved.length === 1 ? 'One login is' : `${moved.length} logins are`} in this file and no longer in this vault. On the other machine: provider-auth vault import`,
      )
  } finally {
    process.off('exit', atExit)
    await file.drop()
  }
}

interface Made {
  bundle: Uint8Array
  moved: { accountId: string; provider: string; label: string }[]
}

/** The passphrase, once it is agreed to that logins move. */
async function agreed({ includeLogins = false, passphraseStdin, yes = false }: Options): Promise<string> {
  const logins = includeLogins && !yes ? (await listAccounts()).filter(isLoginHere).length : 0
  if (logins > 0) {
    const what = `${logins === 1 ? 'one login moves' : `${logins} logins move`} to the file, and here need a new sign-in`
    mustAsk(`--yes: ${what}`)
    if (!(await askYes(`Go on? ${what}.`))) throw interrupted()
  }
  return passphrase({ what: 'Passphrase of the file', stdin: passphraseStdin, twice: true })
}

async function newBundle(
  given: string,
  { includeLogins = false, allowWeakPassphrase = false }: Options,
): Promise<Made> {
  const before = includeLogins ? (await listAccounts()).filter(isLoginHere) : []
  const bundle = await exportVault(given, { includeOAuth: includeLogins, allowWeakPassphrase })
  // The bundle is made: whatever fails from here on must not lose it.
  const after = includeLogins ? await listAccounts().catch(() => undefined) : []
  const isMoved = ({ id }: Account) => after?.find((one) => one.id === id)?.movedAt !== undefined
  const moved = after === undefined ? before : before.filter(isMoved)
  return { bundle, moved: moved.map(({ id, provider, label }) => ({ accountId: id, provider, label })) }
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
    next: AGAIN,
  })
}
