/**
 * Responses of Node whose body was read: the same object gives it once more.
 *
 * A new `Response` costs a tenth of a call on this machine's own network. In Node nothing but the
 * methods of a response looks at its body, so that these alone need another. Bun and Deno hand
 * responses to servers of their own, and there `reread` gives none.
 */
import { Readable } from 'node:stream'
import { type Bytes, streamOfBytes } from './source.js'

type Body = Bytes | ReadableStream<Uint8Array>

interface State {
  /** What was read before the caller asks for it. */
  body: Body | undefined
  /** A response that has the body. */
  inner: Response | undefined
  readonly rebuilt: Rebuilt
}

type Rebuilt = (response: Response, change: { body: Body }) => Response

const IS_NODE = process.versions.undici !== undefined && !('Bun' in globalThis) && !('Deno' in globalThis)

const states = new WeakMap<Response, State>()
const decoder = new TextDecoder()

/** Returns the response with this body, not a copy of it; `undefined` where that cannot be. */
export function reread(response: Response, body: Body, rebuilt: Rebuilt): Response | undefined {
  if (!IS_NODE || !isPlain(response)) return undefined
  states.set(response, { body, inner: undefined, rebuilt })
  readable ??= prototype()
  return Object.setPrototypeOf(response, readable)
}

/**
 * Tells whether a clone is the way to look into a response. For one of at most so many bytes it is the cheapest: Bun and Deno
 * share them. A compressed one stays as it is for Deno's server, which else sends on text that claims to be compressed.
 */
export function isReadAsClone(response: Response, most: number): boolean {
  if (IS_NODE || !isPlain(response)) return false
  return lengthOf(response) <= most || ('Deno' in globalThis && isCompressed(response))
}

/** The length of the body as it is read, where the response says it: that of a compressed one is another. */
export function lengthOf(response: Response): number {
  return isCompressed(response) ? Number.NaN : Number(response.headers.get('content-length') ?? Number.NaN)
}

function isCompressed({ headers }: Response): boolean {
  return (headers.get('content-encoding') ?? '') !== ''
}

/** Tells whether a response is as `fetch` made it. One that was changed has methods of its own. */
function isPlain(response: Response): boolean {
  return Object.getPrototypeOf(response) === ofRuntime() && !Object.hasOwn(response, 'clone')
}

/** The runtime's own prototype, which a server may have put another in front of. */
function ofRuntime(): Response {
  let own = Response.prototype
  for (;;) {
    const next = Object.getPrototypeOf(own) as Response
    if (next === null || !Object.hasOwn(next, 'clone')) return own
    own = next
  }
}

/** Reads the text of a body that is wholly there and still unread. */
function take(response: Response): string | undefined {
  const state = states.get(response)
  if (!(state?.body instanceof Uint8Array)) return undefined
  const text = decoder.decode(state.body)
  state.body = undefined
  return text
}

/**
 * The response that has the body; one that was read where it was taken. It has no more than what its methods need: to copy
 * all headers takes longer than to read.
 */
function innerOf(response: Response): Response {
  const state = states.get(response) as State
  if (state.inner === undefined) {
    const type = response.headers.get('content-type')
    state.inner = new Response(
      state.body ?? new Uint8Array(1),
      type === null ? {} : { headers: { 'content-type': type } },
    )
    if (state.body === undefined) void state.inner.arrayBuffer()
    state.body = undefined
  }
  return state.inner
}

/** Tells whether a stream was read from, or cancelled. */
function isRead(stream: ReadableStream): boolean {
  return Readable.isDisturbed(stream as unknown as Readable)
}

/** Made with the first response: Node loads its whole `fetch` with the class. */
let readable: object | undefined

function prototype(): object {
  const own = ofRuntime()
  /** Runs for a response of ours; for anything else the runtime says what it says. */
  const method = <T>(name: keyof Response | 'bytes', run: (response: Response) => T): PropertyDescriptor => {
    const value = function (this: Response): T {
      return states.has(this) ? run(this) : (Reflect.apply(own[name as 'json'], this, []) as T)
    }
    return { value, configurable: true, writable: true }
  }
  const getter = <T>(name: keyof Response, get: (response: Response, state: State) => T): PropertyDescriptor => ({
    get(this: Response): T {
      const state = states.get(this)
      return state === undefined ? (Reflect.get(own, name, this) as T) : get(this, state)
    },
    configurable: true,
  })
  return Object.create(own, {
    body: getter('body', (response, state) => {
      // The body that another response makes takes longer.
      if (state.body instanceof Uint8Array && state.body.length > 0) state.body = streamOfBytes(state.body)
      return state.body instanceof ReadableStream ? state.body : innerOf(response).body
    }),
    bodyUsed: getter('bodyUsed', (_, state) => {
      if (state.inner !== undefined) return state.inner.bodyUsed
      return state.body instanceof ReadableStream ? isRead(state.body) : state.body === undefined
    }),
    text: method('text', async (response) => take(response) ?? innerOf(response).text()),
    json: method('json', async (response) => {
      const text = take(response)
      return text === undefined ? innerOf(response).json() : JSON.parse(text)
    }),
    clone: method('clone', (response) => {
      const { body } = innerOf(response).clone()
      return (states.get(response) as State).rebuilt(response, { body: body as Body })
    }),
    ...Object.fromEntries(
      (['arrayBuffer', 'blob', 'bytes', 'formData'] as const)
        .filter((name) => name in own)
        .map((name) => [name, method(name, async (response) => innerOf(response)[name as 'arrayBuffer']())]),
    ),
  })
}
