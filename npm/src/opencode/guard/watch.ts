/** Whether a word that may name a file leads to a guarded place. */
import { basename, isAbsolute, join, parse, sep } from 'node:path'
import { expandOnDisk, fits, isPattern, LONGEST_PATH, plain, UNKNOWN } from './globs.js'
import { components, createLookout, memoryOf, withoutProcess } from './places.js'
import { type Place, protectedPlaces, type Surroundings } from './protected.js'
import type { Sweep } from './sweeps.js'

/** So many paths are looked up on the disk for one call of a tool; more are compared by name. */
const MOST_LOOKUPS = 2_000

/** So many files that one pattern fits are looked up; of more, the pattern alone is compared. */
const MOST_FITTING = 500

export interface Watch {
  where: Surroundings
  /** Whether a path is worth a look at the disk: a name of a guarded place is in it. */
  mayBe(path: string): boolean
  /**
   * The guarded place that a path of a tool is or is in. Such a path may start with `~` or `file:`.
   */
  ofPath(path: unknown, bases?: readonly string[]): Promise<Place | undefined>
  /** The same of a pattern of `globs.ts`; `dots`: a `*` fits hidden files as well. */
  ofPattern(pattern: string, bases: readonly string[], dots?: boolean): Promise<Place | undefined>
  /** The guarded place below a folder that a sweep over the folder would give away. */
  below(folder: string, bases: readonly string[], sweep: Pick<Sweep, 'deed' | 'names'>): Promise<Place | undefined>
}

export async function createWatch(where: Surroundings): Promise<Watch> {
  const places = await protectedPlaces(where)
  const lookout = await createLookout(places, where)
  const names = places.map(({ path }) => basename(path).toLowerCase())
  let lookups = 0

  const ofPath = async (path: unknown, bases: readonly string[] = basesOf(where)): Promise<Place | undefined> => {
    if (typeof path !== 'string' || path === '' || path.length > LONGEST_PATH) return undefined
    for (const form of formsOf(path, where)) {
      for (const base of isAbsolute(form) ? bases.slice(0, 1) : bases) {
        const isLate = lookups++ >= MOST_LOOKUPS
        const place = isLate ? lookout.aroundByName(form, base) : await lookout.around(form, base)
        if (place !== undefined) return place
      }
    }
    return undefined
  }

  const fitting = async (pattern: string, base: string, dots: boolean): Promise<Place | undefined> => {
    const absolute = isAbsolute(pattern) ? pattern : `${base.replace(/[\\*?[\]]/g, '\\$&')}/${pattern}`
    const secret = memoryOf(plain(absolute), base)
    if (secret !== undefined) return secret
    const names = withoutProcess(components(absolute), components(base))
    const { root } = parse(absolute)
    const paths = lookups > MOST_LOOKUPS ? undefined : await expandOnDisk(root, names, dots)
    // What is not known may come to anything; so it counts only where it fits what is there.
    if (paths === undefined || paths.length > MOST_FITTING || names.includes('**')) {
      const place = pattern.includes(UNKNOWN) ? undefined : lookout.fitting(names, dots)
      if (place !== undefined) return place
    }
    for (const path of (paths ?? []).slice(0, MOST_FITTING)) {
      lookups += 1
      const place = await lookout.around(path, base)
      if (place !== undefined && (await lookout.exists(path))) return place
    }
    return undefined
  }

  /** Whether a sweep that starts in a folder may go over a place. */
  const mayPass = async (place: Place, folder: string, { deed, names }: Pick<Sweep, 'deed' | 'names'>) => {
    // Of a search's output, what comes from guarded files is left out afterwards.
    if (place.kind === 'folder') return deed === 'search' && (await lookout.isInProject(folder))
    if (deed === 'search') return true
    // Else a project that has such a file could not be copied.
    if (deed === 'copy') return lookout.isInProject(place.path)
    return names.length > 0 && !names.some((name) => fits(name.toLowerCase(), basename(place.path).toLowerCase(), true))
  }

  return {
    where,
    mayBe: (path) => names.some((name) => path.toLowerCase().includes(name)),
    ofPath,
    async ofPattern(pattern, bases, dots = false) {
      if (pattern.length > LONGEST_PATH) return undefined
      if (!isPattern(pattern)) return ofPath(plain(pattern), bases)
      // What begins with the unknown can be anywhere; most often it is the home folder or the
      // project.
      const isAnywhere = pattern.startsWith(UNKNOWN)
      if (isAnywhere && pattern[1] !== '/') return undefined
      const starts = isAnywhere ? ['/', where.home, ...basesOf(where), ...bases] : bases
      for (const form of formsOf(isAnywhere ? pattern.slice(2) : pattern, where)) {
        for (const base of isAbsolute(form) ? starts.slice(0, 1) : starts) {
          if (!isPattern(form)) {
            const place = await ofPath(plain(form), [base])
            if (place !== undefined) return place
            continue
          }
          const place = await fitting(form, base, dots)
          if (place !== undefined) return place
        }
      }
      return undefined
    },
    async below(folder, bases, sweep) {
      if (folder.length > LONGEST_PATH) return undefined
      for (const form of formsOf(folder, where)) {
        for (const base of isAbsolute(form) ? bases.slice(0, 1) : bases) {
          for (const place of await lookout.below(form, base)) {
            if (!(await mayPass(place, isAbsolute(form) ? form : join(base, form), sweep))) return place
          }
        }
      }
      return undefined
    },
  }
}

/** Where a relative path of a tool may start. */
export function basesOf({ directory, worktree }: Surroundings): string[] {
  return directory === worktree ? [directory] : [directory, worktree]
}

/** What a text may mean as a path: itself, and with the home folder for its `~`. */
function formsOf(text: string, { home, platform }: Surroundings): string[] {
  const path = text.startsWith('\\~') ? text.slice(1) : text
  const [first = '', ...rest] = path.split('/')
  const forms = [path]
  if (first === '~' || first === `~${basename(home)}`) forms.push([home, ...rest].join('/'))
  if (first === '~+') forms.push(['.', ...rest].join('/'))
  if (/^file:/i.test(path)) forms.push(filePath(path))
  if (platform === 'win32' && /^\/[A-Za-z]:/.test(path)) forms.push(path.slice(1))
  return forms
}

/** The path of a `file:` URL, whatever is wrong with it. */
function filePath(url: string): string {
  const rest = url.slice('file:'.length).replace(/^\/\/(localhost(?=\/))?/i, '')
  const path = rest.replace(/[?#][\s\S]*$/, '')
  try {
    return decodeURIComponent(path).replaceAll('/', sep)
  } catch {
    return path
  }
}
