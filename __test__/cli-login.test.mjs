/** `provider-auth login` in pipes: keys, codes, pages, and every wrong turn with its next step. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import { signIn } from './support/agent.mjs'
import { answer, assertFits, COMMAND, command, failure } from './support/cli.mjs'
import { startMcp } from './support/dialects/mcp.mjs'
import { visit } from './support/dialects/strict.mjs'
import { startOidcProvider } from './support/oidc.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { until } from './support/until.mjs'
import { startUpstream } from './support/upstream.mjs'

const KEY = 'sk-cli-right-8c1e5a90b7'
const oidc = await startOidcProvider()
const upstream = await startUpstream({ providers: [oidc], keys: { [KEY]: 'key' } })
const origins = [upstream.origin]
const neighbour = createServer((_, response) => response.end())
await new Promise((resolve) => neighbour.listen(0, '127.0.0.1', resolve))
const busy = `http://127.0.0.1:${neighbour.address().port}/callback`
const sandbox = createSandbox({
  name: 'cli-login',
  config: {
    providers: {
      desk: oidc.config({ origins }),
      page: oidc.config({ origins, grants: ['authorization_code'] }),
      busy: oidc.config({ origins, redirectUri: busy }),
      bare: { issuer: oidc.issuer, origins },
      keys: { origins },
      nowhere: { origins: ['http://127.0.0.1:9'] },
    },
  },
})
after(async () => {
  neighbour.close()
  await Promise.all([oidc.close(), upstream.close()])
  sandbox.cleanup()
})

/** Starts a login, and resolves to it and to what it has printed once `pattern` is in it. */
async function begun(args, pattern, options) {
  const started = sandbox.spawn(COMMAND, { args, ...options })
  let said = ''
  started.child.stderr.on('data', (chunk) => (said += chunk))
  await until(
    () => `${pattern} in ${said}`,
    () => pattern.test(said),
    90_000,
  )
  return { ...started, said }
}

const answered = async ({ ended }) => {
  const { code, stdout, stderr } = await ended
  assert.equal(code, 0, stderr)
  const value = JSON.parse(stdout)
  assertFits('login', value)
  return { ...value, stderr }
}

test('a key from standard input is added, with the end of its line taken off, and shown nowhere', async () => {
  const options = { input: `${KEY}\r\n` }
  const { account, new: isNew } = await answer(sandbox, 'login', ['login', 'keys', '--with-token'], options)
  assert.deepEqual([account.kind, account.label, account.serves, isNew], ['api', 'key …90b7', 1, true])
  const labels = ['--label', 'mine', '--namespace', 'night', '--priority', '3']
  const named = await answer(sandbox, 'login', ['login', 'keys', '--with-token', ...labels], options)
  assert.deepEqual([named.account.label, named.account.namespace, named.account.priority], ['mine', 'night', 3])

  const again = await command(sandbox, ['login', 'keys', '--with-token'], options)
  assert.equal(again.code, 0, again.stderr)
  assert.match(again.stdout, /^key …90b7 of keys was there already\. It serves first\.\n$/)
  assert.match(again.stderr, /^Next: provider-auth models keys/)
  assert.ok(!(again.stdout + again.stderr).includes(KEY))
})

test('standard input without one key stores nothing', async () => {
  for (const [input, what] of [
    ['', /no API key/],
    ['\n', /no API key/],
    ['  \r\n', /no API key/],
    [`${KEY}\nsecond\n`, /several lines/],
    [`${KEY}\n\n`, /several lines/],
    [`${KEY} x`, /visible ASCII characters/],
    ['x'.repeat(70_000), /visible ASCII characters/],
  ]) {
    const { exit, message } = await failure(sandbox, ['login', 'desk', '--with-token'], { input })
    assert.equal(exit, 2, message)
    assert.match(message, what)
    assert.ok(!message.includes('sk-cli'))
  }
  const { exit, next } = await failure(sandbox, ['login', 'keys'])
  assert.equal(exit, 2)
  assert.match(next, /--with-token/)
  assert.deepEqual(await sandbox.accountsOf('desk'), [])
})

test('--check asks the provider before anything is stored', async () => {
  const check = (provider, input) => [
    ['login', provider, '--with-token', '--check', '--label', `of ${input}`],
    { input },
  ]
  const before = (await sandbox.accountsOf('keys')).length
  const { exit, code, message, next } = await failure(sandbox, ...check('keys', 'sk-cli-wrong-000000000000'))
  assert.deepEqual([exit, code], [1, 'LOGIN_DENIED'])
  assert.match(message, /refuses the key \(401\); nothing was stored/)
  assert.match(next, /without --check/)
  upstream.plan('*', { status: 403 })
  assert.match((await failure(sandbox, ...check('keys', 'sk-cli-narrow-00000000000'))).message, /\(403\)/)
  assert.equal((await sandbox.accountsOf('keys')).length, before)

  assert.equal((await answer(sandbox, 'login', ...check('keys', KEY))).check, 'accepted')
  // Nothing says that the key is wrong: it is kept, and the person is told.
  upstream.plan('*', { status: 500 })
  assert.equal((await answer(sandbox, 'login', ...check('keys', KEY))).check, 'unclear')
  const { stdout, stderr } = await command(sandbox, ...check('nowhere', 'sk-cli-unknown-0000000000'))
  assert.match(stderr, /could not be checked, and is added as it is: http:\/\/127\.0\.0\.1:9/)
  assert.match(stdout, /was added/)
  assert.equal((await failure(sandbox, ['login', 'desk', '--check', '--method', 'device'])).exit, 2)
})

test('without a terminal a provider is needed, and the error lists those that there are', async () => {
  const { exit, message } = await failure(sandbox, ['login'])
  assert.equal(exit, 2)
  for (const id of ['anthropic', 'openai', 'desk']) assert.ok(message.includes(id), id)
  const { exit: other, next } = await failure(sandbox, ['login', '--resource', 'https://mcp.example'])
  assert.equal(other, 2)
  assert.match(next, /login <name> --resource https:\/\/mcp\.example/)
})

test('a provider that is not known brings the nearest, and how to configure one', async () => {
  for (const [name, meant] of [
    ['opnai', /did you mean openai\?/],
    ['Anthropic', /did you mean anthropic\?/],
    ['github', /did you mean github-copilot\?/],
    ['zzz', /anthropic, azure/],
  ]) {
    const { exit, code, why, next } = await failure(sandbox, ['login', name])
    assert.deepEqual([exit, code], [1, 'UNKNOWN_PROVIDER'])
    assert.match(why, meant)
    assert.match(next, /--resource/)
  }
})

test('a login without a client says where to register which, what to configure, and the way with a key', async () => {
  const file = sandbox.configFile.replaceAll('.', '\\.')
  for (const [args, said] of [
    [
      ['google', '--method', 'browser'],
      [/desktop app/, /https:\/\/ai\.google\.dev\S+/, /"clientSecret": "\{env:/, /127\.0\.0\.1/],
    ],
    [['github-copilot'], [/device\s+flow/, /https:\/\/docs\.github\.com\S+/, /"clientId"/, /read:user/]],
    [['oci-oidc'], [/identity domain/, /https:\/\/docs\.oracle\.com\S+/, /"issuer"/, /"origins": \[/]],
    [
      ['azure', '--method', 'device'],
      [/Entra/, /https:\/\/learn\.microsoft\.com\S+/, /"issuer"/],
    ],
    [['bare'], [/RFC 8252/, new RegExp(`${oidc.issuer}/`), /"clientId"/]],
  ]) {
    const { code, stdout, stderr } = await command(sandbox, ['login', ...args])
    assert.equal(code, 1)
    assert.equal(stdout, '')
    for (const pattern of said) assert.match(stderr, pattern)
    assert.match(stderr, new RegExp(`Then add this to\\s+${file}:`))
    for (const line of stderr.split('\n'))
      assert.ok(line.length < 80 || /\/\/|error:|next:|\/provider-auth-/.test(line), line)
    const { code: coded, next } = await failure(sandbox, ['login', ...args])
    assert.equal(coded, 'CLIENT_ID_REQUIRED')
    assert.match(
      next,
      new RegExp(
        `${file}${/google|azure|bare/.test(args[0]) ? ', or (set its origins there and )?add an API key: provider-auth' : '$'}`,
      ),
    )
  }
  for (const provider of ['anthropic', 'qwen', 'cursor']) {
    const { why, next } = await failure(sandbox, ['login', provider, '--method', 'browser'])
    assert.match(why, /https:\/\//)
    assert.equal(next, `add an API key: provider-auth login ${provider} --with-token`)
  }
})

test('a busy port names who has it, and what to do', async () => {
  const { exit, code, message, next } = await failure(sandbox, ['login', 'busy', '--method', 'browser'])
  assert.deepEqual([exit, code], [1, 'CALLBACK_PORT_BUSY'])
  assert.ok(message.includes(`process ${process.pid}`) || process.platform !== 'linux', message)
  assert.match(next, /--method paste, or provider-auth login busy --method device/)
})

test('a device code is shown with its page and the time left, and ends in an account', async () => {
  // A machine that is reached over SSH has no browser of the person's.
  const env = { SSH_CONNECTION: '192.0.2.1 50000 192.0.2.7 22' }
  const login = await begun(['login', 'desk', '--json'], /Ctrl-C/, { env })
  const userCode = /enter the code ([A-Z]{4}-[A-Z]{4})/.exec(login.said)[1]
  assert.match(login.said, new RegExp(`^ {4}${userCode}$`, 'm'))
  assert.match(login.said, /Waiting for the sign-in on the page · \d+ min( \d+ s)? left · Ctrl-C cancels/)
  await signIn({ url: new RegExp(`${oidc.issuer}/device\\?\\S+`).exec(login.said)[0], userCode }, { user: 'dora' })
  const { account, identity, stderr } = await answered(login)
  assert.deepEqual([account.method, account.serves, identity], ['device', 1, { email: 'dora@local.test' }])
  assert.equal(stderr.match(/Waiting/g).length, 1, 'a pipe gets the line once')
})

test('a browser login over SSH prints the ssh call that forwards its own port', async () => {
  const { username } = (await import('node:os')).userInfo()
  for (const [connection, target] of [
    ['192.0.2.1 50000 192.0.2.7 22', `${username}@192.0.2.7`],
    ['192.0.2.1 50000 192.0.2.7 2222', `-p 2222 ${username}@192.0.2.7`],
    ['2001:db8::1 50000 2001:db8::7 22', `${username}@2001:db8::7`],
    ['fe80::1%eth0 50000 fe80::7%eth0 22', `${username}@fe80::7`],
    ['::ffff:192.0.2.1 50000 ::ffff:192.0.2.7 22', `${username}@192.0.2.7`],
  ]) {
    const { child, ended, said } = await begun(['login', 'page'], /Ctrl-C/, { env: { SSH_CONNECTION: connection } })
    const { port } = new URL(new URL(/https?:\S+\/auth\S+/.exec(said)[0]).searchParams.get('redirect_uri'))
    assert.ok(said.includes(`  ssh -N -L ${port}:127.0.0.1:${port} ${target}\n`), said)
    assert.doesNotMatch(said, /paste/, 'no terminal, no paste')
    child.kill('SIGINT')
    assert.equal((await ended).code, 130)
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`), 'the port is closed')
  }
})

test('each place says how the browser comes back', async () => {
  for (const [env, said] of [
    [{ container: 'podman' }, /in this container\. A published port \(-p\) does not reach/],
    [{ CODESPACES: 'true' }, /an editor on your own machine forwards/],
    [{ GITPOD_WORKSPACE_ID: 'x' }, /an editor on your own machine forwards/],
    [{ WSL_DISTRO_NAME: 'Ubuntu' }, /Windows forwards to WSL 2/],
    [{ DISPLAY: ':987' }, /open it on this machine/],
    [{ SSH_TTY: '/dev/pts/0', DISPLAY: ':10' }, /which is on this machine\. Before you sign in/],
  ]) {
    const { child, ended, said: all } = await begun(['login', 'page', '--no-browser'], /Ctrl-C/, { env })
    assert.match(all.replaceAll('\n', ' '), said)
    child.kill('SIGINT')
    await ended
  }
})

test('an MCP server is signed in to by its address alone, and is known by its name from then on', async () => {
  const mcp = await startMcp()
  try {
    const args = ['login', 'notes', '--resource', mcp.url, '--no-browser', '--json']
    const login = await begun(args, /Ctrl-C/, { env: { DISPLAY: ':987' } })
    assert.match(login.said, /The MCP server http:\/\/127\.0\.0\.1:\d+\/\S* has you sign in at 127\.0\.0\.1/)
    await visit(/^https?:\S+\?\S+$/m.exec(login.said)[0])
    const { account, stderr } = await answered(login)
    assert.deepEqual([account.provider, account.method, account.serves], ['notes', 'browser', 1])
    assert.match(stderr, /Next: provider-auth headers notes <url>/)
    const { exit, code } = await failure(sandbox, ['login', 'keys', '--resource', mcp.url])
    assert.deepEqual([exit, code], [2, 'INVALID_ARGUMENT'])
  } finally {
    await mcp.close()
  }
})

test('the callback finishes a login, also with a registered name and over IPv6', async () => {
  for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
    sandbox.writeConfig({
      providers: { desk: oidc.config({ origins, redirectUri: `http://${host}/callback` }) },
    })
    const env = { SSH_CONNECTION: '192.0.2.1 50000 192.0.2.7 22' }
    const login = await begun(['login', 'desk', '--method', 'browser', '--json'], /Ctrl-C/, { env })
    const port = /-L (\d+):/.exec(login.said)[1]
    assert.ok(login.said.includes(`-L ${port}:${host}:${port} `), login.said)
    const last = await signIn(/https?:\S+\/auth\S+/.exec(login.said)[0], { user: `at-${host.length}` })
    assert.equal(new URL(last.url).host, `${host}:${port}`)
    assert.equal((await answered(login)).account.method, 'browser')
  }
})

test('a login that was refused or took too long ends with why, and holds no port', async () => {
  const late = await failure(sandbox, ['login', 'desk', '--method', 'browser', '--timeout', '1'])
  assert.deepEqual([late.exit, late.code], [1, 'LOGIN_TIMEOUT'])
  assert.match(late.next, /provider-auth login desk, with a larger --timeout/)
  for (const timeout of ['0', '1.5', 'soon', '-3', '']) {
    const { exit, message } = await failure(sandbox, ['login', 'desk', `--timeout=${timeout}`])
    assert.equal(exit, 2)
    assert.match(message, timeout === '' ? /--timeout is empty/ : /--timeout takes a whole number from 1 to/)
  }
  const login = await begun(['login', 'desk', '--method', 'browser', '--json'], /Ctrl-C/)
  await signIn(/https?:\S+\/auth\S+/.exec(login.said)[0], { user: 'no', consent: false })
  const { code, stderr } = await login.ended
  assert.equal(code, 1)
  assert.equal(JSON.parse(stderr.trim().split('\n').at(-1)).error.code, 'LOGIN_DENIED')
})

test('what came and did not count is told while the login waits on', async () => {
  const login = await begun(['login', 'desk', '--method', 'browser', '--json'], /Ctrl-C/)
  const page = /https?:\S+\/auth\S+/.exec(login.said)[0]
  const callback = new URL(page).searchParams.get('redirect_uri')
  await fetch(`${callback}?code=x&state=wrong`)
  let said = ''
  login.child.stderr.on('data', (chunk) => (said += chunk))
  await until(
    () => `a note in ${said}`,
    () => /What came last did not count/.test(said),
    90_000,
  )
  await signIn(page, { user: 'patient' })
  assert.equal((await answered(login)).identity.email, 'patient@local.test')
})

test('a project file that wants trust ends a login without a terminal, and nothing is asked', async () => {
  const { mkdirSync, writeFileSync } = await import('node:fs')
  const { join } = await import('node:path')
  const cwd = join(sandbox.work, 'project')
  mkdirSync(cwd)
  execFileSync('git', ['init', '-q'], { cwd })
  const providers = { foreign: oidc.config({ origins }) }
  writeFileSync(join(cwd, 'provider-auth.jsonc'), JSON.stringify({ providers }))
  const { exit, code, next } = await failure(sandbox, ['login', 'foreign', '--method', 'browser'], { cwd })
  assert.deepEqual([exit, code, next], [1, 'PROJECT_NOT_TRUSTED', 'provider-auth trust'])
})
