/**
 * What OpenCode 2 hands to a plugin, as far as it is used here: types alone, in our own words.
 *
 * Written to its documentation and to the sources of its plugin package, as of October 2026:
 * https://opencode.ai/v2/docs/build/plugins/server/ ("Plugins: Server") and
 * https://github.com/anomalyco/opencode/tree/dev/packages/plugin/src. It hasn't run there yet.
 */

/**
 * The first argument of `setup`.
 * https://opencode.ai/v2/docs/build/plugins/server/ ("Context")
 */
export interface Context {
  readonly app: { readonly version?: string }
  /** `options` of the plugin's entry in `plugins`; empty where it has none. */
  readonly options: Readonly<Record<string, unknown>>
  /** The folder that this instance of the plugin is for. */
  readonly location?: { readonly directory?: string }
  readonly session: { readonly hook: HookOf<SessionHooks> }
  readonly tool: { readonly hook: HookOf<ToolHooks>; readonly transform: Transform<ToolEditor> }
  readonly shell: { readonly hook: HookOf<ShellHooks> }
  readonly integration: IntegrationDomain
  readonly provider: { readonly transform: Transform<ProviderEditor>; reload(): Promise<void> }
  readonly model: { readonly transform: Transform<ModelEditor> }
  /** What happens in the host, all folders together. `packages/plugin/src/promise/event.ts` */
  readonly event: { subscribe(options: { signal: AbortSignal }): AsyncIterable<{ readonly type: string }> }
}

/** What `setup` may return; called when the plugin is unloaded. Server page, "Lifecycle". */
export type Cleanup = () => Promise<void>

/** A registration ends by itself when the plugin is unloaded. `packages/plugin/src/README.md` */
export interface Registration {
  dispose(): Promise<void>
}

/** `packages/plugin/src/promise/registration.ts` */
export type HookOf<Events> = <Name extends keyof Events>(
  name: Name,
  callback: (event: Events[Name]) => Promise<void> | void,
) => Promise<Registration>

/** The callback is run again whenever the domain is rebuilt, and may not wait. Same file. */
export type Transform<Editor> = (callback: (editor: Editor) => void) => Promise<Registration>

/* ── requests: packages/plugin/src/promise/session.ts ── */

export interface SessionHooks {
  /** Before each request to a model; `request` may be replaced. What throws here ends the step. */
  'http.request': RequestEvent & { request: Request }
  /** After each response, of which nothing was read; `response` may be replaced. Not after a failure. */
  'http.response': RequestEvent & { readonly request: Request; response: Response }
  /** Before the host tries again, or gives up; `decision` may be replaced, with a delay in ms. */
  retry: Scope & { decision: { retry: false } | { retry: true; delay: number } }
}

interface Scope {
  readonly sessionID: string
  readonly agent: string
  readonly model: { readonly id: string; readonly providerID: string }
}

export interface RequestEvent extends Scope {
  /** `primary`, `compaction`, `title` or `generate`. */
  readonly kind: string
}

/* ── logins: packages/plugin/src/promise/integration.ts ── */

export interface IntegrationDomain {
  readonly transform: Transform<IntegrationEditor>
  reload(): Promise<void>
  readonly connection: {
    /** The one that serves: a stored credential, or a variable. */
    active(integrationID: string): Promise<Connection | undefined>
    /** What it holds. The host renews an OAuth credential here that is about to end. */
    resolve(connection: Connection): Promise<Credential | undefined>
    /** Says that a sign-in is needed; `undefined` takes it back. */
    status(input: {
      integrationID: string
      connection: Connection
      status: { status: 'needs_auth'; message: string } | undefined
    }): Promise<void>
  }
}

/** `packages/schema/src/connection.ts` */
export type Connection =
  | { readonly type: 'credential'; readonly id: string; readonly label: string; readonly methodID?: string }
  | { readonly type: 'env'; readonly name: string }

/** `packages/schema/src/credential.ts`. Times are Unix milliseconds. */
export type Credential =
  | OAuthCredential
  | { readonly type: 'key'; readonly key: string }
  | { readonly type: 'external' }

export interface OAuthCredential {
  readonly type: 'oauth'
  readonly methodID: string
  readonly refresh: string
  readonly access: string
  readonly expires: number
  readonly metadata?: Readonly<Record<string, unknown>>
}

export interface IntegrationEditor {
  get(id: string): { id: string; name: string } | undefined
  /** Changes an integration, which is made where there is none. */
  update(id: string, change: (integration: { id: string; name: string }) => void): void
  readonly method: {
    list(integrationID: string): readonly { readonly type: string; readonly id?: string }[]
    /** Adds a way to sign in, or replaces the one with the same id. */
    update(method: OAuthMethod): void
  }
}

export interface OAuthMethod {
  readonly integrationID: string
  readonly method: {
    readonly id: string
    readonly type: 'oauth'
    readonly label: string
    readonly form?: readonly FormField[]
  }
  authorize(answer: FormAnswer): Promise<Authorization>
  /** What the host calls the credential; without it a number after the integration's name. */
  label?(credential: OAuthCredential): string | undefined
}

/** What rejects is shown to the person by its message. */
export type Authorization = { readonly url: string; readonly instructions: string; readonly expiresAt?: number } & (
  | { readonly mode: 'auto'; readonly callback: Promise<OAuthCredential> }
  | { readonly mode: 'code'; callback(code: string): Promise<OAuthCredential> }
)

/** `packages/schema/src/form.ts` */
export interface FormField {
  readonly key: string
  readonly type: 'string'
  readonly title?: string
  readonly description?: string
  readonly required?: boolean
  readonly options?: readonly { value: string; label: string; description?: string }[]
}

export type FormAnswer = Readonly<Record<string, unknown>>

/* ── providers and models: packages/core/src/provider.ts, packages/plugin/src/promise/model.ts ── */

export interface ProviderEditor {
  get(id: string): ProviderRecord | undefined
  /** Changes a provider, which is made where there is none. */
  update(id: string, change: (provider: Provider) => void): void
  readonly models: {
    /** Changes a model, which is made with the host's defaults where there is none. */
    update(providerID: string, modelID: string, change: (model: Model) => void): void
  }
}

export interface ProviderRecord {
  readonly provider: Readonly<Provider>
  readonly models: ReadonlyMap<string, unknown>
}

/** `packages/schema/src/provider.ts` */
export interface Provider {
  id: string
  name?: string
  /** Whose connections are its own; its id where absent. */
  integrationID?: string
  /** `auto` is in use once its integration has a connection; and where there is no integration of it. */
  activation?: 'auto' | 'enabled' | 'disabled'
  package?: string
  /** False: requests go by HTTP even where the provider has a WebSocket, which no hook here sees. */
  websocket?: boolean
  settings?: Record<string, unknown>
}

/** `packages/schema/src/model.ts` */
export interface Model {
  id: string
  name: string
  limit: { context: number; output: number }
}

export interface ModelEditor {
  /** As they are after all plugins and the configuration. */
  readonly provider: { list(): readonly ProviderRecord[] }
}

/* ── tools and the shell: packages/plugin/src/promise/tool.ts, packages/plugin/src/effect/shell.ts ── */

export interface ToolEditor {
  add(tool: Tool): void
}

export interface Tool {
  readonly name: string
  readonly description: string
  /** A JSON schema. */
  readonly input: Readonly<Record<string, unknown>>
  /** `codemode: false`: the model calls it as it calls the host's own tools. */
  readonly options: { readonly codemode: false }
  /** `content` alone: an `output` would need a schema. */
  execute(input: unknown, context: unknown): Promise<{ content: string }>
}

export interface ToolHooks {
  /** Before a tool runs. What throws here is the tool's result. */
  'execute.before': { readonly tool: string; readonly sessionID: string; input: unknown }
  'execute.after': { readonly tool: string; readonly input: unknown; result?: { content?: unknown; output?: unknown } }
}

export interface ShellHooks {
  /** Before a command starts; an `undefined` variable is left out. */
  'create.before': { readonly command: string; readonly cwd: string; env: Record<string, string | undefined> }
}
