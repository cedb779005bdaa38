/** What to say of an addon that does not load, read when one does not: most do. Taken for `fault.ts` as `../later.ts` is. */
import type { LoadError } from './fault.js'
import type { Search } from './tried.js'

declare function require(name: './fault.js'): typeof import('./fault.js')

export function notLoaded(search: Search): LoadError {
  return require('./fault.js').notLoaded(search)
}
