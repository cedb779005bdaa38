/** Under OpenCode: the logins that `opencode auth login` offers, in steps that OpenCode takes. */
import { read } from '../own.js'
import type { AuthHook, Authorization, Inputs, LoggedIn } from './host.js'
import type { WaitingProvider } from './trust.js'

type Library = typeof import('../index.js')
type Provider = Awaited<ReturnType<Library['configuredProviders']>>[number]
type Method = Provider['methods'][number]
type Session = Awaited<ReturnType<Library['startLogin']>>

/** A login that may be under way. */
export interface Login {
  auth: AuthHook
  cancel(): void
}

const LABELS: Record<Method, string> = {
  browser: 'Sign in with the browser',
  device: 'Sign in with a device code',
  paste: 'Sign in and paste the code',
  'api-key': 'API key',
}

/** A provider whose login is offered. */
export type Offer = Pick<Provider, 'id' | 'methods'> & Partial<WaitingProvider>

/** Returns the login of a provider. `finish` answers OpenCode once the account is stored. */
export function createLogin(
  library: Library,
  offer: Offer,
  namespace: { namespace?: string },
  finish: (store: () => Promise<unknown>) => Promise<LoggedIn>,
): Login {
  const { id, methods } = offer
  const prompts = read(offer, 'prompts')
  const answer = read(offer, 'answer')
  let waiting: Session | undefined
  const authorize = async (method: Method, inputs: Inputs | undefined): Promise<Authorization> => {
    waiting?.cancel()
    await answer?.(inputs)
    if (method === 'api-key') {
      return {
        url: '',
        instructions: 'The key goes to the vault of provider-auth, not to auth.json.',
        method: 'code',
        callback: (apiKey) => finish(() => library.addApiKey({ provider: id, apiKey: apiKey.trim(), ...namespace })),
      }
    }
    const session = await library.startLogin({ provider: id, method, ...namespace })
    waiting = session
    const { url, instructions } = session
    return method === 'paste'
      ? { url, instructions, method: 'code', callback: (code) => finish(() => session.finish(code)) }
      : { url, instructions, method: 'auto', callback: () => finish(() => session.finish()) }
  }
  return {
    auth: {
      provider: id,
      methods: methods.map((method) => ({
        type: 'oauth',
        label: LABELS[method],
        ...(prompts !== undefined && { prompts }),
        authorize: (inputs) => authorize(method, inputs),
      })),
    },
    cancel: () => waiting?.cancel(),
  }
}
