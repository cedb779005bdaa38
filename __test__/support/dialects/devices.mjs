/** The device logins and the poll: GitHub Copilot, Qwen, Cursor and Oracle Cloud, each with its own departures. */
import { randomUUID } from 'node:crypto'
import {
  ANY,
  bearerOf,
  challengeOf,
  createApi,
  createMemory,
  form,
  header,
  json,
  query,
  refusal,
  startServer,
  visit,
} from './strict.mjs'

const elsewhere = [421, { message: 'another host serves this account' }]

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

/** GitHub: errors come with 200; the app's token is exchanged for Copilot's, which names the API's host. */
export async function startGithub() {
  const memory = createMemory({ prefix: 'gho_' })
  const copilot = createMemory({ prefix: 'tid=' })
  const polls = ['authorization_pending', 'slow_down']
  const CLIENT = 'Iv-of-the-user'
  /** What a test may change: whether there is a seat, whether tokens are exchanged, and the host that is named. */
  const settings = { seat: true, exchanges: true, api: undefined }
  const apiFor = (owners) =>
    createApi({
      admits: (call) =>
        owners.owner(bearerOf(call)) !== undefined && call.headers['x-github-api-version'] === '2026-06-01',
      refused: [401, { message: 'bad token' }],
    })
  const [api, direct] = [apiFor(copilot), apiFor(memory)]
  const models = {
    '': {
      data: [
        {
          id: 'gpt-on-a-seat',
          name: 'GPT',
          vendor: 'OpenAI',
          model_picker_enabled: true,
          policy: { state: 'enabled' },
          capabilities: { type: 'chat', limits: { max_context_window_tokens: 128_000 } },
        },
        { id: 'embedding', name: 'Embedding', model_picker_enabled: false },
        { id: 'not-accepted', name: 'Other', model_picker_enabled: true, policy: { state: 'disabled' } },
      ],
    },
  }
  const seat = await startServer({ 'POST /chat/completions': api.route, 'GET /models': api.list(models) })
  const server = await startServer({
    'POST /login/device/code': (call) => {
      header(call, 'accept', 'application/json')
      form(call, { client_id: CLIENT, scope: 'read:user' })
      return [
        200,
        {
          device_code: 'device-1',
          user_code: 'ABCD-1234',
          verification_uri: 'https://github.com/login/device',
          expires_in: 900,
          interval: '1',
        },
      ]
    },
    'POST /login/oauth/access_token': (call) => {
      header(call, 'accept', 'application/json')
      form(call, { grant_type: DEVICE_GRANT, client_id: CLIENT, device_code: 'device-1' })
      if (polls.length > 0) return [200, { error: polls.shift(), error_description: 'not yet', interval: 6 }]
      return [
        200,
        { access_token: memory.issue({ user: 'ada' }).access_token, token_type: 'bearer', scope: 'read:user' },
      ]
    },
    'GET /user': (call) =>
      memory.owner(bearerOf(call))
        ? [200, { id: 4711, login: 'ada', email: null }]
        : [401, { message: 'Bad credentials' }],
    'GET /copilot_internal/v2/token': (call) => {
      if (memory.owner(bearerOf(call)) === undefined) return [401, { message: 'Bad credentials' }]
      if (!settings.seat) return [403, { message: 'no seat' }]
      if (!settings.exchanges) return [404, { message: 'Not Found', documentation_url: 'https://docs.github.com/rest' }]
      const { access_token } = copilot.issue({ user: 'ada' })
      return [
        200,
        {
          token: `${access_token};exp=1790000000;sku=y`,
          expires_at: Math.floor(Date.now() / 1000) + 1800,
          refresh_in: 1500,
          endpoints: { api: settings.api ?? seat.origin },
          chat_enabled: true,
        },
      ]
    },
    'POST /chat/completions': (call) => (settings.exchanges ? elsewhere : direct.route(call)),
    'GET /models': (call) => (settings.exchanges ? elsewhere : direct.list(models)(call)),
  })
  // The token is whatever stands before the first semicolon.
  const { owner } = copilot
  copilot.owner = (token) => owner(token?.split(';')[0])
  const { origin } = server
  const error = (code) => ({ error: { code, message: 'words' } })
  return [
    {
      server: { ...server, close: () => Promise.all([server.close(), seat.close()]) },
      api,
      memory: copilot,
      login: memory,
      settings,
      name: 'GitHub Copilot',
      provider: 'github-copilot',
      config: {
        clientId: CLIENT,
        origins: [origin, seat.origin],
        deviceAuthorizationEndpoint: `${origin}/login/device/code`,
        tokenEndpoint: `${origin}/login/oauth/access_token`,
        userinfoEndpoint: `${origin}/user`,
        exchangeEndpoint: `${origin}/copilot_internal/v2/token`,
      },
      url: `${origin}/chat/completions`,
      servedAt: `${seat.origin}/chat/completions`,
      listUrl: `${seat.origin}/models`,
      models: [{ id: 'gpt-on-a-seat', name: 'GPT', contextWindow: 128_000, ownedBy: 'OpenAI' }],
      logIn: async (library, options) =>
        library.login({ provider: 'github-copilot', method: 'device', onPrompt: () => {}, ...options }),
      identity: { issuer: 'https://github.com/', subject: '4711' },
      headers: {
        'x-github-api-version': '2026-06-01',
        'editor-version': undefined,
        'copilot-integration-id': undefined,
      },
      refusals: {
        403: [403, { message: 'feature off' }, {}, 'forbidden'],
        429: [429, error('user_weekly_rate_limited'), { 'retry-after': '86400' }, 'quota_exhausted'],
        billing: [402, error('quota_exceeded'), {}, 'out_of_credit'],
        overload: [503, {}, {}, 'overloaded'],
      },
      wrongs: [['an unknown client', 'POST', '/login/device/code', 'client_id=another&scope=read:user']],
    },
  ]
}

/** Qwen: PKCE in the device login, `slow_down` as a 429, and tokens that name the API's host. */
export async function startQwen() {
  const memory = createMemory()
  const CLIENT = 'the-users-qwen-client'
  const challenges = new Map()
  const polls = [
    [400, { error: 'authorization_pending' }],
    [429, { error: 'slow_down' }],
  ]
  const api = createApi({
    admits: (call) =>
      call.headers['x-dashscope-authtype'] === 'qwen-oauth' && memory.owner(bearerOf(call)) !== undefined,
    refused: [401, { error: { code: 'invalid_api_key', message: 'words' } }],
  })
  const portal = await startServer({
    'POST /v1/chat/completions': api.route,
    'GET /v1/models': api.list({ '': { object: 'list', data: [{ id: 'qwen-coder', owned_by: 'system' }] } }),
  })
  const answer = (issued) => [200, { ...issued, token_type: 'Bearer', expires_in: 7200, resource_url: portal.origin }]
  const server = await startServer({
    'POST /api/v1/oauth2/device/code': (call) => {
      const asked = form(call, {
        client_id: CLIENT,
        scope: 'openid profile email model.completion',
        code_challenge: /^[\w-]{43}$/,
        code_challenge_method: 'S256',
      })
      const code = randomUUID()
      challenges.set(code, asked.code_challenge)
      return [
        200,
        {
          device_code: code,
          user_code: 'QWEN',
          verification_uri: 'https://chat.qwen.ai/authorize',
          verification_uri_complete: 'https://chat.qwen.ai/authorize?user_code=QWEN',
          expires_in: 900,
        },
      ]
    },
    'POST /api/v1/oauth2/token': (call) => {
      if (new URLSearchParams(call.raw).get('grant_type') === 'refresh_token') {
        const asked = form(call, { grant_type: 'refresh_token', refresh_token: ANY, client_id: CLIENT })
        return answer(memory.renew(asked.refresh_token))
      }
      const asked = form(call, {
        grant_type: DEVICE_GRANT,
        client_id: CLIENT,
        device_code: ANY,
        code_verifier: /^[\w-]{43}$/,
      })
      if (challenges.get(asked.device_code) !== challengeOf(asked.code_verifier))
        return refusal('invalid_grant', 'another verifier', 401)
      if (polls.length > 0) return polls.shift()
      challenges.delete(asked.device_code)
      return answer(memory.issue({ user: 'ada' }))
    },
    'POST /v1/chat/completions': () => elsewhere,
    'GET /v1/models': () => elsewhere,
  })
  const { origin } = server
  return [
    {
      server: { ...server, close: () => Promise.all([server.close(), portal.close()]) },
      api,
      memory,
      name: 'Qwen, a device login with PKCE',
      provider: 'qwen',
      config: {
        clientId: CLIENT,
        origins: [origin, portal.origin],
        deviceAuthorizationEndpoint: `${origin}/api/v1/oauth2/device/code`,
        tokenEndpoint: `${origin}/api/v1/oauth2/token`,
      },
      url: `${origin}/v1/chat/completions`,
      servedAt: `${portal.origin}/v1/chat/completions`,
      listUrl: `${portal.origin}/v1/models`,
      models: [{ id: 'qwen-coder', ownedBy: 'system' }],
      logIn: (library) => library.login({ provider: 'qwen', method: 'device', label: 'mine', onPrompt: () => {} }),
      headers: { 'x-dashscope-authtype': 'qwen-oauth', 'x-dashscope-useragent': undefined },
      refusals: {
        403: [403, {}, {}, 'forbidden'],
        429: [429, { code: 'Throttling.RateQuota', message: 'words' }, {}, 'rate_limited'],
        quota: [429, { error: { code: 'insufficient_quota', message: 'words' } }, {}, 'quota_exhausted'],
        overload: [503, {}, {}, 'overloaded'],
      },
      wrongs: [
        ['no challenge', 'POST', '/api/v1/oauth2/device/code', `client_id=${CLIENT}&scope=openid`],
        ['JSON', 'POST', '/api/v1/oauth2/token', { grant_type: 'refresh_token' }],
      ],
    },
  ]
}

/** Cursor: a page whose outcome is polled for by a query, camel-case names, and a refresh by exchange. */
export async function startCursor() {
  const memory = createMemory()
  const KEY = 'crsr_key'
  const pages = new Map()
  const jwt = ({ access_token }) => {
    const claims = { sub: 'github|user_01', exp: Math.floor(Date.now() / 1000) + 60 * 86_400, jti: access_token }
    return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`
  }
  const jtiOf = (token) => {
    const payload = token?.split('.')[1]
    return payload === undefined ? undefined : JSON.parse(Buffer.from(payload, 'base64url')).jti
  }
  const settings = { dead: false }
  const isKey = ({ headers }) => headers.authorization === `Basic ${Buffer.from(`${KEY}:`).toString('base64')}`
  const api = createApi({
    admits: (call) => isKey(call) || memory.owner(jtiOf(bearerOf(call))) !== undefined,
    refused: [401, { code: 'unauthenticated', message: 'words' }],
  })
  const server = await startServer({
    'GET /loginDeepControl': (call) => {
      const asked = query(call, { challenge: /^[\w-]{43}$/, uuid: /^[\da-f]{8}-[\da-f]{4}-4/, mode: 'login' })
      pages.set(asked.uuid, { challenge: asked.challenge })
      return [200, 'signed in']
    },
    'GET /auth/poll': (call) => {
      const asked = query(call, { uuid: ANY, verifier: /^[\w-]{43}$/ })
      const page = pages.get(asked.uuid)
      if (page === undefined) return [404, '']
      if (page.challenge !== challengeOf(asked.verifier)) return [403, { code: 'sign_in_policy_violation' }]
      pages.delete(asked.uuid)
      const issued = memory.issue({ user: 'ada' })
      return [200, { accessToken: jwt(issued), refreshToken: issued.refresh_token, authId: 'github|user_01' }]
    },
    'POST /auth/exchange_user_api_key': (call) => {
      json(call, {})
      if (settings.dead) return [200, { access_token: '', id_token: '', shouldLogout: true }]
      const token = bearerOf(call)
      if (memory.ownerOfRefresh(token) === undefined) return [401, { code: 'unauthenticated' }]
      return [200, { accessToken: jwt(memory.issue({ user: 'ada' })) }]
    },
    'POST /v0/agents': api.route,
    'GET /v0/models': api.list({ '': { models: ['composer', 'auto'] } }),
  })
  const { origin } = server
  const common = {
    server,
    api,
    memory,
    url: `${origin}/v0/agents`,
    listUrl: `${origin}/v0/models`,
    models: [{ id: 'composer' }, { id: 'auto' }],
    refusals: {
      403: [403, { code: 'permission_denied' }, {}, 'forbidden'],
      429: [429, { code: 'resource_exhausted' }, {}, 'rate_limited'],
      overload: [503, { code: 'unavailable' }, {}, 'overloaded'],
    },
  }
  return [
    {
      ...common,
      name: 'Cursor, dashboard key',
      provider: 'cursor',
      config: { origins: [origin] },
      key: KEY,
      headers: { authorization: `Basic ${Buffer.from(`${KEY}:`).toString('base64')}` },
    },
    {
      ...common,
      name: 'Cursor, a page that is polled for',
      provider: 'cursor-own',
      config: {
        extends: 'cursor',
        origins: [origin],
        authorizationEndpoint: `${origin}/loginDeepControl`,
        tokenEndpoint: `${origin}/auth/poll`,
        exchangeEndpoint: `${origin}/auth/exchange_user_api_key`,
      },
      settings,
      logIn: async (library) => {
        const session = await library.startLogin({ provider: 'cursor-own', method: 'device' })
        const finished = session.finish()
        await visit(session.url)
        return finished
      },
      identity: { subject: 'github|user_01' },
      headers: { 'x-cursor-checksum': undefined },
      wrongs: [['a wrong verifier', 'GET', '/auth/poll?uuid=1&verifier=short']],
    },
  ]
}

/** Oracle Cloud: fixed paths on the domain, an issuer that all domains share, `response_type` in the device request, Basic with URL-encoding. */
export async function startOci() {
  const memory = createMemory()
  const [CLIENT, SECRET] = ['client:1', 's%cret +/é']
  const basic = `Basic ${Buffer.from([CLIENT, SECRET].map((text) => new URLSearchParams({ '': text }).toString().slice(1)).join(':')).toString('base64')}`
  const idToken = (user) =>
    `e30.${Buffer.from(JSON.stringify({ iss: 'https://identity.oraclecloud.com/', sub: user, user_tenantname: 'idcs-1' })).toString('base64url')}.c2ln`
  const answer = (issued, user) => [
    200,
    { ...issued, token_type: 'Bearer', expires_in: 3600, ...(user && { id_token: idToken(user) }) },
  ]
  const MOBILE = 'mobile-app'
  const polls = [refusal('authorization_pending', 'wait', 401)]
  const api = createApi({
    admits: (call) => memory.owner(bearerOf(call)) !== undefined,
    refused: [401, { code: 'NotAuthenticated', message: 'words' }],
  })
  const server = await startServer({
    'GET /oauth2/v1/authorize': (call) => {
      const asked = query(call, {
        response_type: 'code',
        client_id: CLIENT,
        redirect_uri: ANY,
        scope: 'openid offline_access',
        state: ANY,
        nonce: ANY,
        code_challenge: ANY,
        code_challenge_method: 'S256',
      })
      const code = memory.code({ user: 'ada', challenge: asked.code_challenge, redirect: asked.redirect_uri })
      return [302, '', { location: `${asked.redirect_uri}?${new URLSearchParams({ code, state: asked.state })}` }]
    },
    'POST /oauth2/v1/device': (call) => {
      header(call, 'authorization', undefined)
      form(call, { response_type: 'device_code', scope: 'openid offline_access', client_id: MOBILE })
      return [
        200,
        {
          device_code: '4d03f7bc',
          user_code: 'SDFGHJKL',
          verification_uri: `${server.origin}/ui/v1/device`,
          expires_in: 300,
        },
      ]
    },
    'POST /oauth2/v1/token': (call) => {
      const given = new URLSearchParams(call.raw)
      const grant = given.get('grant_type')
      if (given.get('client_id') === MOBILE) {
        header(call, 'authorization', undefined)
        if (grant === 'refresh_token')
          return answer(
            memory.renew(form(call, { grant_type: grant, refresh_token: ANY, client_id: MOBILE }).refresh_token),
          )
        form(call, { grant_type: DEVICE_GRANT, device_code: '4d03f7bc', client_id: MOBILE })
        return polls.shift() ?? answer(memory.issue({ user: 'ada' }), 'ada')
      }
      if (call.headers.authorization !== basic) throw refusal('invalid_client', 'Basic, URL-encoded', 401)
      if (grant === 'refresh_token')
        return answer(memory.renew(form(call, { grant_type: grant, refresh_token: ANY }).refresh_token))
      const login = memory.spend(
        form(call, { grant_type: 'authorization_code', code: ANY, redirect_uri: ANY, code_verifier: ANY }),
      )
      return answer(memory.issue(login), login.user)
    },
    'POST /oauth2/v1/revoke': () => [200, {}],
    'POST /v1/chat/completions': api.route,
    'GET /v1/models': api.list({ '': { object: 'list', data: [{ id: 'cohere.command', context_length: 131_072 }] } }),
  })
  const { origin } = server
  const common = {
    server,
    api,
    memory,
    url: `${origin}/v1/chat/completions`,
    listUrl: `${origin}/v1/models`,
    models: [{ id: 'cohere.command', contextWindow: 131_072 }],
    identity: { issuer: `${origin}/`, subject: 'ada', organization: 'idcs-1' },
    revokes: true,
    headers: { 'x-api-key': undefined },
    refusals: {
      429: [429, { code: 'TooManyRequests', message: 'words' }, {}, 'rate_limited'],
      403: [403, {}, {}, 'forbidden'],
      overload: [503, {}, {}, 'overloaded'],
    },
  }
  return [
    {
      ...common,
      name: 'Oracle Cloud, confidential application',
      provider: 'oci-oidc',
      config: { issuer: origin, clientId: CLIENT, clientSecret: SECRET, origins: [origin] },
      logIn: async (library) => {
        const session = await library.startLogin({ provider: 'oci-oidc', method: 'browser' })
        const finished = session.finish()
        await visit(session.url)
        return finished
      },
      wrongs: [
        ['a client without Basic', 'POST', '/oauth2/v1/token', 'grant_type=refresh_token&refresh_token=x'],
        ['a device request without response_type', 'POST', '/oauth2/v1/device', `scope=openid&client_id=${MOBILE}`],
      ],
    },
    {
      ...common,
      name: 'Oracle Cloud, mobile application by device code',
      provider: 'oci-mobile',
      config: { extends: 'oci-oidc', issuer: origin, clientId: MOBILE, origins: [origin] },
      logIn: (library) => library.login({ provider: 'oci-mobile', method: 'device', onPrompt: () => {} }),
    },
  ]
}

/** Azure: a key in the header `api-key`, at the resource's own host. */
export async function startAzure() {
  const KEY = 'azure-key'
  const api = createApi({
    admits: ({ headers }) => headers['api-key'] === KEY && headers.authorization === undefined,
    refused: [401, { error: { code: '401', message: 'words' } }],
  })
  const server = await startServer({
    'POST /openai/v1/responses': api.route,
    'GET /openai/v1/models': api.list({ '': { object: 'list', data: [{ id: 'my-deployment', object: 'model' }] } }),
  })
  return [
    {
      server,
      api,
      name: 'Azure, key of a resource',
      provider: 'azure',
      config: { origins: [server.origin] },
      key: KEY,
      url: `${server.origin}/openai/v1/responses`,
      listUrl: `${server.origin}/openai/v1/models`,
      models: [{ id: 'my-deployment' }],
      headers: { 'api-key': KEY, authorization: undefined },
      refusals: {
        403: [403, {}, {}, 'forbidden'],
        429: [429, { error: { code: '429', message: 'words' } }, { 'retry-after': '12' }, 'throttled'],
        overload: [503, {}, {}, 'overloaded'],
      },
    },
  ]
}
