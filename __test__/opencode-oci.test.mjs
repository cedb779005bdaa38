/**
 * Oracle Cloud in the real OpenCode by `oci-auth.config.jsonc` alone, as users of the plugin `opencode-oci-oidc` have it: both
 * kinds of application, and both places of the file.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { visit } from './support/dialects/strict.mjs'
import { FILE, KEY, startTenancy } from './support/oci-desk.mjs'

const { memory, upstream, clientSecret, confidential, mobile, openDesk, close } = await startTenancy()
after(close)

test('a confidential application signs in from /connect, its models are found, and a message is answered', async () => {
  const desk = openDesk({ ...confidential, log_level: 'VERBOSE' })
  writeFileSync(join(desk.sandbox.env.HOME, 'oci-secret'), `${clientSecret}\n`)
  // What the plugin opencode-oci-oidc left behind.
  desk.opencode.writeAuthJson({
    'oci-oidc': { type: 'oauth', access: 'old-access', refresh: 'old-refresh', expires: 0 },
  })
  const { call, child } = await desk.opencode.serve()
  const { all } = await call('GET', '/provider')
  const before = all.find(({ id }) => id === 'oci-oidc')
  assert.deepEqual(
    Object.values(before.models).map(({ name }) => name),
    ['Models appear once you have signed in'],
  )
  const methods = (await call('GET', '/provider/auth'))['oci-oidc']
  assert.equal(methods[0].label, 'Sign in with the browser')
  const inputs = {}
  const { url, method } = await call('POST', '/provider/oci-oidc/oauth/authorize', { method: 0, inputs })
  assert.equal(method, 'auto')
  const finished = call('POST', '/provider/oci-oidc/oauth/callback', { method: 0 })
  await visit(url)
  assert.equal(await finished, true)
  // As the TUI does after a login.
  await call('POST', '/instance/dispose')
  const { providers } = await call('GET', '/config/providers')
  const provider = providers.find(({ id }) => id === 'oci-oidc')
  assert.deepEqual(Object.keys(provider.models).sort(), ['large-1', 'small-1'])
  assert.equal(provider.options.baseURL, upstream.baseURL)
  child.kill('SIGKILL')

  assert.match(await desk.says('oci-oidc/large-1'), /served by ada/)
  assert.deepEqual(desk.opencode.filesWith(clientSecret), [])
  const log = join(desk.sandbox.env.XDG_DATA_HOME, 'opencode/log/oci-oidc.log')
  assert.equal(statSync(log).mode & 0o777, 0o600)
  const lines = readFileSync(log, 'utf8').trim().split('\n')
  assert.match(lines[0], /^{"time":"[\dT:.-]+Z","level":"info","message":"loaded for /)
  assert.ok(lines.some((line) => /oci-oidc: provider-auth serves it/.test(line)))
  assert.ok(
    lines.some((line) => ['debug', 'trace'].includes(JSON.parse(line).level)),
    'no line of the library',
  )
  assert.ok(!lines.join().includes(clientSecret))

  // The library begins a new file, and keeps the full one.
  writeFileSync(log, `${'x'.repeat(1023)}\n`.repeat(10 * 1024))
  assert.match(await desk.says('oci-oidc/large-1'), /served by ada/)
  assert.ok(statSync(log).size < 5 * 1024 * 1024, `${statSync(log).size}`)
  assert.match(readFileSync(log.replace('.log', '.1.log'), 'utf8'), /^x{1023}\n[\s\S]*"message":"loaded for /)

  // The refresh token is no good any more, so only a person can help.
  memory.end()
  upstream.forget()
  const told = await desk.refusal('oci-oidc/large-1')
  assert.match(told, /sign in again/i)
  assert.doesNotMatch(told, /[{}]/)
})

test("a mobile application of a project's file waits for trust, and signs in with a device code by the command", async () => {
  const desk = openDesk()
  const file = join(desk.opencode.project, FILE)
  writeFileSync(file, JSON.stringify({ ...mobile, log_level: 'NONE' }))
  const told = await desk.refusal('oci-oidc/not-known-yet')
  assert.ok(told.includes(file), told)
  assert.match(told, /trust/)
  assert.deepEqual(upstream.requests, [])
  await desk.inProject('await auth.trustProject()')
  const login = desk.opencode.start('auth', 'login', '--provider', 'oci-oidc', '--method', 'Sign in with a device code')
  const { code, stdout, stderr } = await login.ended
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /SDFG-?HJKL/)
  // The login has brought the list of models, too.
  assert.match(await desk.says('oci-oidc/small-1'), /served by ada/)
})

test("what a user's opencode.json says of it stays: models by hand, another name and address", async () => {
  const desk = openDesk({ ...mobile, log_level: 'none' })
  const own = { name: 'Ours', options: { baseURL: `${upstream.origin}/v1` }, models: { 'mine-1': { name: 'Mine' } } }
  desk.opencode.writeConfig({ enabled_providers: undefined, provider: { ...desk.provider, 'oci-oidc': own } })
  const provider = await desk.provides('oci-oidc')
  assert.equal(provider.name, 'Ours')
  assert.deepEqual(
    Object.values(provider.models).map(({ name }) => name),
    ['Mine'],
  )
  assert.equal(provider.options.baseURL, own.options.baseURL)
  assert.ok(!existsSync(join(desk.sandbox.env.XDG_DATA_HOME, 'opencode/log/oci-oidc.log')))

  // With a key of its own it is OpenCode's, file or not.
  const keyed = { npm: '@ai-sdk/openai-compatible', ...own, options: { ...own.options, apiKey: KEY } }
  desk.opencode.writeConfig({ enabled_providers: undefined, provider: { ...desk.provider, 'oci-oidc': keyed } })
  assert.match(await desk.says('oci-oidc/mine-1'), /served by other/)
})
