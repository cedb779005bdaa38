// What others do for the same end, each in the way that its documentation shows: a library that keeps tokens in memory,
// one that keeps them in a file, a keychain, a plain file. A peer has `load`, which imports it, and `open`, which returns
// the call that a program makes before each request. `places` are the files and addresses of the bench.

import { existsSync, writeFileSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** As long as the access tokens of the large providers. */
export const TOKEN = 'sk-'.padEnd(1_200, 'k3yM4t3r1al')
const CLIENT = 'bench'
const SERVICE = 'provider-auth-bench'
const DAY = 86_400

/** Ours. */
export const ours = {
  id: 'ours',
  name: 'getAuthHeaders',
  isOurs: true,
  load: () => import('../npm/dist/index.js'),
  open:
    (auth, { provider, url }) =>
    () =>
      auth.getAuthHeaders({ provider, url, model: 'small-1', session: 'bench' }),
}

const google = {
  id: 'google',
  name: 'google-auth-library getRequestHeaders, in memory',
  load: () => import('google-auth-library'),
  open({ OAuth2Client }, { url, tokens, grant }) {
    const endpoints = { oauth2TokenUrl: `${tokens}/token` }
    const client = new OAuth2Client({ clientId: CLIENT, endpoints, eagerRefreshThresholdMillis: 0 })
    const expiresAt = grant === undefined ? Date.now() + DAY * 1_000 : 1
    client.setCredentials({ access_token: TOKEN, refresh_token: grant, expiry_date: expiresAt })
    return () => client.getRequestHeaders(url)
  },
}

const msal = {
  id: 'msal',
  name: '@azure/msal-node acquireTokenSilent, in memory',
  load: () => import('@azure/msal-node'),
  open: (library, places) => openMsal(library, places),
}

const msalFile = {
  id: 'msal-file',
  name: '@azure/msal-node acquireTokenSilent, file cache',
  load: msal.load,
  open(library, places) {
    const file = join(places.folder, `msal-${places.grant ?? 'valid'}.json`)
    const cachePlugin = {
      async beforeCacheAccess({ tokenCache }) {
        if (existsSync(file)) tokenCache.deserialize(await readFile(file, 'utf8'))
      },
      async afterCacheAccess({ cacheHasChanged, tokenCache }) {
        if (cacheHasChanged) await replace(file, tokenCache.serialize())
      },
    }
    return openMsal(library, places, cachePlugin)
  },
}

const octokitToken = {
  id: 'octokit-token',
  name: '@octokit/auth-token auth()',
  load: () => import('@octokit/auth-token'),
  open: ({ createTokenAuth }) => createTokenAuth(TOKEN),
}

const octokitDevice = {
  id: 'octokit-device',
  name: '@octokit/auth-oauth-device auth(), in memory',
  load: () => Promise.all([import('@octokit/auth-oauth-device'), import('@octokit/request')]),
  async open([{ createOAuthDeviceAuth }, { request }], { tokens }) {
    const local = request.defaults({ baseUrl: `${tokens}/api/v3` })
    const client = { clientType: 'oauth-app', clientId: CLIENT, scopes: ['repo'], onVerification() {}, request: local }
    const auth = createOAuthDeviceAuth(client)
    await auth({ type: 'oauth' })
    return () => auth({ type: 'oauth' })
  },
}

const openid = {
  id: 'openid',
  name: 'openid-client, tokens in a file',
  load: () => import('openid-client'),
  async open(client, { tokens, folder, grant }) {
    const server = { issuer: tokens, token_endpoint: `${tokens}/token` }
    const configuration = new client.Configuration(server, CLIENT, undefined, client.None())
    client.allowInsecureRequests(configuration)
    const file = join(folder, `openid-${grant ?? 'valid'}.json`)
    const expiresAt = grant === undefined ? Date.now() + DAY * 1_000 : 1
    if (!existsSync(file)) writeFileSync(file, JSON.stringify({ access: TOKEN, refresh: grant, expiresAt }))
    return async () => {
      let stored = JSON.parse(await readFile(file, 'utf8'))
      if (stored.expiresAt <= Date.now()) {
        const answer = await client.refreshTokenGrant(configuration, stored.refresh)
        const expiresAt = Date.now() + answer.expires_in * 1_000
        stored = { access: answer.access_token, refresh: answer.refresh_token, expiresAt }
        await replace(file, JSON.stringify(stored))
      }
      return { authorization: `Bearer ${stored.access}` }
    }
  },
}

const anthropic = {
  id: 'anthropic',
  name: '@anthropic-ai/sdk, its own login from a file',
  load: () => import('@anthropic-ai/sdk'),
  open({ default: Anthropic }, { tokens, folder, grant }) {
    const file = join(folder, `anthropic-${grant ?? 'valid'}.json`)
    const expires = grant === undefined ? Math.floor(Date.now() / 1_000) + DAY : 1
    const login = {
      version: '1.0',
      type: 'oauth_token',
      access_token: TOKEN,
      expires_at: expires,
      refresh_token: grant,
    }
    if (!existsSync(file)) writeFileSync(file, JSON.stringify(login), { mode: 0o600 })
    const authentication = { type: 'user_oauth', client_id: CLIENT, credentials_path: file }
    const client = new Anthropic({ apiKey: null, authToken: null, config: { authentication, base_url: tokens } })
    return () => client.authHeaders({ method: 'post', path: '/v1/messages' })
  },
}

const keyring = {
  id: 'keyring',
  name: '@napi-rs/keyring getPassword',
  needsKeyring: true,
  async load() {
    // Every loader that napi generates heeds it, and this one would load ours.
    delete process.env.NAPI_RS_NATIVE_LIBRARY_PATH
    return (await import('@napi-rs/keyring')).default
  },
  open({ AsyncEntry }) {
    const entry = new AsyncEntry(SERVICE, 'ada')
    return async () => ({ authorization: `Bearer ${JSON.parse(await entry.getPassword()).access}` })
  },
}

const authJson = {
  id: 'auth-json',
  name: 'readFile and JSON.parse of auth.json, 5 accounts',
  load: async () => {},
  open(_, { folder }) {
    const file = join(folder, 'auth.json')
    const entry = { type: 'oauth', access: TOKEN, refresh: 'r'.repeat(64), expires: Date.now() + DAY * 1_000 }
    const content = Object.fromEntries(['a', 'b', 'c', 'd', 'bench'].map((name) => [name, entry]))
    if (!existsSync(file)) writeFileSync(file, JSON.stringify(content))
    return async () => ({ authorization: `Bearer ${JSON.parse(await readFile(file, 'utf8')).bench.access}` })
  },
}

/** Every peer; those with `refreshes` renew tokens by themselves. */
export const peers = [
  octokitToken,
  octokitDevice,
  { ...google, refreshes: true },
  { ...anthropic, refreshes: true },
  { ...msal, refreshes: true },
  { ...msalFile, refreshes: true },
  authJson,
  { ...openid, refreshes: true },
  keyring,
]

/** Puts into the keyring of the session what `keyring` reads. */
export async function fillKeyring() {
  const { AsyncEntry } = await keyring.load()
  await new AsyncEntry(SERVICE, 'ada').setPassword(JSON.stringify({ access: TOKEN, expires: 0 }))
}

/** Microsoft's library, whose requests go to the server of the bench, with one user in its cache. */
async function openMsal({ PublicClientApplication }, { tokens, grant }, cachePlugin) {
  const send = async (url, { headers, body } = {}, method) => {
    const answer = await fetch(`${tokens}${new URL(url).pathname}`, { method, headers, body })
    return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.json() }
  }
  const authority = 'https://login.microsoftonline.com/bench'
  const endpoint = `${authority}/oauth2/v2.0`
  const metadata = { issuer: `${authority}/v2.0`, token_endpoint: `${endpoint}/token` }
  const application = new PublicClientApplication({
    auth: {
      clientId: CLIENT,
      authority,
      authorityMetadata: JSON.stringify({
        ...metadata,
        authorization_endpoint: `${endpoint}/authorize`,
        jwks_uri: `${endpoint}/keys`,
      }),
    },
    cache: { cachePlugin },
    system: {
      networkClient: {
        sendGetRequestAsync: (url, options) => send(url, options, 'GET'),
        sendPostRequestAsync: (url, options) => send(url, options, 'POST'),
      },
    },
  })
  const scopes = ['openid', 'mail']
  let [account] = await application.getAllAccounts()
  if (account === undefined) {
    const life = grant === undefined ? DAY : 1
    const refreshToken = `life:${life} ${crypto.randomUUID()}`
    ;({ account } = await application.acquireTokenByRefreshToken({ refreshToken, scopes, forceCache: true }))
  }
  return async () => {
    const { accessToken } = await application.acquireTokenSilent({ account, scopes })
    return { authorization: `Bearer ${accessToken}` }
  }
}

/** Writes a file whole or not at all. */
async function replace(file, content) {
  const next = `${file}.${crypto.randomUUID()}`
  await writeFile(next, content, { mode: 0o600 })
  await rename(next, file)
}
