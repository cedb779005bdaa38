/** The native addon, with the types of what it exports. */
import type * as api from '../../index.js'
import { loadAddon } from './loader/load.js'

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
export interface StreamShape {
  readonly silent: readonly (readonly [name: string, member: string])[]
  readonly failed: readonly string[]
  readonly chunks: readonly string[]
  readonly labels: readonly string[]
}

/** Whose requests are ours, as far as that can be told. */
export interface ClaimedProviders {
  /** Providers of models that have an account, as far as the accounts can be read. */
  readonly withAccounts: readonly string[]
  /** Those that a config file or `configure` means, also where that file has a fault. */
  readonly configured: readonly string[]
  /** Those that are built in. */
  readonly builtIn: readonly string[]
  /**
   * Whether there may be others, since the accounts or the user's configuration could not be read.
   */
  readonly mayLack: boolean
}

/**
 * How a provider's further headers go together with those that a caller sets itself, by their names
 * in lower case.
 */
export interface HeaderRules {
  /** Ours is added to the caller's. */
  readonly appended: readonly string[]
  /** The caller's is kept. */
  readonly defaulted: readonly string[]
}

/** What requests set of the rotation of their pool, as the addon keeps it. */
export interface Rotation {
  readonly __native: 'rotation'
}

type DiagnoseOptions = NonNullable<Parameters<typeof api.diagnose>[0]>
type DiscoverOptions = Parameters<typeof api.discoverModels>[0]
type CheckOptions = Parameters<typeof api.checkApiKey>[0]

export interface Addon {
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
    rotation: Rotation | null,
  ): [attempt: string, url: string | null, again: number | null] | null
  authHeadersAgain(again: number): string | [attempt: string, url: string] | null
  lentHeaders(
    attempt: string,
  ): [version: string, accountId: string, headers: Record<string, string>, strip: string[]] | null
  boundItems(provider: unknown): BoundItems | null
  streamShapes(provider: unknown): readonly StreamShape[] | null
  headerRules(provider: unknown): HeaderRules | null
  explain: typeof api.explain
  getAuthHeaders(request: api.AuthRequest, wait?: number, rotation?: Rotation | null): Promise<api.AuthHeaders>
  getCredential(request: api.CredentialRequest, wait?: number): Promise<api.Credential>
  requestRotation(options: object): Rotation | null
  checkOptions(call: string, options: unknown): void
  optionNames(call: string): string[]
  beginWait(): number
  endWait(wait: number): void
  reportServed(attempt: unknown, status: unknown, headers: string): boolean
  reportResponse: typeof api.reportResponse
  observedHeaders(): string[]
  sessionHeaders(): string[]
  startLogin(options: api.LoginOptions, wait?: number): Promise<NativePrompt>
  finishLogin(login: number, code?: string): Promise<api.Account>
  loginProgress(login: number): api.LoginProgress | null
  cancelLogin(login: number): void
  openBrowser(url: string): boolean
  /** Pages of JSON: lists of accounts. */
  listAccounts(filter?: Parameters<typeof api.listAccounts>[0]): Promise<Buffer[]>
  addApiKey: typeof api.addApiKey
  checkApiKey(options: CheckOptions, wait?: number): Promise<api.KeyCheck>
  updateAccount: typeof api.updateAccount
  removeAccount: typeof api.removeAccount
  refreshAccount: typeof api.refreshAccount
  clearCooldowns: typeof api.clearCooldowns
  /** Pages of JSON: one pool each, with some of its accounts. Those of one pool follow one another. */
  poolStatus(filter?: Parameters<typeof api.poolStatus>[0]): Promise<Buffer[]>
  /** Pages of JSON: some of the counts and of the samples each. */
  stats(options?: Parameters<typeof api.stats>[0]): Promise<Buffer[]>
  subscribe(listener: (event: api.AuthEvent) => void): number
  unsubscribe(listener: number): void
  /** Whether there is a vault, which takes neither its key nor a keychain to tell. */
  hasVault(): Promise<boolean>
  vaultStatus: typeof api.vaultStatus
  initVaultKey: typeof api.initVaultKey
  exportVaultKey: typeof api.exportVaultKey
  importVaultKey: typeof api.importVaultKey
  rotateVaultKey: typeof api.rotateVaultKey
  addVaultSlot: typeof api.addVaultSlot
  removeVaultSlot: typeof api.removeVaultSlot
  joinFleet: typeof api.joinFleet
  admitHost: typeof api.admitHost
  fleetHosts: typeof api.fleetHosts
  revokeHost: typeof api.revokeHost
  exportVault: typeof api.exportVault
  movedBundle: typeof api.movedBundle
  importVault: typeof api.importVault
  // The plain addon has none of the next five.
  storeStatus?: typeof api.storeStatus
  initStore?: typeof api.initStore
  migrateStore?: typeof api.migrateStore
  storeSql?: typeof api.storeSql
  moveVault?: typeof api.moveVault
  migrate: typeof api.migrate
  discoverModels(options: DiscoverOptions, wait?: number): Promise<api.ModelList>
  diagnose(options: DiagnoseOptions, wait?: number): Promise<api.Diagnosis>
  configuredProviders: typeof api.configuredProviders
  inspectConfig: typeof api.inspectConfig
  projectTrust: typeof api.projectTrust
  logFiles: typeof api.logFiles
  trustProject: typeof api.trustProject
  untrustProject: typeof api.untrustProject
  claimedProviders(): Promise<ClaimedProviders>
  /**
   * Reads JSON with comments and trailing commas, of at most 1 MiB, as our config files are read: a
   * key that is written twice is refused, and an empty text is an empty object.
   *
   * @throws {AuthError} `INVALID_CONFIG` with line and column
   */
  parseJsonc(text: string): unknown
  addonVersion(): string
  close(): void
  /** Names of the variables that no other program is to get. */
  ownVariables(): string[]
  /**
   * Makes this process another program: the command, with further variables and without others.
   * Returns only where that cannot be: the system's number of the error, or 0. Not on Windows.
   */
  becomeProgram(command: string[], set: Record<string, string>, removed: string[]): number
}

export const addon = loadAddon() as unknown as Addon

/** What is done before the addon closes. */
export const beforeClose = new Set<() => void>()

function close(): void {
  for (const run of beforeClose) run()
  addon.close()
}

// A refresh token that the server has replaced must reach the disk, even when the process is ended
// meanwhile. One listener for all copies of this module: some programs load their modules many times.
const CLOSINGS = Symbol.for('provider-auth.closings')
const shared = process as { [CLOSINGS]?: Set<() => void> }
if (shared[CLOSINGS] === undefined) {
  const closings = new Set<() => void>()
  shared[CLOSINGS] = closings
  process.once('exit', () => {
    for (const closing of closings) closing()
  })
}
shared[CLOSINGS].add(close)
// Deno.exit, and in Deno an error that nothing catches, end the process without the event above. Where a program catches the
// error, this is a short wait.
if ('Deno' in globalThis)
  for (const type of ['unload', 'error', 'unhandledrejection'])
    (globalThis as unknown as EventTarget).addEventListener(type, close)
