/** `accounts`: the accounts by provider and pool, in the order in which they would serve. */
import { type AccountStatus, nearestLimit, restOf, stateWords } from '../../../npm/src/opencode/status.js'
import { when } from '../../../npm/src/opencode/tui/lines.js'
import { visible } from '../../../npm/src/trust.js'
import { listed } from '../accounts.js'
import type { Colours } from '../output.js'
import type { Call } from '../run.js'
import { counted } from '../sentences.js'
import { firstStep, stepWords } from '../stored.js'
import { table } from '../table.js'
import { widthOf } from '../terminal.js'
import { span } from '../words.js'

interface Column {
  head: string
  cell(account: AccountStatus): string
  /** Whether it is cut where the terminal is too narrow. */
  shrinks?: true
}

export async function run({
  args: [provider],
  options,
  out,
}: Call<{ namespace?: string; long?: boolean }>): Promise<void> {
  const { namespace, long = false } = options
  const accounts = await listed({
    ...(provider !== undefined && { provider }),
    ...(namespace !== undefined && { namespace }),
  })
  out.answer({ accounts }, () => {
    if (accounts.length === 0) return ''
    const shown = columns(accounts, out.colour, long)
    const { dim } = out.colour
    return table(
      shown.map(({ head }) => dim(head)),
      accounts.map((account) => shown.map(({ cell }) => cell(account))),
      {
        // What a script reads is not cut, and a person who asks for all gets it.
        ...(process.stdout.isTTY && !long && { width: widthOf(process.stdout) }),
        shrinks: shown.flatMap(({ shrinks }, index) => (shrinks ? [index] : [])),
      },
    )
  })
  if (accounts.length === 0) {
    const whose = provider === undefined ? '' : `of ${provider} `
    out.say(visible(`no account ${whose}yet; ${stepWords(await firstStep(provider))}`))
  }
}

/** Columns that say something of these accounts. */
function columns(accounts: readonly AccountStatus[], colour: Colours, long: boolean): Column[] {
  const now = Date.now()
  const { dim } = colour
  const pool: Column = { head: 'POOL', cell: ({ namespace }) => namespace }
  const quota: Column = { head: 'QUOTA', cell: (account) => quotaWords(account, now) }
  return [
    { head: 'PROVIDER', cell: (account) => account.provider },
    ...(long || accounts.some(({ namespace }) => namespace !== 'default') ? [pool] : []),
    { head: '#', cell: ({ serves }) => (serves === undefined ? dim('-') : String(serves)) },
    { head: 'ACCOUNT', cell: ({ label }) => label, shrinks: true },
    { head: 'STATE', cell: (account) => painted(account, colour)(shortState(account, now)) },
    ...(long || accounts.some((account) => quotaWords(account, now) !== '') ? [quota] : []),
    ...(long
      ? [
          { head: 'PRIORITY', cell: ({ priority }: AccountStatus) => String(priority) },
          { head: 'BY', cell: ({ method, kind }: AccountStatus) => method ?? kind },
          { head: 'TOKEN', cell: (account: AccountStatus) => tokenWords(account, now) },
          { head: 'ID', cell: ({ id }: AccountStatus) => dim(id) },
        ]
      : []),
  ]
}

/** How an account stands, in a few words: a rest with how long it still takes. */
export function shortState(account: AccountStatus, now: number): string {
  const words = stateWords({ ...account, cooldowns: [] }, now)
  const rest = account.enabled ? restOf(account, now) : undefined
  if (rest !== undefined) return `${words}, free in ${span(rest.until - now)}`
  const parts = account.enabled ? account.cooldowns.filter(({ until }) => until > now).length : 0
  // Each is about a model or an endpoint.
  return parts === 0 ? words : `${words}, ${counted(parts, 'part rests', 'parts rest')}`
}

function quotaWords(account: AccountStatus, now: number): string {
  const limit = nearestLimit(account, now)
  return limit === undefined ? '' : `${limit.window} ${limit.usedPercent}%`
}

function tokenWords({ expiresAt, refreshable }: AccountStatus, now: number): string {
  if (expiresAt === undefined) return ''
  return `${expiresAt > now ? 'until' : 'ended'} ${when(expiresAt, now)}${refreshable ? ', renewed' : ''}`
}

/** The colour of how an account stands. */
export function painted(
  { state, enabled }: AccountStatus,
  { green, yellow, red, dim }: Colours,
): (text: string) => string {
  if (!enabled || state === 'disabled') return dim
  if (state === 'ready') return green
  return state === 'cooling' || state === 'exhausted' ? yellow : red
}
