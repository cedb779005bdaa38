/** The screens that add an account or sign in again. */
import type { Account, AuthError, LoginOptions, LoginSession, ProviderSummary } from '../../../../index.js'
import { read } from '../../own.js'
import { asks, describeTrust } from '../../trust.js'
import { noteAdded } from '../logout.js'
import { faultWords, methodWords, shownLabel } from './lines.js'
import { configuredPool, isOurs } from './live.js'
import { ONE_MOMENT, type Stage } from './stage.js'

type Method = ProviderSummary['methods'][number]

export interface SignIn {
  /** Adds an account: of which provider, and how. */
  add(): Promise<void>
  again(account: Account): void
}

/** GitHub Copilot takes tokens of a login only. */
function isUseful(provider: string, method: Method): boolean {
  return provider !== 'github-copilot' || method !== 'api-key'
}

/** What is being signed in to. */
interface Wish {
  provider: string
  method: Method
  namespace?: string
  label?: string
  /** Who signs in again. */
  account?: Account
}

/** @param done goes back to the list, with what came of it */
export function createSignIn(stage: Stage, done: (note: string) => void): SignIn {
  const { api, library, live, elements, mask } = stage

  const add = async (): Promise<void> => {
    const waiting = await untrusted()
    stage.choose({
      title: 'Add an account: provider',
      words: () => '',
      rows() {
        const used = new Set(api.state.provider.map(({ id }) => id))
        const known = live
          .now()
          .providers.map(({ id, methods }) => ({ id, methods: methods.filter((method) => isUseful(id, method)) }))
          .filter(({ methods }) => methods.length > 0)
        const offered = [...known, ...waiting.filter(({ id }) => known.every((other) => other.id !== id))]
        return offered
          .sort((a, b) => Number(used.has(b.id)) - Number(used.has(a.id)))
          .map(({ id, methods }) => ({
            title: id,
            description: methods.map(methodWords).join(', '),
            category: used.has(id) ? 'In use here' : 'Others',
            // The pool that OpenCode's requests are served from.
            run: () => askMethod({ provider: id, ...pool(id) }, methods),
          }))
      },
    })
  }

  const pool = (provider: string): Pick<Wish, 'namespace'> => {
    const { namespace } = configuredPool(api, provider)
    return namespace === undefined ? {} : { namespace }
  }

  /** Providers that a file of the project would define, if it were trusted. */
  const untrusted = async (): Promise<Pick<ProviderSummary, 'id' | 'methods'>[]> => {
    try {
      const { files } = await library.projectTrust()
      return files.filter(asks).flatMap(({ providers }) => providers.filter(({ methods }) => methods.length > 0))
    } catch {
      return []
    }
  }

  const again = (account: Account): void => {
    const { provider, namespace } = account
    const methods = live.now().providers.find(({ id }) => id === provider)?.methods ?? []
    // A key would be another account.
    const logins = methods.filter((method) => method !== 'api-key')
    if (logins.length === 0) done(`There is no way to sign in to ${provider}: its configuration has no client id.`)
    else askMethod({ provider, namespace, account }, logins)
  }

  const askMethod = (wish: Omit<Wish, 'method'>, methods: readonly Method[]): void => {
    const go = (method: Method) =>
      wish.account === undefined ? askLabel({ ...wish, method }) : start({ ...wish, method })
    const [only, ...others] = methods
    if (only !== undefined && others.length === 0) go(only)
    else
      stage.choose({
        title: `${wish.provider}: how`,
        words: () => '',
        rows: () => methods.map((method) => ({ title: methodWords(method), run: () => go(method) })),
      })
  }

  const askLabel = (wish: Wish): void => {
    stage.show(
      () =>
        api.ui.DialogPrompt({
          title: 'Label of the new account (may stay empty)',
          placeholder: wish.method === 'api-key' ? 'work' : 'work; else who signs in',
          onConfirm: (typed) => {
            const label = typed.trim()
            start(label === '' ? wish : { ...wish, label })
          },
        }),
      'medium',
    )
  }

  const start = (wish: Wish): void => (wish.method === 'api-key' ? askKey(wish) : void begin(wish))

  const askKey = ({ provider, namespace, label }: Wish): void => {
    const title = `API key of ${provider}`
    const store = async (apiKey: string) => {
      const pool = namespace === undefined ? {} : { namespace }
      return added(await library.addApiKey({ provider, apiKey, ...pool, ...(label !== undefined && { label }) }))
    }
    stage.page(title, () => [
      elements.text('Type or paste the key. It is not shown, and it goes to the vault alone.', 'textMuted'),
      elements.secret((apiKey) => void stage.attempt(title, () => store(apiKey), done)),
    ])
  }

  /** Asks the provider where to sign in, and shows it. */
  const begin = async (wish: Wish): Promise<void> => {
    const { provider, method, namespace, label, account } = wish
    const title = `Sign in to ${provider}`
    const waiting = stage.page(title, () => [elements.text(ONE_MOMENT, 'textMuted')])
    const calledOff = new AbortController()
    let isShown = false
    waiting.whenGone(() => {
      if (!isShown) calledOff.abort()
    })
    const hint = account?.identity?.email
    const options: LoginOptions = {
      provider,
      method,
      signal: calledOff.signal,
      ...(namespace !== undefined && { namespace }),
      ...(label !== undefined && { label }),
      ...(hint !== undefined && { loginHint: hint }),
    }
    try {
      const session = await library.startLogin(options)
      isShown = !waiting.gone
      if (isShown) showLogin(title, wish, session)
    } catch (fault) {
      if (waiting.gone) return
      if (read(fault as AuthError, 'code') === 'PROJECT_NOT_TRUSTED') await askTrust(wish)
      else failed(wish, fault)
    }
  }

  const showLogin = (title: string, wish: Wish, session: LoginSession): void => {
    const { url, userCode, method } = session
    const [said, say] = stage.createSignal('')
    const end = async (outcome: Promise<Account>): Promise<void> => {
      try {
        const account = await outcome
        if (shown.gone) return
        const words = await added(account, wish.account)
        await live.reload()
        if (!shown.gone) done(words)
      } catch (fault) {
        if (shown.gone) return
        // A code that was not the right one leaves the login open.
        if (method === 'paste') say(`${faultWords(fault)}. Paste it once more, or press Esc.`)
        else failed(wish, fault)
      }
    }
    const pasted = () => [
      elements.text('Then paste the code, or the address of the last page. It is not shown.', 'textMuted'),
      elements.secret((code) => void end(session.finish(code))),
      elements.text(said, 'warning'),
    ]
    const waiting = () => [
      elements.text(
        `Waiting. Press c to copy the ${userCode === undefined ? 'address' : 'code'}, Esc to call it off.`,
        'textMuted',
      ),
      elements.keys((key) => {
        if (key.name !== 'c' || key.ctrl || key.meta) return
        key.preventDefault()
        api.renderer.copyToClipboardOSC52(userCode ?? url)
      }),
    ]
    const shown = stage.page(title, () => [
      elements.text('Open this page:', 'textMuted'),
      elements.text(url),
      ...(userCode === undefined ? [] : [elements.text('and enter this code:', 'textMuted'), elements.text(userCode)]),
      ...(method === 'paste' ? pasted() : waiting()),
    ])
    shown.whenGone(() => session.cancel())
    if (method !== 'paste') void end(session.finish())
  }

  const failed = (wish: Wish, fault: unknown): void => {
    stage.choose({
      title: `Sign in to ${wish.provider}`,
      words: () => `It did not work: ${faultWords(fault)}`,
      rows: () => [
        { title: 'Try again', run: () => start(wish) },
        { title: 'Back', run: () => done('') },
      ],
    })
  }

  const askTrust = async (wish: Wish): Promise<void> => {
    const trust = await library.projectTrust()
    const agree = () =>
      library.trustProject(trust).then(
        () => start(wish),
        (fault) => failed(wish, fault),
      )
    stage.choose({
      title: 'A file of the project wants your trust',
      words: () => `${describeTrust(trust).join('\n')}\nIt may be anybody's.`,
      question: 'Trust it?',
      // The first one is preselected.
      rows: () => [
        { title: 'No', run: () => done('The file is not trusted; nothing was signed in.') },
        { title: 'Yes, I know this file', run: () => void agree() },
      ],
    })
  }

  /**
   * What came of it, in words. OpenCode asks anew who serves a provider when it had none of ours,
   * unless that would end work that is under way.
   */
  const added = async (account: Account, before?: Account): Promise<string> => {
    const { id, provider, label, enabled } = account
    noteAdded(account)
    // A logout may have disabled it.
    if (!enabled) await library.updateAccount(id, { enabled: true })
    const name = shownLabel(label, mask)
    const words =
      before === undefined
        ? `${name} of ${provider} is in the vault.`
        : before.id === id
          ? `${name} of ${provider} is signed in again.`
          : `${name} of ${provider} is another account than the one before; it was added.`
    if (isOurs(api, provider) === true) return words
    if (await isBusy()) return `${words} OpenCode uses it when it starts anew.`
    await api.client.instance.dispose().catch(() => {})
    return words
  }

  const isBusy = async (): Promise<boolean> => {
    try {
      const { data } = await api.client.session.status()
      return Object.values(data ?? {}).some(({ type }) => type !== 'idle')
    } catch {
      return true
    }
  }

  return { add, again }
}
