/** Why the library could not be loaded, in a line. Imports nothing: it is needed when nothing loads. */
import type { LoadError } from '../loader/fault.js'

/** Returns the cause that the loader of the addon has found, or what else was thrown. */
export function loadReason(fault: unknown): string {
  const { code, why, remedies, message = String(fault) } = (fault ?? {}) as Partial<LoadError>
  return code === 'ADDON_NOT_LOADED' && why !== undefined
    ? [why, remedies?.[0]].filter(Boolean).join(' What to do: ')
    : message
}
