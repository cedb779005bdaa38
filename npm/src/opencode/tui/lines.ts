/** What the screens say: texts of one line each, from data that was read before. */
import type { Account, PoolStatus, Trace, VaultStatus } from '../../../../index.js'
import { visible } from '../../trust.js'
import { maskIdentity } from '../mask.js'
import { type AccountStatus, accountStatus, nearestLimit, restOf, stateWords } from '../status.js'

const SECOND_MS = 1000
const MINUTE_S = 60
const HOUR_S = 60 * MINUTE_S
const DAY_S = 24 * HOUR_S
const WEEK_DAYS = 7
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']

/** The most accounts that the side bar lists; it has room for other things too. */
const MOST_IN_SIDEBAR = 6

const METHODS: Record<string, string> = {
  browser: 'Sign in with the browser',
  device: 'Sign in with a device code',
  paste: 'Sign in and paste the code',
  'api-key': 'API key',
}

/** What to do where the vault does not open. */
const VAULT_STEPS: Record<Exclude<VaultStatus['state'], 'open' | 'empty'>, string> = {
  locked: 'the keychain is locked. Unlock it, then try again.',
  timeout: 'the keychain does not answer. Unlock it, then try again.',
  unavailable:
    'no keychain answers on this machine. Start it, or start OpenCode with PROVIDER_AUTH_KEY or PROVIDER_AUTH_PASSPHRASE_FILE.',
  key_missing:
    "the vault's key is not where it was kept. Start OpenCode with the same PROVIDER_AUTH_KEY or passphrase as before.",
  key_mismatch: 'the key at hand is not that of this vault. Start OpenCode with the key that the vault was made with.',
}

/** Who serves a session, as it stands now. */
export interface Serving {
  provider: string
  /** Absent where OpenCode serves the provider itself. */
  trace?: Trace
  /** Why it cannot be told. */
  fault?: string
  /** The account that was chosen, by id or label: no other one serves. */
  chosen?: string
}

/** The names of accounts, by id: masked, and told apart where masking makes them the same. */
export function namesOf(accounts: readonly Account[], mask: boolean): Map<string, string> {
  const shown = accounts.map(({ id, provider, namespace, label }) => {
    const name = shownLabel(label, mask)
    return { id, name, place: JSON.stringify([provider, namespace, name]) }
  })
  const count = (place: string) => shown.filter((other) => other.place === place).length
  // Ids end with their random part.
  return new Map(shown.map(({ id, name, place }) => [id, count(place) > 1 ? `${name} (${id.slice(-4)})` : name]))
}

/** A label as it is shown. */
export function shownLabel(label: string, mask: boolean): string {
  return visible(mask ? maskIdentity(label) : label)
}

/** How an account stands, for a row of the list. */
export function accountWords(account: Account, now: number): string {
  const status = statusOf(account)
  const answer = status.lastStatus === undefined ? [] : [`last answer ${status.lastStatus}`]
  return [state(status, now), ...windows(status, now), ...answer].join(' · ')
}

/** Further words about an account, for a screen of its own. */
export function accountDetails(account: Account, now: number): string {
  const { kind, namespace, successes, failures, expiresAt, refreshable, priority } = account
  const token =
    expiresAt === undefined
      ? []
      : [`token ${expiresAt > now ? 'until' : 'ended'} ${when(expiresAt, now)}${refreshable ? ', then renewed' : ''}`]
  const pool = namespace === 'default' ? [] : [`pool ${visible(namespace)}`]
  const rests = statusOf(account)
    .cooldowns.filter(({ scope, until }) => scope !== 'account' && until > now)
    .map(({ scope, until, reason }) => `${scope} rests until ${when(until, now)} (${reason})`)
  return [
    kind === 'api' ? 'API key' : 'sign-in',
    ...pool,
    `priority ${priority}`,
    `${successes} served`,
    `${failures} refused`,
    ...token,
    ...rests,
  ].join(' · ')
}

/** How long an account still rests, or rests for a model; empty where it does not. */
export function countdownOf(account: Account, now: number): string {
  if (!account.enabled) return ''
  const status = statusOf(account)
  const whole = restOf(status, now)
  if (whole !== undefined) return `free in ${span(whole.until - now)}`
  const parts = status.cooldowns.filter(({ until }) => until > now).sort((a, b) => b.until - a.until)
  const [last] = parts
  return last === undefined ? '' : `${last.scope} free in ${span(last.until - now)}`
}

/**
 * A time where the user is, as short as can be: `14:05`, a day or more away `Mon 14:05`, and a week
 * or more away the date.
 */
export function when(at: number, now: number): string {
  const date = new Date(at)
  const days = Math.abs(at - now) / (DAY_S * SECOND_MS)
  if (days >= WEEK_DAYS) return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`
  return days < 1 ? time : `${WEEKDAYS[date.getDay()]} ${time}`
}

/** A span as a clock that runs backwards: `0:42`, `1:05:10`, `2 d 3 h`. */
export function span(ms: number): string {
  // Rounded up: it ends when the time is over, not a second before.
  const all = Math.max(0, Math.ceil(ms / SECOND_MS))
  const [days, hours] = [Math.floor(all / DAY_S), Math.floor((all % DAY_S) / HOUR_S)]
  if (days > 0) return `${days} d ${hours} h`
  const [minutes, seconds] = [Math.floor((all % HOUR_S) / MINUTE_S), all % MINUTE_S]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`
}

/** A provider as the title of its accounts: who serves the session, and how its pools went. */
export function providerTitle(
  provider: string,
  facts: { isOurs: boolean | undefined; serving: string | undefined; pools: readonly PoolStatus[] },
): string {
  const sum = (read: (pool: PoolStatus) => number) => facts.pools.reduce((total, pool) => total + read(pool), 0)
  const figures = [
    counted(
      sum(({ requests }) => requests),
      'request',
    ),
    counted(
      sum(({ rotations }) => rotations),
      'switch',
      'switches',
    ),
    counted(
      sum(({ refreshes }) => refreshes),
      'refresh',
      'refreshes',
    ),
    counted(
      sum(({ exhausted }) => exhausted),
      'time exhausted',
      'times exhausted',
    ),
  ]
  const parts = [
    visible(provider),
    facts.isOurs === false ? 'OpenCode serves it; options.auth in opencode.json hands it over' : '',
    facts.serving === undefined ? '' : `this session: ${facts.serving}`,
    ...figures,
  ]
  return parts.filter((part) => part !== '').join(' · ')
}

/** Who serves a session, in a few words: `work · 5h 62 % · resets 14:05`. */
export function servingLine(
  serving: Serving,
  accounts: readonly Account[],
  names: ReadonlyMap<string, string>,
  now: number,
): string {
  const { trace, provider, chosen } = serving
  if (trace === undefined) return serving.fault === undefined ? '' : `${visible(provider)} · see /accounts`
  const wanted = trace.accountId ?? chosen
  const account = accounts.find(
    (entry) => entry.provider === provider && (entry.id === wanted || entry.label === wanted),
  )
  const name = account === undefined ? visible(provider) : (names.get(account.id) ?? '')
  const until = trace.until === undefined ? '' : ` until ${when(trace.until, now)}`
  switch (trace.outcome) {
    case 'serve': {
      const limit = account === undefined ? undefined : nearestLimit(statusOf(account), now)
      return limit === undefined
        ? name
        : `${name} · ${visible(limit.window)} ${limit.usedPercent} % · resets ${when(limit.resetAt, now)}`
    }
    case 'wait':
      return `${name} · resting${until}`
    case 'exhausted':
      return chosen === undefined
        ? `${visible(provider)} · every account rests${until}`
        : `${name} · chosen, and rests${until}`
    case 'needs_login':
      return `${name} · sign in again: /accounts`
    case 'unknown_account':
      return 'the chosen account is gone: /accounts'
    case 'no_account':
      return chosen === undefined
        ? `${visible(provider)} · no account: /accounts`
        : `${name} · chosen, and cannot serve: /accounts`
    case 'origin_refused':
      return `${visible(provider)} · not one of its addresses`
  }
}

/** The lines of the side bar: the accounts of one provider, and which of them serves. */
export function sidebarLines(
  accounts: readonly Account[],
  names: ReadonlyMap<string, string>,
  serving: string | undefined,
  now: number,
): string[] {
  const lines = accounts.map((account) => {
    const status = statusOf(account)
    const limit = nearestLimit(status, now)
    const rest = restOf(status, now)
    const words =
      account.state !== 'ready' || !account.enabled
        ? rest === undefined
          ? state(status, now)
          : `until ${when(rest.until, now)}`
        : limit === undefined
          ? ''
          : `${visible(limit.window)} ${limit.usedPercent} %`
    return `${account.id === serving ? '●' : '○'} ${names.get(account.id) ?? ''} ${words}`.trimEnd()
  })
  const more = lines.length - MOST_IN_SIDEBAR
  return more > 0 ? [...lines.slice(0, MOST_IN_SIDEBAR), `and ${more} more: /accounts`] : lines
}

/** How many accounts there are, and how many of them cannot serve now. */
export function countsLine(accounts: readonly Account[], now: number): string {
  if (accounts.length === 0) return ''
  const enabled = accounts.filter((account) => account.enabled)
  const resting = enabled.filter((account) => restOf(statusOf(account), now) !== undefined)
  const needy = enabled.filter(({ state }) => state === 'needs_login')
  return [
    counted(accounts.length, 'account'),
    resting.length === 0 ? '' : `${resting.length} resting`,
    needy.length === 0 ? '' : `${needy.length} to sign in`,
  ]
    .filter((part) => part !== '')
    .join(', ')
}

/** A way to add an account, as a person reads it. */
export function methodWords(method: string): string {
  return METHODS[method] ?? method
}

/** Why the vault is not open and what to do; `undefined` where it is, or will be at its first use. */
export function vaultWords({ state }: VaultStatus): string | undefined {
  return state === 'open' || state === 'empty' ? undefined : VAULT_STEPS[state]
}

/** The text of an error, fit for a screen. */
export function faultWords(fault: unknown): string {
  return visible(maskIdentity(fault instanceof Error ? fault.message : String(fault)))
}

/** An account without what only some screens show; its name is told apart by `namesOf`. */
function statusOf(account: Account): AccountStatus {
  return accountStatus(account, undefined, true)
}

function state(status: AccountStatus, now: number): string {
  // The time has a shorter form here.
  const words = stateWords({ ...status, cooldowns: [] }, now)
  const rest = status.enabled ? restOf(status, now) : undefined
  return rest === undefined ? words : `${words} until ${when(rest.until, now)} (${rest.reason})`
}

function windows({ quota }: AccountStatus, now: number): string[] {
  return quota
    .filter(({ resetAt }) => resetAt > now)
    .map(({ window, usedPercent, resetAt }) => `${window} ${usedPercent} %, resets ${when(resetAt, now)}`)
}

function counted(count: number, one: string, many = `${one}s`): string {
  return count === 0 ? '' : `${count} ${count === 1 ? one : many}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
