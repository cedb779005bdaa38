/**
 * A stage for whole stories: a real OpenID provider, a chat endpoint that serves whom the provider vouches for, a
 * sandbox with one vault, and people who sign in. The test's own process is the first user of the vault; children of
 * the sandbox are the others.
 */
import { after } from 'node:test'
import { signIn } from './agent.mjs'
import { startOidcProvider } from './oidc.mjs'
import { createSandbox, LIBRARY_URL } from './sandbox.mjs'
import { within } from './until.mjs'
import { startUpstream } from './upstream.mjs'

/**
 * Builds the stage and registers its end. Call it once, at the top of a test file: a process has one broker.
 *
 * @param {object} [options]
 * @param {string} [options.name] of the sandbox
 * @param {object} [options.oidc] for `startOidcProvider`
 * @param {object} [options.rotation] of the provider `local`
 * @param {(parts: { oidc: object, upstream: object }) => object} [options.providers] more providers
 */
export async function openStage({ name = 'stage', oidc: settings, rotation, providers = () => ({}) } = {}) {
  const oidc = await startOidcProvider(settings)
  const upstream = await startUpstream({ providers: [oidc] })
  const local = oidc.config({ origins: [upstream.origin], ...(rotation && { rotation }) })
  const config = { providers: { local, ...providers({ oidc, upstream }) } }
  const sandbox = createSandbox({ name, config })
  sandbox.enter()
  const library = await import(LIBRARY_URL)
  after(async () => {
    await Promise.all([oidc.close(), upstream.close()])
    sandbox.cleanup()
  })

  /** Logs a user in, by default over the browser's callback. */
  const logIn = async (user, options = {}) => {
    let page
    let last
    const onPrompt = async (prompt) => {
      page = signIn(prompt, { user })
      last = await page
    }
    const login = library.login({ provider: 'local', method: 'browser', label: user, onPrompt, ...options })
    const account = await within(() => `the login of ${user}, whose last page is ${JSON.stringify(last)}`, login)
    await within(`the last page of the login of ${user}`, page)
    return account
  }

  let pools = 0
  /**
   * Logs people in to a pool of their own, served in this order. Names are unique: `ada` becomes `ada1`, `ada2`, …
   *
   * @returns {Promise<{ users: string[], ids: string[], namespace: string, ask(call?: object): Promise<Response>, served(): string[] }>}
   */
  const openPool = async (names, { provider = 'local' } = {}) => {
    pools += 1
    const namespace = `pool-${pools}`
    const users = names.map((user) => `${user}${pools}`)
    const ids = []
    for (const [priority, user] of users.entries()) {
      const { id } = await logIn(user, { provider, namespace })
      await library.updateAccount(id, { priority })
      ids.push(id)
    }
    const fetch = library.createAuthFetch({ provider, namespace })
    return {
      users,
      ids,
      namespace,
      ask: ({ session, signal } = {}) => fetch(upstream.chatUrl, { ...chat(session), signal }),
      served: () => upstream.accounts().filter((user) => users.includes(user)),
      status: async () => (await library.poolStatus({ provider, namespace }))[0],
      account: async (index = 0) => (await library.listAccounts({ namespace })).find(({ id }) => id === ids[index]),
    }
  }

  /** Runs module source in a process of its own on the same vault, and returns the JSON that it printed. */
  const inChild = async (source, options) => {
    const { code, signal, stdout, stderr } = await sandbox.run(source, options)
    if (code !== 0) throw new Error(`the child ended with ${code ?? signal}: ${stderr}`)
    return stdout === '' ? undefined : JSON.parse(stdout)
  }

  return { oidc, upstream, sandbox, library, config, logIn, openPool, inChild }
}

/** A chat request, of a conversation or of none. */
export function chat(session) {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(session && { 'x-session-id': session }) },
    body: JSON.stringify({ model: 'small-1', messages: [{ role: 'user', content: 'hello' }] }),
  }
}
