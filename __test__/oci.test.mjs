/** Oracle Cloud as `oci-auth.config.jsonc` defines it: both kinds of application, and what a cloned repository's file cannot do. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, test } from 'node:test'
import { startOci } from './support/dialects/devices.mjs'
import { startServer } from './support/dialects/strict.mjs'
import { createSandbox } from './support/sandbox.mjs'

const FILE = 'oci-auth.config.jsonc'
const [confidentialRow, mobileRow] = await startOci()
const { server, url } = confidentialRow
const { clientId, clientSecret } = confidentialRow.config
const trap = await startServer({})
const sandbox = createSandbox({ name: 'oci' })
after(async () => {
  await Promise.all([server.close(), trap.close()])
  sandbox.cleanup()
})

const inHome = join(sandbox.env.XDG_CONFIG_HOME, 'opencode')
mkdirSync(inHome, { recursive: true })
const usersFile = join(inHome, FILE)
const projectFile = join(sandbox.work, FILE)
const secretFile = join(sandbox.env.HOME, 'oci-secret')

const base = { domain_url: server.origin, llm_base_url: `${server.origin}/v1` }
const mobile = { ...base, client_id: mobileRow.config.clientId, auth_method: 'mobile_app' }
const confidential = {
  ...base,
  client_id: clientId,
  client_secret: '{file:~/oci-secret}',
  auth_method: 'confidential_app',
}

afterEach(() => {
  for (const file of [usersFile, projectFile, secretFile, sandbox.configFile]) rmSync(file, { force: true })
  assert.deepEqual(trap.calls, [], 'the trap was called')
})

test('a mobile application signs in by device code, without being told how', async () => {
  write(usersFile, mobile)
  const { identity, prompt, status, methods } = await inChild(`
    let prompt
    const { identity } = await auth.login({ provider: 'oci-oidc', namespace: 'mobile', onPrompt: (shown) => (prompt = shown) })
    const { status } = await auth.createAuthFetch({ provider: 'oci-oidc', namespace: 'mobile' })('${url}', { method: 'POST', body: '{}' })
    const { methods } = (await auth.configuredProviders()).find(({ id }) => id === 'oci-oidc')
    tell({ identity, prompt, status, methods })`)
  assert.deepEqual(identity, { issuer: `${server.origin}/`, subject: 'ada', organization: 'idcs-1' })
  assert.equal(prompt.method, 'device')
  assert.equal(prompt.userCode, 'SDFGHJKL')
  assert.equal(status, 200)
  assert.deepEqual(methods, ['device', 'api-key'])
  const refusal = await inChild(refused(`auth.startLogin({ provider: 'oci-oidc', method: 'browser' })`))
  assert.equal(refusal.code, 'INVALID_ARGUMENT')
})

test('a confidential application of a project reads its secret after a person has trusted it', async () => {
  writeFileSync(projectFile, commented(confidential))
  const { refusal, trust, instructions, status, renewed } = await inChild(`
    const { writeFileSync } = await import('node:fs')
    const { visit } = await import('${new URL('./support/dialects/strict.mjs', import.meta.url)}')
    for (const { id } of await auth.listAccounts()) await auth.removeAccount(id)
    const options = { provider: 'oci-oidc', method: 'browser', namespace: 'project' }
    const refusal = await auth.startLogin(options).catch(({ code, message, file }) => ({ code, message, file }))
    const trust = await auth.projectTrust()
    await auth.trustProject(trust)
    // Not there when trust was asked for, so the product cannot have read it before.
    writeFileSync(${JSON.stringify(secretFile)}, ${JSON.stringify(`${clientSecret}\n`)})
    const session = await auth.startLogin(options)
    const finished = session.finish()
    await visit(session.url)
    const { id } = await finished
    const { status } = await auth.createAuthFetch({ provider: 'oci-oidc', namespace: 'project' })('${url}', { method: 'POST', body: '{}' })
    const { id: renewed } = await auth.refreshAccount(id, { force: true })
    tell({ refusal, trust, instructions: session.instructions, status, renewed: renewed === id })`)
  assert.equal(refusal.code, 'PROJECT_NOT_TRUSTED')
  assert.equal(refusal.file, projectFile)
  const [{ file, state, providers }] = trust.files
  assert.deepEqual({ file, state }, { file: projectFile, state: 'untrusted' })
  const [{ hosts, reads }] = providers
  assert.deepEqual(new Set(hosts.map(({ origin }) => origin)), new Set([server.origin]))
  assert.deepEqual(
    reads.map(({ kind, name, role }) => ({ kind, name, role })),
    [{ kind: 'file', name: secretFile, role: 'clientSecret' }],
  )
  for (const part of [projectFile, '127.0.0.1', 'which you trusted'])
    assert.ok(instructions.includes(part), instructions)
  assert.deepEqual({ status, renewed }, { status: 200, renewed: true })
})

test('a confidential application of the user signs in without questions', async () => {
  write(usersFile, confidential)
  writeFileSync(secretFile, clientSecret)
  const { instructions, subject } = await signInByBrowser('user')
  assert.ok(!instructions.includes('trust'), instructions)
  assert.equal(subject, 'ada')
})

for (const [what, change] of [
  ['another domain', { domain_url: trap.origin }],
  ['another domain and endpoint', { domain_url: trap.origin, llm_base_url: `${trap.origin}/v1` }],
  ['another client', { client_id: 'theirs' }],
  ['another endpoint', { llm_base_url: `${trap.origin}/v1` }],
]) {
  test(`a cloned repository's file with ${what} gets nothing of an existing login`, async () => {
    write(usersFile, confidential)
    writeFileSync(secretFile, clientSecret)
    await signInByBrowser('existing')
    write(projectFile, { ...confidential, ...change })
    const call = (to) =>
      `auth.createAuthFetch({ provider: 'oci-oidc', namespace: 'existing' })('${to}', { method: 'POST', body: '{}' })`
    // Trusted or not: a provider that has accounts is not a project's to define.
    for (const trust of ['', 'await auth.trustProject();']) {
      const refusal = await inChild(trust + refused(call(`${trap.origin}/v1/chat/completions`)))
      assert.equal(refusal.code, 'ORIGIN_NOT_ALLOWED')
      if (change.llm_base_url) assert.ok(refusal.message.includes(projectFile), refusal.message)
      assert.equal((await inChild(`tell(await ${call(url)}.then(({ status }) => ({ status })))`)).status, 200)
      assert.deepEqual(await inChild(`tell({ id: (await ${renewal('existing')}).id.length })`), { id: 26 })
    }
  })
}

test("no file that a cloned repository names is read for an existing login's renewal", async () => {
  write(usersFile, confidential)
  writeFileSync(secretFile, clientSecret)
  await signInByBrowser('renewing')
  write(projectFile, { ...confidential, client_secret: '{file:~/.ssh/id_rsa}' })
  const asked = server.calls.length
  assert.deepEqual(await inChild(`tell({ id: (await ${renewal('renewing')}).id.length })`), { id: 26 })
  assert.equal(server.calls.length, asked + 1)
})

test("what the user's own configuration says of oci-oidc, a project's file cannot change, and other providers go on", async () => {
  sandbox.writeConfig({ providers: { 'oci-oidc': { origins: [server.origin] }, keys: { origins: [server.origin] } } })
  write(projectFile, confidential)
  const { error, key } = await inChild(`
    const key = await auth.addApiKey({ provider: 'keys', apiKey: 'sk-of-keys' })
    const error = await auth.startLogin({ provider: 'oci-oidc', method: 'browser' }).catch(({ code, message }) => ({ code, message }))
    tell({ error, key: key.kind })`)
  assert.equal(error.code, 'INVALID_CONFIG')
  assert.ok(error.message.startsWith(`${projectFile}:`), error.message)
  assert.match(error.message, /a project file may not change that/)
  assert.equal(key, 'api')
})

test('a template that was not filled in is told value by value, with the places that were searched', async () => {
  write(projectFile, {
    ...confidential,
    client_id: '<your-client-id>',
    domain_url: 'https://<your-domain>',
    llm_base_url: '',
  })
  const { code, message, path } = await inChild(refused(`auth.startLogin({ provider: 'oci-oidc' })`))
  assert.equal(code, 'INVALID_CONFIG')
  assert.equal(path, 'domain_url')
  for (const part of [
    /domain_url: still a placeholder/,
    /client_id \(\d+:\d+\): still a placeholder/,
    /llm_base_url \(1:1\): missing/,
  ])
    assert.match(message, part)
  assert.ok(message.includes(`Searched: ${projectFile}`), message)
})

test('without any file, a login says where one was looked for', async () => {
  const { code, message } = await inChild(refused(`auth.startLogin({ provider: 'oci-oidc' })`))
  assert.equal(code, 'CLIENT_ID_REQUIRED')
  for (const file of [projectFile, usersFile]) assert.ok(message.includes(file), message)
})

test('the OpenCode plugin offers the login of the file', async () => {
  write(usersFile, mobile)
  const offered = await inChild(`
    const plugin = await import('${new URL('../npm/dist/server.js', import.meta.url)}')
    const host = { client: { app: { log: async () => {} } } }
    const config = { provider: { 'oci-oidc': { options: { baseURL: '${server.origin}/v1' } } } }
    const hooks = await Promise.all(Object.values(plugin).map((make) => make(host)))
    for (const hook of hooks) await hook.config(config)
    const { methods } = hooks.find(({ auth }) => auth?.provider === 'oci-oidc').auth
    const { url, instructions, method } = await methods[0].authorize()
    tell({ label: methods[0].label, url, instructions, method, routed: typeof config.provider['oci-oidc'].options.fetch })
    process.exit()`)
  assert.equal(offered.label, 'Sign in with a device code')
  assert.equal(offered.url, `${server.origin}/ui/v1/device`)
  assert.ok(offered.instructions.includes('SDFG-HJKL'), offered.instructions)
  assert.equal(offered.routed, 'function')
})

function write(file, keys) {
  writeFileSync(file, JSON.stringify(keys, undefined, 2))
}

/** The file as people write it. */
function commented(keys) {
  const lines = Object.entries(keys).map(
    ([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}, // ${key}`,
  )
  return `/* Oracle Cloud */\n{\n${lines.join('\n')}\n}\n`
}

/** Runs module source in a process of its own; `tell` brings back one value. */
async function inChild(source) {
  const { code, stdout, stderr } = await sandbox.run(
    `const tell = (told) => console.log(JSON.stringify(told))\n${source}`,
  )
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout)
}

function signInByBrowser(namespace) {
  return inChild(`
    const { visit } = await import('${new URL('./support/dialects/strict.mjs', import.meta.url)}')
    const session = await auth.startLogin({ provider: 'oci-oidc', method: 'browser', namespace: '${namespace}' })
    const finished = session.finish()
    await visit(session.url)
    tell({ instructions: session.instructions, subject: (await finished).identity.subject })`)
}

/** Source that renews the login of a pool. */
function renewal(namespace) {
  return `auth.listAccounts({ namespace: '${namespace}' }).then(([{ id }]) => auth.refreshAccount(id, { force: true }))`
}

/** Source that prints what a promise rejects with. */
function refused(promise) {
  return `tell(await ${promise}.then(() => ({}), ({ code, message, path }) => ({ code, message, path })))`
}
