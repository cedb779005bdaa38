/**
 * A local OpenID provider: the certified `oidc-provider` library on a loopback port, with PKCE required, rotating
 * refresh tokens, the device grant, revocation, and faults that a test can switch on at the token endpoint.
 *
 * The library itself detects the reuse of a refresh token and revokes the whole grant, so a client that refreshes
 * the same token twice shows as `invalidGrants`. Nothing here softens that.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { parse } from 'node:querystring'
import { setTimeout as sleep } from 'node:timers/promises'
import { createMemoryAdapter } from './oidc-adapter.mjs'

// The library greets each start with warnings about its development pages and about the Node version.
for (const level of ['info', 'warn']) {
  const write = console[level].bind(console)
  console[level] = (first, ...rest) => {
    if (!String(first).includes('oidc-provider ')) write(first, ...rest)
  }
}
const { default: Provider } = await import('oidc-provider')

const GRANTS = ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code']
const SCOPES = 'openid email offline_access'

/**
 * Starts a provider.
 *
 * @param {object} [options]
 * @param {number} [options.accessTokenSeconds] life of an access token, default 3600
 * @param {number} [options.latencyMs] added before each token answer, default 0
 * @param {number} [options.pollSeconds] how long a device waits between two polls, default 1
 * @param {number} [options.port] default: a free one
 */
export async function startOidcProvider({ accessTokenSeconds = 3600, latencyMs = 0, pollSeconds = 1, port = 0 } = {}) {
  const server = createServer()
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const issuer = `http://127.0.0.1:${server.address().port}`
  const clients = {
    public: { clientId: 'desk-public' },
    basic: { clientId: 'desk-basic', clientSecret: `s:${randomBytes(18).toString('base64url')}` },
    post: { clientId: 'desk-post', clientSecret: `s&${randomBytes(18).toString('base64url')}` },
  }
  const settings = { accessTokenSeconds, latencyMs, fault: undefined }
  const counters = { logins: 0, refreshRequests: 0, tokenGenerations: 0, invalidGrants: 0, revocations: 0 }
  /** Every access token ever issued: its owner, its end, and whether a test declared it dead. */
  const issued = new Map()
  const refreshTokens = new Set()
  /** @type {{ at: number, path: string, grant?: string, status: number, error?: string }[]} */
  const requests = []

  const { adapter, revokeGrantsOf } = createMemoryAdapter()
  const provider = new Provider(issuer, configuration(adapter, clients, settings))
  provider.on('access_token.saved', (token) => {
    const expiresAt = Date.now() + settings.accessTokenSeconds * 1000
    issued.set(token.jti, { user: token.accountId, grantId: token.grantId, expiresAt, dead: false })
  })
  provider.on('refresh_token.saved', (token) => refreshTokens.add(token.jti))
  const end = (ends) => {
    for (const entry of issued.values()) if (ends(entry)) entry.dead = true
  }
  provider.on('access_token.destroyed', (token) => end((entry) => entry === issued.get(token.jti)))
  provider.on('grant.revoked', (_ctx, grantId) => end((entry) => entry.grantId === grantId))
  provider.on('grant.success', (ctx) => {
    if (ctx.oidc.params.grant_type === 'refresh_token') counters.tokenGenerations += 1
    else counters.logins += 1
  })
  provider.on('server_error', (_ctx, error) => console.error('local provider:', error))

  const answer = provider.callback()
  server.on('request', async (request, response) => {
    const { pathname } = new URL(request.url, issuer)
    if (request.method !== 'POST') return answer(request, response)
    if (pathname === '/device/auth')
      onAnswer(response, (text) => JSON.stringify({ ...JSON.parse(text), interval: pollSeconds }))
    if (pathname === '/token/revocation') counters.revocations += 1
    if (pathname !== '/token') return answer(request, response)

    // The library reads a body that was parsed already, and says so in a warning that is silenced above.
    request.body = parse(await read(request))
    const grant = request.body.grant_type
    const fault = settings.fault
    const entry = { at: Date.now(), path: pathname, grant, status: 0, error: fault }
    requests.push(entry)
    if (grant === 'refresh_token') counters.refreshRequests += 1
    await sleep(settings.latencyMs)
    if (fault !== undefined && fault !== 'lose-answer') return FAULTS[fault](response)
    onAnswer(response, (text) => {
      entry.status = response.statusCode
      entry.error ??= JSON.parse(text).error
      if (entry.error === 'invalid_grant') counters.invalidGrants += 1
      return fault === 'lose-answer' ? undefined : text
    })
    return answer(request, response)
  })

  return {
    issuer,
    clients,
    counters,
    requests,
    /** The user whom a live access token belongs to, or undefined: what a resource server would ask by introspection. */
    owner(token) {
      const entry = issued.get(token)
      return entry !== undefined && !entry.dead && entry.expiresAt > Date.now() ? entry.user : undefined
    },
    /** The user whom a token was issued to, live or not. */
    issuedTo: (token) => issued.get(token)?.user,
    /** Every access and refresh token ever issued, to look for where none should be. */
    issuedTokens: () => [...issued.keys(), ...refreshTokens],
    /** Makes every access token of a user worthless at once, as a server does that ends sessions early. */
    expireAccess: (user) => end((entry) => entry.user === user),
    /** Ends every grant of a user: the next refresh answers `invalid_grant`. Access tokens live on. */
    revokeGrants: revokeGrantsOf,
    /** Sets the life of the access tokens issued from now on. */
    setAccessTokenSeconds(seconds) {
      settings.accessTokenSeconds = seconds
    },
    /** Sets the time that each token answer takes from now on. */
    setLatencyMs(span) {
      settings.latencyMs = span
    },
    /**
     * Switches a fault of the token endpoint: `html` (a 200 page), `huge` (2 MiB of JSON), `error` (500), `unavailable`
     * (503), `slow-down` (as to a device that asks too often), `hang` (no answer), `drop` (connection closed),
     * `lose-answer` (the tokens rotate, the answer is lost), or none.
     */
    setFault(fault) {
      if (fault !== undefined && fault !== 'lose-answer' && !(fault in FAULTS))
        throw new Error(`no such fault: ${fault}`)
      settings.fault = fault
    },
    /** The configuration with which provider-auth signs in here. `client` is `public`, `basic` or `post`. */
    config({ client = 'public', origins, ...rest } = {}) {
      return {
        issuer,
        clientId: clients[client].clientId,
        ...(client === 'public' ? {} : { clientSecret: clients[client].clientSecret, clientAuth: client }),
        scopes: SCOPES.split(' '),
        params: { authorize: { prompt: 'consent' } },
        origins,
        ...rest,
      }
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function configuration(adapter, clients, settings) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const registration = ({ clientId, clientSecret }, authentication) => ({
    client_id: clientId,
    ...(clientSecret === undefined ? {} : { client_secret: clientSecret }),
    client_name: 'provider-auth',
    application_type: 'native',
    grant_types: GRANTS,
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/callback', 'http://localhost/callback', 'http://[::1]/callback'],
    token_endpoint_auth_method: authentication,
    id_token_signed_response_alg: 'ES256',
  })
  return {
    adapter,
    clients: [
      registration(clients.public, 'none'),
      registration(clients.basic, 'client_secret_basic'),
      registration(clients.post, 'client_secret_post'),
    ],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'local', alg: 'ES256', use: 'sig' }] },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    scopes: SCOPES.split(' '),
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    responseTypes: ['code'],
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
    },
    findAccount: (_ctx, user) => ({
      accountId: user,
      claims: () => ({ sub: user, email: user.includes('@') ? user : `${user}@local.test`, email_verified: true }),
    }),
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    rotateRefreshToken: true,
    ttl: {
      AccessToken: () => settings.accessTokenSeconds,
      AuthorizationCode: 60,
      DeviceCode: 300,
      Grant: 86_400,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: 86_400,
      Session: 86_400,
    },
  }
}

const FAULTS = {
  html: (response) =>
    response
      .writeHead(200, { 'content-type': 'text/html' })
      .end('<!doctype html><title>Sign in to the hotel network</title>'),
  huge: (response) =>
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ access_token: 'x'.repeat(2 * 1024 * 1024), token_type: 'Bearer' })),
  error: (response) => response.writeHead(500, { 'content-type': 'text/plain' }).end('internal error'),
  unavailable: (response) =>
    response.writeHead(503, { 'content-type': 'text/plain', 'retry-after': '1' }).end('come back later'),
  'slow-down': (response) =>
    response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ error: 'slow_down' })),
  hang: () => {},
  drop: (response) => response.destroy(),
}

/** Lets `edit` see an answer before it leaves, and change it; when it returns nothing, the connection breaks instead. */
function onAnswer(response, edit) {
  const end = response.end.bind(response)
  response.end = (chunk) => {
    const text = edit(String(chunk))
    if (text === undefined) return response.destroy()
    response.setHeader('content-length', Buffer.byteLength(text))
    return end(text)
  }
}

async function read(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
