/** Waiting that ends at once when the caller aborts, and leaves no listener behind. */
import { clearImmediate, setImmediate } from 'node:timers'

/** Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. */
export async function rest(ms: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  try {
    await abortable(over, signal)
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Resolves as `promise` does, or rejects with the signal's reason as soon as it aborts. The promise
 * itself goes on unheard.
 */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  let onAbort = (): void => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort)
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** A read of an answer; in Deno it does not always end when the call is aborted. */
export function heeding<T>(read: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return 'Deno' in globalThis ? abortable(read, signal) : read
}

/**
 * Returns what waits for one promise after the other, for `ms` in all: each resolves as the promise
 * does, or to `undefined` when the time is over, or rejects with the signal's reason when it aborts.
 * What is there within a turn of the event loop takes neither a timer nor a listener.
 */
export function patience(
  ms: number,
  signal: AbortSignal | undefined,
): <T>(promise: Promise<T>) => Promise<T | undefined> {
  const until = performance.now() + ms
  return <T>(promise: Promise<T>) =>
    new Promise<T | undefined>((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout> | undefined
      const onAbort = (): void => end(() => reject(signal?.reason))
      const turn = setImmediate(() => {
        if (signal?.aborted === true) return onAbort()
        timer = setTimeout(end, until - performance.now(), () => resolve(undefined))
        signal?.addEventListener('abort', onAbort)
      })
      function end(settle: () => void): void {
        if (timer === undefined) clearImmediate(turn)
        else {
          clearTimeout(timer)
          signal?.removeEventListener('abort', onAbort)
        }
        settle()
      }
      promise.then(
        (value) => end(() => resolve(value)),
        (error: unknown) => end(() => reject(error)),
      )
    })
}
