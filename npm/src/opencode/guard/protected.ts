/** What an agent's tools may not touch: where secrets lie on this machine, and in this project. */
import { readFile } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, parse, resolve } from 'node:path'

/**
 * A place that is guarded. `folder`: it and all below. `stem`: the file, and copies of it that lie
 * beside it under a longer name.
 */
export interface Place {
  kind: 'folder' | 'file' | 'stem'
  path: string
  /** What it is, for the refusal. */
  what: string
}

/** Where a guard works. */
export interface Surroundings {
  /** Where relative paths of the tools start. */
  directory: string
  /** The root of the project. */
  worktree: string
  home: string
  env: Readonly<Record<string, string | undefined>>
  platform: NodeJS.Platform
}

/** A configuration is short; what is longer is not read. */
const LONGEST_CONFIG_BYTES = 1024 * 1024

/** Keys of opencode.json whose texts are words for a model: a file of it is no secret. */
const WORDS: ReadonlySet<string> = new Set(['prompt', 'template', 'system', 'instructions', 'description'])

const OPENCODE_FILES = ['config.json', 'opencode.json', 'opencode.jsonc']
const PROJECT_FILES = ['provider-auth.jsonc', 'oci-auth.config.jsonc']

/** Every guarded place, as the variables and the configuration have it now. */
export async function protectedPlaces(where: Surroundings): Promise<Place[]> {
  const references = await Promise.all(configFiles(where).map((file) => referencesOf(file, where)))
  const content = variable(where, 'OPENCODE_CONFIG_CONTENT')
  if (content !== undefined) references.push(namedFiles(content, where.directory, where))
  return [...fixedPlaces(where), ...references.flat()]
}

function fixedPlaces(where: Surroundings): Place[] {
  const { home, directory } = where
  const vault = vaultFolder(where)
  const data = join(dataHome(where), 'opencode')
  const places: Place[] = [
    { kind: 'folder', path: vault, what: 'the vault of provider-auth' },
    { kind: 'file', path: `${vault}.key`, what: 'the key of the vault of provider-auth' },
    { kind: 'folder', path: join(home, '.secrets'), what: 'the folder of secrets' },
    { kind: 'stem', path: join(data, 'auth.json'), what: 'the file of logins of OpenCode' },
    { kind: 'stem', path: join(data, 'mcp-auth.json'), what: 'the file of logins of OpenCode' },
    { kind: 'stem', path: join(data, 'opencode.db'), what: 'the database of OpenCode, which holds logins' },
  ]
  const database = variable(where, 'OPENCODE_DB')
  if (database !== undefined && database !== ':memory:') {
    const path = isAbsolute(database) ? database : join(data, database)
    places.push({ kind: 'stem', path, what: 'the database of OpenCode, which holds logins' })
  }
  const passphrase = variable(where, 'PROVIDER_AUTH_PASSPHRASE_FILE')
  if (passphrase !== undefined) {
    const path = expand(passphrase, directory, home)
    places.push({ kind: 'file', path, what: 'the file with the passphrase of the vault' })
  }
  const password = variable(where, 'PROVIDER_AUTH_STORE_PASSWORD_FILE')
  if (password !== undefined) {
    const path = expand(password, directory, home)
    places.push({ kind: 'file', path, what: "the file with the password of the vault's store" })
  }
  const credentials = variable(where, 'CREDENTIALS_DIRECTORY')
  if (credentials !== undefined) {
    const path = expand(credentials, directory, home)
    places.push({ kind: 'folder', path, what: 'the folder of credentials of this service' })
  }
  return places
}

/** Where the library keeps the vault; told without opening it. */
function vaultFolder(where: Surroundings): string {
  const configured = variable(where, 'PROVIDER_AUTH_DIR')
  if (configured !== undefined) return expand(configured, where.directory, where.home)
  const { home, platform } = where
  if (platform === 'win32')
    return join(folder(where, 'LOCALAPPDATA') ?? join(home, 'AppData', 'Local'), 'provider-auth')
  if (platform !== 'darwin') return join(dataHome(where), 'provider-auth')
  const data = folder(where, 'XDG_DATA_HOME') ?? join(home, 'Library', 'Application Support')
  return join(data, 'provider-auth')
}

/** Where OpenCode keeps its data, on every platform. */
function dataHome(where: Surroundings): string {
  return folder(where, 'XDG_DATA_HOME') ?? join(where.home, '.local', 'share')
}

/** The files that may name secrets: the user's and the project's, of OpenCode and of ours. */
function configFiles(where: Surroundings): string[] {
  const { home, directory } = where
  const folders = [join(configHome(where), 'opencode'), join(home, '.opencode')]
  const configured = variable(where, 'OPENCODE_CONFIG_DIR')
  if (configured !== undefined) folders.push(expand(configured, directory, home))
  for (const folder of projectFolders(where)) folders.push(folder, join(folder, '.opencode'))
  const files = folders.flatMap((folder) => OPENCODE_FILES.map((name) => join(folder, name)))
  const file = variable(where, 'OPENCODE_CONFIG')
  if (file !== undefined) files.push(expand(file, directory, home))
  return [...new Set([...files, ...ownConfigFiles(where)])]
}

/** The files that configure provider-auth. */
export function ownConfigFiles(where: Surroundings): string[] {
  const { home, directory, platform } = where
  const roaming = platform === 'win32' ? (folder(where, 'APPDATA') ?? join(home, 'AppData', 'Roaming')) : undefined
  const users = join(roaming ?? configHome(where), 'provider-auth', 'config.jsonc')
  const configured = variable(where, 'PROVIDER_AUTH_CONFIG')
  return [
    configured === undefined ? users : expand(configured, directory, home),
    join(configHome(where), 'opencode', 'oci-auth.config.jsonc'),
    ...projectFolders(where).flatMap((folder) => PROJECT_FILES.map((name) => join(folder, name))),
  ]
}

function configHome(where: Surroundings): string {
  return folder(where, 'XDG_CONFIG_HOME') ?? join(where.home, '.config')
}

/**
 * The folder and its parents up to the root of the project; where there is no repository, that is
 * the root of the disk.
 */
function projectFolders({ directory, worktree }: Surroundings): string[] {
  const folders = [worktree, directory]
  for (let at = directory; at !== worktree && at !== parse(at).root; ) {
    at = dirname(at)
    folders.push(at)
  }
  return [...new Set(folders)]
}

async function referencesOf(file: string, where: Surroundings): Promise<Place[]> {
  try {
    const text = await readFile(file, 'utf8')
    return text.length > LONGEST_CONFIG_BYTES ? [] : namedFiles(text, dirname(file), where)
  } catch {
    return []
  }
}

/**
 * The files that a configuration names as `{file:…}`. Read from the text, since a file with a fault
 * in it names secrets all the same.
 */
function namedFiles(text: string, folder: string, where: Surroundings): Place[] {
  const places: Place[] = []
  for (let at = text.indexOf('{file:'); at >= 0; at = text.indexOf('{file:', at + 1)) {
    const end = text.indexOf('}', at)
    if (end < 0) break
    const name = text
      .slice(at + '{file:'.length, end)
      .replaceAll('\\\\', '\\')
      .trim()
    if (name === '' || name.length > 4096 || name.includes('\n') || WORDS.has(keyBefore(text, at))) continue
    const what = 'a file that a configuration names as a secret'
    // OpenCode starts from the file's folder, the library from the working folder.
    const paths = new Set([folder, where.directory].map((base) => expand(name, base, where.home)))
    for (const path of paths) places.push({ kind: 'file', path, what })
  }
  return places
}

/** The key of the value in which a position is: the last text in quotes before the last colon. */
function keyBefore(text: string, at: number): string {
  const line = text.slice(Math.max(0, at - 200), at)
  return /"(\w{1,64})"\s{0,20}:\s{0,20}\[?\s{0,20}"[^"]{0,120}$/.exec(line)?.[1] ?? ''
}

/** Makes a path absolute; `~` is the home folder. */
export function expand(path: string, base: string, home: string): string {
  return path === '~' || path.startsWith('~/') || path.startsWith('~\\')
    ? join(home, path.slice(1))
    : resolve(base, path)
}

/** Whether a name in a folder may be one of a stem's. */
export function isOfStem(stem: string, path: string): boolean {
  return dirname(path) === dirname(stem) && basename(path).startsWith(basename(stem))
}

/** A variable's value; an empty one counts as unset. */
function variable({ env }: Surroundings, name: string): string | undefined {
  const value = Object.hasOwn(env, name) ? env[name] : undefined
  return value === undefined || value === '' ? undefined : value
}

/** A base folder from a variable. The XDG specification has relative ones ignored. */
function folder(where: Surroundings, name: string): string | undefined {
  const value = variable(where, name)
  return value !== undefined && isAbsolute(value) ? value : undefined
}
