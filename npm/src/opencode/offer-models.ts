/** Puts the models that were found into an instance's configuration. */
import { read } from '../own.js'
import type { HostConfig, ProviderHook } from './host.js'
import {
  catalogueWith,
  createModelFinder,
  FIRST_LIST_MS,
  type FoundModel,
  joinModels,
  type ModelFinder,
  ONLY_LIST_MS,
} from './models.js'
import { OCI, type OciDefinition, standIn } from './oci.js'
import { codeOf, reason } from './words.js'

type Library = typeof import('../index.js')

/** What says whether the models of a provider are to be found, and finds them. */
export interface Finding {
  /** The plugin's option `discoverModels`. */
  discovers: boolean
  oci: OciDefinition | undefined
  finder: ModelFinder
}

/** Why a list cannot be had, where a login or the next request says so. */
const TOLD_OTHERWISE: ReadonlySet<string> = new Set([
  'NO_ACCOUNT',
  'NEEDS_LOGIN',
  'EXHAUSTED',
  'PROJECT_NOT_TRUSTED',
  'INVALID_CONFIG',
])

/** What asks the library for lists. */
export function finderOf(library: Library, report: (text: string) => void): ModelFinder {
  return createModelFinder(
    (pool) => library.discoverModels(pool),
    (provider, fault) => {
      if (!TOLD_OTHERWISE.has(codeOf(fault) ?? '')) report(`${provider}: ${reason(fault)}`)
    },
  )
}

/** Tells whether the models of a provider that is ours are to be found. */
function isFound(id: string, { discovers, oci }: Finding): boolean {
  return discovers || (id === OCI && oci?.findsModels === true)
}

/** Has the models of a new account at hand for the next start, which follows a login at once. */
export async function findAfterLogin(pool: { provider: string; namespace: string }, finding: Finding): Promise<void> {
  const { provider, namespace } = pool
  if (isFound(provider, finding)) await finding.finder.refresh({ provider, namespace })
}

/**
 * Finds the models of what is ours and puts them into the configuration. Returns the hooks that put
 * them beside those of models.dev. A list that was never found is waited for no longer than that.
 */
export async function offerModels(
  config: HostConfig,
  ours: readonly string[],
  finding: Finding,
  withinMs: number,
): Promise<ProviderHook[]> {
  const ids = ours.filter((id) => isFound(id, finding))
  const lists = ids.map(async (id) => {
    const { firstListMs, ...pool } = wanted(config, id)
    const found = await finding.finder.find({ ...pool, firstListMs: Math.min(firstListMs, Math.max(0, withinMs)) })
    return { id, found }
  })
  return (await Promise.all(lists)).flatMap(({ id, found }) => {
    join(config, id, found)
    return found.length === 0 ? [] : [hookOf(id, found)]
  })
}

function wanted(config: HostConfig, provider: string) {
  const entry = read(read(config, 'provider'), provider)
  const namespace: unknown = read(
    read(read(entry, 'options'), 'auth') as { namespace?: unknown } | undefined,
    'namespace',
  )
  const hasOthers =
    entry !== undefined && (read(entry, 'npm') === undefined || Object.keys(read(entry, 'models') ?? {}).length > 0)
  return {
    provider,
    firstListMs: hasOthers ? FIRST_LIST_MS : ONLY_LIST_MS,
    ...(typeof namespace === 'string' && { namespace }),
  }
}

function join(config: HostConfig, id: string, found: readonly FoundModel[]): void {
  const entry = read(read(config, 'provider'), id)
  // One that names its package is a person's own: models.dev knows those of the others.
  const models = joinModels(read(entry, 'models'), found, read(entry, 'npm') !== undefined)
  const shown = id === OCI ? standIn(models) : models
  config.provider = { ...read(config, 'provider'), [id]: { ...entry, models: shown } }
}

function hookOf(id: string, found: readonly FoundModel[]): ProviderHook {
  return { id, models: async ({ models }) => catalogueWith(id, models, found) }
}
