/** What OpenCode and its plugins hand to each other; only what is used here. Types alone. */

/** What OpenCode hands to a plugin. */
export interface Host {
  client: {
    app: { log(entry: { body: { service: string; level: 'warn' | 'error'; message: string } }): Promise<unknown> }
  }
}

/**
 * The merged opencode.json. `plugin_origins` says which file named a plugin: `global` is the user's
 * own.
 */
export interface HostConfig {
  provider?: Record<string, HostProvider>
  plugin_origins?: { spec: unknown; scope: string }[]
}

export interface HostProvider {
  options?: Record<string, unknown>
}

export interface Hooks {
  config?(config: HostConfig): Promise<void>
  auth?: AuthHook
  dispose?(): Promise<void>
}

export interface AuthHook {
  provider: string
  methods: { type: 'oauth'; label: string; prompts?: Prompt[]; authorize(inputs?: Inputs): Promise<Authorization> }[]
}

export type Inputs = Record<string, string>

export type Authorization = { url: string; instructions: string } & (
  | { method: 'auto'; callback(): Promise<LoggedIn> }
  | { method: 'code'; callback(code: string): Promise<LoggedIn> }
)

export interface LoggedIn {
  type: 'success'
  key: string
}

/** What OpenCode asks before a login, and hands to it by `key`. */
export interface Prompt {
  type: 'select'
  key: string
  message: string
  options: { label: string; value: string; hint?: string }[]
}
