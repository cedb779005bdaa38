/**
 * The OpenCode plugin: requests of the providers that provider-auth serves go through
 * `createAuthFetch`, and `opencode auth login` puts what it obtains into the vault.
 *
 * OpenCode calls every function that a plugin module exports and takes at most one login hook from
 * each. So this module exports one function for all else and, for the logins, one place per
 * provider. What is decided and said is in `opencode/`; here it meets OpenCode's first version.
 */

import { agentHooks } from './opencode/agent.js'
import type { PluginOptions } from './opencode/begin.js'
import type { Hooks, Host, HostConfig } from './opencode/host.js'
import { type Instance, installInstance } from './opencode/instance.js'
import { addCommand } from './opencode/tools.js'

type Plugin = (host: Host, options?: PluginOptions) => Promise<Hooks>

const instances = new WeakMap<Host, Promise<Instance>>()
let places = 0

/** Serves requests, and the agent. */
export default async function requests(host: Host, options?: PluginOptions): Promise<Hooks> {
  let instance: Instance | undefined
  return {
    ...agentHooks(host, () => instance),
    async config(config) {
      addCommand(config)
      instance = await installOnce(host, config, options)
    },
    async dispose() {
      instance?.dispose()
    },
  }
}

export const login1 = place()
export const login2 = place()
export const login3 = place()
export const login4 = place()
export const login5 = place()
export const login6 = place()
export const login7 = place()
export const login8 = place()
export const login9 = place()
export const login10 = place()
export const login11 = place()
export const login12 = place()
export const login13 = place()
export const login14 = place()
export const login15 = place()
export const login16 = place()

/**
 * Makes a plugin function that offers the login of one provider: the next one that has no place
 * yet.
 */
function place(): Plugin {
  const position = places++
  return async (host, options) => {
    const hooks: Hooks = {
      // OpenCode reads the login hooks after it has run the config hooks, so this one can be found
      // out here.
      async config(config) {
        const { logins, models } = await installOnce(host, config, options)
        const [login, found] = [logins[position], models[position]]
        if (login !== undefined) hooks.auth = login.auth
        if (found !== undefined) hooks.provider = found
      },
    }
    return hooks
  }
}

function installOnce(host: Host, config: HostConfig, options: PluginOptions | undefined): Promise<Instance> {
  const installed = instances.get(host) ?? installInstance(host, config, options, places)
  instances.set(host, installed)
  return installed
}
