/**
 * The calls of the contract that are the addon's own, but for where their errors come from and what
 * JavaScript keeps beside it.
 */
import type * as api from '../../index.js'
import { type Addon, addon, type NativePrompt } from './addon.js'
import { forgetFacts } from './facts.js'
import { forgetLent } from './lent.js'
import { parsed } from './pages.js'
import { reportServed } from './served.js'
import { callerOf, from, traced } from './stack.js'
import { waitFor } from './waits.js'
import { withoutStore } from './without-store.js'

/** A call that looks at what was served: it is reported first. */
function upToDate<Args extends unknown[], T>(call: (...args: Args) => Promise<T>): (...args: Args) => Promise<T> {
  return traced((...args: Args) => {
    reportServed()
    return call(...args)
  })
}

/** A call about stores for many machines, which the plain addon does not have. */
function ofStore<Args extends unknown[], T>(
  call: ((...args: Args) => Promise<T>) | undefined,
): (...args: Args) => Promise<T> {
  return upToDate(call ?? (async () => Promise.reject(withoutStore())))
}

export const explain: typeof api.explain = upToDate(addon.explain)
export const addApiKey: typeof api.addApiKey = traced(addon.addApiKey)
export const updateAccount: typeof api.updateAccount = upToDate(addon.updateAccount)
export const refreshAccount: typeof api.refreshAccount = upToDate(addon.refreshAccount)
export const clearCooldowns: typeof api.clearCooldowns = upToDate(addon.clearCooldowns)
export const vaultStatus: typeof api.vaultStatus = traced(addon.vaultStatus)
export const initVaultKey: typeof api.initVaultKey = traced(addon.initVaultKey)
export const exportVaultKey: typeof api.exportVaultKey = traced(addon.exportVaultKey)
export const importVaultKey: typeof api.importVaultKey = traced(addon.importVaultKey)
export const rotateVaultKey: typeof api.rotateVaultKey = traced(addon.rotateVaultKey)
export const addVaultSlot: typeof api.addVaultSlot = traced(addon.addVaultSlot)
export const removeVaultSlot: typeof api.removeVaultSlot = traced(addon.removeVaultSlot)
export const joinFleet: typeof api.joinFleet = traced(addon.joinFleet)
export const admitHost: typeof api.admitHost = traced(addon.admitHost)
export const fleetHosts: typeof api.fleetHosts = traced(addon.fleetHosts)
export const revokeHost: typeof api.revokeHost = upToDate(addon.revokeHost)
export const exportVault: typeof api.exportVault = traced(addon.exportVault)
export const movedBundle: typeof api.movedBundle = traced(addon.movedBundle)
export const importVault: typeof api.importVault = traced(addon.importVault)
export const storeStatus: typeof api.storeStatus = ofStore(addon.storeStatus)
export const initStore: typeof api.initStore = ofStore(addon.initStore)
export const migrateStore: typeof api.migrateStore = ofStore(addon.migrateStore)
export const storeSql: typeof api.storeSql = ofStore(addon.storeSql)
export const moveVault: typeof api.moveVault = ofStore(addon.moveVault)
export const migrate: typeof api.migrate = traced(addon.migrate)
export const configuredProviders: typeof api.configuredProviders = traced(addon.configuredProviders)
export const inspectConfig: typeof api.inspectConfig = traced(addon.inspectConfig)
export const projectTrust: typeof api.projectTrust = traced(addon.projectTrust)
export const logFiles: typeof api.logFiles = traced(addon.logFiles)
export const finishLogin: Addon['finishLogin'] = traced(addon.finishLogin)

export { factsVersion } from './facts.js'

export const { cancelLogin, loginProgress, openBrowser } = addon

/** `listAccounts` of the contract. */
export const listAccounts: typeof api.listAccounts = upToDate(async (filter) => {
  const accounts: api.Account[] = []
  for await (const page of parsed<api.Account[]>(await addon.listAccounts(filter))) accounts.push(...page)
  return accounts
})

/** `poolStatus` of the contract. */
export const poolStatus: typeof api.poolStatus = upToDate(async (filter) => {
  const pools: api.PoolStatus[] = []
  for await (const page of parsed<api.PoolStatus>(await addon.poolStatus(filter))) {
    const last = pools.at(-1)
    const goesOn = last?.provider === page.provider && last.namespace === page.namespace
    if (goesOn) last.accounts.push(...page.accounts)
    else pools.push(page)
  }
  return pools
})

/** `stats` of the contract. */
export const stats: typeof api.stats = upToDate(async (options) => {
  const whole: api.Stats = { enabled: false, counts: [], quota: [] }
  for await (const page of parsed<api.Stats>(await addon.stats(options))) {
    whole.enabled = page.enabled
    whole.counts.push(...page.counts)
    whole.quota.push(...page.quota)
  }
  return whole
})

/** `configure` of the contract. What was asked before may be otherwise now. */
export function configure(options: api.ConfigureOptions): void {
  reportServed()
  try {
    addon.configure(options)
  } catch (error) {
    throw from(callerOf(configure), error)
  }
  forgetFacts()
}

/** `removeAccount` of the contract. What was lent of an account does not stay here either. */
export const removeAccount: typeof api.removeAccount = upToDate(async (id, options) => {
  const wasThere = await addon.removeAccount(id, options)
  forgetLent()
  return wasThere
})

/** `trustProject` of the contract. What the files want counts from now on. */
export const trustProject: typeof api.trustProject = traced(async (shown) => {
  const trust = await addon.trustProject(shown)
  forgetFacts()
  return trust
})

/** `untrustProject` of the contract. */
export const untrustProject: typeof api.untrustProject = traced(async () => {
  const trust = await addon.untrustProject()
  forgetFacts()
  return trust
})

/** `checkApiKey` of the contract. */
export const checkApiKey: typeof api.checkApiKey = traced(async (options) => waitFor(options, addon.checkApiKey))

/** `discoverModels` of the contract. */
export const discoverModels: typeof api.discoverModels = upToDate(async (options) =>
  waitFor(options, addon.discoverModels),
)

/** `diagnose` of the contract. */
export const diagnose: typeof api.diagnose = upToDate(async (options = {}) => waitFor(options, addon.diagnose))

/** `getCredential` of the contract. */
export const getCredential: typeof api.getCredential = upToDate(async (request) =>
  waitFor(request, addon.getCredential),
)

/** The first step of `startLogin`. The signal calls it off, whatever it waits for. */
export function startNativeLogin(options: api.LoginOptions): Promise<NativePrompt> {
  return waitFor(options, addon.startLogin)
}

/**
 * `subscribe` of the contract: a listener that throws is dropped, since no caller could catch what
 * it throws.
 */
export function subscribe(listener: (event: api.AuthEvent) => void): () => void {
  if (typeof listener !== 'function')
    throw from(
      callerOf(subscribe),
      Object.assign(new Error('listener: expected a function'), { code: 'INVALID_ARGUMENT' }),
    )
  reportServed()
  const number = addon.subscribe((event) => {
    try {
      listener(event)
    } catch {
      addon.unsubscribe(number)
    }
  })
  return () => {
    reportServed()
    addon.unsubscribe(number)
  }
}

/** Refuses an option that the call does not know. */
export function checkOptions(call: string, options: unknown): void {
  try {
    addon.checkOptions(call, options)
  } catch (error) {
    throw from(callerOf(checkOptions), error)
  }
}
