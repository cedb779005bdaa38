/** The library: what `index.d.ts` declares, and nothing else. */
export { createAuthFetch } from './auth-fetch.js'
export { OBSERVED_HEADERS } from './facts.js'
export {
  addApiKey,
  addVaultSlot,
  checkApiKey,
  clearCooldowns,
  configure,
  configuredProviders,
  diagnose,
  discoverModels,
  explain,
  exportVault,
  exportVaultKey,
  getCredential,
  importVault,
  importVaultKey,
  initVaultKey,
  inspectConfig,
  listAccounts,
  logFiles,
  migrate,
  movedBundle,
  poolStatus,
  projectTrust,
  refreshAccount,
  removeAccount,
  removeVaultSlot,
  rotateVaultKey,
  stats,
  subscribe,
  trustProject,
  untrustProject,
  updateAccount,
  vaultStatus,
} from './library.js'
export { login, startLogin } from './login.js'
export { getAuthHeaders, reportResponse } from './requests.js'
