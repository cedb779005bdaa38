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
  Trace,
  Verdict,
} from '../../index.js'
import { addon, type Rotation } from './addon.js'
import { boundItemOf } from './bound.js'
import { type Call, type FetchInput, modelOf, readCall, sessionOf } from './call.js'
import { boundItems, headerRules, OBSERVED_HEADERS, streamKind } from './facts.js'
import { failureOf } from './failure.js'
import { observed } from './headers.js'
import { look, mayBeError } from './json.js'
import { REPLAY_BYTES } from './limits.js'
import { checkFetchOptions } from './options.js'
import { bare, read } from './own.js'
import { failsIntegrity, isMisuse, send } from './redirect.js'
import { headersFor, reportResponse } from './requests.js'
import { discard, exhaustedResponse, readErrorText, retryHeaders, withHeaders } from './response.js'
import { type Said, saidIn } from './said.js'
import { isEventStream, type Late, peek } from './sse.js'
import { callerOf, from, ofOurs, traced } from './stack.js'
import { abortable, rest } from './wait.js'

type Fetch = typeof globalThis.fetch

const OBSERVED: ReadonlySet<string> = new Set(OBSERVED_HEADERS)

type Instruction = Pick<Verdict, 'action' | 'delayMs' | 'retryAt' | 'final'>

/** How an attempt ended: what to tell the broker, and what the caller would get. */
interface Outcome {
  readonly report: ResponseReport
  readonly response: Response | undefined
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
  const maxReplayBytes = read(options, 'maxReplayBytes') ?? REPLAY_BYTES
  const peekStream = read(options, 'peekStream') ?? true
  const pool = poolOf(options)

  return traced(async function authFetch(input: FetchInput, init?: AuthFetchInit) {
    const fetch = given ?? globalThis.fetch
    const call = await readCall(input, init, maxReplayBytes)
    const { signal } = call
    const { fields, paths } = boundItems(pool.provider)
    const said = saidIn(call.text, fields)
    const asked = {
      model: choose(model, modelOf, call, said, init),
      session: choose(session, sessionOf, call, said, init),
      cacheTtl: said.cacheTtl,
      boundBy: boundItemOf(call.url, said, paths),
    }
    const ask = authRequest(call, pool, asked)
    if (onTrace !== undefined) ask.explain = true
    for (let last: Outcome | undefined; ; ) {
      let auth: AuthHeaders
      try {
        const asked = last === undefined ? ask : bare<AuthRequest>(ask, { retryOf: last.report.attempt })
        auth = await headersFor(asked, rotation)
      } catch (error) {
        signal?.throwIfAborted()
        // What is wrong with an address that cannot be parsed, `fetch` says itself.
        if (!URL.canParse(call.url)) return fetch(call.url)
        return withoutCredential(error as AuthError, last)
      }
      const trace = read(auth, 'trace')
      if (trace !== undefined) tell(onTrace, trace)
      if (last?.response !== undefined) discard(last.response)
      const outcome = await tryOnce(fetch, call, auth, pool.provider, peekStream)
      const verdict = await settle(outcome, signal)
      const isOver = verdict.action === 'deliver' || outcome.instead !== undefined || !call.payload.replayable
      if (isOver) return deliver(outcome, verdict)
      await rest(verdict.delayMs, signal)
      last = outcome
    }
  }, ofOurs)
}

/**
 * Makes one request. Rejects only with the reason of an abort, or with what `fetch` says of a call
 * that cannot be sent.
 */
async function tryOnce(
  fetch: Fetch,
  call: Call,
  auth: AuthHeaders,
  provider: string,
  peekStream: boolean,
): Promise<Outcome> {
  const { attempt } = auth
  const rules = headerRules(provider)
  let sent: Awaited<ReturnType<typeof send>>
  try {
    sent = await send(fetch, call, auth, rules)
  } catch (error) {
    call.signal?.throwIfAborted()
    if (isMisuse(call, auth, rules) || failsIntegrity(call, error)) throw error
    const report = { attempt, failure: failureOf(error) } as const
    return { report, response: undefined, error, instead: undefined }
  }
  const { response, instead } = sent
  const report = { attempt, status: response.status, headers: observed(response, OBSERVED) }
  const answered = (report: ResponseReport, response: Response): Outcome => ({
    report,
    response,
    error: undefined,
    instead,
  })
  if (instead !== undefined) return answered(report, response)
  if (response.status >= 400) {
    const { text: body, response: again } = await readErrorText(response, call.signal)
    return answered({ ...report, body }, again)
  }
  const kind = peekStream ? streamKind(provider) : undefined
  if (kind === undefined) return answered(report, response)
  const withError = (error: string | undefined): ResponseReport =>
    error === undefined ? report : { ...report, body: error }
  if (isEventStream(response)) {
    const peeked = await peek(response, kind, call.signal, latecomers(report, call.signal))
    if (peeked.broken) return answered({ attempt, failure: 'network' }, peeked.response)
    return answered(withError(peeked.error), peeked.response)
  }
  if (!mayBeError(response)) return answered(report, response)
  const looked = await look(response, call.signal)
  return answered(withError(looked.error), looked.response)
}

/** Reports what befalls a stream after its first output, for the next request to know. */
function latecomers(report: ResponseReport, signal: AbortSignal | undefined): Late {
  const tell = async (late: ResponseReport): Promise<void> => {
    if (signal?.aborted === true) return
    try {
      await reportResponse(late)
    } catch {
      // The caller reads the stream on, whether the next request knows of its end or not.
    }
  }
  return {
    onBreak: () => void tell({ attempt: report.attempt, failure: 'stream' }),
    onError: (body) => tell({ ...report, body, failure: 'stream' }),
  }
}

/**
 * Reports, and returns what to do. When the broker itself fails, a response that is in hand is
 * still the caller's.
 */
async function settle({ report, response }: Outcome, signal: AbortSignal | undefined): Promise<Instruction> {
  try {
    const verdict = reportResponse(report)
    // The report of a success settles at once: nothing to watch the signal for.
    return await (response?.ok === true ? verdict : abortable(verdict, signal))
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

/** A listener that throws does not end the call. */
function tell(onTrace: AuthFetchOptions['onTrace'], trace: Trace): void {
  try {
    onTrace?.(trace)
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

type Pool = Pick<AuthRequest, 'provider'> & Partial<Pick<AuthRequest, 'namespace' | 'account'>>

function poolOf(options: AuthFetchOptions): Pool {
  const [provider, namespace, account] = [
    read(options, 'provider'),
    read(options, 'namespace'),
    read(options, 'account'),
  ]
  return bare<Pool>(
    { provider: provider as string },
    namespace === undefined ? undefined : { namespace },
    account === undefined ? undefined : { account },
  )
}

type Asked = { readonly [Name in 'model' | 'session' | 'cacheTtl' | 'boundBy']: string | undefined }

function authRequest(call: Call, pool: Pool, asked: Asked): AuthRequest {
  const request = bare<AuthRequest>(pool, { url: call.url })
  for (const name of ['model', 'session', 'cacheTtl', 'boundBy'] as const) {
    const value = asked[name]
    if (value !== undefined) request[name] = value
  }
  if (call.signal !== undefined) request.signal = call.signal
  return Object.assign(request, call.overrides)
}
