/** Under OpenCode 2: the ways to sign in that it offers beside its own. */
import { read } from '../../own.js'
import { instructionsOf, LABELS, reasonOf, wrongCode } from '../login-words.js'
import { maskIdentity } from '../mask.js'
import type { WaitingProvider } from '../trust.js'
import { PLACEHOLDER } from '../who-serves.js'
import { codeOf, message } from '../words.js'
import type { Authorization, Context, FormAnswer, FormField, IntegrationEditor, OAuthCredential } from './host.js'
import { METHOD_PREFIX } from './providers.js'

type Library = typeof import('../../index.js')
type Summary = Awaited<ReturnType<Library['configuredProviders']>>[number]
type Method = Summary['methods'][number]
type Account = Awaited<ReturnType<Library['addApiKey']>>

/** A provider whose login is offered. */
export type Offer = Pick<Summary, 'id' | 'methods'> & Partial<Pick<WaitingProvider, 'prompts' | 'answer'>>

export interface LoginParts {
  library: Library
  offers: readonly Offer[]
  /** Whether we serve the provider. */
  isOurs(provider: string): boolean
  /** The pool of a new account, unless the person names another one. */
  namespaceOf(provider: string): string | undefined
  /** Called once an account is stored. */
  added(): Promise<void>
}

/**
 * The integration for the other providers. Where OpenCode can sign in itself, our credential would
 * be taken for one of its own logins under the provider's name, and be sent to another address. And
 * a provider that has no integration is in use with the key of the user's file; an integration
 * without a connection would end that.
 */
const OTHERS = 'provider-auth'

/** OpenCode would renew what ends; our accounts are renewed where they are kept. 9999-12-31, in ms. */
const NEVER = 253_402_214_400_000

/** Offers the logins. Returns the function that calls off those under way. */
export async function offerLogins(context: Context, parts: LoginParts): Promise<() => void> {
  const underWay = new Map<string, AbortController>()
  await context.integration.transform((editor) => {
    for (const offer of parts.offers) {
      const isOthers = hasOwnLogin(editor, offer.id) || (editor.get(offer.id) === undefined && !parts.isOurs(offer.id))
      const integrationID = isOthers ? OTHERS : offer.id
      if (isOthers) {
        editor.update(OTHERS, (integration) => {
          integration.name = 'provider-auth: more accounts'
        })
      }
      for (const method of offer.methods) {
        const id = `${METHOD_PREFIX}${isOthers ? `${offer.id}-` : ''}${method}`
        editor.method.update({
          integrationID,
          method: {
            id,
            type: 'oauth',
            label: `${isOthers ? `${offer.id}: ` : ''}${LABELS[method]} (provider-auth)`,
            form: formOf(offer, method),
          },
          authorize: (answer) => authorize(parts, offer, method, answer, begun(underWay, offer.id), id),
          label: ({ metadata }) => textOf(read(metadata as { label?: unknown } | undefined, 'label')),
        })
      }
    }
  })
  return () => {
    for (const login of underWay.values()) login.abort()
  }
}

function hasOwnLogin(editor: IntegrationEditor, id: string): boolean {
  return editor.method.list(id).some(({ type, id: method }) => type === 'oauth' && !method?.startsWith(METHOD_PREFIX))
}

/** The signal of a login that takes the place of the one before it. */
function begun(underWay: Map<string, AbortController>, provider: string): AbortSignal {
  underWay.get(provider)?.abort()
  const login = new AbortController()
  underWay.set(provider, login)
  return login.signal
}

async function authorize(
  { library, namespaceOf, added }: LoginParts,
  { id: provider, answer: trust }: Offer,
  method: Method,
  answer: FormAnswer,
  signal: AbortSignal,
  methodID: string,
): Promise<Authorization> {
  const store = (account: Promise<Account>): Promise<OAuthCredential> =>
    said(async () => {
      const stored = await account
      await added()
      return credentialOf(stored, methodID)
    })
  return said(async () => {
    const trusts = textOf(read(answer as { trust?: unknown }, 'trust'))
    await trust?.(trusts === undefined ? undefined : { trust: trusts })
    const label = textOf(read(answer as { label?: unknown }, 'label'))
    const namespace = textOf(read(answer as { pool?: unknown }, 'pool')) ?? namespaceOf(provider)
    const pool = { ...(namespace !== undefined && { namespace }), ...(label !== undefined && { label }) }
    if (method === 'api-key') {
      const instructions = message('Paste the API key. It goes to the vault, and not to OpenCode.')
      const add = (apiKey: string) => library.addApiKey({ provider, apiKey: apiKey.trim(), ...pool })
      return { url: '', instructions, mode: 'code', callback: (typed) => store(add(typed)) }
    }
    const session = await library.startLogin({ provider, method, signal, ...pool })
    const ends = read(session, 'expiresAt')
    const page = {
      url: session.url,
      instructions: instructionsOf(session),
      ...(ends !== undefined && { expiresAt: ends }),
    }
    if (method === 'paste') return { ...page, mode: 'code', callback: (code) => store(pasted(session, code)) }
    const callback = store(session.finish())
    // OpenCode asks for it later, and a rejection that waits for that would end the process.
    callback.catch(() => {})
    return { ...page, mode: 'auto', callback }
  })
}

async function pasted(session: Awaited<ReturnType<Library['startLogin']>>, code: string): Promise<Account> {
  try {
    return await session.finish(code.trim())
  } catch (fault) {
    throw codeOf(fault) === 'LOGIN_FAILED' ? wrongCode(fault as Error) : fault
  }
}

/** What OpenCode stores: no secret, and the label by which people know the account. */
function credentialOf({ id, label }: Account, methodID: string): OAuthCredential {
  const metadata = { account: id, label: maskIdentity(label) }
  return { type: 'oauth', methodID, access: PLACEHOLDER, refresh: PLACEHOLDER, expires: NEVER, metadata }
}

/** What is asked before a login. Every answer but that to the question of trust may be empty. */
function formOf(offer: Offer, method: Method): FormField[] {
  const trust = (read(offer, 'prompts') ?? []).flatMap((prompt): FormField[] => {
    if (prompt.type !== 'select') return []
    const options = prompt.options.map(({ label, value }) => ({ label, value }))
    const [title = '', ...lines] = prompt.message.split('\n')
    return [{ key: prompt.key, type: 'string', title, description: lines.join('\n'), required: true, options }]
  })
  const usual = method === 'api-key' ? 'key …1234' : 'who you sign in as'
  return [
    ...trust,
    { key: 'label', type: 'string', title: `Label of the account (empty: ${usual})` },
    { key: 'pool', type: 'string', title: 'Pool that it joins (empty: the usual one)' },
  ]
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined
}

/** OpenCode shows the message of what rejects. */
async function said<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (fault) {
    throw new Error(message(reasonOf(fault)), { cause: fault })
  }
}
