/**
 * Whether a path leads to a guarded place, whatever it is called: by links, `..`,
 * `/proc/self/root`, another case, or another name of the same file.
 */
import { readdir, readlink, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, normalize, parse, sep } from 'node:path'
import { mayFit } from './globs.js'
import { isOfStem, type Place, type Surroundings } from './protected.js'

/** As many links as Linux follows in one path. */
const MOST_LINKS = 40

/** Folders of secrets are small; of a larger one, so many files are looked at for further names. */
const MOST_FILES = 2_000

/** Asks of many paths; what it has read of the disk it keeps, so make one for each tool call. */
export interface Lookout {
  /** The guarded place that a path is, or is in. */
  around(path: string, cwd: string): Promise<Place | undefined>
  /** The same, told from the names alone. */
  aroundByName(path: string, cwd: string): Place | undefined
  /** The guarded places that are there and lie below a folder. */
  below(path: string, cwd: string): Promise<Place[]>
  /** Whether a path is the project's folder or in it. */
  isInProject(path: string): Promise<boolean>
  /** The guarded place that a pattern fits, told from the names alone. */
  fitting(pattern: readonly string[], dots: boolean): Place | undefined
  exists(path: string): Promise<boolean>
}

interface Known {
  place: Place
  /** As it is named, and as it truly is. */
  forms: string[]
  truth: string
}

interface Identity {
  id: string
  isFile: boolean
  names: bigint
}

export async function createLookout(places: readonly Place[], where: Surroundings): Promise<Lookout> {
  const links = new Map<string, Promise<string | undefined>>()
  const identities = new Map<string, Promise<Identity | undefined>>()
  const isCaseless = where.platform === 'darwin' || where.platform === 'win32'
  const fold = (path: string): string => (isCaseless ? path.normalize('NFC').toLowerCase() : path)

  const linkAt = (path: string) => remember(links, path, () => readlink(path).catch(() => undefined))
  const identityOf = (path: string) => remember(identities, path, () => identify(path))
  const truthOf = (path: string, cwd: string) => truePath(path, cwd, linkAt)

  const known: Known[] = []
  for (const place of places) {
    const truth = await truthOf(place.path, where.directory)
    const identity = await identityOf(truth)
    // A reference to a folder is a mistake in the configuration, and guards nothing.
    if (place.kind === 'file' && identity !== undefined && !identity.isFile) continue
    known.push({ place, forms: [...new Set([normalize(place.path), truth])].map(fold), truth })
  }

  /** The places by the identities of files and folders that belong to each. */
  const byIdentity = async (pathsOf: (entry: Known) => string[] | Promise<string[]>): Promise<Map<string, Place>> => {
    const found = new Map<string, Place>()
    for (const entry of known) {
      for (const path of await pathsOf(entry)) {
        const identity = await identityOf(path)
        if (identity !== undefined) found.set(identity.id, entry.place)
      }
    }
    return found
  }
  const themselves = once(() => byIdentity(({ truth }) => [truth]))
  const withFiles = once(() => byIdentity(filesOf))

  const isAround = (form: string, { place, forms }: Known): boolean =>
    forms.some((target) => {
      if (form === target || (place.kind === 'stem' && isOfStem(target, form))) return true
      return place.kind === 'folder' && form.startsWith(withSep(target))
    })

  const ofIdentity = async (truth: string): Promise<Place | undefined> => {
    const itself = await identityOf(truth)
    for (const path of [truth, ...parents(truth)]) {
      const identity = await identityOf(path)
      const place = identity === undefined ? undefined : (await themselves()).get(identity.id)
      if (place !== undefined && (path === truth || place.kind === 'folder')) return place
    }
    // Another name of a file, that lies anywhere.
    const isShared = itself?.isFile === true && itself.names > 1n
    return isShared ? (await withFiles()).get(itself.id) : undefined
  }

  const formsOf = async (path: string, cwd: string): Promise<Set<string>> => {
    const absolute = isAbsolute(path) ? path : `${cwd}${sep}${path}`
    const forms = new Set([normal(absolute), await truthOf(absolute, cwd)])
    for (const form of [...forms]) forms.add(await truthOf(form, cwd))
    return forms
  }

  return {
    async around(path, cwd) {
      if (path.includes('\0')) return undefined
      const memory = memoryOf(path, cwd)
      if (memory !== undefined) return memory
      for (const form of await formsOf(path, cwd)) {
        const place = known.find((entry) => isAround(fold(form), entry))?.place ?? (await ofIdentity(form))
        if (place !== undefined) return place
      }
      return undefined
    },
    aroundByName(path, cwd) {
      const form = fold(normal(isAbsolute(path) ? path : `${cwd}${sep}${path}`))
      return known.find((entry) => isAround(form, entry))?.place
    },
    async below(path, cwd) {
      if (path.includes('\0')) return []
      const forms = [...(await formsOf(path, cwd))]
      const identities = new Set(await Promise.all(forms.map(async (form) => (await identityOf(form))?.id)))
      const found: Place[] = []
      for (const { place, forms: targets, truth } of known) {
        if ((await identityOf(truth)) === undefined) continue
        const isNamed = forms.some((form) => targets.some((target) => target.startsWith(withSep(fold(form)))))
        const holders = await Promise.all(parents(truth).map(async (parent) => (await identityOf(parent))?.id))
        if (isNamed || holders.some((id) => id !== undefined && identities.has(id))) found.push(place)
      }
      return found
    },
    async isInProject(path) {
      const root = parse(where.worktree).root
      const project = where.worktree === root ? where.directory : where.worktree
      const truth = fold(await truthOf(project, where.directory))
      const form = fold(await truthOf(isAbsolute(path) ? path : join(where.directory, path), where.directory))
      return form === truth || form.startsWith(withSep(truth))
    },
    fitting(pattern, dots) {
      const folded = pattern.map(fold)
      const found = known.find(({ place, forms }) =>
        forms.some((form) => mayFit(folded, components(form), place.kind === 'folder', dots)),
      )
      return found?.place
    },
    exists: async (path) => (await identityOf(path)) !== undefined,
  }
}

/**
 * The path without links and `..`, as the system walks it. Where it ends in what does not exist,
 * the rest stays as it is.
 */
async function truePath(
  path: string,
  cwd: string,
  linkAt: (path: string) => Promise<string | undefined>,
): Promise<string> {
  let at = parse(path).root
  let rest = components(path)
  let followed = 0
  let walked = 0
  while (rest.length > 0 && walked++ < 1_000) {
    if (at === '/' && rest[0] === 'proc') rest = withoutProcess(rest, components(cwd))
    const [name = '', ...others] = rest
    rest = others
    if (name === '.') continue
    if (name === '..') {
      at = dirname(at)
      continue
    }
    const next = join(at, name)
    const target = followed < MOST_LINKS ? await linkAt(next) : undefined
    if (target === undefined) {
      at = next
      continue
    }
    followed += 1
    if (isAbsolute(target)) at = parse(target).root
    rest = [...components(target), ...rest]
  }
  return rest.length === 0 ? at : join(at, ...rest)
}

/**
 * The names of a path from the root, without `/proc/<process>/root` and `…/cwd` before them: these
 * lead elsewhere for who follows them.
 */
export function withoutProcess(names: string[], cwd: string[]): string[] {
  const [proc, , third, , fifth] = names
  if (proc !== 'proc') return names
  const [link, rest] = third === 'task' ? [fifth, names.slice(5)] : [third, names.slice(3)]
  if (link === 'root') return withoutProcess(rest, cwd)
  return link === 'cwd' ? [...cwd, ...rest] : names
}

/** The variables or the memory of a process, such as OpenCode's own; a path as it is written. */
export function memoryOf(path: string, cwd: string): Place | undefined {
  const names = components(normalize(isAbsolute(path) ? path : join(cwd, path)))
  const start = names.indexOf('proc')
  if (start < 0 || names.slice(0, start).some((name) => !['proc', 'root'].includes(name))) return undefined
  const last = names.at(-1)
  if (names.length - start < 3 || (last !== 'environ' && last !== 'mem')) return undefined
  return { kind: 'file', path, what: 'the memory of a process, which may hold keys' }
}

async function filesOf({ place, truth }: Known): Promise<string[]> {
  if (place.kind === 'file') return [truth]
  const folder = place.kind === 'stem' ? dirname(truth) : truth
  try {
    const entries = await readdir(folder, { recursive: place.kind === 'folder' })
    const paths = entries.slice(0, MOST_FILES).map((name) => join(folder, name))
    return place.kind === 'stem' ? paths.filter((path) => isOfStem(truth, path)) : paths
  } catch {
    return []
  }
}

async function identify(path: string): Promise<Identity | undefined> {
  try {
    const found = await stat(path, { bigint: true })
    // Some file systems number nothing.
    if (found.ino === 0n) return undefined
    return { id: `${found.dev}:${found.ino}`, isFile: found.isFile(), names: found.nlink }
  } catch {
    return undefined
  }
}

function parents(path: string): string[] {
  const found: string[] = []
  for (let at = path; dirname(at) !== at; ) {
    at = dirname(at)
    found.push(at)
  }
  return found
}

/** Without `.`, `..` and a separator at the end. */
function normal(path: string): string {
  return normalize(path).replace(/(?<=.)[\\/]$/, '')
}

/** The names in a path, without its root. */
export function components(path: string): string[] {
  const names = path.slice(parse(path).root.length)
  return names.split(sep === '\\' ? /[\\/]/ : '/').filter((name) => name !== '')
}

function withSep(path: string): string {
  return path.endsWith(sep) ? path : path + sep
}

function remember<T>(kept: Map<string, Promise<T>>, key: string, read: () => Promise<T>): Promise<T> {
  const known = kept.get(key) ?? read()
  kept.set(key, known)
  return known
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}
