/**
 * The native addon, typed. What needs a JavaScript object to be watched (an `AbortSignal`) or guarded (a listener) is
 * wrapped here; everything else is the addon's own function.
 */
import type * as api from '../../index.js'
// At run time this is the generated loader; its type file describes the whole library instead.
import * as loaded from '../../index.js'
import type { StreamKind } from './events.js'
import { LENT_ACCOUNTS } from './limits.js'
import { read } from './own.js'
import { headersOf } from './reported.js'

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

export const {
  explain,
  listAccounts,
  addApiKey,
  updateAccount,
  refreshAccount,
  clearCooldowns,
  poolStatus,
  vaultStatus,
  initVaultKey,
  exportVaultKey,
  importVaultKey,
  rotateVaultKey,
  addVaultSlot,
  removeVaultSlot,
  exportVault,
  movedBundle,
  importVault,
  migrate,
  configuredProviders,
  projectTrust,
  trustProject,
  untrustProject,
  claimedProviders,
  finishLogin,
  cancelLogin,
  openBrowser,
} = addon

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

/** `configure` of the contract. What was asked before may be otherwise now. */
export function configure(options: api.ConfigureOptions): void {
  addon.configure(options)
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
  const atHand = isFirst
    ? addon.authHeadersNow(
        read(request, 'provider'),
        read(request, 'namespace'),
        read(request, 'url'),
        read(request, 'model'),
        read(request, 'session'),
        read(request, 'account'),
        read(request, 'boundBy'),
        read(request, 'cacheTtl'),
      )
    : null
  if (atHand === null) return waitFor(request, addon.getAuthHeaders)
  const attempt = typeof atHand === 'string' ? atHand : atHand[0]
  const known = lentBy(attempt)
  if (known === undefined) return waitFor(request, addon.getAuthHeaders)
  const { accountId, headers, strip } = known
  const lease = { attempt, accountId, headers: { ...headers }, strip: strip.slice() }
  return typeof atHand === 'string' ? lease : { ...lease, url: atHand[1] }
}

/** The first step of `startLogin`. The signal calls it off, whatever it waits for. */
export function startNativeLogin(options: api.LoginOptions): Promise<NativePrompt> {
  return waitFor(options, addon.startLogin)
}

/** `removeAccount` of the contract. What was lent of an account does not stay here either. */
export async function removeAccount(id: string, options?: Parameters<typeof api.removeAccount>[1]): Promise<boolean> {
  const wasThere = await addon.removeAccount(id, options)
  lent.clear()
  return wasThere
}

/** `reportResponse` of the contract. A success is taken note of without waiting for anything. */
export async function reportResponse(report: api.ResponseReport): Promise<api.Verdict> {
  const given = read(report, 'headers')
  const [body, failure] = [read(report, 'body'), read(report, 'failure')]
  const isPlainSuccess = body === undefined && failure === undefined
  if (isPlainSuccess && isServed(report, given)) return { action: 'deliver', delayMs: 0, reason: 'ok' }
  const headers = headersOf(given) as api.ResponseReport['headers']
  if (headers === given) return addon.reportResponse(report)
  if (isPlainSuccess && isServed(report, headers)) return { action: 'deliver', delayMs: 0, reason: 'ok' }
  const [attempt, status] = [read(report, 'attempt'), read(report, 'status')]
  return addon.reportResponse({ attempt, status, headers, body, failure } as api.ResponseReport)
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
export async function discoverModels(options: DiscoverOptions): Promise<api.ModelList> {
  return waitFor(options, addon.discoverModels)
}

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
  const number = addon.subscribe((event) => {
    try {
      listener(event)
    } catch {
      addon.unsubscribe(number)
    }
  })
  return () => addon.unsubscribe(number)
}
