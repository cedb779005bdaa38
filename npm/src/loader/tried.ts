/** What the loader of the addon has looked at, for the error when none loads. */
import type { Home } from './home.js'

/** Names the file of another addon, which is then the only one that is tried. */
export const VARIABLE = 'PROVIDER_AUTH_ADDON'
/** The same, read by every package that napi-rs builds: what it names may be another one's. Ours comes first. */
export const SHARED_VARIABLE = 'NAPI_RS_NATIVE_LIBRARY_PATH'

/** What one of the variables names. */
export interface Named {
  readonly variable: string
  readonly file: string
}

/** A place that was looked at, and why no addon is loaded from it. */
export interface Tried {
  /** A file, or the name of a package. */
  readonly place: string
  /** `relative`: a path that would depend on the current folder. `name`: one that does not end with `.node`. `foreign`: another package's addon. */
  readonly why: 'absent' | 'relative' | 'name' | 'cut' | 'foreign' | 'version' | 'failed'
  /** The file that should be the addon. */
  readonly file?: string
  /** With `failed`. */
  readonly error?: unknown
  /** With `cut`: how many bytes there are, and how many there should be. */
  readonly bytes?: readonly [present: number, whole: number]
  /** With `version`: the addon's. */
  readonly version?: string
}

export interface Search {
  readonly home: Home
  /** Which of the two addons is needed: the one with the store, where its package is installed. */
  readonly family: string
  /** Names of the platforms' addons that would fit, without the family. */
  readonly names: readonly string[]
  readonly tried: readonly Tried[]
  /** Absent where no variable names an addon of ours. */
  readonly named: Named | undefined
}
