/**
 * Under OpenCode 2: which providers are ours, and what OpenCode is told about them.
 *
 * OpenCode prefers its own credential to the key of a provider's settings, and the user's file to
 * what a plugin set. So a provider that may be ours gets the placeholder as its key, and a request
 * that still carries it is ours: nothing that OpenCode has itself stood before it.
 */
import { read } from '../../own.js'
import { keep } from '../late-vault.js'
import { createModelFinder, joinModels } from '../models.js'
import { OCI } from '../oci.js'
import { recall } from '../remembered.js'
import { readVault, VAULT_MS, type Vault, withAccounts } from '../start.js'
import { waitingProviders } from '../trust.js'
import { type Decision, decideAll, type Facts, PLACEHOLDER } from '../who-serves.js'
import type { Connection, Context, ProviderEditor } from './host.js'
import { carriesPlaceholder, usePlaceholder } from './placeholder.js'

type Library = typeof import('../../index.js')
type Settings = Readonly<Record<string, unknown>>

/** The longest that a list of models is waited for, behind the start. */
const LIST_MS = 60_000

/** What speaks to providers of which OpenCode knows nothing. */
const COMPATIBLE = '@opencode/ai/providers/openai-compatible'

/** What the ids of our ways to sign in begin with. */
export const METHOD_PREFIX = 'provider-auth-'

const OWN_CONNECTION = 'OpenCode is connected to it itself'

/** What is known of the providers now. */
export interface Providers {
  decisions(): ReadonlyMap<string, Decision>
  /** Tells whether a request is ours to authenticate. */
  isOurs(provider: string, request: Request): boolean
  /** `settings` of a provider in OpenCode's configuration. */
  settings(provider: string): Settings | undefined
  /** OpenCode's connection of a provider that stands for accounts of ours. */
  connection(provider: string): Promise<{ integrationID: string; connection: Connection } | undefined>
  /** Looks at everything anew, and tells OpenCode where that changes anything. */
  refresh(): Promise<void>
}

/** What is wanted of OpenCode's list of providers. */
export interface Wanted {
  /** Whether models that a provider lists join those of OpenCode. */
  discoverModels: boolean
  /** The address of Oracle Cloud, where its configuration file names it. */
  oci?: string | undefined
}

/** Registers what OpenCode is told, once it is known or the start must go on. */
export async function followProviders(context: Context, library: Library, wanted: Wanted): Promise<Providers> {
  let named: ReadonlyMap<string, Settings> = new Map()
  let integrations: ReadonlyMap<string, string> = new Map()
  const found: Found = new Map()
  const finder = createModelFinder(
    (pool) => library.discoverModels(pool),
    () => {},
  )
  let decisions: ReadonlyMap<string, Decision> = new Map()

  const integrationOf = (provider: string): string => integrations.get(provider) ?? provider
  const connection: Providers['connection'] = async (provider) => {
    const integrationID = integrationOf(provider)
    const active = await context.integration.connection.active(integrationID)
    const isOurs = active?.type === 'credential' && (await hostHas(active, context)) === PLACEHOLDER
    return isOurs ? { integrationID, connection: active } : undefined
  }
  const lookUp = async (known?: Vault): Promise<Vault> => {
    const providers = await library.configuredProviders()
    const servers = providers.filter((provider) => read(provider, 'resource') !== undefined)
    const vault = known ?? (await readVault(library, new Set(servers.map(({ id }) => id)), VAULT_MS))
    const having = withAccounts(vault, { memory: recall(), providers })
    const configured = new Set(providers.filter(({ configured }) => configured).map(({ id }) => id))
    if (wanted.oci !== undefined) configured.add(OCI)
    const untrusted = new Set((await waitingProviders()).map(({ id }) => id))
    const handedOver = [...named].filter(([, settings]) => isHandedOver(settings)).map(([id]) => id)
    // Not all that OpenCode knows: it lists more than a hundred.
    const asked = new Set([...providers.map(({ id }) => id), ...having, ...untrusted, ...handedOver])
    const has = await Promise.all(
      [...asked].map(async (id) => {
        const active = await context.integration.connection.active(integrationOf(id))
        return active === undefined ? undefined : ([id, await hostHas(active, context)] as const)
      }),
    )
    const facts: Facts = {
      named: new Map([...named].filter(([id]) => asked.has(id))),
      hostHas: new Map(has.filter((entry) => entry !== undefined)),
      withAccounts: having,
      configured,
      untrusted,
      isOurs: () => true,
    }
    decisions = decideAll(facts)
    keep(decisions, vault)
    return vault
  }
  const discover = async (): Promise<void> => {
    const ours = [...decisions.values()].filter(({ provider, who }) => who === 'us' && isDiscovered(provider))
    for (const { provider } of ours) {
      const auth = read(named.get(provider), 'auth') as { namespace?: string } | undefined
      const namespace = read(auth, 'namespace')
      const pool = { provider, ...(namespace !== undefined && { namespace }) }
      const models = await finder.find({ ...pool, firstListMs: LIST_MS })
      if (models.length === 0) continue
      found.set(provider, joinModels(undefined, models, true))
      await context.provider.reload()
    }
  }
  const isDiscovered = (provider: string) => wanted.discoverModels || (provider === OCI && wanted.oci !== undefined)
  const shown = (): string => JSON.stringify([...decisions.values()].filter(({ who }) => who === 'us'))
  let last: Promise<void> = Promise.resolve()
  const refresh = (known?: Vault): Promise<void> => {
    last = last
      .catch(() => {})
      .then(async () => {
        const before = shown()
        await lookUp(known)
        if (shown() === before) return
        await context.integration.reload()
        await context.provider.reload()
        later(discover)
      })
    return last
  }
  const vault = await lookUp()
  await context.provider.transform((editor) => {
    if (wanted.oci !== undefined) defineOracle(editor, wanted.oci)
    claim(editor, decisions, found)
  })
  await context.model.transform((editor) => {
    const before = JSON.stringify([...named])
    const all = editor.provider.list().map(({ provider }) => provider)
    named = new Map(all.map((provider) => [provider.id, read(provider, 'settings') ?? {}]))
    integrations = new Map(all.map((provider) => [provider.id, read(provider, 'integrationID') ?? provider.id]))
    // Seen only here, since OpenCode adds the user's file after the plugins.
    if (JSON.stringify([...named]) !== before) later(() => refresh())
  })
  if (vault.state === 'late') later(async () => refresh(await vault.ready))
  later(discover)
  return {
    decisions: () => decisions,
    isOurs: (provider, request) => isHandedOver(named.get(provider)) || carriesPlaceholder(request),
    settings: (provider) => named.get(provider),
    connection,
    refresh: () => refresh(),
  }
}

/** The provider that `oci-auth.config.jsonc` describes, below what the user's own file says of it. */
function defineOracle(editor: ProviderEditor, baseURL: string): void {
  editor.update(OCI, (provider) => {
    provider.name = 'Oracle Cloud'
    provider.package ||= COMPATIBLE
    provider.settings = { ...provider.settings, baseURL }
  })
}

/** Models that were found, by provider: what OpenCode is told of each. */
type Found = Map<string, Readonly<Record<string, object>>>

/** Puts our placeholder where OpenCode wants a key, and adds the models that were found. */
function claim(editor: ProviderEditor, decisions: ReadonlyMap<string, Decision>, found: Found): void {
  for (const { provider: id, who } of decisions.values()) {
    if (who !== 'us') continue
    const record = editor.get(id)
    usePlaceholder(editor, id)
    for (const [modelId, described] of Object.entries(found.get(id) ?? {})) {
      if (record?.models.has(modelId) !== true)
        editor.models.update(id, modelId, (model) => Object.assign(model, described))
    }
  }
}

/** Our placeholder where that is it, else in words what OpenCode has. */
async function hostHas(connection: Connection, context: Context): Promise<string> {
  if (connection.type === 'env') return `the variable ${connection.name} is set`
  const method = read(connection, 'methodID')
  // Not looked at, since OpenCode may ask the network for it.
  if (method !== undefined && !method.startsWith(METHOD_PREFIX)) return OWN_CONNECTION
  try {
    const credential = await context.integration.connection.resolve(connection)
    const isOurs =
      (credential?.type === 'oauth' && credential.access === PLACEHOLDER) ||
      (credential?.type === 'key' && credential.key === PLACEHOLDER)
    if (isOurs) return PLACEHOLDER
  } catch {
    // One that OpenCode cannot renew is still its own.
  }
  return OWN_CONNECTION
}

/** Whether the user's file says that we serve. */
function isHandedOver(settings: Settings | undefined): boolean {
  return read(settings, 'auth') !== undefined
}

/** After what runs now: a transform may not change what it is part of. */
function later(work: () => Promise<void>): void {
  setImmediate(() => void work().catch(() => {}))
}
