/** The library under an instance's options, and what it says without the vault. */
import { read } from '../own.js'
import type { Host, HostConfig } from './host.js'
import { alsoTo, log } from './log.js'
import type { Offer } from './logins.js'
import type { ModelFinder } from './models.js'
import { defineOci, type OciDefinition } from './oci.js'
import { type OciLog, openOciLog } from './oci-log.js'
import { finderOf } from './offer-models.js'
import { isOurs } from './routes.js'
import { type Given, type Settings, settingsOf } from './settings.js'
import { isOurPlugin, readUserConfig, type UserConfig } from './user-config.js'
import { codeOf } from './words.js'

type Library = typeof import('../index.js')

export type PluginOptions = Record<string, unknown>

/** The library, configured, and what it says without the vault. */
export interface Begun {
  library: Library
  settings: Settings
  user: UserConfig
  providers: Awaited<ReturnType<Library['configuredProviders']>>
  /** MCP servers, which are no providers of models. */
  servers: ReadonlySet<string>
  waiting: ReadonlyMap<string, Offer>
  untrusted: ReadonlySet<string>
  /** What `oci-auth.config.jsonc` makes. */
  oci: OciDefinition | undefined
  ociLog: OciLog | undefined
  finder: ModelFinder
}

/** @throws what is wrong with the addon, the options or the configuration */
export async function begin(host: Host, config: HostConfig, options: PluginOptions | undefined): Promise<Begun> {
  const parse = await jsoncParser()
  const ociLog = await openOciLog(parse)
  if (ociLog !== undefined) alsoTo(host, ociLog.write)
  ociLog?.write('info', `loaded for ${host.directory ?? process.cwd()}`)
  // Late, since it throws where the addon does not load.
  const library = await import('../index.js')
  const user = await readUserConfig(parse)
  const settings = settingsOf(await given(host, config, options, user))
  configure(library, host, {
    ...(settings.config !== undefined && { config: settings.config }),
    ...(ociLog?.options !== undefined && { log: ociLog.options }),
  })
  const all = await library.configuredProviders()
  const { waitingProviders } = await import('./trust.js')
  const waiting = new Map((await waitingProviders()).map((provider) => [provider.id, provider]))
  const servers = all.filter((provider) => read(provider, 'resource') !== undefined)
  return {
    library,
    settings,
    user,
    providers: all.filter((provider) => !servers.includes(provider)),
    servers: new Set(servers.map(({ id }) => id)),
    waiting,
    untrusted: new Set(waiting.keys()),
    ociLog,
    oci: await defineOci(config, { library, providers: all, parse, isOurs }),
    finder: finderOf(library, (text) => log(host, 'warn', text)),
  }
}

/** Reads JSON with comments; where the addon does not load, without. */
async function jsoncParser(): Promise<(text: string) => unknown> {
  try {
    const { addon } = await import('../addon.js')
    return addon.parseJsonc
  } catch {
    return JSON.parse
  }
}

/**
 * The options that count: the user's own, and over them those of a project. Where a project names
 * the plugin too, OpenCode hands over the project's alone.
 */
async function given(
  host: Host,
  config: HostConfig,
  options: PluginOptions | undefined,
  user: UserConfig,
): Promise<Given[]> {
  if (await isUsersOwn(config, options)) return [{ options, isUsersOwn: true }]
  if (user.unread !== undefined) {
    const why = 'a project names the plugin again, and OpenCode then keeps the values of {env:…} and {file:…} to itself'
    log(host, 'warn', `your option "${user.unread}" of the plugin is lost: ${why}`)
  }
  const own = user.unread === undefined ? user.options : undefined
  return [
    { options: own, isUsersOwn: true },
    { options, isUsersOwn: false },
  ]
}

/** Tells whether the entry of `plugin` that OpenCode took stands in the user's own file. */
export async function isUsersOwn(config: HostConfig, options: PluginOptions | undefined): Promise<boolean> {
  for (const { spec, scope } of read(config, 'plugin_origins') ?? []) {
    const [name, its] = Array.isArray(spec) ? spec : [spec, undefined]
    if (its === options && (options !== undefined || (await isOurPlugin(name)))) return scope === 'global'
  }
  return options === undefined
}

/** One process serves many projects with one broker. Where two of them differ, the first one's hold. */
function configure(library: Library, host: Host, options: Parameters<Library['configure']>[0]): void {
  if (Object.keys(options).length === 0) return
  try {
    library.configure(options)
  } catch (fault) {
    if (codeOf(fault) !== 'ALREADY_CONFIGURED') throw fault
    log(host, 'warn', 'the option "config" of the plugin has changed; it takes effect when OpenCode starts anew')
  }
}
