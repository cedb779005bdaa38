/** Waiting that ends at once when the caller aborts, and leaves no listener behind. */

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

/** Resolves to `undefined` after `ms`, unless `stop` is called first. */
export function deadline(ms: number): { readonly passed: Promise<undefined>; readonly stop: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined
  const passed = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined)
  })
  return { passed, stop: () => clearTimeout(timer) }
}
