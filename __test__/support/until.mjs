import { setTimeout as sleep } from 'node:timers/promises'

/** How long something may take that takes milliseconds on a quiet machine: a busy one is given the rest. */
const LIMIT_MS = 30_000

/**
 * Waits until `condition` returns something truthy, and resolves to that. At the limit it throws, and says what was
 * missing: `what` is a sentence such as `the token is refreshed`, or a function that makes one then.
 */
export async function until(what, condition, limitMs = LIMIT_MS) {
  const endsAt = Date.now() + limitMs
  do {
    const found = await condition()
    if (found) return found
    await sleep(10)
  } while (Date.now() < endsAt)
  throw inVain(what, limitMs)
}

/** Waits for a promise, and ends as it does; at the limit it throws in the same way. */
export async function within(what, promise, limitMs = LIMIT_MS) {
  const timer = new AbortController()
  const limit = sleep(limitMs, undefined, { signal: timer.signal }).then(
    () => Promise.reject(inVain(what, limitMs)),
    () => {},
  )
  try {
    return await Promise.race([promise, limit])
  } finally {
    timer.abort()
  }
}

function inVain(what, limitMs) {
  return new Error(`waited ${limitMs / 1000} s in vain: ${typeof what === 'function' ? what() : what}`)
}
