/**
 * An MCP server with its authorization server on another origin, as strict as the specification lets them be: a token is
 * for the one resource that every request named, PKCE and a registered client are required, a redirect URI is compared
 * letter by letter, a refresh token is good for one use. What either says about itself is a test's to change.
 */
import { randomBytes } from 'node:crypto'
import { ANY, bearerOf, createApi, createMemory, form, header, parsed, query, refusal, startServer } from './strict.mjs'

const WELL_KNOWN = '/.well-known'

/**
 * Starts both.
 *
 * @param {object} [settings]
 * @param {string} [settings.challenge] of a 401: `$metadata` stands for where the description is
 * @param {string} [settings.place] where the description is; default at the path of `/mcp`, `none` for nowhere
 * @param {string} [settings.issuerPath] path of the authorization server's issuer
 * @param {string} [settings.issuerPlace] where its metadata is; default as RFC 8414 has it
 * @param {boolean} [settings.own] whether the MCP server is its own authorization server
 * @param {object} [settings.description] replaces fields of the description; `undefined` takes one away
 * @param {object} [settings.metadata] the same of the authorization server's metadata
 * @param {object} [settings.registration] the same of the answer to a registration
 * @param {unknown[]} [settings.describes] answers instead of the description
 */
export async function startMcp(settings = {}) {
  const memory = createMemory({ prefix: 'mcp-' })
  const clients = new Map()
  const grants = new Map()
  const { issuerPath = '' } = settings
  const place = settings.place ?? `${WELL_KNOWN}/oauth-protected-resource/mcp`
  const issuerPlace = settings.issuerPlace ?? `${WELL_KNOWN}/oauth-authorization-server${issuerPath}`
  const resource = () => settings.description?.resource ?? `${server.origin}/mcp`
  const issuer = () => login.origin + issuerPath

  const api = createApi({
    admits: (call) => grants.get(bearerOf(call))?.resource === resource() && memory.owner(bearerOf(call)) !== undefined,
    refused: undefined,
  })
  const challenged = () => {
    const text = settings.challenge ?? 'Bearer resource_metadata="$metadata", scope="notes:read notes:write"'
    return [401, {}, text === '' ? {} : { 'www-authenticate': text.replace('$metadata', server.origin + place) }]
  }
  const describe = () => {
    if (settings.describes !== undefined) return settings.describes
    const about = { resource: resource(), authorization_servers: [issuer()], scopes_supported: ['notes:read'] }
    return [200, { ...about, ...settings.description }]
  }
  const metadata = () => [
    200,
    {
      issuer: issuer(),
      authorization_endpoint: `${login.origin}/authorize`,
      token_endpoint: `${login.origin}/token`,
      registration_endpoint: `${login.origin}/register`,
      revocation_endpoint: `${login.origin}/revoke`,
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['none', 'client_secret_post'],
      authorization_response_iss_parameter_supported: true,
      ...settings.metadata,
    },
  ]

  const registered = (id) => {
    const client = clients.get(id)
    if (client === undefined) throw refusal('invalid_client', 'no such client', 401)
    return client
  }
  /** What a client adds to its requests. */
  const credentials = (id) => {
    const { client_secret } = registered(id)
    return { client_id: id, ...(client_secret && { client_secret }) }
  }
  const issue = (grant, family) => {
    const issued = memory.issue({ user: grant.user, ...(family && { family }) })
    grants.set(issued.access_token, grant)
    grants.set(issued.refresh_token, grant)
    return [200, { ...issued, token_type: 'Bearer', expires_in: 3600, scope: grant.scope, ...settings.token }]
  }

  const routes = {
    'GET /authorize': (call) => {
      const client = registered(call.query.get('client_id'))
      const asked = query(call, {
        response_type: 'code',
        client_id: ANY,
        redirect_uri: ANY,
        state: ANY,
        code_challenge: ANY,
        code_challenge_method: 'S256',
        resource: resource(),
        ...(call.query.has('scope') && { scope: ANY }),
        ...(/offline_access/.test(call.query.get('scope')) && { prompt: 'consent' }),
      })
      if (!client.redirect_uris.includes(asked.redirect_uri)) throw refusal('invalid_request', 'another redirect URI')
      const back = new URL(asked.redirect_uri)
      const { client_id, scope, state, code_challenge: challenge, redirect_uri: redirect } = asked
      const code = memory.code({ user: 'ada', client_id, scope, resource: asked.resource, challenge, redirect })
      back.search = new URLSearchParams({ code, state, iss: settings.iss ?? issuer() })
      return [302, '', { location: back.href }]
    },
    'POST /register': (call) => {
      header(call, 'content-type', 'application/json')
      header(call, 'authorization', undefined)
      const asked = parsed(call.raw)
      const wanted = {
        client_name: 'provider-auth',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
        application_type: 'native',
      }
      for (const [name, value] of Object.entries(wanted))
        if (JSON.stringify(asked[name]) !== JSON.stringify(value))
          throw refusal('invalid_client_metadata', `${name} is ${asked[name]}`)
      if (
        !/^http:\/\/127\.0\.0\.1:\d+\/callback\/[\w-]{22}$/.test(asked.redirect_uris) ||
        asked.redirect_uris.length !== 1
      )
        throw refusal('invalid_redirect_uri', asked.redirect_uris.join())
      if (settings.refusesToRegister) return settings.refusesToRegister
      const client_id = `client-${randomBytes(6).toString('hex')}`
      const client = { ...asked, client_id, ...settings.registration }
      clients.set(client_id, client)
      return [201, client]
    },
    'POST /token': (call) => {
      const sent = new URLSearchParams(call.raw)
      const common = { grant_type: ANY, resource: resource(), ...credentials(sent.get('client_id')) }
      if (sent.get('grant_type') !== 'refresh_token') {
        const asked = form(call, { ...common, code: ANY, code_verifier: ANY, redirect_uri: ANY })
        const grant = memory.spend(asked)
        if (grant.client_id !== asked.client_id) throw refusal('invalid_grant', 'the code is another client’s')
        if (grant.resource !== asked.resource) throw refusal('invalid_target', 'the code is for another resource')
        return issue(grant)
      }
      const { refresh_token, client_id } = form(call, { ...common, refresh_token: ANY })
      const grant = grants.get(refresh_token)
      if (grant !== undefined && grant.client_id !== client_id) throw refusal('invalid_grant', 'another client’s')
      const renewed = memory.renew(refresh_token)
      grants.set(renewed.access_token, grant)
      grants.set(renewed.refresh_token, grant)
      return [200, { ...renewed, token_type: 'Bearer', expires_in: 3600, ...settings.token }]
    },
    'POST /revoke': (call) => {
      const id = new URLSearchParams(call.raw).get('client_id')
      form(call, { token: ANY, token_type_hint: 'refresh_token', ...credentials(id) })
      memory.end()
      return [200, {}]
    },
    [`GET ${issuerPlace}`]: metadata,
  }
  const protectedRoutes = {
    'POST /mcp': (call) => {
      const answer = api.route(call)
      return answer ?? challenged()
    },
    ...(place === 'none' ? {} : { [`GET ${place}`]: describe }),
  }
  const server = await startServer(settings.own ? { ...protectedRoutes, ...routes } : protectedRoutes)
  const login = settings.own ? server : await startServer(routes)
  return {
    settings,
    api,
    memory,
    clients,
    url: `${server.origin}/mcp`,
    origin: server.origin,
    issuer: issuer(),
    resource: resource(),
    /** The requests so far, as `METHOD path`, in order; forgets them. */
    asked: () => [server, ...(login === server ? [] : [login])].flatMap(({ calls }) => calls.splice(0)).map(line),
    /** A request of the grant, with some parameters replaced, as a client would send it that does not follow the rules. */
    send: (path, body) => {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      return fetch(login.origin + path, { method: 'POST', headers, body: String(new URLSearchParams(body)) })
    },
    authorize: (search) => fetch(`${login.origin}/authorize?${new URLSearchParams(search)}`, { redirect: 'manual' }),
    close: async () => {
      await server.close()
      if (login !== server) await login.close()
    },
  }
}

const line = ({ method, path }) => `${method} ${path}`
