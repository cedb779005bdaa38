/**
 * The user's own opencode.json, as it stands on the disk: OpenCode hands out one merged
 * configuration, in which a project's entry has replaced the user's.
 */
import { readFile, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, join, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inHome } from '../home-folder.js'
import { packageFolder } from '../loader/home.js'
import { read } from '../own.js'

type Plain = Readonly<Record<string, unknown>>
type Parse = (text: string) => unknown

/** What the user's own files say. */
export interface UserConfig {
  /** Options of our plugin. */
  options: Plain | undefined
  /** The path in our options that OpenCode would have replaced by a variable or a file, if any. */
  unread: string | undefined
  /** `options.auth` by provider. */
  auth: ReadonlyMap<string, unknown>
}

const NAMES = ['config.json', 'opencode.json', 'opencode.jsonc']

/** Reads it. Files that are missing or damaged say nothing; OpenCode tells of them itself. */
export async function readUserConfig(
  parse: Parse,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<UserConfig> {
  let options: Plain | undefined
  const auth = new Map<string, unknown>()
  for (const file of configFiles(env)) {
    const config = await parsed(file, parse)
    for (const [spec, its] of pluginsOf(config)) {
      if (isObject(its) && (await isOurPlugin(spec, dirname(file)))) options = its
    }
    for (const [id, settings] of providersOf(config)) {
      const own = read(settings, 'auth')
      if (own !== undefined) auth.set(id, own)
    }
  }
  return { options, unread: substituted(options, ''), auth }
}

/** A plugin that the user's own files name. */
export interface NamedPlugin {
  file: string
  spec: string
  isOurs: boolean
}

/** The plugins that the user's own files name, in their order. */
export async function userPlugins(
  parse: Parse,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<NamedPlugin[]> {
  const named: NamedPlugin[] = []
  for (const file of configFiles(env)) {
    const specs = pluginsOf(await parsed(file, parse)).map(([spec]) => spec)
    for (const spec of specs.filter((spec) => typeof spec === 'string'))
      named.push({ file, spec, isOurs: await isOurPlugin(spec, dirname(file)) })
  }
  return named
}

function configFiles(env: Readonly<Record<string, string | undefined>>): string[] {
  const folder = join(env.XDG_CONFIG_HOME || inHome('.config'), 'opencode')
  const files = NAMES.map((name) => join(folder, name))
  if (env.OPENCODE_CONFIG) files.push(resolve(env.OPENCODE_CONFIG))
  return files
}

/** The entries of `plugin`, and of `plugins` as OpenCode 2 calls it: what is named, and its options. */
function pluginsOf(config: Plain | undefined): (readonly [spec: unknown, options: unknown])[] {
  const entries = [read(config, 'plugin'), read(config, 'plugins')].filter(Array.isArray).flat() as unknown[]
  return entries.map((entry) =>
    typeof entry === 'string'
      ? [entry, undefined]
      : Array.isArray(entry)
        ? [entry[0], entry[1]]
        : [read(entry as Plain | undefined, 'package'), read(entry as Plain | undefined, 'options')],
  )
}

/** The options of each provider, which OpenCode 2 calls its settings. */
function providersOf(config: Plain | undefined): (readonly [id: string, options: Plain | undefined])[] {
  const named = [
    [read(config, 'provider'), 'options'],
    [read(config, 'providers'), 'settings'],
  ] as const
  return named.flatMap(([providers, key]) =>
    Object.entries(isObject(providers) ? providers : {}).map(([id, provider]) => {
      const options: unknown = read(provider as Plain | undefined, key)
      return [id, isObject(options) ? options : undefined] as const
    }),
  )
}

async function parsed(file: string, parse: Parse): Promise<Plain | undefined> {
  try {
    const config = parse(await readFile(file, 'utf8'))
    return isObject(config) ? config : undefined
  } catch {
    return undefined
  }
}

/** Tells whether an entry of `plugin` names this package: by its name, or by a place in its folder or above. */
export async function isOurPlugin(spec: unknown, base = '/'): Promise<boolean> {
  if (typeof spec !== 'string') return false
  if (/^(npm:)?provider-auth(@.*)?$/.test(spec)) return true
  const path = spec.startsWith('file://') ? fromUrl(spec) : spec
  if (path === undefined || !(isAbsolute(path) || path.startsWith('.'))) return false
  try {
    const named = await realpath(resolve(base, path))
    const own = await realpath(packageFolder())
    return named === own || named.startsWith(own + sep)
  } catch {
    return false
  }
}

function fromUrl(url: string): string | undefined {
  try {
    return fileURLToPath(url)
  } catch {
    return undefined
  }
}

/** The first text that OpenCode would have replaced before it handed the options over. */
function substituted(value: unknown, path: string): string | undefined {
  if (typeof value === 'string') return /\{(env|file):/.test(value) ? path : undefined
  if (typeof value !== 'object' || value === null) return undefined
  for (const [name, part] of Object.entries(value)) {
    const found = substituted(part, path === '' ? name : `${path}.${name}`)
    if (found !== undefined) return found
  }
  return undefined
}

function isObject(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
