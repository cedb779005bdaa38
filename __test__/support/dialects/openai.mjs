/** OpenAI: API keys, and Sign in with ChatGPT with its issued client, its signed id token and its earliest refresh. */
import { randomUUID, sign } from 'node:crypto'
import { newKeyPair } from '../key-pair.mjs'
import { ANY, bearerOf, createApi, createMemory, form, query, refusal, startServer, visit } from './strict.mjs'

const KEY = 'sk-openai-key'
const RESOURCE = 'https://api.openai.com/v1'
const SCOPE = 'openid profile email offline_access resource.invoke chatgpt.tokens.use.direct'
const FIRST_CLIENT = 'dynamic_agent_client'

export async function startOpenai() {
  const memory = createMemory()
  const clients = new Set()
  const { privateKey, publicKey } = newKeyPair('rsa', { modulusLength: 2048 })
  const stranger = newKeyPair('rsa', { modulusLength: 2048 }).privateKey
  /** What a test may change: the granted scope, who signs, and when the next refresh is allowed. */
  const settings = { scope: SCOPE, forged: false, audience: undefined, earliest: null }
  let spentEarly = 0

  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const idToken = (user, client, nonce) => {
    const claims = {
      iss: 'https://auth.openai.com',
      aud: settings.audience ?? client,
      sub: `user-${user}`,
      exp: Math.floor(Date.now() / 1000) + 3600,
      email: `${user}@example.com`,
      ...(nonce && { nonce }),
      'https://api.openai.com/auth': { chatgpt_account_id: `workspace-of-${user}`, chatgpt_plan_type: 'plus' },
    }
    const signed = `${part({ alg: 'RS256', kid: 'key-1', typ: 'JWT' })}.${part(claims)}`
    const key = settings.forged ? stranger : privateKey
    return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`
  }
  const answer = (issued, more) => [
    200,
    {
      ...issued,
      token_type: 'Bearer',
      expires_in: 3600,
      scope: settings.scope,
      earliest_refresh_at: settings.earliest,
      ...more,
    },
  ]
  const api = createApi({
    admits: (call) => bearerOf(call) === KEY || memory.owner(bearerOf(call)) !== undefined,
    refused: [401, { detail: { error_code: 'invalid_token' } }],
  })
  const server = await startServer({
    'GET /api/accounts/authorize': (call) => {
      const client = call.query.get('client_id')
      const isFirst = client === FIRST_CLIENT
      if (!isFirst && !clients.has(client)) throw refusal('invalid_client', 'unknown client')
      const asked = query(call, {
        response_type: 'code',
        client_id: ANY,
        redirect_uri: /^http:\/\/127\.0\.0\.1:\d+\/auth\/callback$/,
        scope: SCOPE,
        state: /^[\w-]{43}$/,
        nonce: /^[\w-]{43}$/,
        code_challenge: /^[\w-]{43}$/,
        code_challenge_method: 'S256',
        resource: RESOURCE,
        ext_agent_host_id: /^urn:uuid:[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/,
        ...(isFirst && { agent_name_hint: 'provider-auth' }),
        ...(call.query.has('login_hint') && { login_hint: ANY }),
      })
      const issued = isFirst ? `oaiapp_${randomUUID()}` : client
      clients.add(issued)
      const user = call.query.get('login_hint') ?? 'ada'
      const code = memory.code({
        user,
        client: issued,
        nonce: asked.nonce,
        challenge: asked.code_challenge,
        redirect: asked.redirect_uri,
      })
      const back = new URL(asked.redirect_uri)
      back.search = new URLSearchParams({ code, state: asked.state, ...(isFirst && { client_id: issued }) })
      return [302, '', { location: back.href }]
    },
    'POST /api/accounts/oauth/token': (call) => {
      const grant = new URLSearchParams(call.raw).get('grant_type')
      if (grant === 'refresh_token') {
        const asked = form(call, { grant_type: grant, client_id: /^oaiapp_/, refresh_token: ANY, resource: RESOURCE })
        if (settings.earliest !== null && Number(settings.earliest) > Date.now() / 1000) {
          spentEarly += 1
          memory.end()
          throw refusal('invalid_grant', 'too early')
        }
        return answer(memory.renew(asked.refresh_token))
      }
      const asked = form(call, {
        grant_type: 'authorization_code',
        client_id: /^oaiapp_/,
        code: ANY,
        code_verifier: /^[\w-]{43,128}$/,
        redirect_uri: ANY,
        resource: RESOURCE,
      })
      const login = memory.spend(asked)
      if (login.client !== asked.client_id) throw refusal('invalid_grant', 'the code is another client’s')
      return answer(memory.issue(login), { id_token: idToken(login.user, login.client, login.nonce) })
    },
    'POST /api/accounts/oauth/revoke': (call) => {
      form(call, { token: ANY, token_type_hint: 'refresh_token', client_id: /^oaiapp_/ })
      return [200, {}]
    },
    'GET /.well-known/jwks.json': () => [
      200,
      { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'key-1', alg: 'RS256', use: 'sig' }] },
    ],
    'POST /v1/responses': api.route,
    // A login of the plan is shown another list than a key, in another form.
    'GET /v1/models': api.list((call) => ({
      '':
        bearerOf(call) === KEY
          ? { object: 'list', data: [{ id: 'gpt-of-the-api', object: 'model', created: 1, owned_by: 'openai' }] }
          : {
              models: [
                { slug: 'gpt-of-the-plan', display_name: 'GPT', visibility: 'list', context_window: 272_000 },
                { slug: 'gpt-inner', display_name: 'Inner', visibility: 'hide', context_window: 272_000 },
              ],
            },
    })),
  })
  const { origin } = server
  const logIn = async (library, options) => {
    const session = await library.startLogin({ provider: 'openai', method: 'browser', ...options })
    const finished = session.finish()
    finished.catch(() => {})
    await visit(session.url)
    return finished
  }
  const common = { server, api, memory, url: `${origin}/v1/responses`, listUrl: `${origin}/v1/models` }
  const error = (code, type) => ({ error: { code, message: 'words', ...(type && { type }) } })
  const overload = [503, error('server_is_overloaded'), {}, 'overloaded']
  return [
    {
      ...common,
      name: 'OpenAI, Sign in with ChatGPT',
      provider: 'openai',
      config: {
        origins: [origin],
        authorizationEndpoint: `${origin}/api/accounts/authorize`,
        tokenEndpoint: `${origin}/api/accounts/oauth/token`,
        revocationEndpoint: `${origin}/api/accounts/oauth/revoke`,
        jwksUri: `${origin}/.well-known/jwks.json`,
      },
      logIn,
      settings,
      models: [{ id: 'gpt-of-the-plan', name: 'GPT', contextWindow: 272_000 }],
      clients,
      spentEarly: () => spentEarly,
      revokes: true,
      identity: {
        issuer: 'https://auth.openai.com',
        subject: 'user-ada',
        organization: 'workspace-of-ada',
        email: 'ada@example.com',
        plan: 'plus',
      },
      headers: { 'x-api-key': undefined },
      refusals: {
        403: [403, error('subscription_sharing_user_not_eligible'), {}, 'not_entitled'],
        429: [429, error('subscription_sharing_usage_limit_exceeded', 'request_error'), {}, 'quota_exhausted'],
        overload,
      },
      wrongs: [
        ['JSON', 'POST', '/api/accounts/oauth/token', { grant_type: 'refresh_token' }],
        [
          'no resource',
          'POST',
          '/api/accounts/oauth/token',
          'grant_type=refresh_token&client_id=oaiapp_1&refresh_token=x',
        ],
        [
          'the first client in an exchange',
          'POST',
          '/api/accounts/oauth/token',
          `grant_type=refresh_token&client_id=${FIRST_CLIENT}&refresh_token=x&resource=${RESOURCE}`,
        ],
        ['a page without a nonce', 'GET', `/api/accounts/authorize?client_id=${FIRST_CLIENT}&response_type=code`],
      ],
    },
    {
      ...common,
      name: 'OpenAI, API key',
      provider: 'openai-key',
      config: { extends: 'openai', origins: [origin] },
      key: KEY,
      models: [{ id: 'gpt-of-the-api', ownedBy: 'openai' }],
      headers: { authorization: `Bearer ${KEY}`, 'x-api-key': undefined },
      refusals: {
        403: [403, error('unsupported_country_region_territory'), {}, 'forbidden'],
        429: [
          429,
          error('rate_limit_exceeded', 'tokens'),
          { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '8s' },
          'throttled',
        ],
        billing: [429, error('insufficient_quota', 'insufficient_quota'), {}, 'out_of_credit'],
        overload,
      },
    },
  ]
}
