/**
 * Under OpenCode 2: the requests of the providers that are ours, by the hooks around each request.
 */
import { withHeaders } from '../../response.js'
import { beginExchange, type Exchange } from './exchange.js'
import type { Context, SessionHooks } from './host.js'
import { refusal } from './placeholder.js'
import type { Providers } from './providers.js'

type Fetch = typeof globalThis.fetch
type RequestEvent = SessionHooks['http.request'] | SessionHooks['retry']

export interface RequestParts {
  providers: Pick<Providers, 'isOurs'>
  /** The fetch of a provider that is ours, over one that sends. */
  fetchOf(provider: string, send: Fetch): Fetch
}

/**
 * How many requests are kept that another plugin may have replaced. They are found by session, and
 * one that OpenCode gave up never comes back.
 */
const OPEN_REQUESTS = 64

/** Registers the hooks. */
export async function handleRequests(context: Context, { providers, fetchOf }: RequestParts): Promise<void> {
  const byRequest = new WeakMap<Request, Exchange>()
  const bySession = new Map<string, Exchange>()
  const restsUntil = new Map<string, number>()

  await context.session.hook('http.request', async (event) => {
    const { providerID } = event.model
    const place = placeOf(event)
    // What OpenCode gave up before has no answer any more, and this request may not be ours.
    bySession.delete(place)
    restsUntil.delete(place)
    if (!providers.isOurs(providerID, event.request)) return
    const exchange = await beginExchange(event.request, (send) => fetchOf(providerID, send), refusal)
    event.request = exchange.outgoing
    byRequest.set(exchange.outgoing, exchange)
    keep(bySession, place, exchange, OPEN_REQUESTS)
  })

  await context.session.hook('http.response', async (event) => {
    const place = placeOf(event)
    const exchange = byRequest.get(event.request) ?? bySession.get(place)
    if (exchange === undefined) return
    bySession.delete(place)
    const response = await exchange.finish(event.response)
    const restMs = restOf(response)
    if (restMs !== undefined) keep(restsUntil, place, Date.now() + restMs, OPEN_REQUESTS)
    // OpenCode heeds this header before it asks whether to wait.
    event.response = restMs === undefined ? response : withHeaders(response, { 'x-should-retry': 'true' })
  })

  await context.session.hook('retry', (event) => {
    const place = placeOf(event)
    const until = restsUntil.get(place)
    if (until === undefined) return
    restsUntil.delete(place)
    event.decision = { retry: true, delay: Math.max(0, until - Date.now()) }
  })
}

/** What the three hooks have in common to know a request by. */
function placeOf({ sessionID, agent, model }: RequestEvent): string {
  return JSON.stringify([sessionID, agent, model.providerID, model.id])
}

/** Puts it last, and drops the oldest where there are too many. */
function keep<T>(map: Map<string, T>, key: string, value: T, limit: number): void {
  map.delete(key)
  map.set(key, value)
  for (const oldest of map.keys()) {
    if (map.size <= limit) return
    map.delete(oldest)
  }
}

/** How long every account rests, where a response says so. */
function restOf({ status, headers }: Response): number | undefined {
  const ms = headers.get('retry-after-ms')
  return (status === 429 || status === 503) && ms !== null && ms !== '' && Number(ms) >= 0 ? Number(ms) : undefined
}
