/** What OpenCode and its plugins hand to each other; only what is used here. Types alone. */

/** What OpenCode hands to a plugin. */
export interface Host {
  directory?: string
  worktree?: string
  client: {
    app: { log(entry: { body: LogEntry }): Promise<unknown> }
    tui?: { showToast(toast: { body: ToastBody }): Promise<unknown> }
    instance?: { dispose(): Promise<unknown> }
    session?: { status(): Promise<{ data?: Record<string, { type: string }> }> }
    auth?: { set(entry: { path: { id: string }; body: { type: 'api'; key: string } }): Promise<unknown> }
  }
}

export interface LogEntry {
  service: string
  level: 'info' | 'warn' | 'error'
  message: string
}

export interface ToastBody {
  message: string
  variant: 'info' | 'success' | 'warning' | 'error'
  /** In milliseconds. */
  duration: number
}

/**
 * The merged opencode.json. `plugin_origins` says which file named a plugin: `global` is the user's
 * own.
 */
export interface HostConfig {
  provider?: Record<string, HostProvider>
  plugin_origins?: { spec: unknown; scope: string }[]
  command?: Record<string, { template: string; description?: string }>
}

export interface HostProvider {
  env?: unknown
  npm?: unknown
  name?: unknown
  options?: Record<string, unknown>
  models?: Record<string, Record<string, unknown>>
}

export interface Hooks {
  config?(config: HostConfig): Promise<void>
  auth?: AuthHook
  provider?: ProviderHook
  dispose?(): Promise<void>
  tool?: Record<string, Tool>
  'command.execute.before'?(input: { command: string }, output: { parts: unknown }): Promise<void>
  /** What it throws is the tool's answer. */
  'tool.execute.before'?(input: { tool: string }, output: { args: unknown }): Promise<void>
  'tool.execute.after'?(input: { tool: string; args: unknown }, output: unknown): Promise<void>
  'shell.env'?(input: unknown, output: { env: Record<string, string> }): Promise<void>
}

/** A tool of an agent. `args` are properties of a JSON schema. */
export interface Tool {
  description: string
  args: Record<string, unknown>
  execute(args: unknown): Promise<{ title: string; output: string }>
}

/** Adds models to a provider of models.dev; OpenCode calls it for no other. */
export interface ProviderHook {
  id: string
  models<T extends CataloguedModel>(provider: { models: Record<string, T> }): Promise<Record<string, T>>
}

/** What OpenCode knows of a model of models.dev. */
export interface CataloguedModel {
  api: { id: string; url: string; npm: string }
}

export interface AuthHook {
  provider: string
  methods: { type: 'oauth'; label: string; prompts?: Prompt[]; authorize(inputs?: Inputs): Promise<Authorization> }[]
}

export type Inputs = Record<string, string>

export type Authorization = { url: string; instructions: string } & (
  | { method: 'auto'; callback(): Promise<LoggedIn | Failed> }
  | { method: 'code'; callback(code: string): Promise<LoggedIn | Failed> }
)

export interface LoggedIn {
  type: 'success'
  key: string
}

/** OpenCode says that it failed, and not why. */
export interface Failed {
  type: 'failed'
}

/** What OpenCode asks before a login, and hands to it by `key`. */
export type Prompt = { key: string; message: string } & (
  | { type: 'select'; options: { label: string; value: string; hint?: string }[] }
  | { type: 'text'; placeholder?: string }
)
