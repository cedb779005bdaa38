/**
 * Why the library could not be loaded. The loader that napi writes blames npm for every failure,
 * and has the true reasons among its causes. Imports nothing: it is needed when nothing loads.
 */

/** How many causes are looked at: the loader tries four places, and each may have a cause. */
const MOST_CAUSES = 16

/** Returns the reason that tells most: the addon's own, not the places where there was none. */
export function loadReason(fault: unknown): string {
  const messages: string[] = []
  let cause = fault
  for (let depth = 0; depth < MOST_CAUSES && cause instanceof Error; depth += 1) {
    messages.push(cause.message)
    cause = cause.cause
  }
  if (messages.length === 0) return String(fault)
  const isAbsence = (message: string) => /^Cannot find (native binding|module|package)/.test(message)
  return (
    messages.find((message) => !isAbsence(message)) ??
    (messages.length === 1
      ? (messages[0] as string)
      : `the package has no addon for this platform (${process.platform}, ${process.arch}); install it again`)
  )
}
