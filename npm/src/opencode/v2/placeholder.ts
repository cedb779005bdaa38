/**
 * Under OpenCode 2: requests that go out with our placeholder instead of a credential. This works
 * when nothing else does, so nothing here needs the addon.
 */
import { readClaims } from '../claims.js'
import { PLACEHOLDER } from '../who-serves.js'
import { message } from '../words.js'
import { beginExchange, type Exchange } from './exchange.js'
import type { Context, ProviderEditor } from './host.js'

/** Tells whether a request has the placeholder in a header or in its address. */
export function carriesPlaceholder({ headers, url }: Request): boolean {
  return url.includes(PLACEHOLDER) || [...headers.values()].some((value) => value.includes(PLACEHOLDER))
}

/**
 * Has a provider's requests carry it. Also where there is no such provider yet: OpenCode adds what
 * the user's file says after the plugins, and over what they set.
 */
export function usePlaceholder(editor: ProviderEditor, id: string): void {
  editor.update(id, (provider) => {
    provider.activation = 'enabled'
    // No hook sees what goes by WebSocket; older and newer OpenCode ask for HTTP by one of these.
    provider.websocket = false
    provider.settings = { ...provider.settings, apiKey: PLACEHOLDER, transport: 'http' }
  })
}

/**
 * For when the plugin cannot start: such requests are not sent, and say why. All others are
 * OpenCode's own and go on.
 */
export async function refusePlaceholder(context: Context, fault: Error): Promise<void> {
  const refused = new WeakMap<Request, Exchange>()
  const refuse = () => Promise.reject(fault)
  await context.session.hook('http.request', async (event) => {
    if (!carriesPlaceholder(event.request)) return
    const exchange = await beginExchange(event.request, () => refuse, refusal)
    event.request = exchange.outgoing
    refused.set(exchange.outgoing, exchange)
  })
  await context.session.hook('http.response', async (event) => {
    const exchange = refused.get(event.request)
    if (exchange !== undefined) event.response = await exchange.finish(event.response)
  })
  if (typeof context.provider?.transform !== 'function') return
  const { vault } = await readClaims([], [])
  // Else it would be said that there is no such provider, or the request would go out bare.
  await context.provider.transform((editor) => {
    for (const id of vault.state === 'read' ? vault.withAccounts : []) usePlaceholder(editor, id)
  })
}

/** What OpenCode gets where nothing could be sent: our words, and a status that it does not retry. */
export function refusal(fault: unknown): Response {
  const text = message(fault instanceof Error ? fault.message : String(fault))
  const headers = { 'content-type': 'application/json', 'x-should-retry': 'false' }
  const error = { type: 'authentication_error', message: text }
  return new Response(JSON.stringify({ type: 'error', error }), { status: 401, headers })
}
