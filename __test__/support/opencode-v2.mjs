/**
 * A stand-in for OpenCode 2, which cannot be had here: it calls a plugin as OpenCode's pages and its published sources
 * say, and does with what the plugin registers what they say.
 *
 * - https://opencode.ai/v2/docs/build/plugins/server/
 * - https://github.com/anomalyco/opencode: packages/plugin/src/promise (the API), packages/core/src/plugin/module.ts (what
 *   may be a plugin), packages/core/src/provider.ts and integration.ts (what becomes of a transform),
 *   packages/core/src/session/model-request.ts and runner/retry.ts (a request), packages/core/src/tool.ts (a tool)
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from './until.mjs'

/** Statuses that OpenCode tries again by itself. */
const PASSING = (status) => status === 429 || status >= 500
/** Tries after the first one. */
const RETRIES = 4

/**
 * Loads a plugin and returns the host.
 *
 * @param {object} module what the plugin's file exports
 * @param {object} [options]
 * @param {Record<string, object>} [options.catalog] providers that the host knows by itself
 * @param {Record<string, object>} [options.providers] `providers` of the user's opencode.json: `{ settings, models }`
 * @param {Record<string, object[]>} [options.methods] the host's own ways to sign in, by integration
 * @param {Record<string, string>} [options.env] the variable with the key of a provider
 * @param {object} [options.plugin] the plugin's own options
 * @param {number} [options.longestDelayMs] the longest that a retry is waited for; what is longer ends the request
 */
export async function loadPlugin(
  module,
  { catalog = {}, providers = {}, methods = {}, env = {}, plugin: options = {}, longestDelayMs = 5_000 } = {},
) {
  const definition = checked(module)
  const hooks = new Map()
  const transforms = { provider: [], model: [], integration: [], tool: [] }
  const credentials = new Map()
  const statuses = new Map()
  let nextId = 1
  let loaded = false

  const register = (list, callback) => {
    list.push(callback)
    return {
      async dispose() {
        const at = list.indexOf(callback)
        if (at >= 0) list.splice(at, 1)
      },
    }
  }
  const hookOf = (domain) => async (name, callback) => {
    const key = `${domain}.${name}`
    if (!hooks.has(key)) hooks.set(key, [])
    return register(hooks.get(key), callback)
  }
  const trigger = async (name, event) => {
    for (const callback of hooks.get(name) ?? []) await callback(event)
    return event
  }

  /* Domains are rebuilt from nothing: the host's own, then plugins, then the user's file. */
  let records = new Map()
  const foldProviders = () => {
    records = new Map()
    const entry = (id) => {
      if (!records.has(id)) {
        const provider = { id, name: id, activation: 'auto', package: '', settings: undefined }
        records.set(id, { provider, models: new Map() })
      }
      return records.get(id)
    }
    const model = (id, modelId) => {
      const { models } = entry(id)
      if (!models.has(modelId)) {
        models.set(modelId, { id: modelId, name: modelId, providerID: id, limit: { context: 200_000, output: 32_000 } })
      }
      return models.get(modelId)
    }
    const add = (id, { settings, models = {}, ...rest }) => {
      const { provider } = entry(id)
      Object.assign(provider, rest)
      if (settings !== undefined) provider.settings = { ...provider.settings, ...settings }
      for (const [modelId, value] of Object.entries(models)) Object.assign(model(id, modelId), value)
    }
    for (const [id, value] of Object.entries(catalog)) add(id, value)
    const editor = {
      list: () => [...records.values()],
      get: (id) => records.get(id),
      update: (id, change) => change(entry(id).provider),
      models: { update: (id, modelId, change) => change(model(id, modelId)) },
    }
    for (const callback of transforms.provider) callback(editor)
    for (const [id, value] of Object.entries(providers)) add(id, value)
    foldModels()
  }
  const foldModels = () => {
    const editor = { provider: { list: () => [...records.values()].map(frozen), get: (id) => frozen(records.get(id)) } }
    for (const callback of transforms.model) callback(editor)
  }
  let integrations = new Map()
  const foldIntegrations = () => {
    integrations = new Map()
    const entry = (id) => {
      if (!integrations.has(id)) integrations.set(id, { ref: { id, name: id }, methods: [] })
      return integrations.get(id)
    }
    for (const [id, known] of Object.entries(methods)) entry(id).methods.push(...known.map((method) => ({ method })))
    const editor = {
      get: (id) => integrations.get(id)?.ref,
      update: (id, change) => change(entry(id).ref),
      method: {
        list: (id) => (integrations.get(id)?.methods ?? []).map(({ method }) => method),
        update(added) {
          const { methods } = entry(added.integrationID)
          const at = methods.findIndex(({ method }) => method.type === 'oauth' && method.id === added.method.id)
          if (at < 0) methods.push(added)
          else methods[at] = added
        },
      },
    }
    for (const callback of transforms.integration) callback(editor)
  }
  let tools = new Map()
  const foldTools = () => {
    tools = new Map()
    for (const callback of transforms.tool) callback({ add: (tool) => tools.set(tool.name, tool) })
  }
  // While plugins are loaded, transforms are put together once; later each is at once.
  const fold = { provider: foldProviders, model: foldModels, integration: foldIntegrations, tool: foldTools }
  const transformOf = (domain) => async (callback) => {
    const registration = register(transforms[domain], callback)
    if (loaded) fold[domain]()
    return registration
  }

  const active = (id) => {
    const stored = (credentials.get(id) ?? []).at(-1)
    if (stored !== undefined) {
      const { id: credential, label, value } = stored
      const status = statuses.get(credential)
      return {
        type: 'credential',
        id: credential,
        label,
        ...(value.methodID && { methodID: value.methodID }),
        ...(status && { status }),
      }
    }
    return env[id] === undefined ? undefined : { type: 'env', name: env[id] }
  }
  const resolve = ({ type, id, name }) => {
    if (type === 'env') return { type: 'key', key: process.env[name] ?? `the value of ${name}` }
    return [...credentials.values()].flat().find((stored) => stored.id === id)?.value
  }
  const bus = new EventTarget()
  const changed = () => bus.dispatchEvent(new Event('credential.updated'))
  const connect = (id, value, label = `${id} ${nextId}`) => {
    credentials.set(id, [...(credentials.get(id) ?? []), { id: `cred_${nextId++}`, label, value }])
    changed()
  }

  const context = {
    app: { name: 'test', version: '2.0.32' },
    options,
    location: { directory: process.cwd() },
    session: { hook: hookOf('session') },
    tool: { hook: hookOf('tool'), transform: transformOf('tool'), reload: async () => foldTools() },
    shell: { hook: hookOf('shell') },
    event: { subscribe: ({ signal }) => eventsOf(bus, 'credential.updated', signal) },
    provider: { transform: transformOf('provider'), reload: async () => foldProviders() },
    model: { transform: transformOf('model'), reload: async () => foldModels() },
    integration: {
      transform: transformOf('integration'),
      reload: async () => foldIntegrations(),
      connection: {
        active: async (id) => active(id),
        resolve: async (connection) => resolve(connection),
        status: async ({ connection, status }) => {
          if (status === undefined) statuses.delete(connection.id)
          else statuses.set(connection.id, status)
        },
      },
    },
  }
  const cleanup = await definition.setup(context)
  loaded = true
  foldIntegrations()
  foldProviders()
  foldTools()

  /** What the host itself would send as the key of a provider. */
  const keyOf = (id) => {
    const { provider } = records.get(id) ?? {}
    const connection = active(provider?.integrationID ?? id)
    const credential = connection && resolve(connection)
    return credential?.access ?? credential?.key ?? provider?.settings?.apiKey
  }

  /** One request with its hooks, as `model-request.ts` makes it. */
  async function requestOnce(scope, url, body) {
    const key = keyOf(scope.model.providerID)
    const headers = {
      'content-type': 'application/json',
      'x-session-id': scope.sessionID,
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
    }
    const before = await trigger('session.http.request', {
      ...scope,
      request: new Request(url, { method: 'POST', headers, body: JSON.stringify(body) }),
    })
    const { request } = before
    // Read to its end and sent anew, so that only address, method, headers and body count.
    const bytes = request.body === null ? undefined : new Uint8Array(await request.clone().arrayBuffer())
    const sent = await fetch(request.url, { method: request.method, headers: request.headers, body: bytes })
    const response = new Response(sent.body, { status: sent.status, headers: sent.headers })
    return (await trigger('session.http.response', { ...scope, request, response })).response
  }

  return {
    id: definition.id,
    context,
    /** Providers that can be chosen, as `provider.ts` says. */
    available() {
      const isThere = ({ provider: { id, activation, integrationID } }) => {
        if (activation !== 'auto') return activation === 'enabled'
        if (active(integrationID ?? id) !== undefined) return true
        return integrationID === undefined && !integrations.has(id)
      }
      return [...records.values()].filter(isThere).map(({ provider }) => provider.id)
    },
    provider: (id) => records.get(id)?.provider,
    models: (id) => [...(records.get(id)?.models.values() ?? [])],
    integration(id) {
      const { ref, methods } = integrations.get(id) ?? { methods: [] }
      return { name: ref?.name, methods: methods.map(({ method }) => method), connection: active(id) }
    },
    credentials: () => [...credentials.values()].flat(),
    /** What a stored credential is marked with. */
    status: (credential) => statuses.get(credential),
    /** The host gets a credential of its own. */
    connect,
    disconnect(id) {
      credentials.delete(id)
      changed()
    },
    /** Adds a hook of another plugin. */
    hook: (domain, name, callback) => hookOf(domain)(name, callback),
    reload: (domain) => fold[domain](),

    /**
     * Asks a model, and tries again as `retry.ts` says. Resolves to `{ response, text, delays }`; a response that is no
     * success has a `message`, which is what the user reads.
     */
    async ask(model, { url, sessionID = 'ses_1', agent = 'build', kind = 'primary' }) {
      const [providerID, id] = model.split('/')
      const scope = { sessionID, agent, model: { id, providerID }, kind }
      const delays = []
      for (let attempt = 1; ; ) {
        const response = await requestOnce(scope, url, { model: id, messages: [{ role: 'user', content: 'hello' }] })
        const text = await response.text()
        if (response.ok) return { response, text, delays }
        const message = messageOf(text) ?? `Provider request failed with HTTP ${response.status}`
        const told = response.headers.get('x-should-retry')
        const mayRetry = told === 'true' || (told !== 'false' && PASSING(response.status))
        const after = Number(response.headers.get('retry-after-ms') ?? NaN)
        const failed = { response, text, message, delays }
        if (!mayRetry || attempt > RETRIES) return failed
        attempt += 1
        const delay = Math.max(2_000 * 2 ** (attempt - 2), Number.isNaN(after) ? 0 : Math.min(after, 900_000))
        const { kind: _, ...place } = scope
        const error = { type: 'provider.rate-limit', message, status: response.status }
        const event = await trigger('session.retry', { ...place, error, attempt, decision: { retry: true, delay } })
        if (!event.decision.retry) return failed
        delays.push(event.decision.delay)
        if (event.decision.delay > longestDelayMs) return failed
        await sleep(event.decision.delay)
      }
    },

    /** Signs in with one of the methods. `person` gets what the host shows, and returns the code where one is wanted. */
    async signIn(integrationID, methodID, person, answer = {}) {
      const method = await until(`the method ${methodID} of ${integrationID}`, () =>
        integrations.get(integrationID)?.methods.find((entry) => entry.method.id === methodID),
      )
      const shown = await method.authorize(answer)
      const typed = person(shown)
      const value = await (shown.mode === 'auto' ? shown.callback : shown.callback(await typed))
      await typed
      connect(integrationID, value, method.label?.(value))
      return value
    },

    /** Calls a tool of the plugin, or one of the host's, which answers with `content` and `output`. */
    async callTool(name, input, content = 'done', output) {
      const scope = { tool: name, sessionID: 'ses_1', agent: 'build', messageID: 'msg_1', id: 'call_1' }
      let event
      try {
        event = await trigger('tool.execute.before', { ...scope, input })
      } catch (refused) {
        return { error: refused.message }
      }
      const tool = tools.get(event.tool)
      const done = tool === undefined ? { content, output } : await tool.execute(event.input, { sessionID: 'ses_1' })
      if (tool !== undefined && done.output !== undefined && tool.output === undefined) {
        throw new Error('Tool result declared output without an output schema')
      }
      const after = await trigger('tool.execute.after', {
        ...scope,
        input: event.input,
        status: 'completed',
        result: done,
      })
      return after.result
    },
    tools: () => [...tools.values()],
    /** The environment of a command that the agent runs. */
    async shellEnvironment(env) {
      const event = { command: 'env', cwd: process.cwd(), timeout: 0, shell: '/bin/sh', env: { ...env } }
      return (await trigger('shell.create.before', event)).env
    },
    async unload() {
      await cleanup?.()
      hooks.clear()
      for (const list of Object.values(transforms)) list.length = 0
    },
  }
}

/** What `module.ts` takes: an object, with an id and a `setup` or an `effect`. A function is none. */
function checked({ default: definition }) {
  const isObject = typeof definition === 'object' && definition !== null
  const isWhole = isObject && typeof definition.id === 'string' && typeof definition.setup === 'function'
  if (isWhole) return definition
  throw new Error('Plugin must export a default definition with an id and an effect or setup function.')
}

async function* eventsOf(bus, type, signal) {
  const waiting = []
  let wake = () => {}
  const take = () => {
    waiting.push({ type, data: {} })
    wake()
  }
  bus.addEventListener(type, take)
  signal.addEventListener('abort', () => wake())
  try {
    while (!signal.aborted) {
      yield* waiting.splice(0)
      await new Promise((resolve) => {
        wake = resolve
        if (waiting.length > 0 || signal.aborted) resolve()
      })
    }
  } finally {
    bus.removeEventListener(type, take)
  }
}

function frozen(record) {
  return record && { provider: Object.freeze(structuredClone(record.provider)), models: record.models }
}

function messageOf(text) {
  try {
    const body = JSON.parse(text)
    return body.error?.message ?? body.message
  } catch {
    return undefined
  }
}
