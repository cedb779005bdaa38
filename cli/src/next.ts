/** Which account of a pool serves next, and why, in words. */
import type { Account, PoolStatus, ProviderSummary, Trace, TracedAccount } from '../../index.js'
import { span, when } from '../../npm/src/opencode/tui/lines.js'
import { preferred } from '../../npm/src/order.js'
import { inCommands } from './calls.js'
import { explain } from './library.js'
import { cut } from './text.js'

export interface Next {
  outcome: Trace['outcome']
  /** Which account serves, or is waited for, or needs the login. */
  account?: Account
  /** When an account can serve again; absent where one serves, or time does not help. */
  until?: number
  /** Goes on after "work serves: " or after the sentence that says that none can. */
  why: string
}

const STRATEGIES: Record<Trace['strategy'], string> = {
  sticky: 'of equal priority, it was chosen by quota and age',
  'earliest-reset': 'of equal priority, its quota starts anew first',
  balanced: 'of equal priority, it has the fewest requests under way',
  'round-robin': 'it is its turn',
  'fill-first': 'it comes first in the order of the pool, which fills one account after the other',
}

const OBSTACLES: Partial<Record<TracedAccount['chance'], string>> = {
  needs_login: 'needs a new sign-in',
  needs_verification: 'has to be verified with the provider',
  blocked_by_provider: 'is blocked by the provider',
  rollback_suspected: 'may be an old copy and needs a new sign-in',
  disabled: 'is disabled',
  unreadable: 'cannot be read',
  other_kind: 'is not of the kind that rotation.mode asks for',
  not_first: 'stands behind it in a pool that does not rotate',
}

/** Asks how a request of no session and no model would fare now. */
export async function nextOf(pool: PoolStatus, providers: readonly ProviderSummary[], now: number): Promise<Next> {
  const { provider, namespace, accounts } = pool
  const url = providers.find(({ id }) => id === provider)?.origins.find((origin) => URL.canParse(origin))
  if (url === undefined)
    return { outcome: 'origin_refused', why: 'no origin is configured that may receive its credentials' }
  const trace = await explain({ provider, namespace, url })
  const account = accounts.find(({ id }) => id === trace.accountId)
  return {
    outcome: trace.outcome,
    ...(account !== undefined && { account }),
    ...(trace.until !== undefined && { until: trace.until }),
    why:
      trace.outcome === 'serve' && account !== undefined ? whyIt(account, trace, pool, now) : whyNone(trace, pool, now),
  }
}

/** Who serves next and why, as one sentence; `name` names an account. */
export function nextWords(
  { outcome, account, why, until }: Next,
  name: (account: Account) => string,
  now: number,
): string {
  if (account !== undefined && outcome === 'serve') return `${name(account)} serves next: ${why}`
  const free = until === undefined || until <= now ? '' : `; free in ${span(until - now)}`
  return account !== undefined && outcome === 'wait'
    ? `${name(account)} is waited for${free}`
    : `no account can serve now: ${why}${free}`
}

function whyIt(account: Account, trace: Trace, { accounts }: PoolStatus, now: number): string {
  const { boundTo, boundUntil, rule, strategy } = trace
  if (accounts.length === 1) return 'the only account'
  if (boundTo === account.id && boundUntil !== undefined)
    return `after a switch, requests stay with it until ${when(boundUntil, now)}`
  if (rule === 'probe') return 'as a test of whether its rest is over'
  const chances = new Map(trace.accounts.map((traced) => [traced.accountId, traced]))
  const free = accounts.filter(({ id }) => id !== account.id && canServe(chances.get(id)))
  if (free.length === 0) return `the only one that can now${whyAlone(trace, accounts, now)}`
  if (strategy === 'fill-first' || strategy === 'round-robin') return STRATEGIES[strategy]
  const order = preferred(accounts)
  const ahead = order.slice(0, order.indexOf(account)).find(({ priority }) => priority < account.priority)
  const obstacle = ahead === undefined ? '' : obstacleOf(ahead, chances.get(ahead.id), now)
  if (obstacle !== '') return `next by priority, since ${obstacle}`
  const alike = free.filter(({ kind }) => (kind === 'api') === (account.kind === 'api'))
  if (alike.length === 0) return 'logins come before API keys'
  if (alike.every(({ priority }) => priority > account.priority)) return 'first by priority'
  return STRATEGIES[strategy]
}

function whyNone({ outcome, accounts: traced, refusal }: Trace, { accounts }: PoolStatus, now: number): string {
  if (outcome === 'origin_refused') return inCommands(refusal ?? 'its address is refused')
  const [only, ...more] = obstacles(traced, accounts, now)
  if (only !== undefined && more.length === 0) return only
  const counts = new Map<string, number>()
  for (const { chance } of traced) counts.set(chance, (counts.get(chance) ?? 0) + 1)
  return [...counts].map(([chance, count]) => `${count} ${plural(chance, count)}`).join(', ')
}

/** What keeps the other accounts, where that is one. */
function whyAlone({ accounts: traced }: Trace, accounts: readonly Account[], now: number): string {
  const [only, ...more] = obstacles(traced, accounts, now)
  return only !== undefined && more.length === 0 ? ` (${only})` : ''
}

function obstacles(traced: readonly TracedAccount[], accounts: readonly Account[], now: number): string[] {
  return traced.flatMap((one) => {
    const account = accounts.find(({ id }) => id === one.accountId)
    return (account && obstacleOf(account, one, now)) || []
  })
}

function obstacleOf({ label }: Account, traced: TracedAccount | undefined, now: number): string {
  if (traced === undefined || canServe(traced)) return ''
  if (traced.chance === 'resting')
    return `${cut(label, 30)} rests${traced.until === undefined ? '' : ` until ${when(traced.until, now)}`}`
  const obstacle = OBSTACLES[traced.chance]
  return obstacle === undefined ? '' : `${cut(label, 30)} ${obstacle}`
}

function canServe(traced: TracedAccount | undefined): boolean {
  return traced?.chance === 'eligible' || traced?.chance === 'low_quota'
}

/** Of so many accounts: `1 rests`, `2 rest`, `2 need a new sign-in`. */
function plural(chance: string, count: number): string {
  const one = chance === 'resting' ? 'rests' : (OBSTACLES[chance as TracedAccount['chance']] ?? chance)
  if (count === 1) return one
  return one
    .replace(/^(rest|need|stand)s/, '$1')
    .replace(/^is /, 'are ')
    .replace(/^has /, 'have ')
}
