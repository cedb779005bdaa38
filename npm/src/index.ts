/** The library: what `index.d.ts` declares, and nothing else. */
export { createAuthFetch } from './auth-fetch.js'
export { login, startLogin } from './login.js'
export {
  addApiKey,
  addVaultSlot,
  clearCooldowns,
  configure,
  configuredProviders,
  discoverModels,
  explain,
  exportVault,
  exportVaultKey,
  getAuthHeaders,
  importVault,
  importVaultKey,
  initVaultKey,
  listAccounts,
  OBSERVED_HEADERS,
  poolStatus,
  refreshAccount,
  removeAccount,
  removeVaultSlot,
  reportResponse,
  rotateVaultKey,
  subscribe,
  updateAccount,
  vaultStatus,
} from './native.js'
