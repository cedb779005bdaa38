/**
 * One request of OpenCode 2 through a `fetch` of ours.
 *
 * OpenCode makes the first attempt itself, so that it can end it when the user does; the hook
 * before it gets what is to be sent, and the hook after it brings what came. Attempts after that
 * are made here: OpenCode would try again for some answers and not for others.
 */
import { discard } from '../../response.js'

type Fetch = typeof globalThis.fetch

export interface Exchange {
  /** What OpenCode is to send. Where nothing may be sent, it goes nowhere. */
  readonly outgoing: Request
  /** Takes what came, and returns what OpenCode gets. Never rejects. */
  finish(came: Response): Promise<Response>
}

/** Answers from within the process, on every runtime: nothing is sent. */
const NOWHERE = 'data:,'

/**
 * Begins the request. `fetchWith` makes the fetch that decides, over the one that sends; `failed`
 * says what OpenCode gets when that rejects.
 */
export async function beginExchange(
  request: Request,
  fetchWith: (send: Fetch) => Fetch,
  failed: (fault: unknown) => Response,
): Promise<Exchange> {
  const [sent, send] = signal<Request>()
  const [came, answer] = signal<Response>()
  let attempts = 0
  const fetch: Fetch = async (input, init) => {
    attempts += 1
    if (attempts > 1) return globalThis.fetch(input, init)
    send(new Request(input, init))
    return came
  }
  const { method } = request
  const body = request.body === null ? null : new Uint8Array(await request.arrayBuffer())
  const result = fetchWith(fetch)(request.url, { method, headers: request.headers, body }).catch(failed)
  const outgoing = await Promise.race([sent, result.then(() => new Request(NOWHERE))])
  return {
    outgoing,
    finish(response) {
      if (attempts === 0) discard(response)
      answer(response)
      return result
    },
  }
}

function signal<T>(): [promise: Promise<T>, resolve: (value: T) => void] {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return [promise, resolve]
}
