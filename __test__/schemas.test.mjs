/** The JSON Schema that an editor uses for `config.jsonc` judges as the product does, wherever a schema can tell. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { createSandbox, LIBRARY_URL } from './support/sandbox.mjs'
import { faultOf } from './support/schema.mjs'

const sandbox = createSandbox({ name: 'schemas' })
sandbox.enter()
after(sandbox.cleanup)
const { configure } = await import(LIBRARY_URL)

const read = (name) => JSON.parse(readFileSync(new URL(`../schemas/${name}`, import.meta.url), 'utf8'))
const schema = read('config.schema.json')
const oci = read('oci-auth.config.schema.json')

const URLS = ['issuer', 'tokenEndpoint', 'authorizationEndpoint', 'deviceAuthorizationEndpoint', 'revocationEndpoint']
const good = {
  nothing: {},
  'a schema named': { $schema: './config.schema.json' },
  'no keys': { providers: { acme: {} } },
  'a client': {
    providers: { acme: { issuer: 'https://id.example', clientId: 'ours', origins: ['https://api.example'] } },
  },
  'this machine': {
    providers: { acme: { issuer: 'http://127.0.0.1:8080/a', origins: ['http://localhost:1', 'http://[::1]:1'] } },
  },
  'a gateway': { providers: { anthropic: { extraOrigins: ['https://gateway.example', 'http://127.0.0.1:1'] } } },
  'a variable': { providers: { acme: { clientSecret: '{env:SECRET}' } } },
  'a file': { providers: { acme: { clientSecret: '{file:~/secret}', assertion: '{file:token}' } } },
  'an MCP server': { providers: { tools: { extends: 'mcp', resource: 'https://mcp.example/mcp' } } },
  'a private key': {
    providers: { acme: { privateKey: '{file:~/key.pem}', privateKeyId: 'k', clientAuth: 'private_key_jwt' } },
  },
  'a plain secret': { providers: { acme: { clientSecret: 's3 cret{' } } },
  parameters: {
    providers: { acme: { params: { authorize: { prompt: 'login' }, device: { response_type: 'device_code' } } } },
  },
  headers: {
    providers: { acme: { header: 'X-Key', scheme: '', headers: { 'x-project': 'a b' }, strip: ['x-other'] } },
  },
  rotation: {
    providers: { openai: { rotation: { mode: 'api', strategy: 'balanced', maxAttempts: 100, maxWaitMs: 0 } } },
  },
  grants: { providers: { acme: { grants: ['client_credentials', 'jwt_bearer'] } } },
  'a dialect': {
    providers: {
      acme: {
        dialect: {
          discovery: { url: 'https://id.example/.well-known/idcs-configuration', key: 'openid-configuration' },
          issuers: ['https://other.example'],
          encoding: { token: 'json', refresh: 'form' },
          headers: { token: { 'x-beta': '1' } },
          stateInTokenBody: true,
          idToken: 'full',
          jwksNeedsToken: true,
          issuedClient: { firstId: 'first', installation: 'host_id', params: { hint: 'us' } },
          devicePkce: true,
          errors: [
            { status: 404, means: 'pending' },
            { error: 'nope', means: 'denied' },
          ],
          poll: { intervalMs: 1000, slowDownMs: 0 },
          fields: { access_token: 'accessToken' },
          renewal: 'exchange_login',
          endedField: 'shouldLogout',
          apiUrl: '/endpoints/api',
          identity: { subject: ['/id', '/sub'] },
          requiredScope: 'use',
        },
      },
    },
  },
  'a list of models in a form of its own': {
    providers: {
      acme: {
        modelsShape: { entries: '', id: '/slug', name: '/title', contextWindow: '/limits/tokens', ownedBy: '/team' },
      },
    },
  },
  'a list of bare ids': { providers: { acme: { modelsShape: { entries: '/ids', id: '' } } } },
  'limits of its own': {
    providers: {
      acme: {
        limits: [
          { status: 429, path: '/code', value: '1302', means: 'quota_exhausted', scope: 'model', waitPath: '/reset' },
          { path: '/code', value: 'busy', means: 'overloaded' },
        ],
      },
    },
  },
  'no discovery, any issuer': { providers: { acme: { dialect: { discovery: false, issuers: 'any' } } } },
}

const acme = (keys) => ({ providers: { acme: keys } })
const inDialect = (keys) => acme({ dialect: keys })
const bad = {
  'no object': [],
  'providers as a list': { providers: [] },
  'an id with a space': { providers: { 'a b': {} } },
  'the id generic': { providers: { generic: {} } },
  'the id mcp': { providers: { mcp: {} } },
  ...Object.fromEntries(URLS.map((key) => [`${key} over plain http`, acme({ [key]: 'http://id.example' })])),
  'a relative URL': acme({ tokenEndpoint: '/token' }),
  'a number for a client': acme({ clientId: 5 }),
  'null for a client': acme({ clientId: null }),
  'a reference for a client': acme({ clientId: '{env:CLIENT}' }),
  'an empty secret': acme({ clientSecret: '' }),
  'half a reference': acme({ clientSecret: '{file:~/a} ' }),
  'a form of models without its slash': acme({ modelsShape: { entries: 'data' } }),
  'a form of models without a name': acme({ modelsShape: { name: '' } }),
  'an unknown base': acme({ extends: 'nobody' }),
  'an unknown way to authenticate': acme({ clientAuth: 'jwt' }),
  'an unknown grant': acme({ grants: ['password'] }),
  'a scope with a space': acme({ scopes: ['a b'] }),
  'no origin': acme({ origins: [] }),
  'no extra origin': acme({ extraOrigins: [] }),
  'an extra origin with a path': acme({ extraOrigins: ['https://api.example/v1'] }),
  'an origin with a path': acme({ origins: ['https://api.example/v1'] }),
  'an origin with a pattern': acme({ origins: ['https://*.example'] }),
  'a reserved parameter': acme({ params: { token: { code_verifier: 'x' } } }),
  'a parameter that is a number': acme({ params: { token: { x: 1 } } }),
  'a header with a space': acme({ header: 'x key' }),
  'a scheme of two words': acme({ scheme: 'a b' }),
  'an empty header': acme({ headers: { 'x-a': '' } }),
  'an unknown mode': acme({ rotation: { mode: 'all' } }),
  'too many attempts': acme({ rotation: { maxAttempts: 101 } }),
  'half an attempt': acme({ rotation: { maxAttempts: 1.5 } }),
  'a negative wait': acme({ rotation: { maxWaitMs: -1 } }),
  'a rule for every refusal': inDialect({ errors: [{ means: 'pending' }] }),
  'a rule without a meaning': inDialect({ errors: [{ status: 404 }] }),
  'a status that is none': inDialect({ errors: [{ status: 99, means: 'pending' }] }),
  'a limit of every refusal': acme({ limits: [{ means: 'overloaded' }] }),
  'a limit without a meaning': acme({ limits: [{ status: 429 }] }),
  'a limit with a path alone': acme({ limits: [{ path: '/code', means: 'overloaded' }] }),
  'a limit with an unknown meaning': acme({ limits: [{ status: 429, means: 'ok' }] }),
  'a limit of a good answer': acme({ limits: [{ status: 200, means: 'overloaded' }] }),
  'an unknown encoding': inDialect({ encoding: { token: 'xml' } }),
  'an unknown check': inDialect({ idToken: 'none' }),
  'a path that is no pointer': inDialect({ apiUrl: 'endpoints.api' }),
  'a document over plain http': inDialect({ discovery: { url: 'http://id.example' } }),
  'another word for any issuer': inDialect({ issuers: 'all' }),
  'a client without its parameter': inDialect({ issuedClient: { firstId: 'x' } }),
  'a pause of a millisecond': inDialect({ poll: { intervalMs: 1 } }),
}

for (const [what, config] of Object.entries(good)) {
  test(`schema and parser take ${what}`, () => {
    assert.equal(faultOf(schema, config), undefined)
    configure({ config })
  })
}

for (const [what, config] of Object.entries(bad)) {
  test(`schema and parser refuse ${what}`, () => {
    assert.notEqual(faultOf(schema, config), undefined)
    assert.throws(() => configure({ config }), { code: 'INVALID_CONFIG' })
  })
}

test('an editor marks a key that the parser only warns of', () => {
  for (const config of [
    { provider: {} },
    acme({ tokenEndpiont: 'x' }),
    inDialect({ errors: [{ state: 4, status: 404, means: 'denied' }] }),
  ])
    assert.match(faultOf(schema, config), /unknown key/)
})

test("an editor marks what is missing or a placeholder in Oracle Cloud's file", () => {
  const whole = { domain_url: 'https://idcs-1.example', client_id: 'ours', llm_base_url: 'https://llm.example/v1' }
  assert.equal(faultOf(oci, { ...whole, auth_method: 'mobile_app' }), undefined)
  for (const key of Object.keys(whole)) assert.match(faultOf(oci, { ...whole, [key]: undefined }), new RegExp(key))
  assert.notEqual(faultOf(oci, { ...whole, domain_url: 'https://idcs-<your-guid>.example' }), undefined)
})
