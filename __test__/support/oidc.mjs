/**
 * A local OpenID provider: the certified `oidc-provider` library on a loopback port, with PKCE required, rotating
 * refresh tokens, the device grant, revocation, and faults that a test can switch on at the token endpoint.
 *
 * The library itself detects the reuse of a refresh token and revokes the whole grant, so a client that refreshes
 * the same token twice shows as `invalidGrants`. Nothing softens that but `setReuseGraceMs`, for tests of servers that
 * forgive a client which did not hear their answer.
 */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { parse } from 'node:querystring'
import { setTimeout as sleep } from 'node:timers/promises'
import { newKeyPair } from './key-pair.mjs'
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
 * @param {number} [options.deviceSeconds] life of a device code, default 300
 * @param {number} [options.port] default: a free one
 * @param {string} [options.resource] lets clients register themselves, and issues JWTs for this resource (RFC 7591, 8707)
 */
export async function startOidcProvider({
  accessTokenSeconds = 3600,
  latencyMs = 0,
  pollSeconds = 1,
  deviceSeconds = 300,
  port = 0,
  resource,
} = {}) {
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
    ec: { clientId: 'desk-ec', keys: newKeyPair('ec', { namedCurve: 'P-256' }) },
    rsa: { clientId: 'desk-rsa', keys: newKeyPair('rsa', { modulusLength: 2048 }) },
  }
  const settings = {
    accessTokenSeconds,
    deviceSeconds,
    latencyMs,
    answerLatencyMs: 0,
    reuseGraceMs: 0,
    fault: undefined,
  }
  const counters = {
    logins: 0,
    refreshRequests: 0,
    tokenGenerations: 0,
    /** Refresh tokens that came again within the grace. */
    replays: 0,
    /** How long after its first answer such a token came again, at most. */
    longestReplayMs: 0,
    /** Refresh requests of one user under way at the same time, at most. */
    mostAtOnce: 0,
    invalidGrants: 0,
    revocations: 0,
  }
  /** Every access token ever issued: its owner, its end, and whether a test declared it dead. */
  const issued = new Map()
  /** Every refresh token ever issued, and its user. */
  const refreshTokens = new Map()
  /** @type {{ at: number, leftAt?: number, path: string, grant?: string, user?: string, spent?: string, issued?: string, status: number, error?: string }[]} */
  const requests = []
  const grace = createGrace(settings)
  const atOnce = createGauge((most) => {
    counters.mostAtOnce = Math.max(counters.mostAtOnce, most)
  })

  const { adapter, revokeGrantsOf } = createMemoryAdapter()
  const provider = new Provider(issuer, configuration(adapter, clients, settings, resource))
  provider.on('access_token.saved', (token) => {
    const expiresAt = Date.now() + settings.accessTokenSeconds * 1000
    issued.set(token.jti, { user: token.accountId, grantId: token.grantId, expiresAt, dead: false })
  })
  provider.on('refresh_token.saved', (token) => refreshTokens.set(token.jti, token.accountId))
  const end = (ends) => {
    for (const entry of issued.values()) if (ends(entry)) entry.dead = true
  }
  provider.on('access_token.destroyed', (token) => end((entry) => entry === issued.get(token.jti)))
  provider.on('grant.revoked', (_ctx, grantId) => end((entry) => entry.grantId === grantId))
  provider.on('grant.success', (ctx) => {
    if (ctx.oidc.params.grant_type === 'refresh_token') counters.tokenGenerations += 1
    else counters.logins += 1
  })
  /** What to call with the outcome of a token request; it stands even when no client waits for the answer any more. */
  const outcomes = new WeakMap()
  provider.use(async (ctx, next) => {
    await next()
    outcomes.get(ctx.req)?.(ctx.status, ctx.body)
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
    const spent = request.body.refresh_token
    const entry = {
      at: Date.now(),
      path: pathname,
      grant,
      user: refreshTokens.get(spent),
      spent,
      status: 0,
      error: fault,
    }
    requests.push(entry)
    if (grant === 'refresh_token') {
      counters.refreshRequests += 1
      response.once('close', atOnce.begin(entry.user))
    }
    await sleep(settings.latencyMs)
    if (fault !== undefined && fault !== 'lose-answer') return FAULTS[fault](response)
    const earlier = spent === undefined ? undefined : await grace.answerTo(spent)
    if (earlier !== undefined) {
      counters.replays += 1
      counters.longestReplayMs = Math.max(counters.longestReplayMs, Date.now() - earlier.at)
      entry.status = 200
      return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(earlier.body))
    }
    const settle = grace.spend(spent)
    outcomes.set(request, (status, body) => {
      entry.status = status
      entry.error ??= body.error
      Object.assign(entry, { leftAt: Date.now() + settings.answerLatencyMs, issued: body.access_token })
      if (entry.error === 'invalid_grant') counters.invalidGrants += 1
      settle(status === 200 ? body : undefined)
    })
    onAnswer(response, (text) => (fault === 'lose-answer' ? undefined : text), settings.answerLatencyMs)
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
    issuedTokens: () => [...issued.keys(), ...refreshTokens.keys()],
    /** Makes every access token of a user worthless at once, as a server does that ends sessions early. */
    expireAccess: (user) => end((entry) => entry.user === user),
    /** Ends every grant of a user: the next refresh answers `invalid_grant`. Access tokens live on. */
    revokeGrants: revokeGrantsOf,
    /** Sets the life of the access tokens issued from now on. */
    setAccessTokenSeconds(seconds) {
      settings.accessTokenSeconds = seconds
    },
    /** Sets the time that each token answer takes from now on: before the tokens rotate, and after that. */
    setLatencyMs(span, afterwards = 0) {
      settings.latencyMs = span
      settings.answerLatencyMs = afterwards
    },
    /**
     * Grants a grace from now on: a refresh token that was spent less than this ago, and whose successor was not, is
     * answered with the same tokens again. With `Infinity` nothing is ever forgotten.
     */
    setReuseGraceMs(span) {
      settings.reuseGraceMs = span
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
    /** The configuration with which provider-auth signs in here. `client` is `public`, `basic` or `post`; `ec` or `rsa` with a key. */
    config({ client = 'public', origins, ...rest } = {}) {
      return {
        issuer,
        clientId: clients[client].clientId,
        ...(clients[client].clientSecret && { clientSecret: clients[client].clientSecret, clientAuth: client }),
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

function configuration(adapter, clients, settings, resource) {
  const { privateKey } = newKeyPair('ec', { namedCurve: 'P-256' })
  const registration = ({ clientId, clientSecret, keys }, authentication) => ({
    client_id: clientId,
    ...(clientSecret === undefined ? {} : { client_secret: clientSecret }),
    ...(keys === undefined ? {} : { jwks: { keys: [keys.publicKey.export({ format: 'jwk' })] } }),
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
      registration(clients.ec, 'private_key_jwt'),
      registration(clients.rsa, 'private_key_jwt'),
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
      ...(resource && selfService(resource)),
    },
    ...(resource && { clientDefaults: { id_token_signed_response_alg: 'ES256' } }),
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
      DeviceCode: () => settings.deviceSeconds,
      Grant: 86_400,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: 86_400,
      Session: 86_400,
    },
  }
}

/** Registration by the clients themselves, and tokens that are for one resource only. */
function selfService(resource) {
  const getResourceServerInfo = (_ctx, indicator) => {
    if (indicator !== resource) throw new Error(`no such resource: ${indicator}`)
    return { scope: 'notes', audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }
  }
  return {
    registration: { enabled: true },
    resourceIndicators: { enabled: true, getResourceServerInfo, useGrantedResource: () => true },
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

/** What a server keeps that forgives the second use of a refresh token: its answers to the first. */
function createGrace(settings) {
  const answers = new Map()
  const predecessors = new Map()
  return {
    /** The answer that this refresh token was spent for, while the grace lasts; waits for one under way. */
    async answerTo(spent) {
      const answer = await answers.get(spent)
      return answer?.body !== undefined && Date.now() - answer.at <= settings.reuseGraceMs ? answer : undefined
    },
    /** Notes that a refresh token is being spent; returns what to call with the new tokens, or with nothing. */
    spend(spent) {
      if (spent === undefined || settings.reuseGraceMs === 0) return () => {}
      let settle
      answers.set(spent, new Promise((resolve) => (settle = resolve)))
      return (body) => {
        settle({ body, at: Date.now() })
        if (body === undefined || settings.reuseGraceMs === Infinity) return
        predecessors.set(body.refresh_token, spent)
        answers.delete(predecessors.get(spent))
      }
    },
  }
}

/** Counts what is under way for each name, and tells of every new count. */
function createGauge(tell) {
  const counts = new Map()
  return {
    begin(name) {
      counts.set(name, (counts.get(name) ?? 0) + 1)
      tell(counts.get(name))
      return () => counts.set(name, counts.get(name) - 1)
    },
  }
}

/**
 * Lets `edit` see an answer before it leaves, and change it; when it returns nothing, the connection breaks instead.
 * The answer leaves `delayMs` later.
 */
function onAnswer(response, edit, delayMs = 0) {
  const end = response.end.bind(response)
  response.end = (chunk) => {
    // No client listens any more.
    if (chunk === undefined) return end()
    const text = edit(String(chunk))
    if (text === undefined) return response.destroy()
    response.setHeader('content-length', Buffer.byteLength(text))
    if (delayMs === 0) return end(text)
    setTimeout(end, delayMs, text)
    return response
  }
}

async function read(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
