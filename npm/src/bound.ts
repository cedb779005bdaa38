/**
 * Finds what in a call only the account that made it can serve. Which fields and paths these are
 * comes from the provider's descriptor; what follows from it is decided natively.
 */
import type { BoundItems } from './addon.js'
import type { Said } from './said.js'

/** Returns a name of the first such item, or `undefined` when any account may serve. */
export function boundItemOf(url: string, { item }: Said, paths: BoundItems['paths']): string | undefined {
  for (const part of paths) {
    if (!url.includes(part)) continue
    const path = url.split(/[?#]/, 1)[0] as string
    const id = path.split(part)[1]?.split(/[/:]/, 1)[0]
    if (id) return id
  }
  return item
}
