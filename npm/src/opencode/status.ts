/**
 * How the providers and their accounts stand: as data for a screen, and as text for an agent or a
 * person. No secret is in it.
 */
import type { Account, PoolStatus, ProviderSummary } from '../../../index.js'
import { visible } from '../trust.js'
import { maskIdentity } from './mask.js'
import { clock } from './words.js'

export { clock } from './words.js'

/** Who serves a provider, and why. */
export interface Served {
  provider: string
  who: 'us' | 'host'
  row: string
  why: string
}

/** What the status is made of. Each part may be missing, say while the vault does not open. */
export interface StatusFacts {
  providers?: readonly ProviderSummary[]
  accounts?: readonly Account[]
  pools?: readonly PoolStatus[]
  decisions?: readonly Served[]
}

export interface ProviderStatus {
  provider: string
  /** Absent where nothing was decided: the provider is not used here. */
  who?: 'us' | 'host'
  row?: string
  why?: string
  /** The origins that may receive its credentials. */
  endpoints: string[]
  /** Ways to add an account. */
  methods: ProviderSummary['methods']
  /** By pool, and in each in the order in which they would serve. */
  accounts: AccountStatus[]
  /** Of this process, all pools together. */
  rotations: number
  refreshes: number
}

export interface AccountStatus {
  id: string
  provider: string
  namespace: string
  /** Masked unless asked for. */
  label: string
  kind: Account['kind']
  /** How it was signed in to, where that is known. */
  method?: NonNullable<Account['method']>
  state: Account['state']
  enabled: boolean
  /** Its place in its pool, from 1, among those that serve now or after a rest. */
  serves?: number
  priority: number
  expiresAt?: number
  refreshable: boolean
  cooldowns: { scope: string; until: number; reason: string }[]
  quota: { window: string; usedPercent: number; resetAt: number }[]
  lastStatus?: number
}

/** The states in which time alone lets an account serve. */
const SERVING: ReadonlySet<string> = new Set(['ready', 'cooling', 'exhausted'])

const STATES: Record<Account['state'], string> = {
  ready: 'ready',
  cooling: 'resting',
  exhausted: 'limit reached',
  needs_login: 'needs a new sign-in',
  needs_verification: 'the provider wants it verified',
  blocked_by_provider: 'blocked by the provider',
  out_of_credit: 'out of credit',
  rollback_suspected: 'its record may be an old copy: sign in again',
  disabled: 'disabled',
  unreadable: 'its record cannot be read',
}

const METHODS: Record<NonNullable<Account['method']>, string> = {
  browser: 'sign-in with the browser',
  device: 'sign-in with a device code',
  paste: 'sign-in with a pasted code',
  'api-key': 'API key',
  assertion: 'sign-in with a token of your own issuer',
  'client-credentials': 'sign-in of the client itself',
  migrated: 'taken over from OpenCode',
}

const KINDS: Record<Account['kind'], string> = {
  oauth: 'sign-in',
  api: 'API key',
  wellknown: 'sign-in of a host',
  mcp: 'sign-in of an MCP server',
}

/**
 * The status of each provider that was decided about or has an account: those that have one first,
 * then by name.
 */
export function statusOf(facts: StatusFacts, options: { mask: boolean }): ProviderStatus[] {
  const { providers = [], accounts = [], pools = [], decisions = [] } = facts
  const places = new Map<string, number>()
  const ordered = pools.flatMap((pool) => {
    const serving = pool.accounts.filter(mayServe)
    for (const [index, { id }] of serving.entries()) places.set(id, index + 1)
    return pool.accounts
  })
  // An account of a provider that is not configured any more is in no pool.
  const listed = new Set(ordered.map(({ id }) => id))
  const all = [...ordered, ...accounts.filter(({ id }) => !listed.has(id))]
  const ids = new Set([...decisions, ...all].map(({ provider }) => provider))
  const shown = (text: string) => visible(options.mask ? maskIdentity(text) : text)
  const statuses = [...ids].map((provider): ProviderStatus => {
    const decision = decisions.find((entry) => entry.provider === provider)
    const summary = providers.find(({ id }) => id === provider)
    const figures = pools.filter((pool) => pool.provider === provider)
    return {
      provider,
      ...(decision !== undefined && { who: decision.who, row: decision.row, why: shown(decision.why) }),
      endpoints: summary?.origins ?? [],
      methods: summary?.methods ?? [],
      accounts: all
        .filter((account) => account.provider === provider)
        .map((account) => accountStatus(account, places.get(account.id), options.mask)),
      rotations: sum(figures.map(({ rotations }) => rotations)),
      refreshes: sum(figures.map(({ refreshes }) => refreshes)),
    }
  })
  const rank = ({ accounts, provider }: ProviderStatus) => `${accounts.length > 0 ? 0 : 1}${provider}`
  return statuses.sort((a, b) => (rank(a) < rank(b) ? -1 : 1))
}

/** Whether an account serves, now or once its rest is over. */
export function mayServe({ enabled, state }: Pick<Account, 'enabled' | 'state'>): boolean {
  return enabled && SERVING.has(state)
}

/** What is to be said of one account. */
export function accountStatus(account: Account, serves: number | undefined, mask: boolean): AccountStatus {
  const { id, provider, namespace, kind, state, enabled, priority, expiresAt, refreshable, lastStatus, method } =
    account
  return {
    id,
    provider,
    namespace,
    label: visible(mask ? maskIdentity(account.label) : account.label),
    kind,
    ...(method !== undefined && { method }),
    state,
    enabled,
    ...(serves !== undefined && { serves }),
    priority,
    ...(expiresAt !== undefined && { expiresAt }),
    refreshable,
    cooldowns: account.cooldowns.map(({ scope, until, reason }) => ({ scope: visible(scope), until, reason })),
    quota: account.quota.map(({ window, usedPercent, resetAt }) => ({ window: visible(window), usedPercent, resetAt })),
    ...(lastStatus !== undefined && { lastStatus }),
  }
}

/** The window that is used most, of those that still count. */
export function nearestLimit(account: AccountStatus, now: number): AccountStatus['quota'][number] | undefined {
  const counting = account.quota.filter(({ resetAt }) => resetAt > now)
  return counting.sort((a, b) => b.usedPercent - a.usedPercent || a.resetAt - b.resetAt)[0]
}

/** The longest rest of the whole account; absent where it is free, or where time does not help. */
export function restOf(account: AccountStatus, now: number): AccountStatus['cooldowns'][number] | undefined {
  const rests = account.cooldowns.filter(({ scope, until }) => scope === 'account' && until > now)
  return rests.sort((a, b) => b.until - a.until)[0]
}

/** How an account stands, in words. */
export function stateWords(account: AccountStatus, now: number): string {
  if (!account.enabled) return STATES.disabled
  const rest = restOf(account, now)
  const words = STATES[account.state] ?? account.state
  return rest === undefined ? words : `${words} until ${clock(rest.until, now)} (${rest.reason})`
}

/** Who serves a provider and why, in a sentence. */
export function servedWords({ provider, who, why }: ProviderStatus): string {
  if (who === undefined) return `${provider}: not used here`
  return `${provider}: ${who === 'us' ? 'provider-auth' : 'OpenCode'} serves${why === undefined ? '' : ` (${why})`}`
}

/**
 * The whole status as text. With `ids`, for an agent, each account has the id by which its tools
 * take it; a person knows the label.
 */
export function statusText(statuses: readonly ProviderStatus[], options: { now: number; ids: boolean }): string {
  if (statuses.length === 0) return 'no provider has an account yet'
  return statuses.map((status) => providerLines(status, options).join('\n')).join('\n\n')
}

function providerLines(status: ProviderStatus, { now, ids }: { now: number; ids: boolean }): string[] {
  const lines = [servedWords(status)]
  if (status.endpoints.length > 0) lines.push(`  endpoint: ${status.endpoints.join(', ')}`)
  const several = new Set(status.accounts.map(({ namespace }) => namespace)).size > 1
  for (const account of status.accounts) {
    const place = account.serves === undefined ? '-' : `${account.serves}.`
    const isShared = status.accounts.filter(({ label }) => label === account.label).length > 1
    // Ids end with their random part.
    const mark = ids ? ` [${account.id}]` : isShared ? ` (…${account.id.slice(-4)})` : ''
    const pool = several ? `pool ${visible(maskIdentity(account.namespace))}` : ''
    const words = [kindWords(account), pool, stateWords(account, now), ...details(account, now)]
    lines.push(`  ${place} ${account.label}${mark}: ${words.filter((part) => part !== '').join('; ')}`)
  }
  if (status.who === 'us' && status.accounts.length === 0) lines.push('  no account yet')
  return lines
}

function kindWords({ kind, method }: AccountStatus): string {
  const known = method === undefined ? KINDS[kind] : METHODS[method]
  return known ?? kind
}

function details(account: AccountStatus, now: number): string[] {
  const { expiresAt, refreshable, lastStatus } = account
  const token = expiresAt === undefined ? [] : [tokenWords(expiresAt, refreshable, now)]
  const rests = account.cooldowns
    .filter(({ scope, until }) => scope !== 'account' && until > now)
    .map(({ scope, until, reason }) => `${scope} rests until ${clock(until, now)} (${reason})`)
  const windows = account.quota
    .filter(({ resetAt }) => resetAt > now)
    .map(({ window, usedPercent, resetAt }) => `${window} ${usedPercent} % used, resets ${clock(resetAt, now)}`)
  const answer = lastStatus === undefined ? [] : [`last answer ${lastStatus}`]
  return [...token, ...rests, ...windows, ...answer]
}

function tokenWords(expiresAt: number, refreshable: boolean, now: number): string {
  const when = `${expiresAt > now ? 'token until' : 'token ended'} ${clock(expiresAt, now)}`
  return refreshable ? `${when}, then renewed` : when
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
