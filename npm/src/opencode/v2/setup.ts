/** The plugin inside OpenCode 2: puts its parts together. */
import { read } from '../../own.js'
import type { HostConfig } from '../host.js'
import { defineOci, OCI } from '../oci.js'
import { createFetch } from '../requests.js'
import { type Pool, poolOf, type Settings, settingsOf } from '../settings.js'
import { waitingProviders } from '../trust.js'
import { readUserConfig } from '../user-config.js'
import { codeOf, message, type SignIn, signIn } from '../words.js'
import { addTools, guardTools } from './agent.js'
import type { Cleanup, Context } from './host.js'
import { type Offer, offerLogins } from './logins.js'
import { followProviders, type Providers } from './providers.js'
import { handleRequests } from './requests.js'

type Library = typeof import('../../index.js')

/** Registers all that the plugin does. Rejects where it cannot start. */
export async function start(context: Context): Promise<Cleanup> {
  needs(context)
  const library = await import('../../index.js')
  const { addon } = await import('../../addon.js')
  const user = await readUserConfig(addon.parseJsonc)
  const settings = settingsOf(given(context, user.unread === undefined ? user.options : undefined))
  if (settings.config !== undefined) configure(library, settings.config)

  const oracle: HostConfig = {}
  const all = await library.configuredProviders()
  await defineOci(oracle, { library, providers: all, parse: addon.parseJsonc, isOurs: () => false })
  const oci = read(read(read(read(oracle, 'provider'), OCI), 'options'), 'baseURL') as string | undefined
  const providers = await followProviders(context, library, { discoverModels: settings.discoverModels, oci })
  const poolFor = (provider: string): Pool =>
    poolOf(provider, read(providers.settings(provider), 'auth'), user.auth.get(provider))
  await handleRequests(context, {
    providers,
    // `opencode run` is a client of a server here, which cannot tell its requests from others.
    fetchOf: (provider, send) =>
      createFetch({
        library,
        pool: poolFor(provider),
        signIn: signInOf(provider),
        failsAtRest: false,
        signedOut: none,
        findPin: none,
        send,
      }),
  })
  await addTools(context, {
    library: async () => library,
    decisions: () => [...providers.decisions().values()].filter(({ row }) => row !== 'other'),
    signIn: (provider) => signIn(signInOf(provider)),
    masks: () => settings.maskIdentity,
  })
  if (settings.guard) await guardTools(context, read(context.location, 'directory') ?? process.cwd())
  const callOff = await offerLogins(context, {
    library,
    offers: await offers(library),
    isOurs: (provider) => providers.decisions().get(provider)?.who === 'us',
    namespaceOf: (provider) => read(poolFor(provider), 'namespace'),
    added: () => providers.refresh(),
  })
  const stop = markSignIns(context, library, providers)
  const unloaded = new AbortController()
  void followCredentials(context, providers, unloaded.signal).catch(() => {})
  return async () => {
    unloaded.abort()
    stop()
    callOff()
  }
}

/** There is no `/accounts` of ours. */
function signInOf(provider: string): SignIn {
  return { provider, surface: 'connect', isOffered: true }
}

/** Signing out, and choosing an account for a session, take screens of ours, which are not here. */
const none = (): undefined => undefined

/** What came with 2.0.4; an older one would end in a riddle. */
function needs({ app, provider, model }: Context): void {
  if (typeof provider?.transform === 'function' && typeof model?.transform === 'function') return
  throw new Error(`it needs OpenCode 2.0.4 or later, and this is ${read(app, 'version') ?? 'an older one'}`)
}

/**
 * OpenCode hands over one set of options, from whichever file names the plugin last. Those that
 * stand in the user's own file count as the user's.
 */
function given({ options }: Context, users: Settings['config']): Parameters<typeof settingsOf>[0] {
  const own = { options: users, isUsersOwn: true }
  return JSON.stringify(options) === JSON.stringify(users) ? [own] : [own, { options, isUsersOwn: false }]
}

/** One process serves many folders with one library. Where they differ, the first one's options hold. */
function configure(library: Library, config: NonNullable<Settings['config']>): void {
  try {
    library.configure({ config })
  } catch (fault) {
    if (codeOf(fault) !== 'ALREADY_CONFIGURED') throw fault
  }
}

/** All providers of models that can be signed in to. */
async function offers(library: Library): Promise<Offer[]> {
  const waiting = new Map((await waitingProviders()).map((provider) => [provider.id, provider]))
  const known = (await library.configuredProviders()).filter(
    (provider) => read(provider, 'resource') === undefined && !waiting.has(provider.id),
  )
  return [...known, ...waiting.values()].filter(({ methods }) => methods.length > 0)
}

/**
 * Marks OpenCode's connection of a provider while an account of it needs a new sign-in. Returns the
 * function that stops it.
 */
function markSignIns(context: Context, library: Library, providers: Providers): () => void {
  const marked = new Map<string, Marked>()
  const mark = async (provider: string, accountId: string): Promise<void> => {
    const at = await providers.connection(provider)
    if (at === undefined) return
    marked.set(accountId, at)
    const text = message(`the login of an account of ${provider} has ended; ${signIn(signInOf(provider))}`)
    await context.integration.connection.status({ ...at, status: { status: 'needs_auth', message: text } })
  }
  const unmark = async (accountId: string): Promise<void> => {
    const at = marked.get(accountId)
    if (at === undefined || !marked.delete(accountId)) return
    await context.integration.connection.status({ ...at, status: undefined })
  }
  return library.subscribe(({ type, provider, accountId }) => {
    if (accountId === undefined) return
    if (type === 'needs_login') void mark(provider, accountId).catch(() => {})
    if (type === 'served') void unmark(accountId).catch(() => {})
  })
}

type Marked = NonNullable<Awaited<ReturnType<Providers['connection']>>>

/** A credential that OpenCode gets, loses or changes may say who serves. */
async function followCredentials(context: Context, providers: Providers, signal: AbortSignal): Promise<void> {
  for await (const { type } of context.event.subscribe({ signal })) {
    if (type.startsWith('credential.')) await providers.refresh()
  }
}
