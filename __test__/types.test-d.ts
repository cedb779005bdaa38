// Checked by the compiler and never run: what is built has the declared types, and the API reads as it is meant to.

import type * as api from '../index.js'
import type * as built from '../npm/src/index.js'

/* What is built can stand for what is declared. */

export const conforms = (library: typeof built): typeof api => library

/* A program that signs in, asks, and looks at what happened. */

export async function program(library: typeof api, signal: AbortSignal): Promise<string> {
  library.configure({
    dir: '/somewhere',
    keySource: 'passphrase',
    config: {
      providers: {
        acme: {
          issuer: 'https://login.acme.example',
          clientId: 'an-app',
          scopes: ['openid', 'offline_access'],
          origins: ['https://api.acme.example'],
          params: { authorize: { prompt: 'consent' } },
          rotation: { mode: 'auto', strategy: 'sticky', maxAttempts: 4, holdUntilReset: false },
        },
      },
    },
    log: { level: 'info', file: '/somewhere/log' },
  })

  const session = await library.startLogin({ provider: 'acme', method: 'device', signal })
  const shown: string = `${session.instructions} ${session.url} ${session.userCode ?? ''}`
  const account: api.Account = await session.finish()
  session.cancel()
  await library.login({ provider: 'acme', onPrompt: ({ url }) => void url, readCode: async () => 'code' })
  await library.login({ provider: 'notes', resource: 'https://mcp.notes.example/mcp', signal })
  await library.addApiKey({ provider: 'acme', apiKey: 'key', label: 'spare' })

  const unsubscribe: () => void = library.subscribe((event) => {
    if (event.type === 'rotated' && event.reason === 'rate_limited') unsubscribe()
  })

  // A drop-in: wherever a fetch is taken, this one fits.
  const fetch: typeof globalThis.fetch = library.createAuthFetch({ provider: 'acme', model: (url) => url.pathname })
  const response = await fetch('https://api.acme.example/v1/chat', { method: 'POST', body: '{}', signal })

  // One call may name its session, account or model, and ask why.
  const byKey = library.createAuthFetch({ provider: 'acme', rotation: { mode: 'api', maxWaitMs: 0 } })
  await byKey('https://api.acme.example/v1/chat')
  const chosen = library.createAuthFetch({ provider: 'acme', onTrace: ({ rule, accounts }) => void [rule, accounts] })
  await chosen('https://api.acme.example/v1/chat', { providerAuth: { session: 'a', account: 'spare' } })
  const trace: api.Trace = await library.explain({ provider: 'acme', url: response.url, boundBy: 'file-1' })
  const chances: api.AccountChance[] = trace.accounts.map(({ chance }) => chance)

  // The same in steps, for a client that has no fetch.
  const { attempt, headers, strip } = await library.getAuthHeaders({ provider: 'acme', url: response.url })
  const observed: readonly string[] = library.OBSERVED_HEADERS
  const verdict = await library.reportResponse({ attempt, status: 429, headers: { 'retry-after': '30' } })
  const again = { provider: 'acme', url: response.url, retryOf: attempt }
  if (verdict.action === 'retry') await library.getAuthHeaders(again)

  const { models, stale }: api.ModelList = await library.discoverModels({ provider: 'acme', refresh: true, signal })
  const menu: string[] = models.map(({ id, name }) => name ?? (stale ? `${id}?` : id))

  const { enabled, counts, quota }: api.Stats = await library.stats({ provider: 'acme', since: 0 })
  void (enabled satisfies boolean)
  void (counts[0]?.switched satisfies Record<string, number> | undefined)
  void (quota[0]?.usedPercent satisfies number | undefined)
  // @ts-expect-error: a time is a number.
  void library.stats({ since: '7d' })
  const [pool] = await library.poolStatus({ provider: 'acme' })
  const used: number[] | undefined = pool?.accounts.flatMap(({ quota }) => quota.map(({ usedPercent }) => usedPercent))
  const cleared: number = await library.clearCooldowns({ account: account.id })
  const removed: boolean = await library.removeAccount(account.id, { revoke: true })
  const { keyId, state } = await keys(library)
  return [
    shown,
    Object.keys(headers),
    strip,
    observed,
    pool?.rotations,
    cleared,
    removed,
    keyId,
    state,
    chances,
    menu,
    used,
  ].join()
}

async function keys(library: typeof api): Promise<api.VaultStatus> {
  await library.initVaultKey({ keySource: 'keychain' })
  const slot: api.KeySlot = await library.addVaultSlot({ keySource: 'passphrase', passphrase: 'in the safe' })
  await library.rotateVaultKey({ passphrase: 'in the safe' })
  const removed: boolean = await library.removeVaultSlot(slot.id)
  const key: string = await library.exportVaultKey()
  const bundle: Uint8Array = await library.exportVault('a phrase', {
    includeOAuth: removed,
    allowWeakPassphrase: removed,
  })
  const moved: Uint8Array | undefined = await library.movedBundle()
  const { added, accounts } = await library.importVault(moved ?? bundle, 'a phrase')
  const setup: api.StoreSetup = await library.initStore({ roles: ['ci'] })
  const sql: string = await library.storeSql({ roles: setup.admitted })
  const report: api.MoveReport = await library.moveVault(setup.where + sql)
  if (report.to === (await library.migrateStore()).where) await library.storeStatus()
  if (added < accounts.length) return library.importVaultKey(key, { keySource: 'env' })
  return library.vaultStatus()
}

/* What must not compile. */

export function mistakes(library: typeof api): void {
  // @ts-expect-error: a provider is named
  void library.getAuthHeaders({ url: 'https://api.acme.example' })
  // @ts-expect-error: the vault has no plain-text mode
  library.configure({ keySource: 'plaintext' })
  // @ts-expect-error: a slot's key lives somewhere
  void library.addVaultSlot({ keySource: 'memory' })
  // @ts-expect-error: absent and undefined differ
  void library.listAccounts({ provider: undefined })
  // @ts-expect-error: an account never carries its tokens
  void library.listAccounts().then(([account]) => account?.refreshToken)
}

/** A caller handles a failure by its code, and the compiler knows the codes. */
export function advice(error: api.AuthError): string {
  const codes: Partial<Record<api.AuthErrorCode, string>> = {
    NEEDS_LOGIN: 'sign in again',
    EXHAUSTED: `come back at ${error.retryAt ?? 'some time'}`,
  }
  return codes[error.code] ?? error.message
}
