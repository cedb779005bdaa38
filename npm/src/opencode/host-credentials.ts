/** What OpenCode itself has for a provider: an entry of auth.json, or a variable with a key. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inHome } from '../home-folder.js'
import { read } from '../own.js'
import { PLACEHOLDER } from './who-serves.js'

type Variables = Readonly<Record<string, string | undefined>>

/** An entry of auth.json, as far as it matters here. */
export interface HostEntry {
  type: string
  isPlaceholder: boolean
}

/** The file in which OpenCode keeps credentials. */
export function authFile(env: Variables = process.env): string {
  return join(env.XDG_DATA_HOME || inHome('.local', 'share'), 'opencode', 'auth.json')
}

/**
 * Reads the entries of auth.json, or of the variable that OpenCode reads instead. What cannot be
 * read is empty, as it is for OpenCode.
 */
export async function readHostEntries(env: Variables = process.env): Promise<Map<string, HostEntry>> {
  return parsed(env.OPENCODE_AUTH_CONTENT) ?? parsed(await textOf(authFile(env))) ?? new Map()
}

function parsed(text: string | undefined): Map<string, HostEntry> | undefined {
  // OpenCode goes on to its file after a variable that is empty or holds junk.
  if (text === undefined || text === '') return undefined
  let entries: unknown
  try {
    entries = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof entries !== 'object' || entries === null) return new Map()
  const known = Object.entries(entries).filter(([, entry]) => typeof entry === 'object' && entry !== null)
  return new Map(
    known.map(([id, entry]) => [
      id,
      { type: String(read(entry, 'type')), isPlaceholder: read(entry, 'key') === PLACEHOLDER },
    ]),
  )
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch {
    return undefined
  }
}

/**
 * The providers that we know by ourselves, and the key variables that OpenCode reads of them, for
 * when its list was never fetched.
 */
export const VARIABLES: ReadonlyMap<string, readonly string[]> = new Map([
  ['anthropic', ['ANTHROPIC_API_KEY']],
  ['azure', ['AZURE_API_KEY']],
  ['cursor', []],
  ['github-copilot', ['GITHUB_TOKEN']],
  ['google', ['GOOGLE_API_KEY', 'GOOGLE_GENERATIVE_AI_API_KEY', 'GEMINI_API_KEY']],
  ['oci-oidc', []],
  ['openai', ['OPENAI_API_KEY']],
  ['qwen', []],
])

/** Where the names of a provider's key variables come from. */
export interface VariableSources {
  /** The providers of opencode.json. Their `env` replaces all others. */
  named: Readonly<Record<string, { env?: unknown; npm?: unknown }>>
  /** Those of OpenCode's own list of providers, as it was last fetched. */
  listed: ReadonlyMap<string, readonly string[]>
}

/** Names of variables with a key, unlike those with a region or a resource. */
const OF_KEYS = /KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|_PAT$/i

/** The first variable that is set and that OpenCode takes for a key of the provider. */
export function keyVariable(provider: string, sources: VariableSources, env: Variables): string | undefined {
  const { named, listed } = sources
  const entry = Object.hasOwn(named, provider) ? named[provider] : undefined
  const given = read(entry, 'env')
  const names: readonly unknown[] = Array.isArray(given)
    ? given
    : (listed.get(provider) ?? VARIABLES.get(provider) ?? (isOwn(entry) ? [] : [usual(provider)]))
  return names.find(
    (name): name is string => typeof name === 'string' && OF_KEYS.test(name) && (env[name] ?? '') !== '',
  )
}

/** Tells whether opencode.json defines a provider, instead of changing one that OpenCode knows. */
function isOwn(entry: { npm?: unknown } | undefined): boolean {
  return read(entry, 'npm') !== undefined
}

/** How the variable of a provider is called that nothing else names: `GROQ_API_KEY`. */
function usual(provider: string): string {
  return `${provider.replace(/[^a-zA-Z0-9]/g, '_').toUpperCase()}_API_KEY`
}

/** The key variables of OpenCode's own list of providers, as it was last fetched. */
export async function listedVariables(env: Variables = process.env): Promise<Map<string, readonly string[]>> {
  const cache = env.XDG_CACHE_HOME || inHome('.cache')
  const text = await textOf(env.OPENCODE_MODELS_PATH || join(cache, 'opencode', 'models.json'))
  try {
    const providers = Object.entries(JSON.parse(text ?? '{}') as Record<string, { env?: unknown } | null>)
    return new Map(
      providers.flatMap(([id, provider]) => {
        const names = read(provider, 'env')
        return Array.isArray(names) ? [[id, names.filter((name) => typeof name === 'string')] as const] : []
      }),
    )
  } catch {
    return new Map()
  }
}
