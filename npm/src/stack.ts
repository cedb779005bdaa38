/**
 * Where an error comes from: its stack begins at the caller of the library.
 *
 * The addon settles its promises from another thread, where no JavaScript is on the stack, so what
 * it rejects with says by itself nothing of the call.
 */
import { bare, read } from './own.js'

/** Holds the stack of a call, which is written out when it is asked for. */
export interface Caller {
  readonly stack?: string
}

/** Errors of the addon, as opposed to those of a `fetch`. */
const ours = new WeakSet<object>()

/** Returns where the function that is running was called. */
export function callerOf(running: (...args: never[]) => unknown): Caller {
  const caller: Caller = {}
  Error.captureStackTrace(caller, running)
  return caller
}

/** Returns the error with the stack of the call, as an error of this realm. */
export function from<E>(caller: Caller, error: E): E {
  if (!isError(error)) return error
  // The addon makes its errors in the realm that loaded it first; in another one, as jest has it for each file, they are no `Error`.
  if (!(error instanceof Error)) Object.setPrototypeOf(error, Error.prototype)
  const frames = framesOf(read(caller, 'stack'))
  if (frames === undefined) return error
  ours.add(error)
  const value = `${error.name}: ${error.message}${frames}`
  Object.defineProperty(error, 'stack', bare<PropertyDescriptor>({ value, writable: true, configurable: true }))
  return error
}

/** The same, of an error of the addon alone: what a `fetch` has thrown is the caller's as it is. */
export function ofOurs<E>(caller: Caller, error: E): E {
  return typeof error === 'object' && error !== null && ours.has(error) ? from(caller, error) : error
}

/** Returns the function with rejections that say where it was called. */
export function traced<Args extends unknown[], T>(
  call: (...args: Args) => Promise<T>,
  place: typeof from = from,
): (...args: Args) => Promise<T> {
  return function traced(...args) {
    const caller = callerOf(traced as (...args: never[]) => unknown)
    return call(...args).catch((error: unknown) => {
      throw place(caller, error)
    })
  }
}

/** Whether it is an error, of whichever realm. */
function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]'
}

function framesOf(stack: unknown): string | undefined {
  // A process may have its stacks made otherwise (`Error.prepareStackTrace`).
  const start = typeof stack === 'string' ? stack.search(/\n\s+at /) : -1
  return start < 0 ? undefined : (stack as string).slice(start)
}
