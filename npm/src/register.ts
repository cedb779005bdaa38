/**
 * Has the process's `fetch` authenticate requests to providers of which the vault has accounts: `node --import
 * provider-auth/register app.js`. All other requests go to the `fetch` that was there, as they are.
 */
import { register } from './register/install.js'

register()
