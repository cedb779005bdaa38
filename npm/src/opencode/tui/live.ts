/**
 * What the screens show, read while one of them is there to be seen and never else: at each event
 * of this process, and once a second where a countdown runs or the requests are made by another
 * process.
 */
import type { Account, PoolStatus, ProviderSummary } from '../../../../index.js'
import { read } from '../../own.js'
import { createPinReader, findPin, projectOf } from '../pins.js'
import { type Pool, poolOf } from '../settings.js'
import { PLACEHOLDER } from '../who-serves.js'
import type { Api, Message, Signals } from './host.js'
import { faultWords, type Serving, vaultWords } from './lines.js'

export type Library = typeof import('../../index.js')

const SECOND_MS = 1000
/** How often lines without a countdown are read again: what other processes did shows then. */
const SLOW_MS = 30 * SECOND_MS
/** Events come in bunches; one look is enough for those of one request. */
const BUNCH_MS = 100

export interface Snapshot {
  at: number
  /** Whether anything was read yet. */
  read: boolean
  accounts: readonly Account[]
  pools: readonly PoolStatus[]
  providers: readonly ProviderSummary[]
  sessions: ReadonlyMap<string, Serving>
  /** Why there are no accounts to show, and what to do. */
  fault?: string
}

export interface Watching {
  /** Who serves this session is wanted too. */
  session?: string | undefined
  /** Whether a countdown is shown. */
  counts?: boolean
}

export interface Live {
  /** What was read last; redraws whatever reads it. */
  now(): Snapshot
  /** Reads on until the returned function is called. */
  watch(watching: Watching): () => void
  /** Reads at once, whatever hindered it before. */
  reload(): Promise<void>
  close(): void
}

export interface LiveOptions {
  library: Library
  /** Whether the requests are made by another process, whose events are not heard here. */
  attached: boolean
  pinsFile: string
}

const NOTHING: Snapshot = { at: 0, read: false, accounts: [], pools: [], providers: [], sessions: new Map() }

export function createLive(api: Api, { createSignal }: Pick<Signals, 'createSignal'>, options: LiveOptions): Live {
  const { library, attached } = options
  const [now, setNow] = createSignal(NOTHING)
  const pins = createPinReader(options.pinsFile)
  const watchers = new Set<Watching>()
  let unsubscribe: (() => void) | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let reading: Promise<void> | undefined
  /** An event was heard, and a look is due. */
  let isDue = false
  /** The vault has been read, so that reading it asks no person for anything. */
  let isOpen = false

  const load = async (retry: boolean): Promise<Snapshot> => {
    // Before OpenCode itself is ready, the server plugin has not told the library its configuration.
    if (!api.state.ready) return NOTHING
    const at = Date.now()
    try {
      // While the vault does not open, only what asks no person for anything is called.
      if (!retry && !isOpen) {
        const status = await library.vaultStatus()
        const words = vaultWords(status)
        if (words !== undefined) return { ...NOTHING, at, read: true, fault: words }
        // The first account that is added makes the vault.
        if (status.state === 'empty')
          return { ...NOTHING, at, read: true, providers: await library.configuredProviders() }
      }
      const [accounts, pools, providers] = await Promise.all([
        library.listAccounts(),
        library.poolStatus(),
        library.configuredProviders(),
      ])
      isOpen = true
      const sessions = new Map<string, Serving>()
      for (const { session } of watchers) {
        if (session === undefined || sessions.has(session)) continue
        const serving = await servingOf(session, providers)
        if (serving !== undefined) sessions.set(session, serving)
      }
      return { at, read: true, accounts: inOrder(accounts, pools), pools, providers, sessions }
    } catch (fault) {
      isOpen = false
      return { ...NOTHING, at, read: true, fault: faultWords(fault) }
    }
  }

  const servingOf = async (session: string, providers: readonly ProviderSummary[]): Promise<Serving | undefined> => {
    const used = lastModel(api.state.session.messages(session))
    if (used === undefined) return undefined
    const { provider, model } = used
    if (isOurs(api, provider) !== true) return { provider }
    const { account: configured, ...pool } = configuredPool(api, provider)
    const pin = findPin(pins(), provider, {
      sessions: [session, api.state.session.get(session)?.parentID],
      project: projectOf(api.state.path),
    })
    const account = pin?.account ?? configured
    const url = addressOf(api, provider) ?? providers.find(({ id }) => id === provider)?.origins[0]
    if (url === undefined) return { provider }
    const choice = account === undefined ? {} : { chosen: account }
    const asked = { provider, url, session, model, ...pool, ...(account !== undefined && { account }) }
    try {
      return { provider, trace: await library.explain(asked), ...choice }
    } catch (fault) {
      return { provider, fault: faultWords(fault), ...choice }
    }
  }

  const look = (retry: boolean): Promise<void> => {
    // One look at a time, and one more for what happened meanwhile.
    const next = (reading ?? Promise.resolve()).then(async () => {
      if (watchers.size === 0 && !retry) return
      setNow(await load(retry))
    })
    const settled = next.catch(() => {})
    reading = settled
    return settled
  }

  const schedule = (delayMs: number): void => {
    clearTimeout(timer)
    timer = undefined
    if (watchers.size === 0) return
    timer = setTimeout(async () => {
      isDue = false
      await look(false)
      // A look that came meanwhile has set its own time.
      if (!isDue) schedule(pause())
    }, delayMs)
    timer.unref?.()
  }

  const heard = (): void => {
    if (isDue) return
    isDue = true
    schedule(BUNCH_MS)
  }

  const pause = (): number => {
    const isFast = attached || !isOpen || [...watchers].some(({ counts }) => counts === true)
    return isFast ? SECOND_MS : SLOW_MS
  }

  const rest = (): void => {
    schedule(0)
    unsubscribe?.()
    unsubscribe = undefined
  }

  return {
    now,
    watch(watching) {
      watchers.add(watching)
      if (!attached) unsubscribe ??= library.subscribe(heard)
      schedule(0)
      return () => {
        watchers.delete(watching)
        if (watchers.size === 0) rest()
      }
    },
    reload: () => look(true),
    close() {
      watchers.clear()
      rest()
    },
  }
}

/**
 * Tells whether requests of a provider go through provider-auth; `undefined` where OpenCode has no
 * such provider now.
 */
export function isOurs(api: Api, id: string): boolean | undefined {
  const provider = api.state.provider.find((entry) => entry.id === id)
  if (provider === undefined) return undefined
  return read(read(provider, 'options'), 'apiKey') === PLACEHOLDER || read(provider, 'key') === PLACEHOLDER
}

/** The pool that opencode.json names for a provider, and how it rotates. */
export function configuredPool(api: Api, provider: string): Pool {
  const all = read(api.state.config, 'provider')
  const entry = all !== undefined && Object.hasOwn(all, provider) ? all[provider] : undefined
  const auth = read(read(entry, 'options'), 'auth')
  try {
    return poolOf(provider, auth, auth)
  } catch {
    // The requests say what is wrong with it.
    return poolOf(provider, undefined, undefined)
  }
}

function addressOf(api: Api, id: string): string | undefined {
  const options = read(
    api.state.provider.find((entry) => entry.id === id),
    'options',
  )
  const url = read(options, 'baseURL')
  return typeof url === 'string' && URL.canParse(url) ? url : undefined
}

/** The provider and the model of the last message of a session. */
function lastModel(messages: readonly Message[]): { provider: string; model: string } | undefined {
  for (const message of messages.toReversed()) {
    const model = read(message, 'model')
    const provider = read(model, 'providerID') ?? read(message, 'providerID')
    const id = read(model, 'modelID') ?? read(message, 'modelID')
    if (provider !== undefined && id !== undefined) return { provider, model: id }
  }
  return undefined
}

/** By provider, and in each in the order in which they would serve. */
function inOrder(accounts: readonly Account[], pools: readonly PoolStatus[]): Account[] {
  const places = new Map(pools.flatMap((pool) => pool.accounts).map(({ id }, index) => [id, index]))
  const place = ({ id }: Account) => places.get(id) ?? places.size
  return [...accounts].sort((a, b) => compare(a.provider, b.provider) || place(a) - place(b) || compare(a.id, b.id))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
