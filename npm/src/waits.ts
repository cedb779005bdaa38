/** Calls of the addon that wait, and the signals that end their waiting. */
import { addon } from './addon.js'
import { read } from './own.js'

/** Makes a call that waits. An abort of `options.signal` ends the wait. */
export function waitFor<Options extends { signal?: AbortSignal }, T>(
  options: Options,
  call: (options: Options, wait?: number) => Promise<T>,
): Promise<T> {
  const signal = read(options, 'signal')
  if (signal == null) return call(options)
  const wait = addon.beginWait()
  const end = (): void => addon.endWait(wait)
  const forget = (): void => {
    signal.removeEventListener('abort', end)
    end()
  }
  // Before the call: on its own thread it would ask a provider by the time that it is called off.
  if (signal.aborted) end()
  else signal.addEventListener('abort', end, { once: true })
  const outcome = call(options, wait)
  outcome.then(forget, forget)
  return outcome
}
