/** Anthropic: JSON bodies, the state in the code exchange, `code#state` to paste, and workload identity federation. */
import { ANY, bearerOf, createApi, createMemory, header, json, keyOf, parsed, query, startServer } from './strict.mjs'

const CLIENT = 'the-users-own-client'
const KEY = 'sk-ant-api-key'
const ASSERTION = 'eyJhbGciOiJSUzI1NiJ9.the-workload.signature'
const RULE = { federation_rule_id: 'fdrl_1', organization_id: 'org_1', service_account_id: 'svac_1' }

export async function startAnthropic() {
  const memory = createMemory({ prefix: 'sk-ant-' })
  const issued = ({ access_token, refresh_token }) => ({
    access_token,
    refresh_token,
    token_type: 'Bearer',
    expires_in: 28_800,
    account: { uuid: 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', email_address: 'user@example.com' },
    organization: { uuid: 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb', name: 'Example Org' },
  })
  const api = createApi({
    admits: (call) => {
      const version = call.headers['anthropic-version'] === '2023-06-01'
      const beta = (call.headers['anthropic-beta'] ?? '').split(',').map((name) => name.trim())
      if (keyOf(call, 'x-api-key') === KEY) return version && !beta.includes('oauth-2025-04-20')
      return version && beta.includes('oauth-2025-04-20') && memory.owner(bearerOf(call)) !== undefined
    },
    refused: [401, { type: 'error', error: { type: 'authentication_error', message: 'OAuth token has expired.' } }],
  })
  const server = await startServer({
    'GET /oauth/authorize': (call) => {
      const asked = query(call, {
        response_type: 'code',
        client_id: CLIENT,
        redirect_uri: /^https:\/\//,
        scope: 'user:inference',
        state: /^[\w-]{43}$/,
        code_challenge: /^[\w-]{43}$/,
        code_challenge_method: 'S256',
        code: 'true',
      })
      const login = { user: 'ada', challenge: asked.code_challenge, redirect: asked.redirect_uri, state: asked.state }
      return [200, `${memory.code(login)}#${asked.state}`]
    },
    'POST /v1/oauth/token': (call) => {
      const grant = parsed(call.raw).grant_type
      if (grant === 'refresh_token') {
        header(call, 'anthropic-beta', 'oauth-2025-04-20')
        const { refresh_token } = json(call, { grant_type: grant, refresh_token: ANY, client_id: CLIENT })
        return [200, issued(memory.renew(refresh_token))]
      }
      if (grant === 'urn:ietf:params:oauth:grant-type:jwt-bearer') {
        header(call, 'anthropic-beta', 'oauth-2025-04-20,oidc-federation-2026-04-01')
        json(call, { grant_type: grant, assertion: ASSERTION, ...RULE })
        const { access_token } = memory.issue({ user: 'workload' })
        return [200, { access_token, token_type: 'Bearer', expires_in: 3600 }]
      }
      header(call, 'anthropic-beta', undefined)
      const asked = json(call, {
        grant_type: 'authorization_code',
        code: ANY,
        state: ANY,
        client_id: CLIENT,
        redirect_uri: ANY,
        code_verifier: /^[\w-]{43,128}$/,
      })
      return [200, issued(memory.issue(memory.spend(asked)))]
    },
    'POST /v1/messages': api.route,
    'GET /v1/models': api.list({
      'limit=1000': {
        data: [{ type: 'model', id: 'claude-large', display_name: 'Claude Large', created_at: '2026-01-01T00:00:00Z' }],
        has_more: true,
        first_id: 'claude-large',
        last_id: 'claude-large',
      },
      'limit=1000&after_id=claude-large': {
        data: [{ type: 'model', id: 'claude-small', display_name: 'Claude Small', created_at: '2026-01-01T00:00:00Z' }],
        has_more: false,
        last_id: 'claude-small',
      },
    }),
  })
  const { origin } = server
  const shared = { extends: 'anthropic', origins: [origin], tokenEndpoint: `${origin}/v1/oauth/token` }
  const error = (type, details) => ({ type: 'error', error: { type, message: 'words', ...details } })
  const common = {
    server,
    api,
    memory,
    url: `${origin}/v1/messages`,
    listUrl: `${origin}/v1/models?limit=1000`,
    models: [
      { id: 'claude-large', name: 'Claude Large' },
      { id: 'claude-small', name: 'Claude Small' },
    ],
    refusals: {
      403: [403, error('permission_error'), {}, 'forbidden'],
      429: [429, error('rate_limit_error'), { 'retry-after': '20' }, 'throttled'],
      quota: [
        429,
        error('rate_limit_error'),
        {
          'anthropic-ratelimit-unified-status': 'rejected',
          'anthropic-ratelimit-unified-7d-status': 'rejected',
          'anthropic-ratelimit-unified-7d-reset': String(Math.floor(Date.now() / 1000) + 400_000),
        },
        'quota_exhausted',
      ],
      billing: [
        400,
        error('invalid_request_error', { details: { error_code: 'enforced_spend_limit_reached' } }),
        {},
        'out_of_credit',
      ],
      overload: [529, error('overloaded_error'), {}, 'overloaded'],
    },
  }
  const paste = async (library, provider, extra) => {
    const session = await library.startLogin({ provider, method: 'paste', ...extra })
    const page = await fetch(session.url)
    return session.finish(await page.text())
  }
  return [
    {
      ...common,
      name: 'Anthropic, API key',
      provider: 'anthropic',
      config: { origins: [origin] },
      key: KEY,
      headers: { 'x-api-key': KEY, 'anthropic-version': '2023-06-01', authorization: undefined },
    },
    {
      ...common,
      name: 'Anthropic, a client of one’s own, with a pasted code#state',
      provider: 'anthropic-own',
      config: {
        ...shared,
        authorizationEndpoint: `${origin}/oauth/authorize`,
        clientId: CLIENT,
        redirectUri: 'https://console.example/oauth/code/callback',
        scopes: ['user:inference'],
      },
      logIn: (library) => paste(library, 'anthropic-own'),
      identity: {
        subject: 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa',
        organization: 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb',
        email: 'user@example.com',
      },
      headers: { 'x-api-key': undefined, 'anthropic-beta': 'mine-2026-01-01,oauth-2025-04-20' },
      callerHeaders: { 'anthropic-beta': 'mine-2026-01-01' },
      wrongs: [
        ['a form', 'POST', '/v1/oauth/token', 'grant_type=refresh_token', 'application/x-www-form-urlencoded'],
        ['no state', 'POST', '/v1/oauth/token', { grant_type: 'authorization_code', code: 'x', client_id: CLIENT }],
        [
          'an unknown code',
          'POST',
          '/v1/oauth/token',
          {
            grant_type: 'authorization_code',
            code: 'x',
            state: 's',
            client_id: CLIENT,
            redirect_uri: 'r',
            code_verifier: 'v'.repeat(43),
          },
        ],
      ],
    },
    {
      ...common,
      name: 'Anthropic, workload identity federation',
      provider: 'anthropic-workload',
      config: { ...shared, assertion: '{env:WORKLOAD_TOKEN}', params: { assertion: RULE } },
      env: { WORKLOAD_TOKEN: ASSERTION },
      logIn: (library) => library.login({ provider: 'anthropic-workload', method: 'assertion', label: 'ci' }),
      headers: { 'x-api-key': undefined, 'anthropic-beta': 'oauth-2025-04-20' },
    },
  ]
}
