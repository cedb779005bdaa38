/** What a report tells: the counts of the library by time, and by provider, account and model. */
import type { Account, Stats, StatsCount } from '../../../index.js'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Where a report begins long before anything was counted, it shows no more than this of the time before. */
const LONGEST_DAYS = 62

/** Counts without what they are of. */
export type Figures = Omit<StatsCount, 'at' | 'hours' | 'provider' | 'namespace' | 'accountId' | 'model'>

/** Figures of one hour or day. */
export interface Step extends Figures {
  at: number
}

/** Figures of one model of an account, or of what names none. */
export interface ModelFigures extends Figures {
  model?: string
}

/** Without `id`: what concerns no account. */
export interface AccountFigures extends Figures {
  provider: string
  namespace: string
  id?: string
  name: string
  /** Its attempts in each step of the report. */
  attemptsBySteps: number[]
  models: ModelFigures[]
}

/** How full a quota window was, hour by hour. */
export interface Window {
  id: string
  name: string
  provider: string
  window: string
  samples: { at: number; usedPercent: number; resetAt: number }[]
}

export interface Report {
  enabled: boolean
  /** Unix ms; the report ends now. */
  from: number
  to: number
  step: 'hour' | 'day'
  totals: Figures
  steps: Step[]
  accounts: AccountFigures[]
  windows: Window[]
}

/** How accounts are named: by label, by id, or by label unless it holds an e-mail address. */
export type Naming = 'label' | 'id' | 'discreet'

/**
 * When a report begins that covers what `--since` says, and its steps; undefined for what says no time. Hours and days are
 * those of UTC, as they are counted.
 */
export function rangeOf(since: string, now: number): Pick<Report, 'from' | 'step'> | undefined {
  const from = beginOf(since.trim(), now)
  if (from === undefined || !(from <= now)) return undefined
  const hours = from >= floor(now, DAY_MS) - DAY_MS && now - from <= 49 * HOUR_MS
  return { from: Math.max(0, floor(from, hours ? HOUR_MS : DAY_MS)), step: hours ? 'hour' : 'day' }
}

function beginOf(since: string, now: number): number | undefined {
  const [, count, unit] = /^(\d{1,6})\s*(h|d)$/.exec(since) ?? []
  if (unit !== undefined) {
    const many = Number(count)
    if (many === 0) return undefined
    // `7d` is today and the six days before.
    if (unit === 'd' && many > 1) return floor(now, DAY_MS) - (many - 1) * DAY_MS
    return floor(now, HOUR_MS) - (many * (unit === 'd' ? 24 : 1) - 1) * HOUR_MS
  }
  if (!/^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?$/.test(since)) return undefined
  const [at, day] = [Date.parse(since), since.slice(0, 10)]
  // 31 February is 3 March to `Date`.
  const isDay = !Number.isNaN(Date.parse(day)) && new Date(day).toISOString().startsWith(day)
  return Number.isNaN(at) || !isDay ? undefined : at
}

/** The report of what was counted since. */
export function reportOf(
  stats: Stats,
  accounts: readonly Account[],
  range: Pick<Report, 'from' | 'step'>,
  { now, naming }: { now: number; naming: Naming },
): Report {
  const { step } = range
  const length = step === 'hour' ? HOUR_MS : DAY_MS
  const counts = stats.counts.filter(({ at, hours }) => at + hours * HOUR_MS > range.from && at <= now)
  const first = Math.min(now, ...counts.map(({ at }) => at))
  const earliest = Math.max(range.from, floor(now, DAY_MS) - LONGEST_DAYS * DAY_MS)
  const from = range.from >= earliest ? range.from : Math.min(earliest, floor(first, DAY_MS))
  const names = namesOf(accounts, naming)
  const steps = new Map<number, Step>()
  for (let at = from; at <= now; at += length) steps.set(at, { at, ...nothing() })
  const totals = nothing()
  const byAccount = new Map<string, AccountFigures>()
  for (const row of counts) {
    add(totals, row)
    // A day is never within hours: those of before yesterday are not in such a report.
    const one = steps.get(Math.max(from, floor(row.at, length)))
    if (one !== undefined) add(one, row)
    const known = accountIn(byAccount, row, names, steps.size)
    add(known, row)
    add(modelIn(known, row), row)
    const index = Math.max(0, Math.floor((row.at - from) / length))
    known.attemptsBySteps[index] = (known.attemptsBySteps[index] ?? 0) + row.attempts
  }
  return {
    enabled: stats.enabled,
    from,
    to: now,
    step,
    totals,
    steps: [...steps.values()],
    accounts: [...byAccount.values()].map(sorted).sort(byProvider),
    windows: windowsOf(stats, from, names),
  }
}

/** How much was counted under these reasons. */
export function sumOf(reasons: Readonly<Record<string, number>>): number {
  return Object.values(reasons).reduce((sum, more) => sum + more, 0)
}

/** The models of an account, where they say more than the account by itself; a refresh is of none. */
export function modelsOf({ models }: AccountFigures): ModelFigures[] {
  const asked = models.filter(({ model, attempts, refused }) => model !== undefined || attempts + refused > 0)
  return asked.length === 1 && asked[0]?.model === undefined ? [] : asked
}

/** Whether there is anything to show. */
export function isEmpty({ totals, windows }: Report): boolean {
  const { failed, switched, ...plain } = totals
  return windows.length === 0 && [...Object.values(plain), sumOf(failed), sumOf(switched)].every((sum) => sum === 0)
}

type Names = (id: string) => string

function namesOf(accounts: readonly Account[], naming: Naming): Names {
  const labels = new Map(accounts.map(({ id, label }) => [id, label]))
  return (id) => {
    const label = labels.get(id)
    if (naming === 'id') return id
    const isHidden = naming === 'discreet' && label !== undefined && /\S@\S/.test(label)
    // The end of an id is what two accounts differ in.
    return label === undefined || label === '' || isHidden ? `account …${id.slice(-6)}` : label
  }
}

function accountIn(known: Map<string, AccountFigures>, row: StatsCount, names: Names, steps: number): AccountFigures {
  const { provider, namespace, accountId } = row
  const key = JSON.stringify([provider, namespace, accountId])
  const before = known.get(key)
  if (before !== undefined) return before
  const name = accountId === undefined ? 'no account' : names(accountId)
  const made = {
    provider,
    namespace,
    ...(accountId !== undefined && { id: accountId }),
    name,
    ...nothing(),
    attemptsBySteps: Array.from({ length: steps }, () => 0),
    models: [],
  }
  known.set(key, made)
  return made
}

function modelIn({ models }: AccountFigures, { model }: StatsCount): ModelFigures {
  const before = models.find((one) => one.model === model)
  if (before !== undefined) return before
  const made = { ...(model !== undefined && { model }), ...nothing() }
  models.push(made)
  return made
}

function windowsOf(stats: Stats, from: number, names: Names): Window[] {
  const windows = new Map<string, Window>()
  for (const { accountId: id, provider, window, at, usedPercent, resetAt } of stats.quota) {
    if (at + HOUR_MS <= from) continue
    const key = JSON.stringify([id, window])
    const known = windows.get(key) ?? { id, name: names(id), provider, window, samples: [] }
    known.samples.push({ at, usedPercent, resetAt })
    windows.set(key, known)
  }
  return [...windows.values()]
}

function nothing(): Figures {
  return {
    requests: 0,
    attempts: 0,
    served: 0,
    // By names that are read from a file: one may be `constructor`.
    failed: Object.create(null),
    switched: Object.create(null),
    refused: 0,
    refreshes: 0,
    refreshFailures: 0,
    waitedMs: 0,
    restedMs: 0,
  }
}

const PLAIN = [
  'requests',
  'attempts',
  'served',
  'refused',
  'refreshes',
  'refreshFailures',
  'waitedMs',
  'restedMs',
] as const

function add(sum: Figures, more: Figures): void {
  for (const name of PLAIN) sum[name] += more[name]
  for (const name of ['failed', 'switched'] as const)
    for (const [reason, count] of Object.entries(more[name])) sum[name][reason] = (sum[name][reason] ?? 0) + count
}

function sorted(account: AccountFigures): AccountFigures {
  account.models.sort((a, b) => b.attempts - a.attempts || (a.model ?? '').localeCompare(b.model ?? ''))
  return account
}

function byProvider(a: AccountFigures, b: AccountFigures): number {
  const pool = (one: AccountFigures) => `${one.provider}\n${one.namespace}`
  return pool(a).localeCompare(pool(b)) || b.attempts - a.attempts || a.name.localeCompare(b.name)
}

function floor(at: number, length: number): number {
  return Math.floor(at / length) * length
}
