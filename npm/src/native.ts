/**
 * The native addon, typed. What needs a JavaScript object to be watched (an `AbortSignal`) or guarded (a listener) is
 * wrapped here; everything else is the addon's own function.
 */
// First of all, since the loader is not found in a bundle.
import './bundled.js'
import type * as api from '../../index.js'
// At run time this is the generated loader; its type file describes the whole library instead.
import * as loaded from '../../index.js'
import type { StreamKind } from './events.js'
import { LENT_ACCOUNTS } from './limits.js'
import { read } from './own.js'
import { headersOf } from './reported.js'
import { type Caller, callerOf, from, traced } from './stack.js'

/** What `startLogin` of the addon resolves to: the prompt, and the number of the login. */
export interface NativePrompt extends api.LoginPrompt {
  login: number
}

/** What in a provider's requests only the account that made it can serve. */
export interface BoundItems {
  /** Field names of a JSON body, each with how its value begins; empty for any value. */
  readonly fields: readonly (readonly [string, string])[]
  /** Parts of a path after which the id of such an item comes. */
  readonly paths: readonly string[]
}

/** How the event streams of one API look. */
interface StreamShape {
  readonly silent: readonly (readonly [name: string, member: string])[]
  readonly failed: readonly string[]
  readonly chunks: readonly string[]
  readonly labels: readonly string[]
}

/** Whose requests are ours, as far as that can be told. */
export interface ClaimedProviders {
  /** Providers of models that are built in, configured, or have an account. */
  readonly ids: readonly string[]
  /** Whether there may be others, since the accounts or the user's configuration could not be read. */
  readonly mayLack: boolean
}

type DiscoverOptions = Parameters<typeof api.discoverModels>[0]

interface Addon {
  configure: typeof api.configure
  authHeadersNow(
    provider: unknown,
    namespace: unknown,
    url: unknown,
    model: unknown,
    session: unknown,
    account: unknown,
    boundBy: unknown,
    cacheTtl: unknown,
  ): string | [attempt: string, url: string] | null
  lentHeaders(
    attempt: string,
  ): [version: string, accountId: string, headers: Record<string, string>, strip: string[]] | null
  boundItems(provider: unknown): BoundItems | null
  streamShapes(provider: unknown): readonly StreamShape[] | null
  explain: typeof api.explain
  getAuthHeaders(request: api.AuthRequest, wait?: number): Promise<api.AuthHeaders>
  checkOptions(call: string, options: unknown): void
  optionNames(call: string): string[]
  beginWait(): number
  endWait(wait: number): void
  reportServed(attempt: unknown, status: unknown, headers: string): boolean
  reportResponse: typeof api.reportResponse
  observedHeaders(): string[]
  startLogin(options: api.LoginOptions, wait?: number): Promise<NativePrompt>
  finishLogin(login: number, code?: string): Promise<api.Account>
  cancelLogin(login: number): void
  openBrowser(url: string): boolean
  listAccounts: typeof api.listAccounts
  addApiKey: typeof api.addApiKey
  updateAccount: typeof api.updateAccount
  removeAccount: typeof api.removeAccount
  refreshAccount: typeof api.refreshAccount
  clearCooldowns: typeof api.clearCooldowns
  poolStatus: typeof api.poolStatus
  subscribe(listener: (event: api.AuthEvent) => void): number
  unsubscribe(listener: number): void
  vaultStatus: typeof api.vaultStatus
  initVaultKey: typeof api.initVaultKey
  exportVaultKey: typeof api.exportVaultKey
  importVaultKey: typeof api.importVaultKey
  rotateVaultKey: typeof api.rotateVaultKey
  addVaultSlot: typeof api.addVaultSlot
  removeVaultSlot: typeof api.removeVaultSlot
  exportVault: typeof api.exportVault
  movedBundle: typeof api.movedBundle
  importVault: typeof api.importVault
  migrate: typeof api.migrate
  discoverModels(options: DiscoverOptions, wait?: number): Promise<api.ModelList>
  configuredProviders: typeof api.configuredProviders
  projectTrust: typeof api.projectTrust
  trustProject: typeof api.trustProject
  untrustProject: typeof api.untrustProject
  claimedProviders(): Promise<ClaimedProviders>
  close(): void
}

const addon = loaded as unknown as Addon
// A refresh token that the server has replaced must reach the disk, whoever calls `process.exit` meanwhile.
process.once('exit', addon.close)

export const { cancelLogin, openBrowser, claimedProviders } = addon

export const explain: typeof api.explain = traced(addon.explain)
export const listAccounts: typeof api.listAccounts = traced(addon.listAccounts)
export const addApiKey: typeof api.addApiKey = traced(addon.addApiKey)
export const updateAccount: typeof api.updateAccount = traced(addon.updateAccount)
export const refreshAccount: typeof api.refreshAccount = traced(addon.refreshAccount)
export const clearCooldowns: typeof api.clearCooldowns = traced(addon.clearCooldowns)
export const poolStatus: typeof api.poolStatus = traced(addon.poolStatus)
export const vaultStatus: typeof api.vaultStatus = traced(addon.vaultStatus)
export const initVaultKey: typeof api.initVaultKey = traced(addon.initVaultKey)
export const exportVaultKey: typeof api.exportVaultKey = traced(addon.exportVaultKey)
export const importVaultKey: typeof api.importVaultKey = traced(addon.importVaultKey)
export const rotateVaultKey: typeof api.rotateVaultKey = traced(addon.rotateVaultKey)
export const addVaultSlot: typeof api.addVaultSlot = traced(addon.addVaultSlot)
export const removeVaultSlot: typeof api.removeVaultSlot = traced(addon.removeVaultSlot)
export const exportVault: typeof api.exportVault = traced(addon.exportVault)
export const movedBundle: typeof api.movedBundle = traced(addon.movedBundle)
export const importVault: typeof api.importVault = traced(addon.importVault)
export const migrate: typeof api.migrate = traced(addon.migrate)
export const configuredProviders: typeof api.configuredProviders = traced(addon.configuredProviders)
export const projectTrust: typeof api.projectTrust = traced(addon.projectTrust)
export const trustProject: typeof api.trustProject = traced(addon.trustProject)
export const untrustProject: typeof api.untrustProject = traced(addon.untrustProject)
export const finishLogin: Addon['finishLogin'] = traced(addon.finishLogin)

export const OBSERVED_HEADERS: readonly string[] = Object.freeze(addon.observedHeaders())

/** What an account is lent with, by its version, newest last. */
const lent = new Map<string, Lent>()

interface Lent {
  accountId: string
  headers: Readonly<Record<string, string>>
  strip: readonly string[]
}

/** What binds a provider's requests, as asked before. */
const bound = new Map<unknown, BoundItems>()

/** How a provider's streams look, as asked before. */
const streams = new Map<string, StreamKind>()
/** The options that are read on the path of every request, where a native look at all of them would take too long. */
const REQUEST_OPTIONS: ReadonlySet<string> = new Set(addon.optionNames('getAuthHeaders'))
const REPORT_OPTIONS: ReadonlySet<string> = new Set(addon.optionNames('reportResponse'))

/** Refuses an option that the call does not know. */
export function checkOptions(call: string, options: unknown): void {
  try {
    addon.checkOptions(call, options)
  } catch (error) {
    throw from(callerOf(checkOptions), error)
  }
}

/** `configure` of the contract. What was asked before may be otherwise now. */
export function configure(options: api.ConfigureOptions): void {
  try {
    addon.configure(options)
  } catch (error) {
    throw from(callerOf(configure), error)
  }
  bound.clear()
  streams.clear()
}

/** Returns what binds a provider's requests to an account; nothing for a provider that is not known. */
export function boundItems(provider: string): BoundItems {
  const known = bound.get(provider) ?? addon.boundItems(provider)
  if (known === null) return { fields: [], paths: [] }
  bound.set(provider, known)
  return known
}

/** Returns how a provider's streams look; nothing where they are not answers that could be asked for again. */
export function streamKind(provider: string): StreamKind | undefined {
  const known = streams.get(provider)
  if (known !== undefined) return known
  const shapes = addon.streamShapes(provider) ?? []
  if (shapes.length === 0) return undefined
  const kind: StreamKind = {
    silent: new Map(shapes.flatMap(({ silent }) => silent)),
    failed: new Set(shapes.flatMap(({ failed }) => failed)),
    chunks: shapes.flatMap(({ chunks }) => chunks),
    labels: new Set(shapes.flatMap(({ labels }) => labels)),
  }
  streams.set(provider, kind)
  return kind
}

/** `getAuthHeaders` of the contract. What is at hand is handed out without waiting for anything. */
export async function getAuthHeaders(request: api.AuthRequest): Promise<api.AuthHeaders> {
  const isFirst = read(request, 'retryOf') === undefined && read(request, 'explain') === undefined
  let atHand: ReturnType<Addon['authHeadersNow']> = null
  try {
    if (holdsOther(request, REQUEST_OPTIONS)) addon.checkOptions('getAuthHeaders', request)
    if (isFirst) {
      atHand = addon.authHeadersNow(
        read(request, 'provider'),
        read(request, 'namespace'),
        read(request, 'url'),
        read(request, 'model'),
        read(request, 'session'),
        read(request, 'account'),
        read(request, 'boundBy'),
        read(request, 'cacheTtl'),
      )
    }
  } catch (error) {
    throw from(callerOf(getAuthHeaders), error)
  }
  if (atHand === null) return waitForHeaders(request, callerOf(getAuthHeaders))
  const attempt = typeof atHand === 'string' ? atHand : atHand[0]
  const known = lentBy(attempt)
  if (known === undefined) return waitForHeaders(request, callerOf(getAuthHeaders))
  const { accountId, headers, strip } = known
  const lease = { attempt, accountId, headers: { ...headers }, strip: strip.slice() }
  return typeof atHand === 'string' ? lease : { ...lease, url: atHand[1] }
}

/** The first step of `startLogin`. The signal calls it off, whatever it waits for. */
export function startNativeLogin(options: api.LoginOptions): Promise<NativePrompt> {
  return waitFor(options, addon.startLogin)
}

function waitForHeaders(request: api.AuthRequest, caller: Caller): Promise<api.AuthHeaders> {
  return waitFor(request, addon.getAuthHeaders).catch((error: unknown) => {
    throw from(caller, error)
  })
}

/** Tells whether an object has something that is not one of these, as far as it can be told without a look at its class. */
function holdsOther(options: object | undefined, known: ReadonlySet<string>): boolean {
  for (const name in options) if (!known.has(name)) return true
  return false
}

/** `removeAccount` of the contract. What was lent of an account does not stay here either. */
export const removeAccount: typeof api.removeAccount = traced(async (id, options) => {
  const wasThere = await addon.removeAccount(id, options)
  lent.clear()
  return wasThere
})

/** `reportResponse` of the contract. A success is taken note of without waiting for anything. */
export async function reportResponse(report: api.ResponseReport): Promise<api.Verdict> {
  let [isTaken, judged] = [false, report]
  try {
    if (holdsOther(report, REPORT_OPTIONS)) addon.checkOptions('reportResponse', report)
    const given = read(report, 'headers')
    const [body, failure] = [read(report, 'body'), read(report, 'failure')]
    const isPlainSuccess = body === undefined && failure === undefined
    isTaken = isPlainSuccess && isServed(report, given)
    const headers = isTaken ? given : (headersOf(given) as api.ResponseReport['headers'])
    if (headers !== given) {
      isTaken = isPlainSuccess && isServed(report, headers)
      const [attempt, status] = [read(report, 'attempt'), read(report, 'status')]
      judged = { attempt, status, headers, body, failure } as api.ResponseReport
    }
  } catch (error) {
    throw from(callerOf(reportResponse), error)
  }
  if (isTaken) return { action: 'deliver', delayMs: 0, reason: 'ok' }
  const caller = callerOf(reportResponse)
  return addon.reportResponse(judged).catch((error: unknown) => {
    throw from(caller, error)
  })
}

function isServed(report: api.ResponseReport, headers: api.ResponseReport['headers']): boolean {
  const lines = asLines(headers)
  return lines !== undefined && addon.reportServed(read(report, 'attempt'), read(report, 'status'), lines)
}

/** Name and value of each header in turn, as lines; `undefined` for what is no map of header lines: `reportResponse` judges it. */
function asLines(headers: api.ResponseReport['headers']): string | undefined {
  if (headers == null) return ''
  if (typeof headers !== 'object' || Symbol.iterator in headers) return undefined
  let lines = ''
  for (const name of Object.keys(headers)) {
    const value: unknown = (headers as Record<string, unknown>)[name]
    if (typeof value !== 'string' || /[\r\n]/.test(name) || /[\r\n]/.test(value)) return undefined
    lines += `${name.toLowerCase()}\n${value}\n`
  }
  return lines
}

/** What an attempt's account is lent with, as the version at the end of the attempt says; asked for once per version. */
function lentBy(attempt: string): Lent | undefined {
  const known = lent.get(attempt.slice(attempt.lastIndexOf('-') + 1))
  if (known !== undefined) return known
  const asked = addon.lentHeaders(attempt)
  if (asked === null) return undefined
  const [version, accountId, headers, strip] = asked
  // An account's earlier headers serve nobody any more.
  for (const [other, earlier] of lent) {
    if (earlier.accountId === accountId || lent.size >= LENT_ACCOUNTS) lent.delete(other)
  }
  const news = { accountId, headers, strip }
  lent.set(version, news)
  return news
}

/** `discoverModels` of the contract. */
export const discoverModels: typeof api.discoverModels = traced(async (options) =>
  waitFor(options, addon.discoverModels),
)

/** Makes a call that waits. An abort of `options.signal` ends the wait. */
function waitFor<Options extends { signal?: AbortSignal }, T>(
  options: Options,
  call: (options: Options, wait?: number) => Promise<T>,
): Promise<T> {
  const signal = read(options, 'signal')
  if (signal == null) return call(options)
  const wait = addon.beginWait()
  const outcome = call(options, wait)
  const end = (): void => addon.endWait(wait)
  const forget = (): void => signal.removeEventListener('abort', end)
  if (signal.aborted) end()
  else signal.addEventListener('abort', end, { once: true })
  outcome.then(forget, forget)
  return outcome
}

/** `subscribe` of the contract: a listener that throws is dropped, since nobody could catch what it throws. */
export function subscribe(listener: (event: api.AuthEvent) => void): () => void {
  if (typeof listener !== 'function')
    throw from(
      callerOf(subscribe),
      Object.assign(new Error('listener: expected a function'), { code: 'INVALID_ARGUMENT' }),
    )
  const number = addon.subscribe((event) => {
    try {
      listener(event)
    } catch {
      addon.unsubscribe(number)
    }
  })
  return () => addon.unsubscribe(number)
}
