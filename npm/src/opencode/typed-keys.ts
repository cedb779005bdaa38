/**
 * Keys that a person typed into a dialog of OpenCode's own, which writes them to auth.json in clear.
 * Those of a provider that is ours move into the vault when the next instance starts.
 */
import { readAuthFile } from './auth-file.js'
import { reasonOf } from './login-words.js'
import { noteAdded, noteWritten } from './logout.js'
import { remember } from './remembered.js'
import { message } from './words.js'

/** What it takes to move them. */
export interface Move {
  library: Pick<typeof import('../index.js'), 'listAccounts' | 'migrate' | 'updateAccount'>
  /** Whether a key of the provider belongs into the vault: it was ours before, or opencode.json makes it so. */
  isOurs(provider: string): boolean
  /** The pool that the provider's requests use, where it isn't the usual one. */
  poolOf(provider: string): string | undefined
  /** Has OpenCode put our placeholder where the key was, so that `auth logout` finds an entry. */
  putPlaceholder(provider: string): void
  /** Whether it isn't decided yet who serves. From then on OpenCode may be sending the key itself. */
  isInTime(): boolean
  report(message: string): void
}

/** Moves the keys, and returns the providers whose key is in the vault now. */
export async function takeTypedKeys(move: Move): Promise<string[]> {
  const entries = [...((await readAuthFile()) ?? [])]
  const taken: string[] = []
  for (const [provider] of entries.filter(([id, { isKey }]) => isKey && move.isOurs(id))) {
    // One by one: what keeps one of them back keeps no other.
    const outcome = await take(provider, move)
    remember((memory) => {
      const { keyWaits: _, ...known } = memory[provider] ?? {}
      memory[provider] = { ...known, ...(outcome === 'waits' && { keyWaits: true }) }
    })
    if (outcome !== 'taken') continue
    move.putPlaceholder(provider)
    void noteWritten(provider)
    taken.push(provider)
  }
  return taken
}

async function take(
  provider: string,
  { library, poolOf, isInTime, report }: Move,
): Promise<'taken' | 'waits' | 'gone'> {
  try {
    // Opens the vault, which may take a person's time.
    await library.listAccounts({ provider })
    if (!isInTime()) {
      report(message(`the vault opened late, so the key of ${provider} moves into it at the next start`))
      return 'waits'
    }
    const { imported, skipped, sources } = await library.migrate({ entries: [provider], source: 'remove' })
    const account = imported.find((one) => one.provider === provider)
    const isChanged = sources.some(({ state }) => state === 'changed')
    if (account?.accountId === undefined || isChanged)
      throw new Error(skipped[0]?.why ?? 'auth.json has changed meanwhile')
    const pool = poolOf(provider)
    if (pool !== undefined && account.action === 'added')
      await library.updateAccount(account.accountId, { namespace: pool })
    noteAdded({ id: account.accountId, provider })
    report(message(`the key of ${provider} that was typed into OpenCode is in the vault now, and not in auth.json`))
    return 'taken'
  } catch (fault) {
    // Another process has taken it meanwhile.
    if ((await readAuthFile())?.get(provider)?.isKey !== true) return 'gone'
    report(message(`the key of ${provider} in auth.json could not be moved into the vault: ${reasonOf(fault)}`))
    return 'waits'
  }
}
