/**
 * Models that a provider's own list has, beside those of opencode.json and models.dev.
 *
 * No start waits for a provider: what was found last is kept in a small file, and the provider is
 * asked behind it, for the next start. OpenCode has no way to change its list while it runs.
 */
import { dirname, join } from 'node:path'
import { read } from '../own.js'
import type { CataloguedModel } from './host.js'
import { memoryFile } from './remembered.js'
import { readState, writeState } from './state-file.js'

type Library = typeof import('../index.js')
type Listed = Awaited<ReturnType<Library['discoverModels']>>['models'][number]

/** A model as its provider lists it. */
export type FoundModel = Pick<Listed, 'id'> & Partial<Pick<Listed, 'name' | 'contextWindow'>>

/** Asks a pool for its list. */
type Discover = (pool: { provider: string; namespace?: string }) => Promise<{ models: readonly FoundModel[] }>

/** Which pool is meant, and how long one may wait for its first list. */
export interface Wanted {
  provider: string
  namespace?: string
  firstListMs: number
}

/**
 * How long a start waits for a list of which nothing is kept. The library answers from the disk
 * well within it where another program has asked before.
 */
export const FIRST_LIST_MS = 300

/**
 * The same of a provider that has no other models: OpenCode leaves it out then. The config hook may
 * take 2 s in all.
 */
export const ONLY_LIST_MS = 1_000

/** How long a login waits for the list, so that the next start has it. */
export const AFTER_LOGIN_MS = 3_000

/** What the longest list of a provider has, tenfold; no more is kept of a list that never ends. */
const MOST_MODELS = 5_000

/** Names of models that take part in no chat; a provider lists them beside the others. */
const NO_CHAT = /embed|whisper|tts|dall-e|moderation|transcribe|rerank|realtime|audio|image|sora/i

/** Where the lists lie: beside what is remembered. */
export function foundFile(): string {
  return join(dirname(memoryFile()), 'opencode-models.json')
}

export interface ModelFinder {
  /**
   * What is known of a pool's models: at once where something is kept, else what comes in time.
   * Never rejects.
   */
  find(wanted: Wanted): Promise<readonly FoundModel[]>
  /** Asks for the list after a login, and waits for it a little. Never rejects. */
  refresh(pool: { provider: string; namespace?: string }): Promise<void>
}

/** Finds models. `report` is told why a provider's list could not be had. */
export function createModelFinder(
  discover: Discover,
  report: (provider: string, fault: unknown) => void,
  file = foundFile(),
): ModelFinder {
  const ask = async ({ provider, namespace }: { provider: string; namespace?: string }) => {
    try {
      const { models } = await discover({ provider, ...(namespace !== undefined && { namespace }) })
      const found = models.filter(({ id, name = '' }) => !NO_CHAT.test(`${id} ${name}`)).slice(0, MOST_MODELS)
      keep(file, provider, namespace, found)
      return found
    } catch (fault) {
      report(provider, fault)
      return []
    }
  }
  return {
    async find(wanted) {
      const kept = keptModels(file, wanted.provider, wanted.namespace)
      const asked = ask(wanted)
      return kept.length > 0 ? kept : ((await inTime(asked, wanted.firstListMs)) ?? [])
    },
    async refresh(pool) {
      await inTime(ask(pool), AFTER_LOGIN_MS)
    },
  }
}

/** A model as opencode.json names it. */
type Named = Record<string, unknown>

/**
 * The models of a provider in opencode.json with those that were found; what a person wrote wins.
 *
 * One that models.dev may know gets an empty entry, which changes nothing of what is known of it.
 *
 * @param isCustom whether the provider is a person's own, of which models.dev knows nothing
 */
export function joinModels(
  written: Readonly<Record<string, Named>> | undefined,
  found: readonly FoundModel[],
  isCustom: boolean,
): Record<string, Named> {
  const entries = found.map((model) => [model.id, isCustom ? described(model) : {}] as const)
  return { __proto__: null, ...Object.fromEntries(entries), ...written } as unknown as Record<string, Named>
}

function described({ name, contextWindow }: FoundModel): Named {
  return { ...(name !== undefined && { name }), ...(contextWindow !== undefined && { limit: limitOf(contextWindow) }) }
}

/**
 * The models of models.dev with those that were found beside them. Of these nothing is known but
 * what the provider says, so they are text in, text out, with tools.
 */
export function catalogueWith<T extends CataloguedModel>(
  provider: string,
  known: Readonly<Record<string, T>>,
  found: readonly FoundModel[],
): Record<string, T> {
  const [like] = Object.values(known)
  if (like === undefined) return {}
  const text = { text: true, audio: false, image: false, video: false, pdf: false }
  const added = found.map(({ id, name, contextWindow }) => ({
    id,
    providerID: provider,
    api: { ...like.api, id },
    name: name ?? id,
    capabilities: {
      temperature: false,
      reasoning: false,
      attachment: false,
      toolcall: true,
      input: text,
      output: text,
      interleaved: false,
    },
    cost: { input: 0, output: 0, cache: { read: 0, write: 0 } },
    limit: contextWindow === undefined ? { context: 0, output: 0 } : limitOf(contextWindow),
    status: 'active',
    options: {},
    headers: {},
    release_date: '',
    variants: {},
  }))
  const entries = Object.fromEntries(added.map((model) => [model.id, model as unknown as T]))
  return { __proto__: null, ...entries, ...known } as unknown as Record<string, T>
}

/**
 * A list says how long a context is, and not how long an answer. OpenCode keeps room for one in the
 * context: a quarter at most, and 32,000 tokens, as it does itself where nothing is known.
 */
function limitOf(context: number): { context: number; output: number } {
  return { context, output: Math.min(32_000, Math.floor(context / 4)) }
}

type Lists = Record<string, Record<string, readonly FoundModel[]>>

function keptModels(file: string, provider: string, namespace = 'default'): readonly FoundModel[] {
  const models: unknown = read(read(readState(file) as Lists, provider), namespace)
  return Array.isArray(models) ? models.filter(isModel) : []
}

function keep(file: string, provider: string, namespace = 'default', models: readonly FoundModel[]): void {
  const lists = readState(file) as Lists
  const pools = {
    ...read(lists, provider),
    [namespace]: models.map(({ id, name, contextWindow }) => ({ id, name, contextWindow })),
  }
  writeState(file, { ...lists, [provider]: pools })
}

/** Another program may have written the file. */
function isModel(value: unknown): value is FoundModel {
  const { id, name, contextWindow } = (value ?? {}) as Partial<Record<keyof FoundModel, unknown>>
  const mayBe = (given: unknown, type: string) => given === undefined || typeof given === type
  return typeof id === 'string' && id !== '' && mayBe(name, 'string') && mayBe(contextWindow, 'number')
}

/** What a promise that never rejects brings in time. */
async function inTime<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
