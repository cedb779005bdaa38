/**
 * A `fetch` that authenticates each request with an account of a pool, and tries again within the
 * same call when the broker says so. Which account, whether to retry and how long to wait is
 * decided natively; here is only the doing.
 */
import type {
  AuthError,
  AuthFetchInit,
  AuthFetchOptions,
  AuthHeaders,
  AuthRequest,
  ResponseReport,
  Verdict,
} from '../../index.js'
import { addon, type Rotation } from './addon.js'
import { boundItemOf } from './bound.js'
import { type Call, type FetchInput, modelOf, readCall, sessionOf } from './call.js'
import { boundItems, headerRules, OBSERVED_HEADERS, streamKind } from './facts.js'
import { failureOf } from './failure.js'
import { observed } from './headers.js'
import { look, mayBeError } from './json.js'
import { type Ask, leaseNow, requestOf } from './lease.js'
import { REPLAY_BYTES } from './limits.js'
import { checkFetchOptions } from './options.js'
import { bare, read } from './own.js'
import { failsIntegrity, follow, isMisuse, isRedirect, send } from './redirect.js'
import { headersFor, reportResponse } from './requests.js'
import { discard, exhaustedResponse, readErrorText, retryHeaders, withHeaders } from './response.js'
import { type Said, saidIn } from './said.js'
import { reportSoon } from './served.js'
import { isEventStream, type Late, peek } from './sse.js'
import { callerOf, from, ofOurs } from './stack.js'
import { abortable, rest } from './wait.js'

type Fetch = typeof globalThis.fetch

const OBSERVED: ReadonlySet<string> = new Set(OBSERVED_HEADERS)

type Instruction = Pick<Verdict, 'action' | 'delayMs' | 'retryAt' | 'final'>

/** How an attempt ended. */
interface Outcome {
  readonly attempt: string
  /** What the caller would get. */
  readonly response: Response | undefined
  /** What the response says of an error. */
  readonly body: string | undefined
  readonly failure: ResponseReport['failure']
  /** What `fetch` threw, when no response came. */
  readonly error: unknown
  /** What the caller gets whatever the verdict: the answer of another origin. */
  readonly instead: (() => Promise<Response>) | undefined
}

/**
 * Wraps a `fetch`; `index.d.ts` says what a caller may rely on.
 *
 * @throws {AuthError} only when no request was made, and never for a pool that is merely cooling
 */
export function createAuthFetch(
  options: AuthFetchOptions,
): (input: FetchInput, init?: AuthFetchInit) => Promise<Response> {
  let rotation: Rotation | null
  try {
    checkFetchOptions(options)
    rotation = addon.requestRotation(options)
  } catch (error) {
    throw from(callerOf(createAuthFetch), error)
  }
  const [given, model, session, onTrace] = [
    read(options, 'fetch'),
    read(options, 'model'),
    read(options, 'session'),
    read(options, 'onTrace'),
  ]
  const [provider, namespace, account] = [
    read(options, 'provider') as string,
    read(options, 'namespace'),
    read(options, 'account'),
  ]
  const maxReplayBytes = read(options, 'maxReplayBytes') ?? REPLAY_BYTES
  const peekStream = read(options, 'peekStream') ?? true
  const ways = { given, rotation, provider, peekStream, onTrace }

  return function authFetch(input: FetchInput, init?: AuthFetchInit) {
    let call: ReturnType<typeof readCall>
    try {
      call = readCall(input, init, maxReplayBytes)
      if (!(call instanceof Promise)) return serve(ways, call, askOf(call, init), authFetch)
    } catch (error) {
      return Promise.reject(ofOurs(callerOf(authFetch), error))
    }
    const caller = callerOf(authFetch)
    const served = call.then((call) => serve(ways, call, askOf(call, init)))
    return served.catch((error: unknown) => {
      throw ofOurs(caller, error)
    })
  }

  function askOf(call: Call, init: AuthFetchInit | undefined): Ask {
    const { url, overrides } = call
    const { fields, paths } = boundItems(provider)
    const said = saidIn(call.text, fields)
    const chosen = choose(model, modelOf, call, said, init)
    const conversation = choose(session, sessionOf, call, said, init)
    return {
      provider,
      namespace,
      url,
      model: overrides?.model ?? chosen,
      session: overrides?.session ?? conversation,
      account: overrides?.account ?? account,
      boundBy: boundItemOf(url, said, paths),
      cacheTtl: said.cacheTtl,
    }
  }
}

/** How the requests of a pool are served. */
interface Ways {
  readonly given: Fetch | undefined
  readonly rotation: Rotation | null
  readonly provider: string
  readonly peekStream: boolean
  readonly onTrace: AuthFetchOptions['onTrace']
}

/** Serves a call. Errors of the first ask begin where `called` was called, if it is running. */
async function serve(ways: Ways, call: Call, ask: Ask, called?: (...args: never[]) => unknown): Promise<Response> {
  const fetch = ways.given ?? globalThis.fetch
  const { rotation, onTrace } = ways
  let auth: AuthHeaders
  try {
    const atHand = onTrace === undefined ? leaseNow(ask, rotation, called) : undefined
    auth = atHand ?? (await headersFor(explained(requestOf(ask, call.signal), onTrace), rotation, called))
  } catch (error) {
    call.signal?.throwIfAborted()
    // What is wrong with an address that cannot be parsed, `fetch` says itself.
    if (!URL.canParse(call.url)) return fetch(call.url)
    return withoutCredential(error as AuthError, undefined)
  }
  for (;;) {
    tell(onTrace, auth)
    const outcome = await tryOnce(fetch, call, auth, ways)
    if (isServed(outcome)) {
      reportSoon(auth.attempt, outcome.response)
      return outcome.response
    }
    const verdict = await settle(outcome, call.signal)
    const isOver = verdict.action === 'deliver' || outcome.instead !== undefined || !call.payload.replayable
    if (isOver) return deliver(outcome, verdict)
    await rest(verdict.delayMs, call.signal)
    try {
      const retry = bare<AuthRequest>(requestOf(ask, call.signal), { retryOf: auth.attempt })
      auth = await headersFor(explained(retry, onTrace), rotation)
    } catch (error) {
      call.signal?.throwIfAborted()
      return withoutCredential(error as AuthError, outcome)
    }
    if (outcome.response !== undefined) discard(outcome.response)
  }
}

/**
 * Makes one request. Rejects only with the reason of an abort, or with what `fetch` says of a call
 * that cannot be sent.
 */
async function tryOnce(fetch: Fetch, call: Call, auth: AuthHeaders, { provider, peekStream }: Ways): Promise<Outcome> {
  const { attempt } = auth
  const rules = headerRules(provider)
  let response: Response
  let instead: Outcome['instead']
  try {
    response = await send(fetch, call, auth, rules)
    if (isRedirect(call, response)) {
      const sent = await follow(fetch, call, auth, rules, response)
      response = sent.response
      instead = sent.instead
    }
  } catch (error) {
    call.signal?.throwIfAborted()
    if (isMisuse(call, auth, rules) || failsIntegrity(call, error)) throw error
    return { failure: failureOf(error), error, response: undefined, body: undefined, instead: undefined, attempt }
  }
  if (instead !== undefined) return answered(attempt, response, undefined, instead)
  if (response.status >= 400) {
    const { text, response: again } = await readErrorText(response, call.signal)
    return answered(attempt, again, text)
  }
  const kind = peekStream ? streamKind(provider) : undefined
  if (kind === undefined) return answered(attempt, response)
  if (isEventStream(response)) {
    const peeked = await peek(response, kind, call.signal, latecomers(attempt, response, call.signal))
    if (peeked.broken) return { ...answered(attempt, peeked.response), failure: 'network' }
    return answered(attempt, peeked.response, peeked.error)
  }
  if (!mayBeError(response)) return answered(attempt, response)
  const looked = await look(response, call.signal)
  return answered(attempt, looked.response, looked.error)
}

function answered(attempt: string, response: Response, body?: string, instead?: Outcome['instead']): Outcome {
  return { attempt, response, body, instead, failure: undefined, error: undefined }
}

/** Tells whether this is a good answer as far as anybody can tell. */
function isServed(outcome: Outcome): outcome is Outcome & { response: Response } {
  const { response, body, failure, instead } = outcome
  return response?.ok === true && body === undefined && failure === undefined && instead === undefined
}

/** Reports what befalls a stream after its first output, for the next request to know. */
function latecomers(attempt: string, response: Response, signal: AbortSignal | undefined): Late {
  const tell = async (late: ResponseReport): Promise<void> => {
    if (signal?.aborted === true) return
    try {
      await reportResponse(late)
    } catch {
      // The caller reads the stream on, whether the next request knows of its end or not.
    }
  }
  return {
    onBreak: () => void tell({ attempt, failure: 'stream' }),
    onError: (body) => tell({ ...reportOf(attempt, response), body, failure: 'stream' }),
  }
}

function reportOf(attempt: string, response: Response): ResponseReport {
  return { attempt, status: response.status, headers: observed(response, OBSERVED) }
}

/**
 * Reports, and returns what to do. When the broker itself fails, a response that is in hand is
 * still the caller's.
 */
async function settle(
  { attempt, response, body, failure }: Outcome,
  signal: AbortSignal | undefined,
): Promise<Instruction> {
  const bare = response === undefined || failure !== undefined ? { attempt, failure } : reportOf(attempt, response)
  const report = (body === undefined ? bare : { ...bare, body }) as ResponseReport
  try {
    return await abortable(reportResponse(report), signal)
  } catch {
    signal?.throwIfAborted()
    return { action: 'deliver', delayMs: 0 }
  }
}

/**
 * Hands over what came. What SDKs read as leave to try again themselves says when that was done, or
 * that it does not help.
 */
function deliver(
  { response, error, instead }: Outcome,
  next: Pick<Instruction, 'retryAt' | 'final'>,
): Response | Promise<Response> {
  if (instead !== undefined) return instead()
  if (response === undefined) throw error
  const [retryAt, final] = [read(next, 'retryAt'), read(next, 'final')]
  if (retryAt === undefined && (final !== true || response.ok)) return response
  return withHeaders(response, {
    ...(retryAt === undefined ? undefined : retryHeaders(retryAt)),
    ...(final === true ? NO_MORE_TRIES : undefined),
  })
}

/**
 * Answers when no account can serve: with what the last attempt brought, else with what native code
 * says in its place, else not at all.
 */
function withoutCredential(error: AuthError, last: Outcome | undefined): Response | Promise<Response> {
  const [retryAt, answer] = [read(error, 'retryAt'), read(error, 'answer')]
  if (last !== undefined) return deliver(last, { final: true, ...(retryAt === undefined ? undefined : { retryAt }) })
  if (answer === undefined) throw error
  return withHeaders(exhaustedResponse(answer, retryAt), NO_MORE_TRIES)
}

/** What the SDKs of OpenAI and Anthropic heed. */
const NO_MORE_TRIES = { 'x-should-retry': 'false' } as const

function explained(request: AuthRequest, onTrace: AuthFetchOptions['onTrace']): AuthRequest {
  if (onTrace !== undefined) request.explain = true
  return request
}

/** Tells how the account was chosen. A listener that throws does not end the call. */
function tell(onTrace: AuthFetchOptions['onTrace'], auth: AuthHeaders): void {
  const trace = onTrace === undefined ? undefined : read(auth, 'trace')
  try {
    if (trace !== undefined) onTrace?.(trace)
  } catch {}
}

type Choice = AuthFetchOptions['model']

function choose(
  choice: Choice,
  fallback: (call: Call, said: Said) => string | undefined,
  call: Call,
  said: Said,
  init: RequestInit | undefined,
): string | undefined {
  if (choice === undefined) return fallback(call, said)
  return typeof choice === 'string' ? choice : choice(new URL(call.url), init)
}
