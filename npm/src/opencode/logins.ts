/** Under OpenCode: the logins that it offers, in steps that it takes. */
import { read } from '../own.js'
import type { AuthHook, Authorization, Failed, Inputs, LoggedIn, Prompt } from './host.js'
import { askHidden, awaited, instructionsOf, LABELS, notRead, reasonOf, type Wanted, wrongCode } from './login-words.js'
import { readHidden, readPiped } from './read-key.js'
import { canAsk, type Surface } from './surface.js'
import type { WaitingProvider } from './trust.js'
import { PLACEHOLDER } from './who-serves.js'
import { codeOf, message } from './words.js'

type Library = typeof import('../index.js')
type Provider = Awaited<ReturnType<Library['configuredProviders']>>[number]
type Method = Provider['methods'][number]
type Session = Awaited<ReturnType<Library['startLogin']>>
type Account = Awaited<ReturnType<Session['finish']>>
type Shown = Pick<Authorization, 'url' | 'instructions'>
type Pool = { namespace?: string; label?: string }

/** A login that may be under way. */
export interface Login {
  auth: AuthHook
  cancel(): void
}

/** A provider whose login is offered. */
export type Offer = Pick<Provider, 'id' | 'methods'> & Partial<WaitingProvider>

/** What surrounds a login. */
export interface Surroundings {
  surface: Surface
  /** The pool of a new account, unless the person names another one. Default: the provider's. */
  namespace?: string
  /** Tells a person on the screen, and the log, why a login failed. Not called under the CLI, which prints what is thrown. */
  report(message: string): void
  /** Notes that this account was added here, just before OpenCode is handed our placeholder; never rejects. */
  remember(account: Account): void | Promise<void>
}

/**
 * How long the reason of a failure waits. The TUI shows one notice at a time, and one of its own,
 * without a reason, as soon as it hears of the failure.
 */
const AFTER_OPENCODES_OWN_MS = 1_000

/** Returns the login of a provider. */
export function createLogin(library: Library, offer: Offer, surroundings: Surroundings): Login {
  const { id, methods } = offer
  const { surface, report } = surroundings
  const answer = read(offer, 'answer')
  let current = new AbortController()

  const explain = (fault: unknown, delayMs: number): Failed => {
    const reason = reasonOf(fault)
    if (surface === 'cli') throw new Error(message(reason))
    setTimeout(report, delayMs, message(`not signed in to ${id}: ${reason}`)).unref()
    return { type: 'failed' }
  }
  const settle = async (store: () => Promise<Account>, delayMs: number): Promise<LoggedIn | Failed> => {
    try {
      await surroundings.remember(await store())
      return { type: 'success', key: PLACEHOLDER }
    } catch (fault) {
      return explain(fault, delayMs)
    }
  }
  const auto = (store: () => Promise<Account>, shown: Shown): Authorization => {
    return { ...shown, method: 'auto', callback: () => settle(store, AFTER_OPENCODES_OWN_MS) }
  }
  const code = (store: (code: string) => Promise<Account>, shown: Shown): Authorization => {
    return { ...shown, method: 'code', callback: (typed) => settle(() => store(typed.trim()), 0) }
  }

  const begin = async (method: Method, inputs: Inputs | undefined, signal: AbortSignal): Promise<Authorization> => {
    await answer?.(inputs)
    const pool = poolOf(surroundings, inputs)
    const wanted: Wanted = { provider: id, what: method === 'api-key' ? 'key' : 'code', method: LABELS[method] }
    if (method === 'api-key') {
      const add = (apiKey: string) => library.addApiKey({ provider: id, apiKey, ...pool })
      if (surface === 'ui') {
        const instructions = message(`Paste the API key of ${id}. It goes to the vault, not to auth.json.`)
        return code(add, { url: '', instructions })
      }
      // By ourselves: OpenCode would show the key while it is typed, and leave it on the screen.
      const key = await readSecret(wanted, signal)
      return auto(() => add(key), { url: '', instructions: '' })
    }
    const session = await library.startLogin({ provider: id, method, signal, ...pool })
    const shown = { url: session.url, instructions: instructionsOf(session) }
    if (method !== 'paste') return auto(() => session.finish(), shown)
    const finish = async (pasted: string): Promise<Account> => {
      try {
        return await session.finish(pasted)
      } catch (fault) {
        throw codeOf(fault) === 'LOGIN_FAILED' ? wrongCode(fault as Error) : fault
      }
    }
    if (canAsk(surface)) return code(finish, shown)
    return auto(async () => finish(await readSecret(wanted, signal)), shown)
  }
  const authorize = async (method: Method, inputs: Inputs | undefined): Promise<Authorization> => {
    current.abort()
    current = new AbortController()
    try {
      return await begin(method, inputs, current.signal)
    } catch (fault) {
      const failed = explain(fault, 0)
      // A form, since that stays until the person has read it. OpenCode would show a thrown error as JSON.
      const instructions = `${message(reasonOf(fault))}. There is nothing to enter: press esc, and connect once more.`
      return { url: '', instructions, method: 'code', callback: async () => failed }
    }
  }
  return {
    auth: {
      provider: id,
      methods: methods.map((method) => ({
        type: 'oauth',
        label: LABELS[method],
        prompts: promptsOf(offer, surroundings, method),
        authorize: (inputs) => authorize(method, inputs),
      })),
    },
    cancel: () => current.abort(),
  }
}

/** What OpenCode asks before a login; every answer may be empty. */
function promptsOf(offer: Offer, { surface, namespace }: Surroundings, method: Method): Prompt[] {
  if (!canAsk(surface)) return []
  const [usual, pool] = [method === 'api-key' ? 'key …1234' : 'who you sign in as', namespace ?? 'the usual one']
  return [
    ...(read(offer, 'prompts') ?? []),
    { type: 'text', key: 'label', message: 'Label of the account (optional)', placeholder: usual },
    { type: 'text', key: 'pool', message: 'Pool that it joins (optional)', placeholder: pool },
  ]
}

function poolOf({ namespace }: Surroundings, inputs: Inputs | undefined): Pool {
  const [label, pool] = [answerOf(inputs, 'label'), answerOf(inputs, 'pool') ?? namespace]
  return { ...(pool !== undefined && { namespace: pool }), ...(label !== undefined && { label }) }
}

function answerOf(inputs: Inputs | undefined, key: string): string | undefined {
  const answer: unknown = inputs !== undefined && Object.hasOwn(inputs, key) ? inputs[key] : undefined
  return typeof answer === 'string' && answer.trim() !== '' ? answer.trim() : undefined
}

/** Reads a key or a code from the terminal, else from standard input. */
async function readSecret(wanted: Wanted, signal: AbortSignal): Promise<string> {
  const isTyped = canAsk()
  const input = isTyped
    ? await readHidden(askHidden(wanted), signal)
    : await readPiped(wanted.what === 'key' ? 'end' : 'line', awaited(wanted), signal)
  if (input.end !== 'entered') throw notRead(wanted, input.end, isTyped)
  const text = input.text.trim()
  if (text === '') throw notRead(wanted, 'empty', isTyped)
  return text
}
