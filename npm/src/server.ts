/**
 * The OpenCode plugin: requests of the providers that provider-auth serves go through
 * `createAuthFetch`, and `opencode auth login` puts what it obtains into the vault.
 *
 * OpenCode calls every function that a plugin module exports and takes at most one login hook from
 * each. So this module exports one function that routes requests and, for the logins, one place per
 * provider, and nothing else. It decides nothing about accounts. When it cannot start, the requests
 * say why: OpenCode by itself would go on without the plugin and send them without credentials.
 */

import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Hooks, Host, HostConfig, HostProvider, LoggedIn } from './opencode/host.js'
import type { Login, Offer } from './opencode/logins.js'

type Library = typeof import('./index.js')
type Provider = Awaited<ReturnType<Library['configuredProviders']>>[number]
type Configuration = NonNullable<Parameters<Library['configure']>[0]['config']>
type Fetch = ReturnType<Library['createAuthFetch']>
type Kind = Awaited<ReturnType<Library['listAccounts']>>[number]['kind']

type PluginOptions = Record<string, unknown>
type Plugin = (host: Host, options?: PluginOptions) => Promise<Hooks>

/** The kinds of account that serve requests to models. */
const OF_MODELS: ReadonlySet<Kind> = new Set(['oauth', 'api'])

/**
 * Stands wherever OpenCode wants a key, in its memory and in its auth.json. If it is ever sent, it
 * opens nothing.
 */
const PLACEHOLDER = 'kept-by-provider-auth'

/**
 * Providers that are always ours, for when the addon that knows them does not load; auth.json has
 * the placeholder for the rest.
 */
const BUILT_IN = ['anthropic', 'openai', 'azure', 'google', 'github-copilot', 'qwen', 'cursor', 'oci-oidc']

/**
 * How long one request waits for a cooldown, unless the plugin's options or those of the provider
 * say otherwise. Short, since OpenCode shows a countdown of its own while it waits, and nothing
 * while a request does.
 */
const LONGEST_WAIT_MS = 5_000

/**
 * What to do next, where OpenCode is the place to do it or would take our own words for a passing
 * fault and retry.
 */
const NEXT_STEPS: Record<string, (provider: string, fault: Error) => string> = {
  NO_ACCOUNT: (provider) => `no account for ${provider} yet; sign in with: opencode auth login --provider ${provider}`,
  NEEDS_LOGIN: (provider) =>
    `the login of ${provider} has ended; sign in again with: opencode auth login --provider ${provider}`,
  ORIGIN_NOT_ALLOWED: (_, fault) => `${fault.message}; nothing was sent there`,
  PROJECT_NOT_TRUSTED: (provider, fault) => `${fault.message}, or with: opencode auth login --provider ${provider}`,
  KEYCHAIN_UNAVAILABLE: () =>
    'no keychain answers on this machine; set PROVIDER_AUTH_KEY or PROVIDER_AUTH_PASSPHRASE_FILE',
  KEYCHAIN_TIMEOUT: () => 'the keychain does not answer; unlock it and send the message once more',
  VAULT_LOCKED: () => 'the keychain is locked; unlock it and send the message once more',
}

const installations = new WeakMap<Host, Promise<Login[]>>()
let places = 0

/** Sends the requests of our providers through `createAuthFetch`. */
export default async function requests(host: Host, options?: PluginOptions): Promise<Hooks> {
  return {
    async config(config) {
      await installOnce(host, config, options)
    },
  }
}

export const login1 = place()
export const login2 = place()
export const login3 = place()
export const login4 = place()
export const login5 = place()
export const login6 = place()
export const login7 = place()
export const login8 = place()
export const login9 = place()
export const login10 = place()
export const login11 = place()
export const login12 = place()
export const login13 = place()
export const login14 = place()
export const login15 = place()
export const login16 = place()

/**
 * Makes a plugin function that offers the login of one provider: the next one that has no place
 * yet.
 */
function place(): Plugin {
  const position = places++
  return async (host, options) => {
    let login: Login | undefined
    const hooks: Hooks = {
      // OpenCode reads the login hooks after it has run the config hooks, so this one can be found
      // out here.
      async config(config) {
        login = (await installOnce(host, config, options))[position]
        if (login !== undefined) hooks.auth = login.auth
      },
      async dispose() {
        login?.cancel()
      },
    }
    return hooks
  }
}

function installOnce(host: Host, config: HostConfig, options: PluginOptions | undefined): Promise<Login[]> {
  const installation = installations.get(host) ?? install(host, config, options)
  installations.set(host, installation)
  return installation
}

async function install(host: Host, config: HostConfig, options: PluginOptions | undefined): Promise<Login[]> {
  try {
    const library = await import('./index.js')
    await configure(library, host, config, options)
    const providers = await library.configuredProviders()
    // Imported late, as the library is: this file works when nothing else does.
    const { waitingProviders } = await import('./opencode/trust.js')
    const { createLogin } = await import('./opencode/logins.js')
    const waiting = new Map((await waitingProviders()).map((provider) => [provider.id, provider]))
    const ours = await routedProviders(library, host, config, providers)
    for (const id of keylessProviders(config)) if (waiting.has(id)) ours.add(id)
    for (const id of ours) route(config, id, authFetch(library, config, id))
    const known = providers.filter((provider) => !isServer(provider) && !waiting.has(provider.id))
    const offered: Offer[] = [...known, ...waiting.values()].filter(({ methods }) => methods.length > 0)
    offered.sort((a, b) => Number(ours.has(b.id)) - Number(ours.has(a.id)))
    for (const { id } of offered.slice(places)) log(host, 'warn', `no place is left to offer the login of ${id}`)
    return offered.map((offer) => createLogin(library, offer, settings(config, offer.id).namespace, finisher(offer.id)))
  } catch (fault) {
    const refusal = new Error(`provider-auth could not start, so nothing was sent: ${reason(fault)}`, { cause: fault })
    log(host, 'error', refusal.message)
    for (const id of await claimedProviders(config, options)) route(config, id, () => Promise.reject(refusal))
    return []
  }
}

/**
 * Hands the plugin's options to the library.
 *
 * One process serves many projects with one broker. Where two of them differ in their options, the
 * first one's hold.
 */
async function configure(
  library: Library,
  host: Host,
  config: HostConfig,
  options: PluginOptions | undefined,
): Promise<void> {
  const given = (own(options, 'config') ?? {}) as Configuration
  if (own(options, 'config') !== undefined && !isUsersOwn(config, options)) {
    throw new Error('"config" counts only in your own opencode.json; a project can have a provider-auth.jsonc instead')
  }
  const providers = { ...own(given, 'providers') }
  const known = await library.configuredProviders()
  for (const id of [...known.map(({ id }) => id), ...Object.keys(providers)]) {
    const provider = own(providers, id)
    const rotation = { maxWaitMs: LONGEST_WAIT_MS, ...own(provider, 'rotation'), ...settings(config, id).rotation }
    providers[id] = { ...provider, rotation }
  }
  try {
    library.configure({ config: { ...given, providers } })
  } catch (fault) {
    if (codeOf(fault) !== 'ALREADY_CONFIGURED') throw fault
    log(host, 'warn', 'the options of provider-auth have changed; they take effect when OpenCode starts anew')
  }
}

/**
 * A project's opencode.json may come from anyone, and plugin options can say where credentials are
 * sent.
 */
function isUsersOwn(config: HostConfig, options: PluginOptions | undefined): boolean {
  const origin = own(config, 'plugin_origins')?.find(({ spec }) => Array.isArray(spec) && spec[1] === options)
  return origin?.scope === 'global'
}

/**
 * Those that have an account, and those that opencode.json names without a key of its own. While it
 * cannot be told which have one, every one that may. What an MCP server or a host is called by is
 * no provider of models, even if one has the same name.
 */
async function routedProviders(
  library: Library,
  host: Host,
  config: HostConfig,
  providers: Provider[],
): Promise<Set<string>> {
  const known = new Set(providers.filter((provider) => !isServer(provider)).map(({ id }) => id))
  const servers = new Set(providers.map(({ id }) => id).filter((id) => !known.has(id)))
  const named = keylessProviders(config).filter((id) => known.has(id))
  try {
    const accounts = await library.listAccounts()
    const ofModels = accounts.filter(({ kind, provider }) => OF_MODELS.has(kind) && !servers.has(provider))
    return new Set([...named, ...ofModels.map(({ provider }) => provider)])
  } catch (fault) {
    // The vault may open later. Until then the requests say what is wrong.
    log(host, 'error', `the accounts could not be read: ${reason(fault)}`)
    return new Set([...known].filter((id) => !hasOwnKey(config, id)))
  }
}

/** Tells whether a provider is an MCP server. */
function isServer(provider: Provider): boolean {
  return own(provider, 'resource') !== undefined
}

/**
 * Those whose requests may not go out when nothing works: what is ours, and where that cannot be
 * told, what may be.
 */
async function claimedProviders(config: HostConfig, options: PluginOptions | undefined): Promise<Set<string>> {
  const claimed = new Set(await signedInProviders())
  const given = isUsersOwn(config, options) ? (own(options, 'config') as Configuration | undefined) : undefined
  for (const id of Object.keys(own(given, 'providers') ?? {})) claimed.add(id)
  let mayLack = true
  try {
    const { addon } = await import('./addon.js')
    const claims = await addon.claimedProviders()
    for (const id of [...claims.withAccounts, ...claims.configured, ...claims.builtIn]) claimed.add(id)
    mayLack = claims.mayLack
  } catch {
    for (const id of BUILT_IN) claimed.add(id)
  }
  if (mayLack) for (const id of keylessProviders(config)) claimed.add(id)
  return new Set([...claimed].filter((id) => !hasOwnKey(config, id)))
}

/** Those for which OpenCode holds our placeholder. */
async function signedInProviders(): Promise<string[]> {
  try {
    const data = process.env.XDG_DATA_HOME || join(homedir(), '.local', 'share')
    const text = process.env.OPENCODE_AUTH_CONTENT ?? (await readFile(join(data, 'opencode', 'auth.json'), 'utf8'))
    const entries = Object.entries(JSON.parse(text) as Record<string, { key?: unknown } | null>)
    return entries.filter(([, entry]) => own(entry, 'key') === PLACEHOLDER).map(([id]) => id)
  } catch {
    return []
  }
}

function keylessProviders(config: HostConfig): string[] {
  return Object.keys(own(config, 'provider') ?? {}).filter((id) => !hasOwnKey(config, id))
}

/** Tells whether opencode.json has a key for a provider, whose requests then are not ours. */
function hasOwnKey(config: HostConfig, id: string): boolean {
  const key = own(own(providerOf(config, id), 'options'), 'apiKey')
  return key !== undefined && key !== PLACEHOLDER
}

function providerOf(config: HostConfig, id: string): HostProvider | undefined {
  return own(own(config, 'provider'), id)
}

function route(config: HostConfig, id: string, fetch: Fetch): void {
  const provider = providerOf(config, id)
  const options = { ...own(provider, 'options'), apiKey: PLACEHOLDER, fetch }
  config.provider = { ...own(config, 'provider'), [id]: { ...provider, options } }
}

function authFetch(library: Library, config: HostConfig, provider: string): Fetch {
  const { namespace, account } = settings(config, provider)
  const fetch = library.createAuthFetch({ provider, ...namespace, ...account })
  return async (input, init) => {
    try {
      return await fetch(input, init)
    } catch (fault) {
      throw explain(fault, provider)
    }
  }
}

/**
 * Reads `provider.<id>.options.auth`: a pool, an account, and rotation settings. The library checks
 * them.
 */
function settings(config: HostConfig, id: string) {
  const auth = own(own(providerOf(config, id), 'options'), 'auth')
  const { namespace, account, ...rotation } = { __proto__: null, ...(auth ?? {}) } as Record<string, unknown>
  return {
    namespace: namespace === undefined ? {} : { namespace: namespace as string },
    account: account === undefined ? {} : { account: account as string },
    rotation,
  }
}

/**
 * Returns what stores the account of a login and then gives OpenCode the placeholder of its key.
 */
function finisher(provider: string): (store: () => Promise<unknown>) => Promise<LoggedIn> {
  return async (store) => {
    try {
      await store()
      return { type: 'success', key: PLACEHOLDER }
    } catch (fault) {
      throw explain(fault, provider)
    }
  }
}

function explain(fault: unknown, provider: string): unknown {
  const next = own(NEXT_STEPS, codeOf(fault) ?? '')
  if (next === undefined || !(fault instanceof Error)) return fault
  return new Error(`provider-auth: ${next(provider, fault)}`, { cause: fault })
}

function codeOf(fault: unknown): string | undefined {
  return fault instanceof Error && Object.hasOwn(fault, 'code') ? String((fault as { code?: unknown }).code) : undefined
}

function reason(fault: unknown): string {
  return fault instanceof Error ? fault.message : String(fault)
}

/**
 * Returns a property of plain data, never one that all objects inherit. What `own.ts` does is not
 * at hand here: this file works when nothing else does.
 */
function own<T extends object, K extends keyof T>(object: T | null | undefined, name: K): T[K] | undefined {
  return object !== null && object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined
}

/** Writes to OpenCode's log. Not awaited: OpenCode answers only once its plugins are in place. */
function log(host: Host, level: 'warn' | 'error', message: string): void {
  host.client.app.log({ body: { service: 'provider-auth', level, message } }).catch(() => {})
}
