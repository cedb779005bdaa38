/**
 * Reads objects without what every object of the process inherits.
 *
 * A merge of strange JSON somewhere in the process can put a property on `Object.prototype`. The
 * library does not take it for an option, a header or an address: what counts is an object's own
 * property, or its class's. What replaces `fetch`, `Request` or their methods is the process's own
 * code, and trusted.
 */

/**
 * Returns a property of an object or of its class; never one of the prototype at the end of the
 * chain, which all share.
 */
export function read<T extends object, K extends keyof T>(object: T | null | undefined, name: K): T[K] | undefined {
  // Read once, and first: what is not there at all is the usual case, on the path of every request.
  const value = object?.[name]
  return value === undefined || has(object, name) ? value : undefined
}

/** Tells whether `read` finds such a property. */
export function has<T, K extends PropertyKey>(object: T, name: K): object is T & Record<K, unknown> {
  if (object === null || object === undefined) return false
  if (Object.hasOwn(object, name)) return true
  for (let holder = Object.getPrototypeOf(object); holder !== null; ) {
    const next = Object.getPrototypeOf(holder)
    if (next !== null && Object.hasOwn(holder, name)) return true
    holder = next
  }
  return false
}

/** Objects that inherit nothing. V8 keeps what `Object.create(null)` makes as slow dictionaries. */
const Bare = function Bare() {} as unknown as new () => object
Bare.prototype = Object.create(null)

/** Returns an object that inherits nothing, with the own properties of these; those of the second win. */
export function bare<T extends object>(first?: Partial<T> | null, second?: Partial<T> | null): T {
  const object = new Bare() as T
  if (first != null) Object.assign(object, first)
  if (second != null) Object.assign(object, second)
  return object
}
