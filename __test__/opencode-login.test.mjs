/** Signing in under the real OpenCode: by its command, as scripts use it, and by its HTTP API, as its apps do. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, test } from 'node:test'
import { signIn } from './support/agent.mjs'
import { startOidcProvider } from './support/oidc.mjs'
import { createOpenCode } from './support/opencode.mjs'
import { createSandbox, watch } from './support/sandbox.mjs'
import { until } from './support/until.mjs'
import { startUpstream } from './support/upstream.mjs'

const KEYS = {
  A: 'sk-login-a-5b1d7e90c4',
  B: 'sk-login-b-08f3a6d2e7',
  C: 'sk-login-c-c91e44b07a',
  D: 'sk-login-d-3a7705fe61',
}
const PLACEHOLDER = 'kept-by-provider-auth'
const BROWSER = 'Sign in with the browser'
const PASTE = 'Sign in and paste the code'
const DEVICE = 'Sign in with a device code'

let oidc, upstream, sandbox, opencode, served

before(async () => {
  oidc = await startOidcProvider({ deviceSeconds: 3 })
  upstream = await startUpstream({
    providers: [oidc],
    keys: Object.fromEntries(Object.entries(KEYS).map(([name, key]) => [key, name])),
  })
  const origins = [upstream.origin]
  // Nothing listens at the discard port of this machine.
  const down = { ...oidc.config({ origins }), issuer: 'http://127.0.0.1:9' }
  const providers = { acme: { origins }, shelf: { origins }, desk: oidc.config({ origins }), down }
  sandbox = createSandbox({ name: 'opencode-login', config: { providers } })
  opencode = createOpenCode(sandbox, {
    providers: Object.fromEntries(Object.keys(providers).map((id) => [id, upstream.baseURL])),
  })
})

after(async () => {
  await opencode?.close()
  sandbox?.cleanup()
  await upstream?.close()
  await oidc?.close()
})

test('two keys piped into the command are two accounts, named by their ends, and both serve', async () => {
  for (const key of [KEYS.A, `  ${KEYS.B}\r\n`]) {
    const { code, stdout, stderr } = await loginBy('acme', 'API key', key)
    assert.equal(code, 0, stderr)
    assert.match(stdout, /Login successful/)
    assert.doesNotMatch(stdout + stderr, /sk-login/)
  }
  const accounts = await sandbox.accountsOf('acme')
  assert.deepEqual(
    accounts.map(({ label }) => label),
    ['A', 'B'].map((name) => `key …${KEYS[name].slice(-4)}`),
  )
  assert.deepEqual(opencode.authJson(), { acme: { type: 'api', key: PLACEHOLDER } })
  const served = []
  for (const { id } of accounts) {
    const other = accounts.find((account) => account.id !== id).id
    await sandbox.output(`
      await auth.updateAccount('${id}', { enabled: true })
      await auth.updateAccount('${other}', { enabled: false })`)
    const { stdout, stderr } = await opencode.run('acme/small-1')
    served.push(/served by (\w)/.exec(stdout)?.[1] ?? stderr)
  }
  assert.deepEqual(served.sort(), ['A', 'B'])
})

for (const [what, input] of [
  ['without an input', undefined],
  ['with an empty input', ''],
  ['with white space alone', ' \n\n'],
]) {
  test(`the command ${what} says how a key comes in, and stores none`, async () => {
    const { code, stderr } = await loginBy('shelf', 'API key', input)
    assert.equal(code, 1)
    assert.match(stderr, /provider-auth: no key came on standard input/)
    assert.match(stderr, /printf %s "\$KEY" \| opencode auth login --provider shelf --method "API key"/)
    assert.deepEqual(await sandbox.accountsOf('shelf'), [])
  })
}

test('the command with a closed input says the same', async () => {
  const line = `exec '${opencode.binary}' auth login --provider shelf --method 'API key' <&-`
  const { code, stderr } = await watch(
    spawn('/bin/sh', ['-c', line], { cwd: opencode.project, env: opencode.env, stdio: ['ignore', 'pipe', 'pipe'] }),
  ).ended
  assert.equal(code, 1)
  assert.match(stderr, /provider-auth: no key came on standard input/)
})

for (const [what, input, reason] of [
  ['too long', 'x'.repeat(70_000), /too long for a key/],
  ['two lines', `${KEYS.A}\n${KEYS.B}`, /expected 1 to 16,384 visible ASCII characters/],
]) {
  test(`an input that is ${what} is refused for that reason, and not shown`, async () => {
    const { code, stdout, stderr } = await loginBy('shelf', 'API key', input)
    assert.equal(code, 1)
    assert.match(stderr, reason)
    assert.doesNotMatch(stdout + stderr, /sk-login|xxx/)
    assert.deepEqual(await sandbox.accountsOf('shelf'), [])
  })
}

test('two logins in the browser by the command are two accounts; nothing claims that a page opens', async () => {
  for (const user of ['ada@local.test', 'bob@local.test']) {
    const login = opencode.start('auth', 'login', '--provider', 'desk', '--method', BROWSER)
    const [url] = /http:\S+/.exec(await login.line(/Go to: http/))
    await signIn(url, { user })
    const { code, stdout } = await login.ended
    assert.equal(code, 0, stdout)
    assert.match(stdout, /provider-auth: Open this page and sign in/)
    assert.doesNotMatch(stdout, /page that opens/)
  }
  assert.deepEqual(
    (await sandbox.accountsOf('desk')).map(({ label }) => label),
    ['ada@local.test', 'bob@local.test'],
  )
})

test('a code piped into the command signs in', async () => {
  const child = spawn(opencode.binary, ['auth', 'login', '--provider', 'desk', '--method', PASTE], {
    cwd: opencode.project,
    env: opencode.env,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const login = watch(child)
  const [url] = /http:\S+/.exec(await login.line(/Go to: http/))
  await login.line(/provider-auth: Open this page, sign in, and paste the code/)
  const target = new URL(url).searchParams.get('redirect_uri')
  const { url: end } = await signIn(url, { user: 'cleo', unreachable: target })
  // The pipe stays open, as that of a program does which waits for the outcome.
  child.stdin.write(`${end}\n`)
  const { code, stderr } = await login.ended
  assert.equal(code, 0, stderr)
  assert.equal((await sandbox.accountsOf('desk')).length, 3)
})

const FAILURES = {
  denied: {
    method: BROWSER,
    act: (url) => signIn(url, { user: 'dora', consent: false }),
    reason: /the login was refused: .*access_denied/,
  },
  'with a wrong code': { method: PASTE, code: 'no-such-code', reason: /the login failed: .*Is it the whole code/ },
  'out of time': {
    method: DEVICE,
    reason: /the login was not finished in the time that its server gives; start it again/,
  },
  'at an issuer that is down': {
    provider: 'down',
    method: BROWSER,
    reason: /the login server http:\/\/127\.0\.0\.1:9\/ cannot be asked/,
  },
}

for (const [what, { provider = 'desk', method, act, code: pasted, reason }] of Object.entries(FAILURES)) {
  test(`a login ${what} ends the command with the reason, in words`, async () => {
    const login = opencode.startWith(
      { input: pasted ?? '' },
      'auth',
      'login',
      '--provider',
      provider,
      '--method',
      method,
    )
    if (act !== undefined) await act(/http:\S+/.exec(await login.line(/Go to: http/))[0])
    const { code, stderr } = await login.ended
    assert.equal(code, 1)
    assert.match(stderr, /Failed to authorize: provider-auth: /)
    assert.match(stderr, reason)
    assert.doesNotMatch(stderr, /[{}]/)
  })

  test(`a login ${what} by HTTP answers that it failed, and shows and logs the reason`, async () => {
    const { call, events } = await server()
    const next = await events()
    const index = await methodIndex(provider, method)
    const { url, instructions } = await call('POST', `/provider/${provider}/oauth/authorize`, { method: index })
    if (url === '') assert.match(instructions, reason)
    if (act !== undefined) await Promise.all([act(url), assert.rejects(callback(provider, index, pasted), FAILED)])
    else await assert.rejects(callback(provider, index, pasted ?? (url === '' ? 'any' : undefined)), FAILED)
    const { properties } = await next(({ type }) => type === 'tui.toast.show')
    assert.match(properties.message, new RegExp(`^provider-auth: not signed in to ${provider}: `))
    assert.match(properties.message, reason)
    await until(`the log says ${reason}`, () =>
      opencode
        .log()
        .split('\n')
        .some((line) => LOGGED.test(line) && reason.test(line)),
    )
  })
}

test('by HTTP, a label and a pool are asked for and heeded, and may be left out', async () => {
  const { call } = await server()
  const { shelf } = await call('GET', '/provider/auth')
  const index = shelf.findIndex(({ label }) => label === 'API key')
  assert.deepEqual(
    shelf[index].prompts.map(({ type, key }) => [type, key]),
    [
      ['text', 'label'],
      ['text', 'pool'],
    ],
  )
  const add = async (key, inputs) => {
    const { method } = await call('POST', '/provider/shelf/oauth/authorize', {
      method: index,
      ...(inputs && { inputs }),
    })
    assert.equal(method, 'code')
    await callback('shelf', index, key)
  }
  await add(KEYS.C, { label: ' at work ', pool: 'office' })
  await add(KEYS.D)
  await add(KEYS.A, { label: '', pool: '' })
  const [c, ...others] = await sandbox.accountsOf('shelf')
  assert.deepEqual([c.label, c.namespace], ['at work', 'office'])
  assert.deepEqual(
    others.map(({ namespace }) => namespace),
    ['default', 'default'],
  )
  assert.equal(opencode.authJson().shelf.key, PLACEHOLDER)
})

test('by HTTP, a label that cannot be one is refused before a page is opened', async () => {
  const { call } = await server()
  const method = await methodIndex('desk', BROWSER)
  const { url, instructions } = await call('POST', '/provider/desk/oauth/authorize', {
    method,
    inputs: { label: 'a\u0007b' },
  })
  assert.equal(url, '')
  assert.match(instructions, /label: expected 1 to 200 characters/)
})

test('a device code stands in the text as the TUI copies it', async () => {
  const { call } = await server()
  const method = await methodIndex('desk', DEVICE)
  const { instructions } = await call('POST', '/provider/desk/oauth/authorize', { method })
  assert.match(instructions, /^provider-auth: Open http:\S+ on any device and enter the code [A-Z0-9]{4}-[A-Z0-9]{4}$/)
  await assert.rejects(callback('desk', method), FAILED)
})

test('a login under way ends with its instance, and its port is free', async () => {
  const { call } = await server()
  const method = await methodIndex('desk', BROWSER)
  const { url } = await call('POST', '/provider/desk/oauth/authorize', { method })
  const target = new URL(url).searchParams.get('redirect_uri')
  assert.equal((await fetch(target)).status, 400)
  await call('POST', '/instance/dispose')
  const isFree = () =>
    fetch(target).then(
      () => false,
      () => true,
    )
  await until('the port of the login is free', isFree)
})

test('no credential is in a file of OpenCode or in its log', () => {
  assert.deepEqual(opencode.filesWith(...Object.values(KEYS), ...oidc.issuedTokens()), [])
})

const LOGGED = /message="?provider-auth: /

/** What OpenCode answers of a callback that failed. */
const FAILED = /answered 400: \{"name":"ProviderAuthOauthCallbackFailed"/

function loginBy(provider, method, input) {
  return opencode.startWith({ input }, 'auth', 'login', '--provider', provider, '--method', method).ended
}

async function methodIndex(provider, wanted) {
  const { call } = await server()
  return (await call('GET', '/provider/auth'))[provider].findIndex(({ label }) => label === wanted)
}

async function callback(provider, method, code) {
  const { call } = await server()
  return call('POST', `/provider/${provider}/oauth/callback`, { method, ...(code !== undefined && { code }) })
}

/** One OpenCode server for the tests that need its API. */
function server() {
  served ??= opencode.serve()
  return served
}
