/** No configuration, be it a cloned repository's or the user's own, sends a credential where it was not made for. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { rejection } from './support/desk.mjs'
import { chat, openStage } from './support/stage.mjs'

const trap = await startTrap()
const { oidc, upstream, sandbox, library, config, logIn, inChild } = await openStage({
  name: 'trust',
  rotation: { maxWaitMs: 100 },
  providers: ({ upstream: { origin } }) => ({ keys: { origins: [origin] } }),
})
const { local, keys } = config.providers
const account = await logIn('ada')
await library.addApiKey({ provider: 'keys', apiKey: 'sk-of-keys' })
const projectFile = join(sandbox.work, 'provider-auth.jsonc')

for (const [id, patch] of [
  ['local', { origins: [trap.origin] }],
  ['local', { tokenEndpoint: `${trap.origin}/token` }],
  ['local', { issuer: trap.origin }],
  ['local', { authorizationEndpoint: `${trap.origin}/auth` }],
  ['local', { revocationEndpoint: `${trap.origin}/revoke` }],
  ['local', { userinfoEndpoint: `${trap.origin}/me` }],
  ['local', { clientId: 'another' }],
  ['local', { redirectUri: `${trap.origin}/callback` }],
  ['local', { dialect: { fields: { access_token: 'refresh_token' } } }],
  ['local', { params: { refresh: { resource: 'https://another.test' } } }],
  ['keys', { origins: [trap.origin] }],
  ['keys', { header: 'x-another' }],
]) {
  const [path] = Object.keys(patch)
  test(`a project file that sets ${path} of ${id} changes nothing for its accounts, trusted or not`, async () => {
    writeFileSync(projectFile, JSON.stringify({ providers: { [id]: patch } }, undefined, 2))
    const asked = oidc.counters.refreshRequests
    for (const trust of ['', 'await auth.trustProject()']) {
      assert.equal((await use({ provider: 'local', url: upstream.chatUrl, before: trust })).status, 200)
      await inChild(`await auth.refreshAccount('${account.id}', { force: true })`)
      const { headers } = await inChild(
        `console.log(JSON.stringify(await auth.getAuthHeaders({ provider: 'keys', url: '${upstream.chatUrl}' })))`,
      )
      assert.deepEqual(headers, { authorization: 'Bearer sk-of-keys' })
      const { error } = await use({ provider: id, url: `${trap.origin}/v1/chat/completions` })
      assert.equal(error.code, 'ORIGIN_NOT_ALLOWED')
      if (path === 'origins') assert.ok(error.message.includes(projectFile), error.message)
    }
    assert.equal(oidc.counters.refreshRequests, asked + 2)
    rmSync(projectFile)
    nothingLeaked()
  })
}

test('what is wrong in a project file is told by name and place', async () => {
  writeFileSync(projectFile, '{\n  "providers": { "local": { "rotation": { "mode": "best" } } }\n}')
  const { error } = await use({ provider: 'local', url: upstream.chatUrl })
  assert.equal(error.code, 'INVALID_CONFIG')
  assert.equal(error.path, 'providers.local.rotation.mode')
  assert.equal(error.file, projectFile)
  assert.ok(error.message.startsWith(`${projectFile}:2:`), error.message)
  rmSync(projectFile)
})

for (const [what, patch] of [
  ['other origins', { origins: [trap.origin] }],
  ['one more origin', { origins: [upstream.origin, trap.origin] }],
]) {
  test(`after the user's own file names ${what}, no credential goes there`, async () => {
    for (const provider of ['local', 'keys']) {
      sandbox.writeConfig({ providers: { local: { ...local, ...patch }, keys: { ...keys, ...patch } } })
      const { error } = await use({ provider, url: `${trap.origin}/v1/chat/completions` })
      assert.equal(error.code, 'ORIGIN_NOT_ALLOWED', provider)
      assert.match(error.message, provider === 'keys' ? /add the key again/ : /sign in again/)
    }
    sandbox.writeConfig(config)
    nothingLeaked()
  })
}

test('an origin that was added keeps the old one served', async () => {
  sandbox.writeConfig({ providers: { local: { ...local, origins: [trap.origin, upstream.origin] } } })
  assert.equal((await use({ provider: 'local', url: upstream.chatUrl })).status, 200)
  sandbox.writeConfig(config)
})

for (const [what, patch] of [
  ['token endpoint', { tokenEndpoint: `${trap.origin}/token` }],
  ['issuer', { issuer: trap.origin }],
  [
    'client',
    { clientId: oidc.clients.post.clientId, clientSecret: oidc.clients.post.clientSecret, clientAuth: 'post' },
  ],
]) {
  test(`after the user's own file names another ${what}, neither the token nor its renewal leaves`, async () => {
    sandbox.writeConfig({ providers: { local: { ...local, ...patch } } })
    const { error } = await use({ provider: 'local', url: upstream.chatUrl })
    assert.equal(error.code, 'ORIGIN_NOT_ALLOWED')
    const before = oidc.counters.refreshRequests
    const refusal = await inChild(refused(`auth.refreshAccount('${account.id}', { force: true })`))
    assert.equal(refusal.code, 'ORIGIN_NOT_ALLOWED')
    const revocation = await inChild(refused(`auth.removeAccount('${account.id}', { revoke: true })`))
    assert.equal(revocation.code, 'ORIGIN_NOT_ALLOWED')
    assert.equal(oidc.counters.refreshRequests, before)
    sandbox.writeConfig(config)
    nothingLeaked()
  })
}

test('a request to an origin that was not named is refused before it is made', async () => {
  for (const url of [`${trap.origin}/v1`, 'https://example.test/', upstream.origin.replace('127.0.0.1', 'localhost')]) {
    const error = await rejection(library.getAuthHeaders({ provider: 'local', url }))
    assert.equal(error.code, 'ORIGIN_NOT_ALLOWED', url)
    assert.equal((await rejection(library.createAuthFetch({ provider: 'local' })(url))).code, 'ORIGIN_NOT_ALLOWED', url)
  }
  nothingLeaked()
})

test('a token endpoint that redirects is not followed', async () => {
  const crooked = {
    ...local,
    issuer: undefined,
    tokenEndpoint: `${trap.origin}/redirect`,
    authorizationEndpoint: `${oidc.issuer}/auth`,
  }
  sandbox.writeConfig({ providers: { crooked } })
  trap.redirectTo = `${trap.origin}/stolen`
  const refusal = await inChild(`
    const { signIn } = await import('${new URL('./support/agent.mjs', import.meta.url)}')
    let refusal
    const onPrompt = (prompt) => void signIn(prompt, { user: 'bob' })
    await auth.login({ provider: 'crooked', method: 'browser', onPrompt }).catch(({ code, message }) => (refusal = { code, message }))
    console.log(JSON.stringify(refusal))`)
  assert.equal(refusal.code, 'LOGIN_FAILED')
  assert.deepEqual(
    trap.requests.splice(0).map(({ path }) => path),
    ['/redirect'],
  )
  sandbox.writeConfig(config)
})

test('after a login under the new configuration, the account serves there', async () => {
  const { clientId, clientSecret } = oidc.clients.post
  const changed = { ...local, clientId, clientSecret, clientAuth: 'post' }
  sandbox.writeConfig({ providers: { local: changed } })
  const { id, status } = await inChild(`
    const { signIn } = await import('${new URL('./support/agent.mjs', import.meta.url)}')
    const onPrompt = (prompt) => void signIn(prompt, { user: 'ada' })
    const { id } = await auth.login({ provider: 'local', method: 'browser', onPrompt })
    const { status } = await auth.createAuthFetch({ provider: 'local' })('${upstream.chatUrl}', ${JSON.stringify(chat())})
    console.log(JSON.stringify({ id, status }))`)
  assert.deepEqual({ id, status }, { id: account.id, status: 200 })
  sandbox.writeConfig(config)
})

/** Makes one call in a process of its own: its status, or the error that came instead. */
function use({ provider, url, before = '' }) {
  return inChild(`${before}
    const call = auth.createAuthFetch({ provider: '${provider}' })('${url}', ${JSON.stringify(chat())})
    const told = ({ code, message, path, file }) => ({ error: { code, message, path, file } })
    console.log(JSON.stringify(await call.then(({ status }) => ({ status }), told)))`)
}

/** Source that prints what a promise rejects with. */
function refused(promise) {
  return `console.log(JSON.stringify(await ${promise}.then(() => ({}), ({ code, message }) => ({ code, message }))))`
}

function nothingLeaked() {
  assert.deepEqual(trap.requests, [])
}

/** A server that no request should ever reach. */
async function startTrap() {
  const trap = { requests: [], redirectTo: undefined }
  const server = createServer((request, response) => {
    trap.requests.push({ path: request.url, headers: request.headers })
    response.writeHead(trap.redirectTo ? 307 : 200, trap.redirectTo && { location: trap.redirectTo }).end('{}')
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  after(() => server.close())
  trap.origin = `http://127.0.0.1:${server.address().port}`
  return trap
}
