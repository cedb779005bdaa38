/**
 * Oracle Cloud, as `oci-auth.config.jsonc` describes it: the provider that the file makes under
 * OpenCode, where opencode.json does not name one.
 *
 * The library reads the file, checks it and signs in by it. What it does not tell is the path of
 * `llm_base_url`, so that one value is read here, from the file that counts.
 */
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { inHome } from '../home-folder.js'
import { read } from '../own.js'
import type { HostConfig, HostProvider } from './host.js'
import { decide, NOTHING_KNOWN } from './who-serves.js'
import { codeOf, reason } from './words.js'

type Library = typeof import('../index.js')

export const OCI = 'oci-oidc'
export const OCI_FILE = 'oci-auth.config.jsonc'

/** Stands where no address is known. It does not exist (RFC 2606), and the library refuses it. */
const NOWHERE = 'https://provider-auth.invalid/v1'

/**
 * OpenCode leaves a provider without models out of its lists, that of `/connect` too. This one
 * stands in until a person has signed in and the models are known.
 */
export const STAND_IN = { id: 'not-known-yet', name: 'Models appear once you have signed in' }

/** What has become of the file. */
export interface OciDefinition {
  file: string
  /** Why the provider cannot be used, all that is wrong with the file; absent where it can. */
  fault?: string
  /** Whether its models are to be found, since opencode.json names none. */
  findsModels: boolean
}

export interface OciSurroundings {
  library: Pick<Library, 'projectTrust' | 'explain'>
  /** What the library says of all providers. */
  providers: Awaited<ReturnType<Library['configuredProviders']>>
  /** Reads JSON with comments. */
  parse(text: string): unknown
  /** Tells whether a `fetch` was put there by us. */
  isOurs(fetch: unknown): boolean
  env?: Readonly<Record<string, string | undefined>>
}

/**
 * Makes `provider.oci-oidc` of the file, under what opencode.json says of it. Returns nothing where
 * there is no file.
 *
 * It is ours from then on (`options.auth`): auth.json may still have what the plugin
 * `opencode-oci-oidc` put there. What has a key of its own in opencode.json is left alone.
 */
export async function defineOci(
  config: HostConfig,
  { library, providers, parse, isOurs, env = process.env }: OciSurroundings,
): Promise<OciDefinition | undefined> {
  const entry = read(read(config, 'provider'), OCI)
  const named = new Map([[OCI, read(entry, 'options') ?? {}]])
  const { row } = decide(OCI, { ...NOTHING_KNOWN, named, isOurs })
  if (row === 'own-key' || row === 'other-plugin') return undefined
  const found = await countingFile(library, env)
  const { origins = [], methods = [] } = providers.find(({ id }) => id === OCI) ?? {}
  // One whose file is at fault has no origin, and a login that says what is wrong.
  const isFaulty = origins.length === 0 && methods.join() === 'browser'
  const fault = isFaulty ? await faultOf(library) : undefined
  const file = found?.file ?? fault?.file
  if (file === undefined) return undefined
  const baseURL = fault === undefined ? (found?.waitsAt ?? (await baseOf(file, parse, origins))) : NOWHERE
  const written = read(entry, 'models') ?? {}
  const provider: HostProvider = {
    name: 'Oracle Cloud',
    npm: '@ai-sdk/openai-compatible',
    ...entry,
    options: { baseURL, auth: {}, ...read(entry, 'options') },
    models: { ...written },
  }
  config.provider = { ...read(config, 'provider'), [OCI]: provider }
  return {
    file,
    findsModels: Object.keys(written).length === 0,
    ...(fault !== undefined && { fault: fault.why }),
  }
}

/** Has OpenCode show the provider though none of its models is known. */
export function standIn<T extends object>(models: Record<string, T>): Record<string, T | { name: string }> {
  return Object.keys(models).length > 0 ? models : { [STAND_IN.id]: { name: STAND_IN.name } }
}

/** The user's file, in OpenCode's folder. */
export function usersOciFile(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return join(env.XDG_CONFIG_HOME || inHome('.config'), 'opencode', OCI_FILE)
}

/**
 * The file that counts: the project's once it is trusted, else the user's, else one of the project
 * that waits for trust.
 */
async function countingFile(
  library: Pick<Library, 'projectTrust'>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<{ file: string; waitsAt?: string } | undefined> {
  const { files } = await library.projectTrust()
  const projects = files.find(({ file, state }) => basename(file) === OCI_FILE && state !== 'ignored')
  if (projects?.state === 'trusted') return { file: projects.file }
  const users = usersOciFile(env)
  if ((await textOf(users)) !== undefined) return { file: users }
  if (projects === undefined) return undefined
  // Nothing goes there: the library refuses what a file without trust names, and says which file.
  const host = projects.providers.flatMap(({ hosts }) => hosts).find(({ role }) => role === 'origins')
  return { file: projects.file, waitsAt: host?.origin ?? NOWHERE }
}

/** All that is wrong with the file. The library says so before it opens the vault. */
async function faultOf(library: Pick<Library, 'explain'>): Promise<{ why: string; file?: string } | undefined> {
  try {
    await library.explain({ provider: OCI, url: NOWHERE })
    return undefined
  } catch (fault) {
    if (codeOf(fault) !== 'INVALID_CONFIG') return undefined
    const file = read(fault as { file?: string }, 'file')
    return { why: reason(fault), ...(file !== undefined && { file }) }
  }
}

/**
 * The address that the file names. Where `config.jsonc` names other origins, the first of these with
 * the usual path.
 */
async function baseOf(file: string, parse: (text: string) => unknown, origins: readonly string[]): Promise<string> {
  const usual = origins[0] === undefined ? NOWHERE : `${origins[0]}/v1`
  try {
    const base = read(parse((await textOf(file)) ?? '') as { llm_base_url?: unknown }, 'llm_base_url')
    return typeof base === 'string' && origins.includes(new URL(base).origin) ? base.trim().replace(/\/+$/, '') : usual
  } catch {
    return usual
  }
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch {
    return undefined
  }
}
