/**
 * provider-auth: the public API.
 *
 * All times are Unix milliseconds, all spans are milliseconds, unless the name says otherwise.
 * No call returns, logs or throws a refresh token, a client secret or the vault key, and no event carries one, save
 * `exportVaultKey`, which returns the key, and `exportVault`, whose bundle holds secrets under a passphrase.
 * An option that a call does not know is `INVALID_ARGUMENT`, with the one that was probably meant; what is `undefined` is not
 * there. Only the `init` of a `fetch` takes whatever it holds, but for `providerAuth`.
 */

/* ───────────────────────────── configuration ───────────────────────────── */

/**
 * Configures the process-wide broker. Optional: without it, the first call reads the environment and the config
 * files (`PROVIDER_AUTH_CONFIG`, else `~/.config/provider-auth/config.jsonc`, over it the project's `provider-auth.jsonc`: see
 * `projectTrust`). Calling it again with an equal value is a no-op; with another value it throws `ALREADY_CONFIGURED` once the
 * vault is open. Settled before any I/O: bad input throws `INVALID_CONFIG` with the JSON path of the fault.
 */
export function configure(options: ConfigureOptions): void

export interface ConfigureOptions {
  /** Where vault, state and locks live. Default `PROVIDER_AUTH_DIR`, else the platform's data directory + `/provider-auth`. */
  dir?: string
  /**
   * Where the vault key lives. Default `PROVIDER_AUTH_KEY_SOURCE`, else `'auto'`: an env key or passphrase if set, else
   * the source that the vault's header records, else the OS keychain, else an error that names the remedies.
   * There is no plaintext mode and no silent fallback. `keyfile` and `memory` only when asked for.
   */
  keySource?: KeySource
  /** Open the vault on a network file system too, where locks may not hold. Default `PROVIDER_AUTH_ALLOW_NETWORK_FS` (`1` or `0`), else false. */
  allowNetworkFs?: boolean
  /**
   * Address of a vault that many machines share, in the place of the folder's: `postgres://role@host/database?vault=name`, without
   * a password. Default: `store` of `config`, else `PROVIDER_AUTH_STORE`, else that of the user's file, else none. Needs the package
   * `provider-auth-postgres`; without it, calls that need the vault reject with `STORE_REFUSED`.
   */
  store?: string
  /** Inline configuration, merged over the files: same shape as `config.jsonc`. */
  config?: Config
  /**
   * Log level and file; default `PROVIDER_AUTH_LOG` / `PROVIDER_AUTH_LOG_FILE`, else `warn` and no file. Warnings and errors
   * also go to a small file in the vault's folder (see `logFiles`), unless the level is `none`.
   */
  log?: { level?: LogLevel; file?: string }
}

export type KeySource = 'auto' | 'keychain' | 'env' | 'passphrase' | 'keyfile' | 'memory'

/**
 * How much is logged; each level holds those before it.
 *
 * - `none`: nothing
 * - `error`: what went wrong for good, such as new tokens that the disk does not take
 * - `warn`: what is odd, such as unknown keys of the configuration or a damaged record, and accounts that need a person
 * - `info`: logins, refreshes, switches and exhausted pools: which account, why, how they ended, how long they took
 * - `debug`: each decision about a request or a refresh, with its inputs
 * - `trace`: what each decision was made of: how every account of the pool stood, the limits that an answer told of
 *
 * Accounts are named by their ids. No line holds a secret.
 */
export type LogLevel = 'none' | 'error' | 'warn' | 'info' | 'debug' | 'trace'

export interface Config {
  /** The JSON Schema of the package, for editors (`schemas/config.schema.json`). */
  $schema?: string
  /**
   * Whether requests, switches, refreshes and waits are counted for `stats`. Default: true. A project's file cannot set it; `false`
   * in the user's file also removes what was counted.
   */
  stats?: boolean
  /** Address of a vault for many machines, as `ConfigureOptions.store`. A project's file cannot set it. */
  store?: string
  /**
   * A program and its arguments, run without a shell for each connection to the store: the first line that it prints within 10 s
   * is the password. `PROVIDER_AUTH_STORE_PASSWORD` and `PROVIDER_AUTH_STORE_PASSWORD_FILE` come first. A project's file cannot set it.
   */
  storePasswordCommand?: string[]
  /**
   * How long API keys serve while the store is away; then calls reject with `STORE_UNAVAILABLE`. So long a key that was removed
   * elsewhere may live here. Default: 86400000, a day; at most 30 days. A project's file cannot set it.
   */
  offlineMs?: number
  providers?: Record<string, ProviderConfig>
}

/** One provider: a built-in id (`anthropic`, `openai`, `google`, `github-copilot`, `qwen`, `cursor`, `azure`, `oci-oidc`) overridden, or a new one. */
export interface ProviderConfig {
  /** Start from this built-in descriptor. Default: the provider's own id if built in, else `'generic'`. */
  extends?: string
  /** OIDC issuer: endpoints are discovered from `/.well-known/openid-configuration`. Explicit endpoints win. */
  issuer?: string
  /**
   * Address of an MCP server, for a provider with `"extends": "mcp"`. It says itself where one signs in to it (RFC 9728, RFC 8414),
   * unless `issuer` or `authorizationEndpoint` and `tokenEndpoint` do; without a `clientId` a client is registered (RFC 7591). Its
   * origin is the default of `origins`. The query is left out.
   */
  resource?: string
  authorizationEndpoint?: string
  tokenEndpoint?: string
  deviceAuthorizationEndpoint?: string
  revocationEndpoint?: string
  /** Asked who signed in, where the tokens do not say. */
  userinfoEndpoint?: string
  /** Exchanges the token of a login for the one that the API takes; of GitHub Copilot, say of an enterprise's own host. */
  exchangeEndpoint?: string
  /** Publishes the keys that id tokens are signed with, where their signature is checked. */
  jwksUri?: string
  clientId?: string
  /** Plain, `{env:NAME}` or `{file:~/path}`. */
  clientSecret?: string
  /**
   * The client's private key, for `private_key_jwt`: `{file:…}` or `{env:…}` of a PEM (PKCS#8 of RSA or P-256, or PKCS#1 of RSA).
   */
  privateKey?: string
  /** Which of the client's keys that is (`kid`). */
  privateKeyId?: string
  /** How the client authenticates at the token endpoint. Default: `private_key_jwt` with a key, `basic` with a secret, else `none`. */
  clientAuth?: 'none' | 'basic' | 'post' | 'private_key_jwt'
  /**
   * Where a token of your own issuer is, for a login without a person (RFC 7523, workload identity federation): `{file:…}` or
   * `{env:…}`, read anew for each exchange. What the server wants to know beside it stands in `params.assertion`.
   */
  assertion?: string
  /**
   * The grants that a login may use. Default: every one but `client_credentials` that server and client allow. With
   * `client_credentials`, `login({ method: 'client-credentials' })` signs the client itself in, without a person.
   */
  grants?: ('authorization_code' | 'device_code' | 'client_credentials' | 'jwt_bearer')[]
  scopes?: string[]
  /**
   * Extra parameters per step, for servers that want them (`prompt`, `access_type`, `resource`, …). `null` leaves out one that the
   * login would send by itself: `resource: null` for the login server of an MCP server that refuses it, as Microsoft Entra does.
   */
  params?: Partial<Record<'authorize' | 'device' | 'token' | 'refresh' | 'assertion', Record<string, string | null>>>
  /** How the server differs from the standards. */
  dialect?: DialectConfig
  /**
   * Exact redirect URI registered with the server. Default `http://127.0.0.1:<free port>/callback`; where an MCP server's login
   * server registers the client by itself, with a path behind it that is that issuer's own.
   */
  redirectUri?: string
  /** Further redirect URIs registered with the server, tried in this order when the port of `redirectUri` is busy. */
  fallbackRedirectUris?: string[]
  /** Origins that may receive this provider's credentials. A request elsewhere gets none. https, or loopback http. Replaces the list of a built-in provider. */
  origins?: string[]
  /**
   * Further origins beside those: of a gateway in front of a built-in provider, say. Those of several config files add up. A
   * credential goes to the origins that were configured when it was added: add a key again, or sign in again, after a change.
   */
  extraOrigins?: string[]
  /** Header that carries the credential. Default `authorization`. */
  header?: string
  /** Default `Bearer`; empty for a bare key. */
  scheme?: string
  /** Further headers beside the credential, as `x-goog-user-project`. What a caller sets itself wins. None may hold a credential. */
  headers?: Record<string, string>
  /** Further headers to delete first: where an SDK puts a key beside the usual places. */
  strip?: string[]
  /**
   * Where `discoverModels` finds the list, fetched as is; on one of `origins`. Default: where the built-in provider has it, on
   * the first origin; of any other `/models`, and where that has no list (404, 405, no JSON) `/v1/models`.
   */
  modelsUrl?: string
  /**
   * The form of that list, where it is none of the known ones, as JSON pointers: where the list is in the answer (default
   * `/data`), and where an entry has its id (default `/id`), name, context window and owner. An empty one is the whole.
   */
  modelsShape?: { entries?: string; id?: string; name?: string; contextWindow?: string; ownedBy?: string }
  /**
   * What refusals of the API mean, before what is known of them; the first that fits decides. A rule names a `status`, or a
   * `value` (text, or the digits of a number) at a JSON pointer into the body, or both. How long to stay away is read at `waitPath`
   * (seconds, a span such as `6m0s`, a Unix time, a date and time), else from the headers as always.
   */
  limits?: LimitRule[]
  /** The pool of requests, logins and added keys that name none. Default `default`. */
  namespace?: string
  /** The account, by id or label, of requests that name neither an account nor a pool: a pin, as `AuthRequest.account`. */
  account?: string
  rotation?: RotationConfig
}

export interface LimitRule {
  status?: number
  path?: string
  value?: string
  means: Exclude<VerdictReason, 'ok' | 'network' | 'exhausted' | 'account_bound'>
  /** What the refusal is about. Default: what is usual for its meaning. */
  scope?: 'account' | 'model' | 'provider-model' | 'machine'
  waitPath?: string
}

/** How an authorization server differs from the standards. What is left out is as the standards have it, or as the descriptor says. */
export interface DialectConfig {
  /** Where the endpoints are looked up: `false` for nowhere, or a document of its own, whose metadata may stand under a key. Default: the standard places. */
  discovery?: boolean | { url?: string; key?: string }
  /** Further names under which the server calls itself, or `any`. Default: `issuer` alone. */
  issuers?: string[] | 'any'
  /** Encoding of the request bodies. Default `form`. */
  encoding?: Partial<Record<RequestStep, 'form' | 'json'>>
  /** Further headers of these requests. None may hold a credential. */
  headers?: Partial<Record<RequestStep, Record<string, string>>>
  /** Send `state` in the code exchange too. */
  stateInTokenBody?: boolean
  /**
   * What is checked of an id token: nothing, its nonce (default), also its issuer, audience and time, or its signature too
   * (RS256 and ES256, with the keys of `jwksUri`). With the last two, a login without an id token fails.
   */
  idToken?: 'off' | 'nonce' | 'claims' | 'full'
  /** Send the access token to `jwksUri`, for a server that shows its keys only to its users. */
  jwksNeedsToken?: boolean
  /**
   * The server issues the client with the first login: `firstId` asks, the callback brings the `client_id` to use from then on.
   * `installation` names the parameter that says which installation asks, as a UUID; `params` are further ones of the first page.
   */
  issuedClient?: { firstId: string; installation: string; params?: Record<string, string> }
  /** Send a PKCE challenge with the start of a device login, and the verifier with each poll. */
  devicePkce?: boolean
  /** What refusals mean, before the standard's names; the first that fits decides. All but `invalid_grant` are of device polls. */
  errors?: { status?: number; error?: string; means: 'pending' | 'slow_down' | 'denied' | 'expired' | 'invalid_grant' }[]
  /** The pause between two polls where the server names none (default 5 000), and what each `slow_down` adds (default 5 000). In whole seconds, rounded up. */
  poll?: { intervalMs?: number; slowDownMs?: number }
  /** Names of the fields of a token response: the standard's, then the server's. */
  fields?: Partial<
    Record<
      'access_token' | 'refresh_token' | 'id_token' | 'token_type' | 'expires_in' | 'expires_at' | 'scope',
      string
    >
  >
  /**
   * How the next access token is obtained: by a refresh token (default), by sending the refresh token to `exchangeEndpoint`, or
   * by sending it the token of the login, which then begins with that.
   */
  renewal?: 'refresh_token' | 'exchange' | 'exchange_login'
  /** A field that, when it is true in a good answer, says that the login is over. */
  endedField?: string
  /** JSON pointer in a token response to the address of the API, which must be one of `origins`. */
  apiUrl?: string
  /** JSON pointers to who signed in, tried in the id token, the token response, the access token and what `userinfoEndpoint` says. */
  identity?: Partial<Record<'subject' | 'organization' | 'email' | 'plan', string[]>>
  /** A scope without which a login is of no use. */
  requiredScope?: string
}

/** The kinds of request to an authorization server. */
export type RequestStep = 'device' | 'token' | 'refresh' | 'assertion' | 'revoke'

export interface RotationConfig {
  /** `auto` (default) uses OAuth accounts and then API keys; the other two use one kind only and fail early (`NO_ACCOUNT`) without it. */
  mode?: 'auto' | 'subscription' | 'api'
  /** Default `sticky`. */
  strategy?: 'sticky' | 'earliest-reset' | 'balanced' | 'round-robin' | 'fill-first'
  /**
   * Whether a request may move to another account of the same pool. Default true, save for providers whose terms do not
   * offer it for their plan logins (their descriptor says so): there false, and adding a second account says how to turn it on.
   */
  rotate?: boolean
  /** Attempts of one request, all accounts together. Default `min(2 * eligible + 2, 8)`. */
  maxAttempts?: number
  /** Total time one request may spend waiting for cooldowns, when no other account can serve or the wait is short. Default 30 000. */
  maxWaitMs?: number
  /** Wait until the soonest reset (at most 6 h) instead of failing when every account is exhausted. Default false. */
  holdUntilReset?: boolean
}

/* ───────────────────────────── the fetch path ───────────────────────────── */

/*
 * State is shared: a block, a new token, an added or disabled account is seen by every other process at its next request.
 * The vault opens on first use and, with a key source at hand, is created then; `initVaultKey` is for choosing one.
 */

/**
 * Picks an account of the pool and returns the headers that authenticate one request with it. Refreshes the access
 * token first when it is about to expire: one exchange for all callers, in this process and in all others.
 *
 * @throws {AuthError} `NO_ACCOUNT`, `NEEDS_LOGIN`, `EXHAUSTED` (with `retryAt`), `ORIGIN_NOT_ALLOWED`, `PROJECT_NOT_TRUSTED`,
 *   `UNKNOWN_PROVIDER`, `UNKNOWN_ACCOUNT` (a pin that names none), `UNKNOWN_ATTEMPT`, `REFRESH_FAILED`, `INVALID_ARGUMENT`,
 *   `INVALID_CONFIG`, and every `VAULT_*`, `KEYCHAIN_*` and `STORE_*` code: the vault opens on first use.
 */
export function getAuthHeaders(request: AuthRequest): Promise<AuthHeaders>

export interface AuthRequest {
  provider: string
  /** Pool within the provider. Default `default`. */
  namespace?: string
  /** The URL about to be called. Its origin must be one of the provider's. */
  url: string
  /** Model asked for; cooldowns may be scoped to it. */
  model?: string
  /** Whatever names the conversation: requests of one session stay on one account while it serves. */
  session?: string
  /** Life of the prompt cache that the request asks for, as its body says it (`1h`): its session stays bound as long, at most 1 h. */
  cacheTtl?: string
  /** Pin: an account's id or label. A pinned request never rotates. A label that several have: `INVALID_ARGUMENT`, with their ids. */
  account?: string
  /**
   * How the pool rotates for this request, over what is configured of the provider; what it leaves out stays as configured. Who
   * calls is a program of yours, so `rotate: true` counts as in your own configuration. A retry keeps that of its first attempt.
   */
  rotation?: RotationConfig
  /** The attempt this one retries, after `reportResponse` answered `retry`. */
  retryOf?: string
  /**
   * Names something in the request that only the account which made it can serve: encrypted reasoning, the id of a stored
   * response or a file. The request keeps the account that last answered the same item, or the same `session`; where that
   * is not known, the one that serves it first. It never rotates.
   */
  boundBy?: string
  /** Says with the headers why this account was chosen, and each other one not. */
  explain?: boolean
  /** Ends a wait with `ABORTED`. A token exchange under way goes on: others need its outcome. */
  signal?: AbortSignal
}

export interface AuthHeaders {
  /** Opaque handle of this attempt, for `reportResponse`. Not reporting it counts against no account and leaks nothing. */
  attempt: string
  accountId: string
  /** Headers to set, lower-case names. */
  headers: Record<string, string>
  /** Headers to delete first: every other place where an SDK puts a key. */
  strip: string[]
  /** Set when the provider needs another URL. */
  url?: string
  /** With `explain`. */
  trace?: Trace
}

/**
 * The same choice and the same refresh, for a program that puts the credential into a request itself: rejects as
 * `getAuthHeaders` does. What it is sent to is out of sight from then on, so hand it only to what you trust with it.
 */
export function getCredential(request: CredentialRequest): Promise<Credential>

export interface CredentialRequest extends Omit<AuthRequest, 'url'> {
  /** The URL about to be called. Default: any that the provider's credentials may go to. */
  url?: string
}

export interface Credential {
  /** As in `AuthHeaders`. */
  attempt: string
  accountId: string
  /** The API key or the access token. */
  value: string
  /** The header that carries it, in lower case. */
  header: string
  /**
   * What stands before it there: `Bearer`, or nothing (empty). After `Basic` it does not stand as it is, but as the user name
   * without a password (RFC 7617).
   */
  scheme: string
  /** When it ends. Absent where it does not, or where it is not known. */
  expiresAt?: number
  /** Environment variables in which programs look for such a credential of the provider, the usual one first. */
  variables: string[]
  /** Those in which the same programs look for a credential of another kind. Keep them unset: it may be preferred. */
  rivalVariables: string[]
  /** With `explain`. */
  trace?: Trace
}

/**
 * Explains how a request would fare now. Nothing is lent, counted or waited for. Rejects as `getAuthHeaders` does before it
 * chooses, save that an origin which is refused is explained.
 */
export function explain(request: CredentialRequest): Promise<Trace>

/** Why an account was chosen. Ids only, no secret. */
export interface Trace {
  at: number
  outcome: 'serve' | 'wait' | 'exhausted' | 'needs_login' | 'origin_refused' | 'no_account' | 'unknown_account'
  /** With `origin_refused`, from `explain`: why, and what to do about it. */
  refusal?: string
  /** Who serves, or is waited for, or needs the login. */
  accountId?: string
  /** With `serve`. */
  rule?: ChoiceRule
  /** With `wait` and `exhausted`; absent where time does not help. */
  until?: number
  /** With `exhausted`: what keeps the accounts. */
  reason?: VerdictReason
  /** For requests that are not bound. */
  strategy: 'sticky' | 'earliest-reset' | 'balanced' | 'round-robin' | 'fill-first'
  /** The account that the session, or what the request holds, is bound to. */
  boundTo?: string
  /** When that binding ends: of a session unless it is answered before, of requests without one in any case. Absent where what the request holds binds it. */
  boundUntil?: number
  /** Every account of the pool. */
  accounts: TracedAccount[]
}

export interface TracedAccount {
  accountId: string
  chance: AccountChance
  /** With `resting`. */
  until?: number
  reason?: VerdictReason
  /** What a rest is charged to: `account`, a model, or an endpoint, as in `Cooldown`. */
  scope?: string
  /** Status of the response that says so. */
  status?: number
  /** Of its fullest quota window, where the provider says so. */
  usedPercent?: number
}

/** `bound`: by session or content. `resend`: after a wait, a back-off or a refresh. `switched`: from an account that cannot serve it. `probe`: a test of a cooldown that is old, or that may have been another request's fault. */
export type ChoiceRule = 'bound' | 'pinned' | 'resend' | 'strategy' | 'switched' | 'probe'

/** `low_quota`: serves after the others of its priority. `other_kind`: not of the pool's `mode`. `not_first`: the pool does not rotate. `tried`: by this request. */
export type AccountChance =
  | 'eligible' | 'low_quota' | 'resting' | 'needs_login' | 'needs_verification' | 'blocked_by_provider' | 'rollback_suspected'
  | 'disabled' | 'unreadable' | 'other_kind' | 'origin_refused' | 'not_pinned' | 'bound_elsewhere' | 'not_first' | 'tried'
  | 'no_changes_left'

/**
 * Reports how an attempt ended and says what to do next. Never throws for a bad report of a known attempt.
 * A 2xx settles without any I/O.
 */
export function reportResponse(report: ResponseReport): Promise<Verdict>

export interface ResponseReport {
  attempt: string
  /** HTTP status; absent when no response came. */
  status?: number
  /**
   * Response headers; those in `OBSERVED_HEADERS` suffice. An object, a `Headers`, a `Map`, pairs or a flat list (as Node's
   * `rawHeaders`); what is none of them is `INVALID_ARGUMENT`.
   */
  headers?: Record<string, string | number | readonly string[] | undefined> | Iterable<readonly [string, string]> | readonly string[]
  /**
   * The error as text, at most the first 64 KiB: the body of a status of 400 and above; of a good status the error that came in
   * place of an answer (an event's data, a body that is only an error), or an empty text for a stream that ended without output.
   */
  body?: string
  /**
   * No response, or a stream that broke. `network`: before any byte. `timeout`: no answer on a connection that was open; the work
   * may be under way, and is not sent again. `stream`: after the first output, broken or by an error event, whose data is the `body`.
   */
  failure?: 'network' | 'timeout' | 'stream'
}

export interface Verdict {
  /** `deliver`: hand the response to the caller. `retry`: ask for headers again with `retryOf`, after `delayMs`. */
  action: 'deliver' | 'retry'
  delayMs: number
  reason: VerdictReason
  /** When this account, or account and model, may serve again. */
  cooldownUntil?: number
  /** With `deliver`: sending it again was tried, or would not help, though the request is not at fault. `createAuthFetch` says `x-should-retry: false`. */
  final?: true
  /** With `deliver` of a 429 or 503 because nothing can serve: when the soonest account can. */
  retryAt?: number
}

export type VerdictReason =
  | 'ok' | 'throttled' | 'quota_exhausted' | 'rate_limited' | 'overloaded' | 'token_expired' | 'needs_login'
  | 'forbidden' | 'needs_verification' | 'blocked_by_provider' | 'not_entitled' | 'out_of_credit'
  | 'server_error' | 'network' | 'client_error' | 'exhausted'
  /** A limit was met that another account does not have, but the request holds what only this one can serve. */
  | 'account_bound'

/** Names of the response headers that the policy reads. */
export const OBSERVED_HEADERS: readonly string[]

/**
 * Wraps a `fetch`: authenticates, reports, rotates, retries within the same request. A drop-in: same signature, and what
 * fetch would throw it throws unchanged (its own `TypeError` when no response came, `signal.reason` on an abort). It rejects
 * with an `AuthError` only when no request was made: `ORIGIN_NOT_ALLOWED`, `NO_ACCOUNT`, `NEEDS_LOGIN`, vault and config
 * codes. When no account can serve, it answers a response that names the cause, with the cause's status (`AuthError.answer`). Where
 * trying again is done, or does not help, the answer has `x-should-retry: false`, which the SDKs of OpenAI and Anthropic heed. A
 * redirect to another origin is followed, as fetch
 * does, without any header of ours.
 *
 * @throws {AuthError} `INVALID_ARGUMENT` for an option of an unknown name or a wrong type, when it is called
 */
export function createAuthFetch(options: AuthFetchOptions): (input: string | URL | Request, init?: AuthFetchInit) => Promise<Response>

/** What a single call may say to the pool. The headers `x-provider-auth-session`, `-account` and `-model` say the same and are not sent on. */
export interface AuthFetchInit extends RequestInit {
  providerAuth?: { session?: string; account?: string; model?: string }
}

export interface AuthFetchOptions
  extends Omit<AuthRequest, 'url' | 'retryOf' | 'model' | 'session' | 'cacheTtl' | 'signal' | 'boundBy' | 'explain'> {
  /** Default `globalThis.fetch`. */
  fetch?: typeof globalThis.fetch
  /** Reads the model from a request. Default: `model` of a JSON body or a form, else the path's (`models/<id>`, `deployments/<id>`, …). */
  model?: string | ((url: URL, init: RequestInit | undefined) => string | undefined)
  /** Reads the session. Default: the session headers that hosts send, else none. */
  session?: string | ((url: URL, init: RequestInit | undefined) => string | undefined)
  /** A one-shot stream body is buffered up to this many bytes so that it can be sent again; beyond, one attempt. Default 8 MiB. */
  maxReplayBytes?: number
  /**
   * Hold a 200 event stream until its first output, so that an error can still rotate; one that comes later is reported. Look also
   * whether a 200 JSON body is only an error. Default true; at most 64 KiB or 15 s.
   */
  peekStream?: boolean
  /** Told before each attempt why its account was chosen. */
  onTrace?: (trace: Trace) => void
}

/* ───────────────────────────── login ───────────────────────────── */

/**
 * Runs a whole login: opens the browser or shows the code, waits, stores the account. Abortable.
 *
 * Where only a project's file makes the login possible, a person is asked to trust that file first: by `confirmTrust`, else on
 * the terminal, and goes on only if they type yes. Without either it rejects with `PROJECT_NOT_TRUSTED`.
 */
export function login(options: LoginOptions): Promise<Account>

/** The same in steps, for a UI that owns the screen. */
export function startLogin(options: LoginOptions): Promise<LoginSession>

export interface LoginOptions {
  /** A provider's id or, with `resource`, your name for that MCP server. */
  provider: string
  /**
   * Address of an MCP server that no configuration names; from then on it is known by `provider`. What it says of itself must be
   * of this very server (RFC 9728 §3.3), its login server must know PKCE with S256, and unless it is on this machine or in
   * its network itself, it may send no request there. Each request for a token names it (RFC 8707).
   * https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
   *
   * @throws {AuthError} `INVALID_ARGUMENT` where `provider` is a provider that is no MCP server, or another one;
   *   `CLIENT_ID_REQUIRED` where its login server registers no clients and none is configured; `LOGIN_FAILED` with what is wrong
   */
  resource?: string
  /**
   * Default: `browser` where a display is there, else `device` where the provider has it, else `paste`. `assertion` takes no
   * person: see `ProviderConfig.assertion`.
   */
  method?: 'browser' | 'device' | 'paste' | 'api-key' | 'assertion' | 'client-credentials'
  namespace?: string
  /**
   * Where another account of the pool has it, it gets a number: `work 2`. Default: the e-mail address of who signed in, else the
   * provider's name; of an API key as `addApiKey` has it.
   */
  label?: string
  /** Its place in the pool, lowest first. Default: that of the account that is updated, else 0. */
  priority?: number
  /** For `api-key`. */
  apiKey?: string
  /** Which account to offer on the provider's page (OIDC `login_hint`). */
  loginHint?: string
  /** Shows the user where to go; called once before waiting. Default of `login`: opens the browser, prints to stderr. */
  onPrompt?: (prompt: LoginPrompt) => void
  /** Asks a person whether to trust the project's files, which want what is listed. Default of `login`: asks on the terminal. */
  confirmTrust?: (trust: ProjectTrust) => boolean | Promise<boolean>
  /**
   * Asked for the pasted code or redirect URL, with `paste`, and raced against the callback with `browser`. Default with `paste`: a
   * line of the terminal, again until one is taken. Without a terminal `login` then rejects at once with `INVALID_ARGUMENT`.
   */
  readCode?: () => Promise<string>
  /** Ends it at once, whatever it waits for. An exchange of its code that is under way goes on alone, and what it brings is stored. */
  signal?: AbortSignal
  /** Give up after, counted from the call. Default 300 000. `LOGIN_TIMEOUT` says what came last and why it did not count. */
  timeoutMs?: number
}

export interface LoginPrompt {
  method: 'browser' | 'device' | 'paste' | 'assertion' | 'client-credentials'
  /** Page to open. For `device`, the page with the code filled in where the server gives one; for `assertion`, where it is sent. */
  url: string
  /** Absent where the page takes no code. */
  userCode?: string
  /** With `browser`: the address on this machine where the login waits for the browser to come back. */
  callback?: string
  instructions: string
  /** When the code ends, or the time that the login is given. */
  expiresAt?: number
}

export interface LoginSession extends LoginPrompt {
  /**
   * Waits for the callback or the poll, or takes the pasted code or redirect URL; stores and returns the account. A paste that
   * cannot be used, or that the server refuses, rejects and leaves the login open for the right one.
   */
  finish(code?: string): Promise<Account>
  /** Says how far it is; costs nothing, so that a screen may ask every second. */
  progress(): LoginProgress
  /** Stops waiting and closes the callback port. Idempotent. */
  cancel(): void
}

export interface LoginProgress {
  /** `waiting` for the person; `exchanging`: the answer has come, and the server is asked for tokens; `storing` them. */
  step: 'waiting' | 'exchanging' | 'storing'
  /** What came last and did not count, in a sentence. */
  note?: string
}

/* ───────────────────────────── accounts ───────────────────────────── */

export interface Account {
  /** ULID. */
  id: string
  provider: string
  namespace: string
  /** No two accounts of a pool have the same: where it is taken, a number is added. */
  label: string
  kind: 'oauth' | 'api' | 'wellknown' | 'mcp'
  /** Who it is: issuer + subject + organisation, never an e-mail alone. A second login of the same identity in the same namespace updates the record, and so does adding the same API key. */
  identity?: { issuer?: string; subject?: string; organization?: string; email?: string; plan?: string }
  /** Of the whole account: `cooling` (throttled) and `exhausted` (quota) only for account-wide blocks; a model's block shows in `cooldowns`. */
  state: AccountState
  enabled: boolean
  priority: number
  createdAt: number
  updatedAt: number
  /** When the access token ends; absent when it does not. */
  expiresAt?: number
  refreshable: boolean
  cooldowns: Cooldown[]
  /** Shared by all processes, like cooldowns. */
  lastStatus?: number
  successes: number
  failures: number
  /** When `exportVault` moved its login to a bundle. It is `needs_login` until somebody signs in again or imports that bundle. */
  movedAt?: number
  /** How it was signed in to last, or its key was added. Absent of accounts from before this was kept. */
  method?: 'browser' | 'device' | 'paste' | 'api-key' | 'assertion' | 'client-credentials' | 'migrated'
  /** How much of each quota window is used, as the provider's headers last said; shared by all processes. Empty where it does not say. */
  quota: QuotaWindow[]
  /** What OpenCode kept beside an API key that `migrate` brought in, such as ids of accounts and gateways. */
  metadata?: Record<string, unknown>
}

export interface QuotaWindow {
  /** As the provider calls it: `5h`, `7d` (Anthropic's plans), `primary`, `secondary` (Codex). */
  window: string
  /** From 0, rounded down. Above 100 where the provider says so. */
  usedPercent: number
  /** From then on it says nothing, and is left out. */
  resetAt: number
  /** When the provider said so. */
  observedAt: number
}

export type AccountState =
  | 'ready' | 'cooling' | 'exhausted' | 'needs_login' | 'needs_verification' | 'blocked_by_provider' | 'out_of_credit' | 'rollback_suspected' | 'disabled' | 'unreadable'

export interface Cooldown {
  /** What it is about: `account`, a model, or an endpoint of this account (`/v1/models`; ids in it are `*`). */
  scope: string
  until: number
  reason: VerdictReason
  /** Where the time came from. */
  source: 'header' | 'body' | 'ladder'
}

export function listAccounts(filter?: { provider?: string; namespace?: string }): Promise<Account[]>
/**
 * Without a `label`, a key is called by its last four characters (`key …1234`), one of fewer than 20 characters by its provider.
 * A label that is taken in the pool gets a number. `priority`: lowest first; default 0, or as it is where the key is there already.
 */
export function addApiKey(options: { provider: string; apiKey: string; namespace?: string; label?: string; priority?: number }): Promise<Account>
/**
 * Asks the provider whether it takes an API key, by its list of models. The key is not stored, and serves no request meanwhile.
 * A provider that shows its list to anyone accepts any key.
 *
 * @param options.signal ends the wait with `ABORTED`
 * @throws {AuthError} `INVALID_ARGUMENT` (also where no list is known), `UNKNOWN_PROVIDER`, `INVALID_CONFIG`, every `VAULT_*`,
 *   `KEYCHAIN_*` and `STORE_*` code; none because the provider is out of reach
 */
export function checkApiKey(options: { provider: string; apiKey: string; signal?: AbortSignal }): Promise<KeyCheck>
export interface KeyCheck {
  /** `unclear`: no answer came, or one that says nothing about the key. */
  outcome: 'accepted' | 'refused' | 'unclear'
  /** With `refused`. */
  status?: number
  /** With `unclear`. */
  why?: string
}
/*
 * The calls below take an account's id, or a label that one account alone has. A name of none is `UNKNOWN_ACCOUNT`, one of several
 * `INVALID_ARGUMENT`, which names their ids.
 */
export function updateAccount(id: string, changes: { label?: string; enabled?: boolean; priority?: number; namespace?: string }): Promise<Account>
/**
 * Removes the account with all that the vault has of its secrets; with `revoke`, first at the provider. That includes its entry
 * in the files that `migrate` has kept, which `undo` then cannot bring back, damaged copies of its record that were set aside
 * (also by the id of `vaultStatus().quarantine` alone), and the bundle of `movedBundle()` if it is in it.
 *
 * Resolves to true. What other programs have, as OpenCode's own files and copies beside them, stays.
 */
export function removeAccount(id: string, options?: { revoke?: boolean }): Promise<boolean>
/** Refreshes now. Joins a refresh under way anywhere. `force` refreshes a token that is still good. An API key: `INVALID_ARGUMENT`. */
export function refreshAccount(id: string, options?: { force?: boolean }): Promise<Account>
/**
 * Clears cooldowns, so that the next request probes; so does switching an account off and on. An API key, or a login that
 * takes no person, that is `needs_login` is tried again too.
 */
export function clearCooldowns(filter: { provider?: string; namespace?: string; account?: string }): Promise<number>

/** Rotation figures of this process and the shared state of every pool. */
export function poolStatus(filter?: { provider?: string; namespace?: string }): Promise<PoolStatus[]>
export interface PoolStatus {
  provider: string
  namespace: string
  /** In the order in which they would serve. */
  accounts: Account[]
  requests: number
  attempts: number
  rotations: number
  refreshes: number
  refreshFailures: number
  exhausted: number
  retryAt?: number
}

/**
 * What happened in the last weeks, as all processes have counted it: of each account and model by the hour for today and yesterday,
 * by the day for the 35 days before with anything in them. Hours and days are those of UTC. It holds ids, never labels or e-mails; the
 * rows of an account that is removed go with it. Without `since`, everything.
 *
 * @param options.since Unix ms: rows that end after it
 * @throws {AuthError} `INVALID_ARGUMENT`, `INVALID_CONFIG`, every `VAULT_*`, `KEYCHAIN_*` and `STORE_*` code
 */
export function stats(options?: { provider?: string; namespace?: string; since?: number }): Promise<Stats>
export interface Stats {
  /** False where the configuration says `stats: false`; then there is nothing else. */
  enabled: boolean
  /** Oldest first. */
  counts: StatsCount[]
  /** The highest use of each quota window within an hour, where the provider tells it; by account and window, oldest first. */
  quota: StatsQuota[]
}
/** Counts of one hour or day, of one account and model. */
export interface StatsCount {
  /** When the hour or day begins, in Unix ms. */
  at: number
  /** How long it is. */
  hours: 1 | 24
  provider: string
  namespace: string
  /** Absent for what concerns no account, and for what goes beyond 100 rows of an hour, or 500 of a day. */
  accountId?: string
  model?: string
  /** Requests whose first attempt went to this account. */
  requests: number
  /** Credentials handed out: requests, and what was tried again for them. */
  attempts: number
  /** Attempts that were answered with 2xx. */
  served: number
  /** Attempts that ended otherwise, by reason. */
  failed: Record<string, number>
  /** Requests that left this account for another one, by reason; `resting`: the account of their conversation rested before they came. */
  switched: Record<string, number>
  /** Requests that no account could serve. */
  refused: number
  refreshes: number
  refreshFailures: number
  /** How long requests waited for an account to be free. */
  waitedMs: number
  /** How long limits let the account rest, as the provider or our ladder said when they were met. */
  restedMs: number
}
export interface StatsQuota {
  accountId: string
  provider: string
  namespace: string
  window: string
  /** When the hour begins, in Unix ms. */
  at: number
  usedPercent: number
  resetAt: number
}

/** Called for each decision; carries ids, never secrets or e-mails. Returns the unsubscribe function. A throwing listener is logged and dropped. */
export function subscribe(listener: (event: AuthEvent) => void): () => void
export interface AuthEvent {
  /** `chosen` with each set of headers, `served` at a 2xx, `failed` at any other end of an attempt. */
  type: 'chosen' | 'served' | 'failed' | 'rotated' | 'cooldown' | 'refreshed' | 'refresh_failed' | 'needs_login' | 'exhausted' | 'waiting' | 'account_added' | 'account_removed'
  at: number
  provider: string
  namespace: string
  accountId?: string
  model?: string
  reason?: VerdictReason
  until?: number
  attempt?: string
  /** With `chosen` and `rotated`. */
  rule?: ChoiceRule
  /** With `failed`. */
  action?: Verdict['action']
}

/**
 * The files of the log, there or not; none where `log.level` is `none`. Each line is a JSON object; the lines before it are
 * in a file of the same name with `.1` before its ending (`log.1.jsonl`), once there are that many.
 */
export function logFiles(): Promise<LogFile[]>
export interface LogFile {
  file: string
  /** `ring`: warnings and errors, in the vault's folder. `configured`: what `log.file` names, from `log.level` up. */
  kind: 'ring' | 'configured'
}

/* ───────────────────────────── vault and key ───────────────────────────── */

/**
 * How the vault stands. Neither creates it nor prompts anybody, and tells of a vault that does not open why. Rejects only
 * where not even that can be told: `VAULT_CORRUPT` (no usable header), `VAULT_IO` (the folder is unsafe or unreadable),
 * and of a vault for many machines `STORE_UNAVAILABLE` (nothing of it is known here either), `STORE_REFUSED`, `STORE_SCHEMA`.
 */
export function vaultStatus(): Promise<VaultStatus>
export interface VaultStatus {
  dir: string
  /** `host`: a key that this host alone has (`joinFleet`). */
  keySource: Exclude<KeySource, 'auto'> | 'host'
  /** First 8 hex digits of a key check value: tells two keys apart, reveals neither. */
  keyId: string
  /**
   * `empty`: there is no vault yet. `locked`, `timeout`, `unavailable`: the keychain is locked, does not answer, is not
   * there; the key may still be in it. `key_missing`: its key is not where the header says. `key_mismatch`: a key was found,
   * and it is another vault's, or no key, or was replaced while this process ran.
   */
  state: 'open' | 'empty' | 'locked' | 'timeout' | 'unavailable' | 'key_missing' | 'key_mismatch'
  accounts: number
  /** The ways to the key, in the order in which they are tried. */
  slots: KeySlot[]
  /** Records that could not be decrypted, kept aside. */
  quarantined: number
  /** Which those are, oldest first. Their files stay in the folder `quarantine`; `generation` is 0 where it cannot be read. */
  quarantine: { accountId: string; generation: number; at: number }[]
  /** How the store of a vault for many machines stands, as this process knows it. Absent where the folder is all there is. */
  store?: StoreStatus
  /** The vault that its logins moved to (`moveVault`), while one of them needs a login here. `underWay`: some have not arrived. */
  movedTo?: { where: string; underWay: boolean }
}

/** The store of a vault for many machines. No user and no password is in it. */
export interface StoreStatus {
  kind: 'postgres'
  /** Servers, database and vault. */
  where: string
  /**
   * How changes by others are learned of. `listening`: within a second. `polling`: within 5 s. `offline`: not at all, since the store
   * does not answer. Then access tokens serve until they end and API keys for `offlineMs`; nothing is renewed.
   */
  state: 'listening' | 'polling' | 'offline'
  /** Since when it is so, in Unix ms. */
  since: number
  /** Whether the server sees the end of this process; false behind a pooler. Absent where that is not known. */
  direct?: boolean
  /** Version of the tables. */
  schema: number
  /** Machines that were there within a day. Absent where that is not known. */
  hosts?: number
  /** Records that wait on this machine to be stored. */
  outbox: number
  /** By how many ms the store's clock is ahead of this machine's. All times of the vault are the store's. */
  clockOffset: number
}

/** One way to the vault's key. Each of several opens the vault by itself. */
export interface KeySlot {
  /** 8 hex digits of a check value: names the slot, reveals nothing of its key. */
  id: string
  /** `host`: a key that one host alone has; `fleetHosts` has its name. Absent for a source that only a newer version knows. */
  keySource?: Exclude<KeySource, 'auto' | 'memory'> | 'host'
}

/**
 * Creates the key, and the vault. `force` replaces the key of a vault that has one by a new key in one new slot: every
 * record is re-encrypted, or nothing is changed. Other processes go on if the new slot's key is at hand for them; else
 * their calls reject with `VAULT_KEY_MISMATCH` or `VAULT_KEY_MISSING` until they are restarted with it.
 *
 * @param options.keySource default: the configured one
 * @throws {AuthError} `KEY_EXISTS` without `force`, `VAULT_KEY_MISSING` when the source gives no key, `KEYCHAIN_*`,
 *   `STORE_*`, `VAULT_LOCKED`, `VAULT_IO`, `INVALID_ARGUMENT`
 */
export function initVaultKey(options?: { keySource?: KeySource; force?: boolean }): Promise<VaultStatus>

/** The key that the records are encrypted under, base64. With the vault's folder it is all that is needed to read every login. */
export function exportVaultKey(): Promise<string>

/**
 * Opens a vault with an exported key, for a folder that came without its keychain or its header, and keeps that key in
 * a slot of `keySource` (default: the configured one). A vault without records takes any key.
 *
 * @throws {AuthError} `VAULT_KEY_MISMATCH` for a key that does not open every record there; nothing was changed
 */
export function importVaultKey(key: string, options?: { keySource?: KeySource }): Promise<VaultStatus>

/**
 * Re-encrypts every record under a new key. The slots stay: keychain, `PROVIDER_AUTH_KEY` and passphrases open the vault
 * as before. Other processes go on meanwhile, and a rotation that was killed is finished by the next one to open the vault.
 *
 * @param options the keys of slots that the configuration does not give: say, a recovery passphrase. Needed only for a slot
 *   that an earlier version made and whose key has not opened the vault since
 * @throws {AuthError} `VAULT_KEY_MISSING`, with the slot, when the key of such a one is not given; nothing was changed
 */
export function rotateVaultKey(options?: { passphrase?: string; key?: string }): Promise<VaultStatus>

/**
 * Adds a way to the key beside those that are there: say, a recovery passphrase beside the keychain. Where the same key
 * opens a slot already, that slot is returned.
 *
 * @param options.passphrase for `passphrase`; default `PROVIDER_AUTH_PASSPHRASE` or `_FILE`
 * @param options.key for `env`, 32 bytes in base64; default `PROVIDER_AUTH_KEY`
 * @throws {AuthError} `VAULT_KEY_MISSING` when there is neither, `KEYCHAIN_*`, `STORE_*`, `VAULT_LOCKED`
 */
export function addVaultSlot(options: {
  keySource: Exclude<KeySource, 'auto' | 'memory'>
  passphrase?: string
  key?: string
}): Promise<KeySlot>

/**
 * Removes a way to the key, and a keychain's entry with it. Resolves to false when there is no slot of that id. Who has
 * its key and an old copy of the header can still read old copies of records; `rotateVaultKey` ends that for new ones.
 *
 * @throws {AuthError} `INVALID_ARGUMENT` for the last one
 */
export function removeVaultSlot(id: string): Promise<boolean>

/**
 * Makes this host a key of its own for the vault, and resolves to the line (`pa-host1…`, some 100 characters, no secret) with
 * which `admitHost` lets it in, on a host that opens the vault. The same line each time. Afterwards the vault opens here by
 * that key alone, with `keySource` `auto`, `keychain` or `keyfile`.
 *
 * @param options.keySource where the key is kept: in the keychain, or in a file of mode 0600 beside the key file, named like
 *   it with `.host.key` at the end. Default: `keyfile` where that is configured, else `keychain`
 * @throws {AuthError} `INVALID_ARGUMENT` where there is no vault yet, `KEYCHAIN_*`, `VAULT_LOCKED`, `VAULT_IO`
 */
export function joinFleet(options?: { keySource?: 'keychain' | 'keyfile' }): Promise<string>

/**
 * Lets a host open the vault with its own key: the vault's key is sealed to that, in a slot of source `host`.
 *
 * @param key what `joinFleet` resolved to there
 * @param name 1 to 64 letters, digits, dots, hyphens and underscores; no two hosts have one name
 * @throws {AuthError} `INVALID_ARGUMENT` for a key that is none, is of another vault or is in already, and for a name that
 *   is taken; nothing was changed
 */
export function admitHost(key: string, name: string): Promise<FleetHost>

/**
 * The hosts that were admitted, in that order, and then those whose revocation is not finished. Those that open the vault by
 * another slot are not among them.
 */
export function fleetHosts(): Promise<FleetHost[]>

/** A host with a key of its own. */
export interface FleetHost {
  /** The id of its slot. */
  id: string
  name: string
  /** When it was admitted, Unix milliseconds. */
  addedAt: number
  /** It was taken out, but not all logins that it could read are renewed: `revokeHost` with its name goes on. */
  revoked?: true
}

/**
 * Takes a host out: its slot goes, every record is re-encrypted under a new key that it does not get, and then each login is
 * renewed once, so that the refresh tokens it knew are spent. Its running processes are refused from then on
 * (`VAULT_KEY_MISMATCH`). A host that knows the key of another slot too (a passphrase, `PROVIDER_AUTH_KEY`) opens the vault on:
 * remove that slot first. Where this was cut off, or a login cannot be renewed now, `fleetHosts` lists the host as `revoked`,
 * and the same call renews every login once more.
 *
 * @param options as for `rotateVaultKey`
 * @throws {AuthError} `INVALID_ARGUMENT` where no host has that name, or it is this one; `VAULT_KEY_MISSING` as
 *   `rotateVaultKey`; nothing was changed
 */
export function revokeHost(name: string, options?: { passphrase?: string; key?: string }): Promise<HostRevocation>
export interface HostRevocation {
  host: FleetHost
  /** What it could read, oldest first; logins that have moved are not here. */
  accounts: ExposedAccount[]
  /** Where a store in a database is used: what its administrator has to run, if the host has a role of its own. */
  sql?: string
}

/** An account that a revoked host could read. */
export interface ExposedAccount {
  accountId: string
  provider: string
  namespace: string
  label: string
  /** Its tokens were renewed: those that the host knew are spent. */
  refreshed: boolean
  /**
   * What only its owner can replace, at the provider. `api_key`; `client_secret` of an OAuth client; `token`: one that nothing
   * renews; `login`: its tokens could not be renewed now, so sign in again, or renew it later.
   */
  replace: ('api_key' | 'client_secret' | 'token' | 'login')[]
  /** Why its tokens could not be renewed. */
  code?: AuthErrorCode
  message?: string
}

/**
 * A portable bundle, encrypted under a passphrase, that a stock tool opens too (`age`, age v1). It holds every API key with
 * its label, pool and order. With `includeOAuth` the logins as well, which are then *moved*: here they become `needs_login`
 * (`movedAt`), since two machines that use one refresh token end the login for both (RFC 9700 §4.14.2). A login that has
 * ended stays. Keep the bundle before anything else; importing it here again undoes the move. Should this process end before
 * you have it, `movedBundle()` returns it once more. Takes a second on purpose.
 *
 * @param passphrase 12 characters or more, better four words: a common password, a repeated part, a run such as `1234` or
 *   `qwerty` and a year count as one character. A thief of the bundle may try passphrases for years, and each try costs
 *   a second
 * @param options.allowWeakPassphrase take any passphrase but the empty one. Default false
 * @throws {AuthError} `INVALID_ARGUMENT` for a passphrase that is empty or easy to guess; `REFRESH_FAILED` when a login's last
 *   refresh has no outcome yet: nothing was moved
 */
export function exportVault(
  passphrase: string,
  options?: { includeOAuth?: boolean; allowWeakPassphrase?: boolean },
): Promise<Uint8Array>

/**
 * The last bundle that took logins along, as `exportVault` returned it and under the passphrase of then, for who did not receive
 * it. Resolves to `undefined` when there is none.
 *
 * It lies in the vault's folder as `moved.age`, sealed under the vault's key as well: opening that file takes both. It is gone
 * once no account in it waits for its login any more (imported here again, or signed in again), with the removal of any account
 * in it, with a new key of the vault, and with the next bundle that takes logins along. So fetch it before any of these.
 */
export function movedBundle(): Promise<Uint8Array | undefined>

/**
 * Brings a bundle's accounts into the vault: by identity, never over a newer generation, and never twice. Accounts keep
 * their ids.
 *
 * @param bundle at most 16 MiB
 * @throws {AuthError} `INVALID_ARGUMENT` for a wrong passphrase, or a bundle that was cut, changed or made by something else;
 *   nothing was changed
 */
export function importVault(bundle: Uint8Array, passphrase: string): Promise<ImportReport>
export interface ImportReport {
  added: number
  updated: number
  skipped: number
  /** Each account of the bundle. `accountId` is the account here; with `skipped`, `why` says the reason. */
  accounts: { accountId?: string; provider: string; label: string; action: 'added' | 'updated' | 'skipped'; why?: string }[]
}

/* ───────────────────────────── a store for many machines ───────────────────────────── */

/**
 * How the configured store stands: its tables, the vault that its address names, and what this role may do. Nothing is made.
 *
 * This call and the next four need the package `provider-auth-postgres`; without it they reject with `STORE_REFUSED`.
 *
 * @throws {AuthError} `INVALID_ARGUMENT` where no store is configured, `STORE_UNAVAILABLE`, `STORE_REFUSED`, `STORE_SCHEMA`
 */
export function storeStatus(): Promise<StoreSetup>
export interface StoreSetup {
  /** Servers, database and vault, without user and password: `db.example/auth, vault team-a`. */
  where: string
  /** The version of the tables; absent where there are none. */
  schema?: number
  /** Whether the vault is there, and shown to this role. */
  vault: boolean
  /** Whether this role may make vaults, let roles in, and change keys and slots. */
  admin: boolean
  /** What the call did: made the tables, made the vault, let these roles in. */
  installed: boolean
  made: boolean
  admitted: string[]
}

/**
 * Makes what is missing of the configured store: tables, roles and rights (the address's role may create roles and schemas),
 * then the vault, with the configured key source. Each of `roles`, a role that can log in, gets the rights of a host and may
 * see the vault. Called again, it changes nothing.
 *
 * @param options.roles default: none
 * @throws {AuthError} as `storeStatus` and `initVaultKey`; `STORE_REFUSED` where the role lacks a right, or there is no such role
 */
export function initStore(options?: { roles?: string[] }): Promise<StoreSetup>

/**
 * Brings the store's tables up to date. There is one version of them so far, so it changes nothing.
 *
 * @throws {AuthError} as `storeStatus`; `STORE_REFUSED` where there are no tables
 */
export function migrateStore(): Promise<StoreSetup>

/**
 * The SQL of `initStore`, for a person who has the rights to run it: tables, roles, rights, and for each of `roles` the rights of
 * a host. No prompt is shown. The vault itself is made by `initStore`, since only who has its key can.
 */
export function storeSql(options?: { roles?: string[] }): Promise<string>

/**
 * Moves the logins of this vault to another one, and copies its API keys: from a folder to a store, or back. Here the logins
 * become `needs_login` (`movedAt`), and `vaultStatus().movedTo` says where they are. By identity, never over a newer
 * generation. What has left and not arrived is kept in this vault, under its key: where the call rejects or its process ends,
 * the same call goes on. Until then no other logins leave, and the vault's key is not replaced. A login that has ended stays.
 *
 * @param to a store's address (`postgres://…`, without a password; the vault is there: `initStore`), or a folder, which is made.
 *   Key source and passwords are the configured ones
 * @throws {AuthError} `INVALID_ARGUMENT` where `to` is this vault, or logins are on their way to another one; `REFRESH_FAILED`
 *   when a login's last refresh has no outcome yet, or another machine is renewing it: nothing was moved; `VAULT_*`,
 *   `KEYCHAIN_*` and `STORE_*` of either vault
 */
export function moveVault(to: string): Promise<MoveReport>
export interface MoveReport extends ImportReport {
  /** The vault that the accounts are in now: a folder, or a store as in `StoreSetup.where`. */
  to: string
}

/* ───────────────────────────── migration ───────────────────────────── */

/**
 * Brings what OpenCode keeps in plain files into the vault: `auth.json`, `mcp-auth.json` beside it, and
 * `OPENCODE_AUTH_CONTENT`, whose entries hide those of `auth.json` with the same name, as they do in OpenCode. Accounts join
 * the namespace `default`. A second run adds nothing and never puts old tokens over newer ones; two runs at once are one
 * after the other; one that was killed is completed by the next.
 *
 * First the bytes of each file are kept, sealed, in the vault; then each account is written and read back from the disk; only
 * then is a file touched, and only if it is still as it was read. OpenCode writes its files without a lock: end it before
 * `source: 'remove'`. With `source: 'keep'`, both programs renew the same logins, which ends them where refresh tokens are
 * good for one use.
 *
 * A login of OpenCode serves until its access token ends. It is renewed only where that takes no client id, where the server
 * is an MCP server, or with the client id that you have configured for the provider; else it is then `needs_login`.
 *
 * @throws {AuthError} `VAULT_IO` for a file that is there and cannot be read: no permission, another user's, a folder;
 *   nothing was done. `INVALID_ARGUMENT`, `VAULT_*`, `KEYCHAIN_*` and `STORE_*`
 */
export function migrate(options?: MigrateOptions): Promise<MigrationReport>
export interface MigrateOptions {
  /** Default, and so far the only one. */
  from?: 'opencode'
  /** The folder with OpenCode's files. Default `$XDG_DATA_HOME/opencode`, else `~/.local/share/opencode`, on every platform. With it, `OPENCODE_AUTH_CONTENT` is not read. */
  dir?: string
  /** Only report what would be done: nothing is written, and no vault is made. Default false. */
  dryRun?: boolean
  /**
   * What becomes of a file once every account of it was read back from the vault. `keep` (default): nothing. `remove`: what
   * was taken over is taken out of it, and a file with nothing left is removed. `backup`: the same, with a plain copy of the
   * whole file beside it, mode 0600; the report names it. Needs a vault on disk.
   */
  source?: 'keep' | 'backup' | 'remove'
  /**
   * Take only the entries of these names over, as `auth.json` has them: all else stays as it is, in the file and in the vault.
   * `mcp-auth.json` is not read then; what `env` names is. A name that is not there is among `skipped`. Not with `undo`, which
   * brings whole files back. Default: every entry.
   */
  entries?: string[]
  /**
   * Take API keys from environment variables too: `true` those that are known of a provider (`ANTHROPIC_API_KEY`,
   * `OPENAI_API_KEY`, `GEMINI_API_KEY`, …), or those of this list. The variables stay set. Default false.
   */
  env?: boolean | string[]
  /**
   * Undo the last migration of these files instead: each is again what it was, byte for byte, unless somebody has changed it
   * since; copies beside it are removed; and accounts whose entries are back where they were leave the vault. Accounts that
   * were renewed or changed since stay, and are listed in `skipped`. So are entries whose accounts have been removed or moved to
   * a bundle since: their secrets were erased from the kept file, and all else of it comes back. Doing it again changes nothing.
   * Default false.
   */
  undo?: boolean
}
export interface MigrationReport {
  /** What was found: paths of files, names of variables. */
  files: string[]
  /** `removed` only with `undo`; `accountId` is absent where a dry run would add the account. */
  imported: { provider: string; kind: Account['kind']; accountId?: string; action: 'added' | 'updated' | 'unchanged' | 'removed' }[]
  /** Entries that were not understood, or named and not there, with the reason: left where they are, never dropped. An empty `key`: the whole file. */
  skipped: { file: string; key: string; why: string }[]
  /**
   * What became of each file. `rewritten`: it holds what is in `skipped`, what `entries` did not name, and placeholders of our plugin. `changed`: somebody
   * else wrote it meanwhile, so it was left. `warning`: who else can read it.
   */
  sources: { file: string; state: 'kept' | 'rewritten' | 'removed' | 'changed' | 'restored'; backup?: string; warning?: string }[]
  /**
   * By provider, what it says of logins, where one was made with the client of another program. Whether you may use that one here
   * is between you and the provider.
   */
  terms: Record<string, string>
}

/* ───────────────────────────── models, providers ───────────────────────────── */

/**
 * Lists the models that the pool may use, as the account sees them that would serve now: of the kind that `rotation.mode`
 * says. The list is asked for with that account's credential, through the same rotation, refresh and cooldowns as any
 * request; only a 403 is taken to be about the list and not about the account. It is kept on disk for 12 h: for each account
 * by itself, and as long as its organisation, plan and client stay the same. Calls for one pool at the same time share one
 * request. Ends within a minute.
 *
 * @param options.account asks with this account, by id or label: a pin, as `AuthRequest.account`
 * @param options.refresh asks the provider although a list is kept. Default false
 * @param options.signal ends the wait with `ABORTED`
 * @throws {AuthError} where no list is kept: `NETWORK` (no answer, or none that is a list: the message says which and from
 *   where), `EXHAUSTED` (with `retryAt`), `NEEDS_LOGIN`, `REFRESH_FAILED`. In any case `NO_ACCOUNT`, `UNKNOWN_PROVIDER`,
 *   `ORIGIN_NOT_ALLOWED`, `INVALID_ARGUMENT` (also a provider without origins), `INVALID_CONFIG`, and every `VAULT_*`,
 *   `KEYCHAIN_*` and `STORE_*` code
 */
export function discoverModels(options: {
  provider: string
  namespace?: string
  account?: string
  refresh?: boolean
  signal?: AbortSignal
}): Promise<ModelList>
export interface ModelList {
  /**
   * In the provider's order, each id once; never empty. Those that the provider lists without offering them are left out.
   * `contextWindow` is in tokens. `name`, `contextWindow` and `ownedBy` are there where the provider says them.
   */
  models: { id: string; name?: string; contextWindow?: number; ownedBy?: string }[]
  /** When the provider said so. */
  fetchedAt: number
  /** True when the provider could not be asked though the list was due: out of reach, every account resting or in need of a login. */
  stale: boolean
}

/** Every provider that can be used under this configuration, built in or configured. Does not open the vault. */
export function configuredProviders(): Promise<ProviderSummary[]>
export interface ProviderSummary {
  id: string
  /** Address of the MCP server that its logins are for; absent for other providers. */
  resource?: string
  /** Origins that may receive its credentials. */
  origins: string[]
  /**
   * Ways to add an account, as `LoginOptions.method` names them; without a client id only `api-key`. One whose own file is at
   * fault (`oci-auth.config.jsonc`) has `browser`, and a try says what is wrong. Those without a person are not among them.
   */
  methods: ('browser' | 'device' | 'paste' | 'api-key')[]
  /**
   * Whether your configuration names it: a config file or `configure`, and of the project's files one that is trusted or wants
   * nothing that needs trust. False for what is built in and named nowhere.
   */
  configured: boolean
  /** Environment variables that are known to hold its API key, as `migrate({ env: true })` reads them. */
  keyVariables: string[]
  /** How to get a client for its logins. Absent where it has one, issues one, or offers none to other programs. */
  registration?: ClientRegistration
  /** What its terms say about logins, in a sentence with a link, where that is known. */
  terms?: string
}
export interface ClientRegistration {
  /** The page that says how, or the login server. */
  url: string
  /** What to do there, and after it. */
  steps: string[]
  /** The keys to set in the provider's configuration, each with a text for what stands there. */
  settings: { key: string; value: string }[]
}

/* ───────────────────────────── diagnosis ───────────────────────────── */

/**
 * Looks at everything between a request and its credential: configuration, proxies and certificates, the vault's folder, its
 * locks and its key, and per pool which account would serve. What is wrong is a finding, never a rejection: a locked keychain, a
 * header that is damaged, a disk that takes nothing. Asks no person anything, and ends within seconds. A vault that opens is
 * opened, so that a refresh that was cut short is tried again; none is made.
 *
 * No finding holds a secret, a label or an e-mail address: accounts are named by their ids. Paths and hosts are there in clear.
 *
 * @param options.online asks each host of the providers that have accounts or are configured, without a credential: name,
 *   connection, certificate, answer, time. Default false
 * @param options.fix mends what can be mended without losing anything: rights that other users have to our own files, what
 *   crashed processes left, and waits for refreshes that were cut short. Default false
 * @param options.signal ends the wait with `ABORTED`
 * @throws {AuthError} `INVALID_ARGUMENT`, `ABORTED`
 */
export function diagnose(options?: { online?: boolean; fix?: boolean; signal?: AbortSignal }): Promise<Diagnosis>
export interface Diagnosis {
  at: number
  /** By topic; what is as it should be is among them. */
  findings: Finding[]
}
export interface Finding {
  /** Topic and what of it: `keychain.locked`, `pool.serves`, `host.dns`. An id never changes; there may be more of them. */
  id: string
  /** `note`: good to know. `warning`: it may become a problem. `problem`: something does not work, or a secret is in danger. */
  state: 'ok' | 'note' | 'warning' | 'problem'
  /** What is so. May hold names of files and hosts: clean it before it is shown. */
  title: string
  /** Why it matters. */
  why?: string
  /** What to do about it. */
  remedy?: string
  /** Whether `fix` mends it, and whether it has. */
  fixable?: boolean
  fixed?: boolean
  /** What the finding is about: `provider`, `namespace`, `accountId`, `file`, `host`, `pid` and others. */
  details?: Record<string, string>
}

/* ───────────────────────────── where the configuration comes from ───────────────────────────── */

/**
 * Where each value of the configuration comes from, and all that is wrong with it. Reads files only, anew with each call; the vault
 * stays closed. A fault of a file does not reject it. No secret is in it: one that is kept elsewhere shows as written
 * (`{env:NAME}`), and a value that is or may hold a secret is left out, as headers and parameters are.
 */
export function inspectConfig(): Promise<ConfigReport>

export interface ConfigReport {
  /** Every file that counts, or would if it were there. */
  files: ConfigFile[]
  /**
   * What is of no provider: `dir`, `keySource`, `allowNetworkFs`, `log.level`, `log.file`, `stats`, `store` (without user and
   * password), `storePasswordCommand` (the program alone), `offlineMs`. Without `value`: it has none, or a faulty one.
   */
  settings: { name: string; value?: string; source: ConfigSource }[]
  /** The environment variables of this library that are set; `value` of those that hold no secret. */
  variables: { name: string; value?: string }[]
  /** Every provider that is built in or configured. */
  providers: ConfigProvider[]
  /** What is wrong with the environment and the options of `configure`. */
  faults: ConfigProblem[]
  /** What is odd, of no file alone. */
  warnings: ConfigProblem[]
}
export interface ConfigFile {
  /** `user`: `config.jsonc`; `project`: `provider-auth.jsonc`; the others: `oci-auth.config.jsonc` in OpenCode's folder and in the project. */
  kind: 'user' | 'project' | 'oci-user' | 'oci-project'
  /** May hold any character: clean it before it is shown. */
  file: string
  exists: boolean
  /**
   * `read`: in effect; of the user's files. `faulty`: has faults, so that calls reject with `INVALID_CONFIG` (of the `oci-` files
   * only those of that provider). `ignored`: does not count; `why` says it. The others are of the project's, as in `ProjectFile`.
   */
  state: 'absent' | 'read' | 'faulty' | ProjectFile['state']
  why?: string
  /** All that is wrong with it; of each key and of a text that is not JSON, the first fault. */
  faults: ConfigProblem[]
  /** What has no effect, such as unknown keys. */
  warnings: ConfigProblem[]
}
export interface ConfigProblem {
  line?: number
  /** In characters. */
  column?: number
  /** JSON path, or the name of a variable; empty of a file as a whole. */
  path: string
  message: string
}
export interface ConfigProvider {
  id: string
  /** Whether a file that counts, or `configure`, says anything of it. */
  configured: boolean
  /**
   * What is in effect, by key: `origins`, `rotation.strategy`. A list that files add to (`extraOrigins`, `strip`, `limits`) comes
   * once per file. Without `value`: it is or may hold a secret. A trusted project's definition is shown, and has no effect for a
   * provider with accounts that were made without it.
   */
  values: { key: string; value?: unknown; source: ConfigSource }[]
}
export interface ConfigSource {
  kind: 'default' | 'built-in' | 'variable' | 'configure' | 'file'
  /** Of a variable. */
  name?: string
  file?: string
  line?: number
  column?: number
}

/* ───────────────────────────── trust ───────────────────────────── */

/**
 * What the files of the project (`provider-auth.jsonc`, `oci-auth.config.jsonc`) want, and whether a person has trusted them.
 * Such a file comes with a repository, so it may be anybody's: without trust it chooses among the accounts of known providers
 * (`rotation`, `namespace`, `account`; it may keep logins from standing in for one another, and not let them), and nothing else. Reads files only, anew with each call; the vault stays closed.
 *
 * Show all of it to a person, and call `trustProject` when they agree.
 *
 * @throws {AuthError} `INVALID_CONFIG`
 */
export function projectTrust(): Promise<ProjectTrust>

/**
 * Trusts the files of the project: what they want takes effect in this process at once, and in others at their next call that
 * needs it. Kept in the vault's folder with path and SHA-256. When a file changes, or comes to more than was shown, it has no
 * effect until it is trusted again. A provider with accounts that were made without a project's file is never a project's to define.
 *
 * @param shown what a person saw and agreed to, as `projectTrust` returned it. Without it, the files are trusted as they are now
 * @throws {AuthError} `INVALID_ARGUMENT` when a file is not as it was shown; then none is trusted. `VAULT_IO`, `INVALID_CONFIG`
 */
export function trustProject(shown?: ProjectTrust): Promise<ProjectTrust>

/** Takes the trust in the files of the project back. Accounts stay; running processes go on until they are restarted. */
export function untrustProject(): Promise<ProjectTrust>

export interface ProjectTrust {
  /** Whether no file asks for trust. */
  trusted: boolean
  files: ProjectFile[]
}
export interface ProjectFile {
  /** Its true path. May hold any character: clean it before it is shown. */
  file: string
  /**
   * `unneeded`: it wants nothing that needs trust. `changed`: it was trusted with another content, or for less. `ignored`: it
   * belongs to somebody else or others can write to it, so it does not count at all; `why` says which.
   */
  state: 'unneeded' | 'untrusted' | 'changed' | 'trusted' | 'ignored'
  why?: string
  /** Of its content, in hex. */
  sha256: string
  /** A hash of the content and of what is listed here. */
  shown: string
  /** What it wants that needs trust. */
  providers: ProjectProvider[]
}
export interface ProjectProvider {
  id: string
  /** Whether it is built in, or you have configured it, so that the file would change it. */
  known: boolean
  /** The keys that the file sets. */
  sets: string[]
  /** Every host that would get a code, a token or a key, or says which host does. `role` is the key that names it. */
  hosts: { origin: string; role: string; gets: string }[]
  /**
   * Every secret that would be used: a file (its true path), a variable, or one that your own configuration has in clear. With
   * `refusal` it is not read, trusted or not: links, files of others, `/proc`, what is ours.
   */
  reads: { kind: 'file' | 'variable' | 'configuration'; name: string; role: string; refusal?: string }[]
  /** Ways to add an account. */
  methods: ProviderSummary['methods']
}

/* ───────────────────────────── errors ───────────────────────────── */

/**
 * Every rejection is an `Error` with one of these codes; codes are API, messages are not. No message holds a secret. The stack
 * begins where the library was called. An SDK wraps what `createAuthFetch` rejects with: then it is its error's `cause`.
 */
export interface AuthError extends Error {
  code: AuthErrorCode
  /** JSON path of the fault, with `INVALID_CONFIG`; also in the message. */
  path?: string
  /** The file at fault, with `INVALID_CONFIG`, or the one that would have to be trusted, with `PROJECT_NOT_TRUSTED`. */
  file?: string
  provider?: string
  accountId?: string
  /** Absent where time does not help. */
  retryAt?: number
  /** With `EXHAUSTED`: what keeps the accounts. */
  reason?: VerdictReason
  /**
   * With `EXHAUSTED`: what `createAuthFetch` answers. Its status and the error's `type` are those of the cause: 429
   * `rate_limit_error`, 402 `billing_error`, 401 `authentication_error`, 403 `permission_error`, 503 `api_error` (no token can be
   * renewed). Of a model that no account has it is the provider's own answer again.
   */
  answer?: { status: number; statusText: string; contentType: string; body: string }
}
export type AuthErrorCode =
  | 'INVALID_CONFIG' | 'PROJECT_NOT_TRUSTED' | 'ALREADY_CONFIGURED' | 'INVALID_ARGUMENT' | 'UNKNOWN_PROVIDER' | 'UNKNOWN_ACCOUNT' | 'UNKNOWN_ATTEMPT'
  | 'NO_ACCOUNT' | 'NEEDS_LOGIN' | 'EXHAUSTED' | 'ORIGIN_NOT_ALLOWED' | 'REFRESH_FAILED'
  | 'LOGIN_DENIED' | 'LOGIN_TIMEOUT' | 'LOGIN_CANCELLED' | 'LOGIN_FAILED' | 'CALLBACK_PORT_BUSY' | 'CLIENT_ID_REQUIRED'
  | 'VAULT_LOCKED' | 'KEYCHAIN_TIMEOUT' | 'VAULT_KEY_MISSING' | 'VAULT_KEY_MISMATCH' | 'VAULT_CORRUPT' | 'VAULT_IO' | 'KEY_EXISTS' | 'KEYCHAIN_UNAVAILABLE'
  /**
   * Of a vault for many machines. `STORE_UNAVAILABLE`: it cannot be reached or is busy; nothing is lost, try again after `retryAt`.
   * `STORE_REFUSED`: it does not take the password, the certificate or the address, the role lacks a right, or this addon has no
   * store: a person must mend what the message names. `STORE_SCHEMA`: its tables are not there or of another version; the message
   * has the command.
   */
  | 'STORE_UNAVAILABLE' | 'STORE_REFUSED' | 'STORE_SCHEMA'
  /** `NETWORK` and `ABORTED`: of calls other than `createAuthFetch` (an aborted login is `LOGIN_CANCELLED`). */
  | 'NETWORK' | 'ABORTED'
  /**
   * What `import` and `require` of the package throw; the message says what was tried and what to do, `cause` has the system's errors.
   * `createAuthFetch` and `login` fail with it where another version has replaced the package while the program runs.
   */
  | 'ADDON_NOT_LOADED'
