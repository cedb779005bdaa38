/**
 * One instance of OpenCode: a folder with its configuration. It is made in the config hook, where
 * it is decided who serves which provider, and what is ours gets its `fetch`.
 *
 * When the plugin cannot start, the requests of what is ours say why: OpenCode by itself would go
 * on without the plugin and send them with the placeholder, or without credentials.
 */
import { read } from '../own.js'
import { type Begun, begin, isUsersOwn, type PluginOptions } from './begin.js'
import { readClaims } from './claims.js'
import type { Host, HostConfig, ProviderHook } from './host.js'
import { followVault, keep, type Place } from './late-vault.js'
import { loadReason } from './load-fault.js'
import { log, logDecision } from './log.js'
import { createLogin, type Login, type Offer } from './logins.js'
import { noteLogin, noticeLogouts, signedOut } from './logout.js'
import { findAfterLogin, offerModels } from './offer-models.js'
import { createPinFinder, projectOf } from './pins.js'
import { type Remembered, recall } from './remembered.js'
import { createFetch, type Route, refusing } from './requests.js'
import { isOurs, optionsOf, route } from './routes.js'
import { DEFAULTS, type Pool, poolOf, type Settings } from './settings.js'
import { decisionsOf, type Known, readAccounts, readHost, readVault, VAULT_MS, type Vault } from './start.js'
import { isRun, surfaceOf } from './surface.js'
import { announce, createToasts, type Toasts } from './toasts.js'
import { takeTypedKeys } from './typed-keys.js'
import { type Decision, decide, NOTHING_KNOWN, PLACEHOLDER } from './who-serves.js'
import { reason } from './words.js'

type Library = typeof import('../index.js')
type Account = Awaited<ReturnType<Library['addApiKey']>>

export interface Instance {
  settings: Settings
  decisions: ReadonlyMap<string, Decision>
  logins: readonly Login[]
  /** What adds the models that were found to those of models.dev. */
  models: readonly ProviderHook[]
  /** Whether OpenCode offers our login of a provider. */
  isOffered(provider: string): boolean
  dispose(): void
}

/**
 * Providers of which OpenCode has login methods of its own. Ours would take their place, so it is
 * offered only where `options.auth` says that we serve.
 */
export const HOST_LOGINS: ReadonlySet<string> = new Set([
  'openai',
  'github-copilot',
  'gitlab',
  'poe',
  'cloudflare-workers-ai',
  'cloudflare-ai-gateway',
  'azure',
  'digitalocean',
  'snowflake-cortex',
  'xai',
])

/** Installs what is ours into an instance's configuration. Never rejects. */
export async function installInstance(
  host: Host,
  config: HostConfig,
  options: PluginOptions | undefined,
  places: number,
): Promise<Instance> {
  const began = Date.now()
  let begun: Begun
  try {
    begun = await begin(host, config, options)
  } catch (fault) {
    return refuse({ host, config, credentials: await readHost() }, options, fault)
  }
  const toasts = createToasts(host, begun.settings.toasts)
  await within(VAULT_MS, followHost({ host, config, begun, toasts }))
  const place = { host, config, credentials: await readHost() }
  const known: Known = { config, ...begun, memory: recall(), isOurs }
  const vault = await readVault(begun.library, begun.servers, began + VAULT_MS - Date.now())
  const { oci, finder, settings } = begun
  if (oci?.fault !== undefined) {
    log(host, 'error', oci.fault)
    toasts.show('problem', oci.fault)
  }
  const instance = serve(place, begun, known, vault, toasts, places)
  const ours = [...instance.decisions.values()].filter(({ who }) => who === 'us').map(({ provider }) => provider)
  const finding = { discovers: settings.discoverModels, oci, finder }
  const models = await offerModels(config, ours, finding, START_MS - (Date.now() - began))
  return { ...instance, models }
}

/** The longest that a start may take: OpenCode draws nothing until then. */
const START_MS = 1_900

/** How long it may take to move a key from auth.json into the open vault. */
const MOVE_MS = 500

/** Does in the vault what a person did in OpenCode's own screens: they signed out there, or typed a key. */
async function followHost({ host, config, begun, toasts }: Omit<Place, 'credentials'> & Here): Promise<void> {
  const [memory, began] = [recall(), Date.now()]
  const report = (text: string) => {
    log(host, 'info', text)
    toasts.show('note', text)
  }
  const belongs = (id: string) => {
    const named = new Map([[id, optionsOf(config, id) ?? {}]])
    const { row } = decide(id, { ...NOTHING_KNOWN, named, isOurs })
    return row === 'auth-option' || (row === 'other' && wasOurs(memory[id]))
  }
  await noticeLogouts({ library: begun.library, report })
  await takeTypedKeys({
    library: begun.library,
    isOurs: belongs,
    poolOf: (id) => {
      const auth = read(optionsOf(config, id), 'auth') as { namespace?: unknown } | undefined
      const namespace = read(auth, 'namespace')
      return typeof namespace === 'string' ? namespace : undefined
    },
    // Not awaited: OpenCode may answer only once its plugins are in place.
    putPlaceholder: (id) => {
      host.client.auth?.set({ path: { id }, body: { type: 'api', key: PLACEHOLDER } }).catch(() => {})
    },
    // The rest is for the move itself.
    isInTime: () => Date.now() - began < VAULT_MS - MOVE_MS,
    report,
  })
}

/** Whether requests of it were ours before, or somebody added an account of it here. */
function wasOurs(known: Remembered | undefined): boolean {
  const hasAdded = (read(known, 'added') ?? []).length > 0
  return hasAdded || read(known, 'ours') === true || read(known, 'keyWaits') === true
}

interface Here {
  begun: Begun
  toasts: Toasts
}

/** Waits for it, but no longer than that; it goes on behind. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work.catch(() => {}), late])
  clearTimeout(timer)
}

/** Puts the `fetch` of what is ours into the configuration, and offers the logins. */
function serve(place: Place, begun: Begun, known: Known, vault: Vault, toasts: Toasts, places: number): Instance {
  const { host, config } = place
  const { library, settings } = begun
  const decisions = decisionsOf(known, place.credentials, vault)
  const isRouted = (id: string) => decisions.get(id)?.who === 'us'
  const hasOption = (id: string) => decisions.get(id)?.row === 'auth-option'
  const offers = offered(begun, isRouted).filter(({ id }) => !HOST_LOGINS.has(id) || hasOption(id))
  for (const { id } of offers.slice(places)) log(host, 'warn', `no place is left to offer the login of ${id}`)
  const isOffered = (id: string) => offers.slice(0, places).some((offer) => offer.id === id)

  const pools = new Map<string, Pool>()
  for (const decision of decisions.values()) {
    logDecision(host, decision)
    if (decision.who === 'host') continue
    const { provider } = decision
    try {
      const pool = poolOf(provider, read(optionsOf(config, provider), 'auth'), begun.user.auth.get(provider))
      pools.set(provider, pool)
      const surface = isRun() ? 'cli' : surfaceOf()
      const signIn = { provider, surface, isOffered: isOffered(provider) }
      const failsAtRest = settings.exhausted.run === 'fail' && isRun()
      const leftBy = () => (recall()[provider]?.loggedOut === true ? signedOut(provider, surface) : undefined)
      const findPin = pinFinder(host, provider)
      route(config, provider, createFetch({ library, pool, signIn, failsAtRest, signedOut: leftBy, findPin }))
    } catch (fault) {
      route(config, provider, refusing(reason(fault)))
    }
  }
  const readAgain = () => readAccounts(library, begun.servers)
  const stopVault = followVault({ place, known, decisions, toasts, readAgain }, vault)
  keep(decisions, vault)
  const report = (text: string) => {
    log(host, 'warn', text)
    toasts.show('problem', text)
  }
  const added = async (account: Account) => {
    noteLogin(account)
    await findAfterLogin(account, { discovers: settings.discoverModels, ...begun })
  }
  const logins = offers.slice(0, places).map((offer) => {
    const namespace = read(pools.get(offer.id), 'namespace')
    const pool = namespace === undefined ? {} : { namespace }
    return createLogin(library, offer, { surface: surfaceOf(), report, remember: added, ...pool })
  })
  const stopEvents = announce({ library, toasts, isOurs: isRouted, isOffered })
  return {
    settings,
    decisions,
    logins,
    models: [],
    isOffered,
    dispose() {
      stopVault()
      stopEvents()
      for (const login of logins) login.cancel()
    },
  }
}

/** All that can be signed in to; what we serve first, since places are few. */
function offered({ providers, waiting }: Begun, isRouted: (id: string) => boolean): Offer[] {
  const known = providers.filter(({ id }) => !waiting.has(id))
  const all: Offer[] = [...known, ...waiting.values()].filter(({ methods }) => methods.length > 0)
  return all.sort((a, b) => Number(isRouted(b.id)) - Number(isRouted(a.id)))
}

/** Finds what was chosen in `/accounts`. */
function pinFinder({ directory, worktree }: Host, provider: string): Route['findPin'] {
  const project = projectOf({ directory: directory ?? process.cwd(), ...(worktree !== undefined && { worktree }) })
  const find = createPinFinder({ provider, project })
  return (init) => find(init)?.account
}

/** When nothing works: what is ours is refused with the reason, and all else is left alone. */
async function refuse(place: Place, options: PluginOptions | undefined, fault: unknown): Promise<Instance> {
  const { host, config, credentials } = place
  const why = `it could not start, so nothing was sent: ${loadReason(fault)}`
  log(host, 'error', why)
  createToasts(host, 'problems').show('problem', why)
  const given = (await isUsersOwn(config, options)) ? read(options, 'config') : undefined
  const inline = Object.keys(read(given as { providers?: object } | undefined, 'providers') ?? {})
  const { vault, ...claims } = await readClaims(inline, Object.keys(read(config, 'provider') ?? {}))
  const decisions = decisionsOf({ config, ...claims, isOurs }, credentials, vault)
  for (const decision of decisions.values()) {
    logDecision(host, decision)
    if (decision.who === 'us') route(config, decision.provider, refusing(why, fault))
  }
  return { settings: DEFAULTS, decisions, logins: [], models: [], isOffered: () => false, dispose() {} }
}
