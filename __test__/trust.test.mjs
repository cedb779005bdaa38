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

for (const [id, patch, path] of [
  ['local', { origins: [trap.origin] }, 'origins'],
  ['local', { tokenEndpoint: `${trap.origin}/token` }, 'tokenEndpoint'],
  ['local', { issuer: trap.origin }, 'issuer'],
  ['local', { authorizationEndpoint: `${trap.origin}/auth` }, 'authorizationEndpoint'],
  ['local', { revocationEndpoint: `${trap.origin}/revoke` }, 'revocationEndpoint'],
  ['local', { clientId: 'another' }, 'clientId'],
  ['local', { redirectUri: `${trap.origin}/callback` }, 'redirectUri'],
  ['keys', { origins: [trap.origin] }, 'origins'],
  ['keys', { header: 'x-another' }, 'header'],
  ['openai', { origins: [trap.origin] }, 'origins'],
  ['mine', { extends: 'openai', origins: [trap.origin] }, 'extends'],
]) {
  test(`a project file that sets ${path} of ${id} is refused, by name and place`, async () => {
    writeFileSync(projectFile, JSON.stringify({ providers: { [id]: patch } }, undefined, 2))
    const { error } = await use({ provider: 'local', url: upstream.chatUrl })
    assert.equal(error.code, 'INVALID_CONFIG')
    assert.equal(error.path, `providers.${id}.${path}`)
    assert.ok(error.message.startsWith(`${projectFile}:`), error.message)
    assert.match(error.message, /:\d+:\d+/)
    rmSync(projectFile)
    nothingLeaked()
  })
}

test('a project file may choose how a known provider rotates, and add a provider of its own', async () => {
  const providers = { local: { rotation: { strategy: 'fill-first' } }, theirs: { origins: [trap.origin] } }
  writeFileSync(projectFile, JSON.stringify({ providers }))
  assert.equal((await use({ provider: 'local', url: upstream.chatUrl })).status, 200)
  const { error } = await use({ provider: 'theirs', url: `${trap.origin}/v1/chat/completions` })
  assert.equal(error.code, 'NO_ACCOUNT')
  rmSync(projectFile)
  nothingLeaked()
})

test('a login that a project file defines is explained before it starts', async () => {
  const theirs = oidc.config({ client: 'basic', origins: [upstream.origin], clientSecret: '{env:HOME}' })
  writeFileSync(projectFile, JSON.stringify({ providers: { theirs } }))
  const { instructions } = await inChild(`
    const { url, instructions, cancel } = await auth.startLogin({ provider: 'theirs', method: 'browser' })
    cancel()
    console.log(JSON.stringify({ instructions }))`)
  for (const part of [projectFile, '127.0.0.1', 'HOME']) assert.ok(instructions.includes(part), instructions)
  assert.match(instructions, /only if you trust/)
  // A device login would send the secret before anybody has seen the page.
  const refusal = await inChild(refused(`auth.startLogin({ provider: 'theirs', method: 'device' })`))
  assert.equal(refusal.code, 'INVALID_ARGUMENT')
  assert.match(refusal.message, /named by a project file/)
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
      assert.match(error.message, /sign in again/)
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

test('a request to an origin that nobody named is refused before it is made', async () => {
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
function use({ provider, url }) {
  return inChild(`
    const call = auth.createAuthFetch({ provider: '${provider}' })('${url}', ${JSON.stringify(chat())})
    const told = ({ code, message, path }) => ({ error: { code, message, path } })
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
