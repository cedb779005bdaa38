/** The `fetch` of the proxy. */

type Fetch = typeof globalThis.fetch
type Dispatcher = new (options: { headersTimeout: number; bodyTimeout: number }) => object

/** Under which Node's `fetch` keeps what makes its connections, from the first `Request` on. */
const DISPATCHER = Symbol.for('undici.globalDispatcher.1')

let dispatcher: object | undefined

/**
 * A `fetch` that waits for as long as the client does: Node's gives up after five minutes without a byte, and an answer that
 * is not streamed may take longer.
 */
export const patientFetch: Fetch = (input, init) => {
  dispatcher ??= patientDispatcher()
  return fetch(input, { ...init, dispatcher } as RequestInit)
}

function patientDispatcher(): object | undefined {
  void new Request('http://127.0.0.1/')
  const own = (globalThis as { [DISPATCHER]?: object })[DISPATCHER]
  return own === undefined ? undefined : new (own.constructor as Dispatcher)({ headersTimeout: 0, bodyTimeout: 0 })
}
