/** What an instance's configuration says of its providers, and what we put there. */
import { read } from '../own.js'
import type { HostConfig } from './host.js'
import { PLACEHOLDER } from './who-serves.js'

type Fetch = ReturnType<typeof import('../index.js')['createAuthFetch']>

/** Those that we put into a configuration, so that another plugin's are told from them. */
const ours = new WeakSet<object>()
export const isOurs = (fetch: unknown): boolean => typeof fetch === 'function' && ours.has(fetch)

/** Has the requests of a provider go through this `fetch`. */
export function route(config: HostConfig, id: string, fetch: Fetch): void {
  ours.add(fetch)
  const provider = read(read(config, 'provider'), id)
  const options = { ...optionsOf(config, id), apiKey: PLACEHOLDER, fetch }
  config.provider = { ...read(config, 'provider'), [id]: { ...provider, options } }
}

/** The options of a provider. */
export function optionsOf(config: HostConfig, id: string): Record<string, unknown> | undefined {
  return read(read(read(config, 'provider'), id), 'options')
}
