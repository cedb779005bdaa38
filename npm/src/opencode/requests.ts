/** The `fetch` of a provider that is ours: the library's, and its outcome in OpenCode's words. */
import { read } from '../own.js'
import { maskIdentity } from './mask.js'
import type { Pool } from './settings.js'
import { codeOf, explained, message, reason, resting, type SignIn, terminal } from './words.js'

type Library = typeof import('../index.js')
type Fetch = ReturnType<Library['createAuthFetch']>
type Init = Parameters<Fetch>[1]

export interface Route {
  library: Library
  pool: Pool
  signIn: SignIn
  /** Whether a request that finds every account resting fails, instead of having OpenCode wait. */
  failsAtRest: boolean
  /** What is to be said where a person signed out of the provider under OpenCode. */
  signedOut(): string | undefined
  /** The account that a person chose for the session or the project that a call is of. */
  findPin(init: Init): string | undefined
  /** What sends a request. Default: the process's `fetch`. */
  send?: typeof globalThis.fetch
}

/** Returns the `fetch` of a provider. A pool that the library refuses says so with each request. */
export function createFetch({ library, pool, signIn, failsAtRest, signedOut, findPin, send }: Route): Fetch {
  const { provider } = signIn
  const [namespace, preset, rotation] = [read(pool, 'namespace'), read(pool, 'account'), pool.rotation]
  const which = { provider, ...(namespace !== undefined && { namespace }) }
  let fetch: Fetch
  try {
    const sender = send === undefined ? {} : { fetch: send }
    fetch = library.createAuthFetch({ ...which, ...withAccount(preset), rotation, ...sender })
  } catch (fault) {
    return refusing(`provider.${provider}.options.auth: ${reason(fault)}`)
  }

  const told = (code: string | undefined, fault: unknown, pinned: string | undefined) => {
    if (code === 'UNKNOWN_ACCOUNT') {
      const by = pinned === undefined ? `that provider.${provider}.options.auth names` : 'that was chosen for it'
      return fatal(`the account of ${provider} ${by} is not there; choose one in /accounts, which lists them`, fault)
    }
    const chosen = pinned === undefined ? '' : `${pinned}, which was chosen for it: `
    const left = code === 'NO_ACCOUNT' ? signedOut() : undefined
    return fatal(chosen + (left ?? explained(code, reason(fault), signIn)), fault)
  }

  /** How the same request would fare now; not told of one that cannot be read twice. */
  async function standing(input: Parameters<Fetch>[0], init: Init, account: string | undefined) {
    try {
      // Late, since it needs the addon: `refusing` works without.
      const { modelOf, readCall, sessionOf } = await import('../call.js')
      const { saidIn } = await import('../said.js')
      const call = await readCall(input, init, 0)
      const said = saidIn(call.text, new Map())
      const [model, session] = [modelOf(call, said), sessionOf(call, said)]
      const more = { ...(model !== undefined && { model }), ...(session !== undefined && { session }) }
      return await library.explain({ ...which, ...withAccount(account), ...more, url: call.url, rotation })
    } catch {
      return undefined
    }
  }

  /** Says what keeps the pool, where that is why the answer is not a good one. */
  async function settled(response: Response, input: Parameters<Fetch>[0], init: Init, pinned: string | undefined) {
    const account = pinned ?? preset
    const now = await standing(input, init, account)
    if (now?.outcome === 'needs_login') throw told('NEEDS_LOGIN', undefined, await nameOf(library, provider, pinned))
    const until = now?.outcome === 'wait' || now?.outcome === 'exhausted' ? read(now, 'until') : undefined
    // Where tokens cannot be renewed for now, the answer says so already.
    if (now === undefined || until === undefined || read(now, 'reason') === 'token_expired') return response
    const accounts = now.accounts.filter(({ chance }) => chance === 'resting').length
    const name = await nameOf(library, provider, account)
    const words = resting({ provider, accounts, until, ...(name !== undefined && { pinned: name }) })
    if (failsAtRest) throw fatal(words, undefined)
    return retold(response, words, until)
  }

  return async (input, init) => {
    const pinned = findPin(init)
    let response: Response
    try {
      response = await fetch(input, pinned === undefined ? init : { ...init, providerAuth: { account: pinned } })
    } catch (fault) {
      throw told(codeOf(fault), fault, await nameOf(library, provider, pinned))
    }
    return REFUSALS.has(response.status) ? settled(response, input, init, pinned) : response
  }
}

function withAccount(account: string | undefined): { account?: string } {
  return account === undefined ? {} : { account }
}

/** The label of an account that is named by its id or label. */
async function nameOf(library: Library, provider: string, account: string | undefined): Promise<string | undefined> {
  if (account === undefined) return undefined
  try {
    const accounts = await library.listAccounts({ provider })
    return maskIdentity(accounts.find(({ id }) => id === account)?.label ?? account)
  } catch {
    return account
  }
}

/** A `fetch` that sends nothing and says why. */
export function refusing(why: string, cause?: unknown): Fetch {
  return () => Promise.reject(fatal(why, cause))
}

/** Statuses with which an account may be at fault. */
const REFUSALS: ReadonlySet<number> = new Set([401, 402, 403, 429, 503, 529])
/** Of a provider's own words, as much as a person reads. */
const WORDS_KEPT = 500

/** An error that OpenCode shows, and after which it does not send the request again. */
function fatal(text: string, cause: unknown): Error {
  return new Error(message(terminal(text)), { cause })
}

/** The answer with our words before the provider's, and the time until which all rest. */
async function retold(response: Response, words: string, until: number): Promise<Response> {
  const body = await response.text()
  const theirs = messageOf(body)
  const said = theirs === undefined || isOurs(body) ? words : `${words}. It said: ${theirs.slice(0, WORDS_KEPT)}`
  const ms = Math.max(0, until - Date.now())
  const headers = new Headers({
    'content-type': 'application/json',
    'retry-after-ms': String(ms),
    'retry-after': String(Math.ceil(ms / 1000)),
    'x-should-retry': 'false',
  })
  const error = { message: message(said), type: 'rate_limit_error', code: 'all_accounts_resting' }
  return new Response(JSON.stringify({ type: 'error', error }), {
    status: 429,
    statusText: 'Too Many Requests',
    headers,
  })
}

/** Tells whether the library answered in the provider's place. */
function isOurs(body: string): boolean {
  return /"all_accounts_/.test(body)
}

/** The message of an error body, in the usual places. */
function messageOf(body: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body)
    const answer = (Array.isArray(parsed) ? parsed[0] : parsed) as { error?: unknown; message?: unknown } | null
    const error = read(answer, 'error')
    const text =
      typeof error === 'string' ? error : (read(error as { message?: unknown }, 'message') ?? read(answer, 'message'))
    return typeof text === 'string' && text !== '' ? text : undefined
  } catch {
    return undefined
  }
}
