/** One request of a client, to the answer that it gets. */
import { once } from 'node:events'
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { createAuthFetch } from '../library.js'
import { patientFetch } from './fetch.js'
import { mentions, stranger } from './guard.js'
import { forClient, forProvider, givesToken } from './headers.js'
import { REPLAY_BYTES } from './limits.js'
import { answerOf, type Refusal, refusalOf } from './refusals.js'
import { type Origins, type Target, targetOf } from './target.js'

export interface Desk {
  port: number
  token: Buffer
  origins: Origins
}

/** A request that may go on. */
interface Admitted extends Target {
  headers: [name: string, value: string][]
}

/** Serves a request. Never rejects. */
export async function serve(request: IncomingMessage, response: ServerResponse, desk: Desk): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) gone.abort()
  })
  try {
    const admitted = admit(request, desk)
    if ('status' in admitted) return refuse(request, response, admitted)
    if (request.headers.expect !== undefined) response.writeContinue()
    const answer = await send(request, admitted, gone.signal)
    await handOn(answer, response, gone.signal)
  } catch (error) {
    // A client that has the beginning of an answer learns from its broken end that it is not whole.
    if (response.headersSent || gone.signal.aborted) breakOff(request, response)
    else {
      refuse(request, response, refusalOf(error))
      // An answer that cannot be handed on is not read to its end.
      gone.abort()
    }
  }
}

/** Says what goes to which provider, or why nothing does. */
function admit(request: IncomingMessage, { port, token, origins }: Desk): Admitted | Refusal {
  const refusal = stranger(request, port)
  if (refusal !== undefined) return refusal
  const target = targetOf(request.url ?? '', origins, token)
  // Who does not know the token learns nothing more.
  if (!givesToken(request.rawHeaders, token) && !('hasToken' in target && target.hasToken))
    return {
      status: 401,
      code: 'PROXY_TOKEN_REFUSED',
      message: "the key is not this proxy's token; next: provider-auth proxy env <provider>, which prints it",
    }
  if ('status' in target) return target
  if (mentions(target.url, token))
    return {
      status: 400,
      code: 'INVALID_ARGUMENT',
      message: 'the token stands in the address, which the provider gets: give it as the key of the client',
    }
  if (/websocket/i.test(request.headers.upgrade ?? ''))
    return { status: 501, code: 'UPGRADE_REFUSED', message: 'the proxy serves no WebSockets' }
  if (['TRACE', 'CONNECT'].includes(request.method ?? ''))
    return { status: 501, code: 'INVALID_ARGUMENT', message: `the proxy serves no ${request.method}` }
  if (['GET', 'HEAD'].includes(request.method ?? '') && hasBody(request))
    return { status: 400, code: 'INVALID_ARGUMENT', message: `a ${request.method} has no body` }
  return { ...target, headers: forProvider(request.rawHeaders, token) }
}

/** Sends it with the credential of an account, and again with that of another one where that helps. */
function send(request: IncomingMessage, target: Admitted, signal: AbortSignal): Promise<Response> {
  const { provider, namespace, url, headers } = target
  const pool = namespace === undefined ? {} : { namespace }
  const fetch = createAuthFetch({ provider, ...pool, fetch: patientFetch, maxReplayBytes: REPLAY_BYTES })
  const init: RequestInit = { method: request.method ?? 'GET', headers, signal }
  if (hasBody(request)) init.body = request as unknown as ReadableStream
  // What is not kept goes on with the length that the client gave, since some servers take no other.
  const length = request.headers['content-length']
  if (Number(length) > REPLAY_BYTES) headers.push(['content-length', length as string])
  return fetch(url, init)
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** Hands an answer on as it comes, and no faster than the client reads it. */
async function handOn(answer: Response, response: ServerResponse, signal: AbortSignal): Promise<void> {
  // Its words may be in letters that Node does not write.
  const words = /^[\t\x20-\x7e]*$/.test(answer.statusText) ? answer.statusText : ''
  response.writeHead(answer.status, words, forClient(answer.headers))
  const reader = answer.body?.getReader()
  if (reader === undefined) return void response.end()
  response.flushHeaders()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return void response.end()
    if (!response.write(value)) await once(response, 'drain', { signal })
  }
}

function refuse(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  const [status, headers, body] = answerOf(refusal)
  // Its client may leave the body out, and the next request would be taken for it.
  if (request.headers.expect !== undefined) headers.connection = 'close'
  response.writeHead(status, STATUS_CODES[status], headers).end(body)
}

/** Ends an answer so that the client cannot take it for whole: one of HTTP/1.0 ends with its connection. */
function breakOff({ httpVersion, socket }: IncomingMessage, response: ServerResponse): void {
  if (httpVersion === '1.0') socket.resetAndDestroy()
  else response.destroy()
}
