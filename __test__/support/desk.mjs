/**
 * A desk to test the fetch path at: one chat endpoint, another origin beside it, a sandbox, and pools of API keys, each in
 * a namespace of its own, so that what one test does to its accounts no other test can see.
 */
import { after } from 'node:test'
import { createSandbox, LIBRARY_URL } from './sandbox.mjs'
import { startUpstream } from './upstream.mjs'

/** Starts the desk and registers its end. Call it once, at the top of a test file. */
export async function openDesk({ rotation = { maxWaitMs: 3000 } } = {}) {
  const upstream = await startUpstream()
  const elsewhere = await startUpstream()
  const provider = { origins: [upstream.origin], rotation }
  const sandbox = createSandbox({
    name: 'fetch',
    config: {
      providers: {
        desk: provider,
        'desk-x': { ...provider, header: 'x-api-key', scheme: '' },
        'desk-headed': { ...provider, headers: { 'x-desk-tenant': 'ours', 'anthropic-beta': 'ours' } },
        'desk-google': { ...provider, extends: 'google' },
        'desk-mcp': { ...provider, extends: 'mcp', resource: upstream.origin },
      },
    },
  })
  sandbox.enter()
  const library = await import(LIBRARY_URL)
  after(async () => {
    await upstream.close()
    await elsewhere.close()
    sandbox.cleanup()
  })

  let pools = 0
  /** Makes a pool of named accounts, served in this order, and a fetch over it. Names are unique: `ada` becomes `ada1`, `ada2`, … */
  const openPool = async (names, { provider: id = 'desk', ...options } = {}) => {
    pools += 1
    const namespace = `pool-${pools}`
    const accounts = names.map((name) => `${name}${pools}`)
    for (const [priority, account] of accounts.entries()) {
      upstream.admit(`key-of-${account}`, account)
      const { id: accountId } = await library.addApiKey({
        provider: id,
        namespace,
        label: account,
        apiKey: `key-of-${account}`,
      })
      await library.updateAccount(accountId, { priority })
    }
    const fetch = library.createAuthFetch({ provider: id, namespace, ...options })
    const seen = () => upstream.requests.filter(({ account }) => accounts.includes(account))
    return { accounts, namespace, provider: id, fetch, seen, served: () => seen().map(({ account }) => account) }
  }
  return { library, upstream, elsewhere, openPool }
}

/** Resolves to what a promise rejects with, and throws when it does not. */
export async function rejection(promise) {
  return promise.then(
    () => {
      throw new Error('it was expected to reject')
    },
    (error) => error,
  )
}

export const chat = (extra = {}) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'small-1', messages: [{ role: 'user', content: 'hello' }], ...extra }),
})
