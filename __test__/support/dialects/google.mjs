/** Google: an API key in a header of its own, and a client of one's own whose secret goes in the body. */
import { ANY, bearerOf, createApi, createMemory, form, keyOf, query, startServer, visit } from './strict.mjs'

const KEY = 'AIza-key'
const CLIENT = 'the-users-desktop-client'
const SECRET = 'the users secret'

export async function startGoogle() {
  const memory = createMemory({ prefix: 'ya29.' })
  const id = (user) =>
    [
      '{}',
      JSON.stringify({ iss: 'https://accounts.google.com', sub: `sub-${user}`, email: `${user}@example.com` }),
      'x',
    ]
      .map((part) => Buffer.from(part).toString('base64url'))
      .join('.')
  const answer = ({ access_token }, more) => [
    200,
    { access_token, expires_in: 3599, scope: 'openid email', token_type: 'Bearer', ...more },
  ]
  const info = (reason) => ({ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain: 'googleapis.com' })
  const error = (code, status, ...details) => ({ error: { code, status, message: 'words', details } })
  const api = createApi({
    admits: (call) =>
      keyOf(call, 'x-goog-api-key') === KEY ||
      (call.headers['x-goog-user-project'] === 'my-project' && memory.owner(bearerOf(call)) !== undefined),
    refused: [401, error(401, 'UNAUTHENTICATED')],
  })
  const server = await startServer({
    'GET /o/oauth2/v2/auth': (call) => {
      const asked = query(call, {
        response_type: 'code',
        client_id: CLIENT,
        redirect_uri: /^http:\/\/127\.0\.0\.1:\d+\//,
        scope: /cloud-platform/,
        state: ANY,
        nonce: ANY,
        code_challenge: ANY,
        code_challenge_method: 'S256',
        access_type: 'offline',
        prompt: 'consent',
      })
      const code = memory.code({
        user: 'ada',
        challenge: asked.code_challenge,
        redirect: asked.redirect_uri,
        nonce: asked.nonce,
      })
      return [302, '', { location: `${asked.redirect_uri}?${new URLSearchParams({ code, state: asked.state })}` }]
    },
    'POST /token': (call) => {
      const grant = new URLSearchParams(call.raw).get('grant_type')
      const client = { grant_type: grant, client_id: CLIENT, client_secret: SECRET }
      if (grant === 'refresh_token') {
        // The refresh token is good for many uses, and no other is sent.
        const { refresh_token } = form(call, { ...client, refresh_token: ANY })
        const user = memory.ownerOfRefresh(refresh_token)
        if (user === undefined)
          return [400, { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' }]
        return answer(memory.issue({ user }))
      }
      const login = memory.spend(form(call, { ...client, code: ANY, code_verifier: ANY, redirect_uri: ANY }))
      const issued = memory.issue(login)
      return answer(issued, { refresh_token: issued.refresh_token, id_token: id(login.user) })
    },
    'POST /revoke': (call) => {
      form(call, { token: ANY, token_type_hint: 'refresh_token', client_id: CLIENT, client_secret: SECRET })
      return [200, {}]
    },
    'POST /v1beta/models/m:generateContent': api.route,
    'GET /v1beta/models': api.list({
      'pageSize=1000': {
        models: [
          {
            name: 'models/gemini-large',
            displayName: 'Gemini Large',
            inputTokenLimit: 1_048_576,
            supportedGenerationMethods: ['generateContent'],
          },
        ],
        nextPageToken: 'page/2 +',
      },
      'pageSize=1000&pageToken=page%2F2+%2B': { models: [{ name: 'models/gemini-small' }] },
    }),
  })
  const { origin } = server
  const common = {
    server,
    api,
    memory,
    url: `${origin}/v1beta/models/m:generateContent`,
    listUrl: `${origin}/v1beta/models?pageSize=1000`,
    models: [{ id: 'gemini-large', name: 'Gemini Large', contextWindow: 1_048_576 }, { id: 'gemini-small' }],
    refusals: {
      403: [403, error(403, 'PERMISSION_DENIED', info('VALIDATION_REQUIRED')), {}, 'needs_verification'],
      429: [
        429,
        error(429, 'RESOURCE_EXHAUSTED', info('RATE_LIMIT_EXCEEDED'), {
          '@type': 'type.googleapis.com/google.rpc.RetryInfo',
          retryDelay: '9.5s',
        }),
        {},
        'throttled',
      ],
      overload: [503, error(503, 'UNAVAILABLE', info('MODEL_CAPACITY_EXHAUSTED')), {}, 'overloaded'],
    },
  }
  return [
    {
      ...common,
      name: 'Google, API key',
      provider: 'google',
      config: { origins: [origin] },
      key: KEY,
      refused: [400, error(400, 'INVALID_ARGUMENT', info('API_KEY_INVALID'))],
      headers: { 'x-goog-api-key': KEY, authorization: undefined },
    },
    {
      ...common,
      name: 'Google, a client of one’s own',
      provider: 'google-own',
      config: {
        extends: 'google',
        origins: [origin],
        authorizationEndpoint: `${origin}/o/oauth2/v2/auth`,
        tokenEndpoint: `${origin}/token`,
        revocationEndpoint: `${origin}/revoke`,
        clientId: CLIENT,
        clientSecret: SECRET,
        headers: { 'x-goog-user-project': 'my-project' },
      },
      logIn: async (library) => {
        const session = await library.startLogin({ provider: 'google-own', method: 'browser' })
        const finished = session.finish()
        await visit(session.url)
        return finished
      },
      revokes: true,
      identity: { issuer: 'https://accounts.google.com', subject: 'sub-ada', email: 'ada@example.com' },
      headers: { 'x-goog-user-project': 'my-project', 'x-goog-api-key': undefined },
      wrongs: [
        ['no secret', 'POST', '/token', `grant_type=refresh_token&client_id=${CLIENT}&refresh_token=x`],
        ['a page without offline access', 'GET', `/o/oauth2/v2/auth?client_id=${CLIENT}&response_type=code`],
      ],
    },
  ]
}
