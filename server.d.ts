/** The OpenCode plugin of provider-auth, for `"plugin": ["file:///path/to/provider-auth"]`. OpenCode calls what is exported here. */

/** A plugin as OpenCode calls it: with its host, and the options of `opencode.json` (`config`, as in `config.jsonc`). */
export type Plugin = (host: unknown, options?: Record<string, unknown>) => Promise<object>

/** Routes the requests of the providers that provider-auth serves. */
declare const requests: Plugin
// biome-ignore lint/style/noDefaultExport: the form of OpenCode's plugins.
export default requests

/** Places for the logins of providers: OpenCode takes one login from each plugin. */
export const login1: Plugin, login2: Plugin, login3: Plugin, login4: Plugin
export const login5: Plugin, login6: Plugin, login7: Plugin, login8: Plugin
export const login9: Plugin, login10: Plugin, login11: Plugin, login12: Plugin
export const login13: Plugin, login14: Plugin, login15: Plugin, login16: Plugin
