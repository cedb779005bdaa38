/** The library: what `index.d.ts` declares, and nothing else. */
export { createAuthFetch } from './auth-fetch.js'
export { login, startLogin } from './login.js'
export {
  addApiKey,
  clearCooldowns,
  configure,
  configuredProviders,
  explain,
  getAuthHeaders,
  listAccounts,
  OBSERVED_HEADERS,
  poolStatus,
  refreshAccount,
  removeAccount,
  reportResponse,
  subscribe,
  updateAccount,
  vaultStatus,
} from './native.js'
