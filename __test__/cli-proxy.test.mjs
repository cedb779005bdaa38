/** `provider-auth proxy`: whom it serves, what goes where, and how it begins and ends. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { connect, createServer as createTcpServer } from 'node:net'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { answer, command, failure } from './support/cli.mjs'
import { freePort } from './support/ports.mjs'
import { junk, raw, startProxy } from './support/proxy.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { until } from './support/until.mjs'
import { bodies, startUpstream } from './support/upstream.mjs'

const KEYS = ['sk-of-ada', 'sk-of-bob', 'sk-of-team', 'sk-of-claude', 'sk-of-gemini']
const onWindows = process.platform === 'win32'

const upstream = await startUpstream({
  keys: {
    'sk-of-ada': 'ada',
    'sk-of-bob': 'bob',
    'sk-of-team': 'team',
    'sk-of-claude': 'claude',
    'sk-of-gemini': 'gemini',
  },
})
const other = await startUpstream({ keys: { 'sk-of-ada': 'ada' } })
const nowhere = `http://127.0.0.1:${await freePort()}`
const here = { origins: [upstream.origin], rotation: { maxWaitMs: 0 } }
const sandbox = createSandbox({
  name: 'proxy',
  config: {
    providers: {
      openai: { ...here, origins: [upstream.origin, other.origin] },
      anthropic: here,
      google: here,
      pair: here,
      'acme.ai': { ...here, header: 'x-acme-key', scheme: '' },
      empty: here,
      nowhere: { origins: [nowhere], rotation: { maxWaitMs: 0 } },
      notes: { extends: 'mcp', resource: `${upstream.origin}/mcp`, clientId: 'none' },
    },
  },
})
after(async () => {
  await Promise.all([upstream.close(), other.close()])
  sandbox.cleanup()
})

let proxy
before(async () => {
  const keys = [
    ['openai', 'sk-of-ada', 'ada'],
    ['openai', 'sk-of-team', 'team', 'work team'],
    ['anthropic', 'sk-of-claude', 'claude'],
    ['google', 'sk-of-gemini', 'gemini'],
    ['acme.ai', 'sk-of-ada', 'ada'],
    ['nowhere', 'sk-of-ada', 'ada'],
    ['pair', 'sk-of-ada', 'ada'],
    ['pair', 'sk-of-bob', 'bob'],
  ]
  const add = ([provider, apiKey, label, namespace = 'default']) =>
    `await auth.addApiKey(${JSON.stringify({ provider, apiKey, label, namespace })})`
  await sandbox.output(keys.map(add).join('\n'))
  proxy = await startProxy(sandbox)
})

const bearer = (one = proxy) => ({ authorization: `Bearer ${one.token}` })
const ask = (path, options = {}) => raw(proxy, { path, ...options, headers: { ...bearer(), ...options.headers } })
const codeOf = ({ text }) => JSON.parse(text).error.code
const seen = () => upstream.requests.at(-1)

/* ───────────────────────────── what goes where ───────────────────────────── */

test('a request goes to its provider with the credential of an account, and without the token', async () => {
  upstream.forget()
  const { status, text } = await ask('/openai/echo/a%2Fb//c?x=%20&y=[1]', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-mine': 'kept', cookie: 'a=b' },
    body: '{"model":"small-1"}',
  })
  assert.equal(status, 200, text)
  const { path, headers, body, account } = seen()
  assert.deepEqual([path, account, body], ['/echo/a%2Fb//c?x=%20&y=[1]', 'ada', '{"model":"small-1"}'])
  assert.equal(headers.host, new URL(upstream.origin).host)
  assert.deepEqual([headers.authorization, headers['x-mine'], headers.cookie], ['Bearer sk-of-ada', 'kept', undefined])
  assert.ok(!JSON.stringify(seen()).includes(proxy.token))
})

test('each provider has its own way to say a key, and the token is taken off wherever it stands', async () => {
  for (const [path, headers, account] of [
    ['/openai/echo', bearer(), 'ada'],
    ['/anthropic/echo', { 'x-api-key': proxy.token }, 'claude'],
    ['/anthropic/echo', bearer(), 'claude'],
    ['/google/echo', { 'x-goog-api-key': proxy.token }, 'gemini'],
    ['/openai/echo', { 'api-key': proxy.token }, 'ada'],
    // A key of the client's own goes nowhere.
    ['/anthropic/echo', { 'x-api-key': proxy.token, authorization: 'Bearer sk-old' }, 'claude'],
    [`/google/echo?key=${proxy.token}&a=1`, {}, 'gemini'],
    [`/google/echo?a=1&key=${proxy.token}`, {}, 'gemini'],
  ]) {
    upstream.forget()
    const { status, text } = await raw(proxy, { path, headers })
    assert.equal(status, 200, text)
    assert.equal(seen().account, account)
    for (const secret of [proxy.token, 'sk-old']) assert.ok(!JSON.stringify(seen()).includes(secret), path)
    assert.equal(seen().path, path.includes('a=1') ? '/echo?a=1' : '/echo')
  }
  upstream.forget()
  await raw(proxy, { path: '/acme.ai/echo', headers: { 'x-acme-key': proxy.token } })
  assert.equal(seen().headers['x-acme-key'], 'sk-of-ada')
})

test('the token reaches no provider in any other place, and the request says so in its address', async () => {
  const { token } = proxy
  const escaped = `%70${token.slice(1)}`
  for (const path of [`/?api_key=${token}`, `/?a=1&key=${escaped}`, `/${token}/x`, `/bot${escaped}/x`]) {
    upstream.forget()
    const answer = await ask(`/openai/echo${path}`)
    assert.deepEqual([answer.status, codeOf(answer)], [400, 'INVALID_ARGUMENT'], path)
    assert.ok(!answer.text.includes(token.slice(5)))
    assert.deepEqual(upstream.requests, [])
  }
  upstream.forget()
  const headers = {
    'x-a': `Token token="${token}"`,
    'x-b': `${token}, ${token}`,
    referer: `http://127.0.0.1/?key=${escaped}`,
    'x-mine': 'kept',
  }
  assert.equal((await ask('/openai/echo', { headers })).status, 200)
  assert.equal(seen().headers['x-mine'], 'kept')
  assert.ok(!decodeURIComponent(JSON.stringify(seen().headers)).includes(token))
})

test('a pool is named behind the provider, and an account by a header', async () => {
  upstream.forget()
  await ask('/openai@work%20team/echo')
  assert.equal(seen().account, 'team')
  assert.equal((await ask('/openai@nobody/echo')).status, 401)
  assert.equal(codeOf(await ask('/openai/echo', { headers: { 'x-provider-auth-account': 'eve' } })), 'UNKNOWN_ACCOUNT')
})

test('no path leads to another host', async () => {
  other.forget()
  upstream.forget()
  const { host } = new URL(other.origin)
  const paths = [
    `//${host}/echo`,
    `/openai@${host}/echo`,
    `/openai//${host}/echo`,
    `/openai/\\${host}/echo`,
    `/openai\\@${host}/echo`,
    `/openai/@${host}/echo`,
    `/openai/..//${host}/echo`,
    '/openai/v1/../../anthropic/echo',
    '/openai/%2e%2e/echo',
    '/openai/.%2E/echo',
    '/openai/./echo',
    '/openai/echo#fragment',
    '/openai:80/echo',
    '/%6fpenai/echo',
    '/',
    '/openai.evil.example/echo',
    '/__proto__/echo',
    `http://${host}/echo`,
    `http://127.0.0.1:${proxy.port}/openai/echo`,
    '*',
  ]
  for (const path of paths) {
    const line = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${proxy.port}\r\nauthorization: Bearer ${proxy.token}\r\nconnection: close\r\n\r\n`
    const text = await junk(proxy, line)
    // These two go to the provider as a path, and to the account that serves it.
    const isPath = [`/openai//${host}/echo`, `/openai/@${host}/echo`].includes(path)
    assert.match(text, isPath ? /^HTTP\/1\.1 (?:200|404) / : /^HTTP\/1\.1 40[0134] /, path)
  }
  assert.deepEqual(other.requests, [])
  assert.deepEqual(
    upstream.requests.map(({ path }) => path),
    [`//${host}/echo`, `/@${host}/echo`],
  )
})

test('of a provider with several origins the first serves, or the one that is named', async () => {
  const second = await startProxy(sandbox, { args: ['--origin', `openai=${other.origin}`, '--provider', 'openai'] })
  other.forget()
  assert.equal((await raw(second, { path: '/openai/v1/models', headers: bearer(second) })).status, 200)
  assert.equal(other.requests.length, 1)
  assert.equal((await raw(second, { path: '/anthropic/echo', headers: bearer(second) })).status, 404)
  second.child.kill('SIGTERM')
  await second.ended
  const { exit } = await failure(sandbox, ['proxy', '--port', '0', '--origin', 'openai=https://evil.example'])
  assert.equal(exit, 2)
  for (const [provider, code] of [
    ['nothing', 'UNKNOWN_PROVIDER'],
    ['azure', 'ORIGIN_NOT_ALLOWED'],
  ])
    assert.equal((await failure(sandbox, ['proxy', '--port', '0', '--provider', provider])).code, code)
})

/* ───────────────────────────── who is served ───────────────────────────── */

test('who does not know the token is told so, and nothing else', async () => {
  upstream.forget()
  const wrong = [
    {},
    { authorization: 'Bearer sk-of-ada' },
    { authorization: `Bearer ${proxy.token}x` },
    { authorization: `Bearer ${proxy.token.slice(0, -1)}` },
    { authorization: `Bearer ${proxy.token.toUpperCase()}` },
    { authorization: 'Bearer ' },
  ]
  for (const path of ['/openai/echo', '/nothing/echo', '/'])
    for (const headers of wrong) {
      const refused = await raw(proxy, { path, headers })
      assert.deepEqual([refused.status, codeOf(refused)], [401, 'PROXY_TOKEN_REFUSED'])
      assert.equal(refused.headers['x-should-retry'], 'false')
    }
  assert.equal((await raw(proxy, { path: '/openai/echo?key=AIza-mine' })).status, 401)
  assert.deepEqual(upstream.requests, [])
})

test('a request of a browser, or to another name, is refused even with the token, and gets no CORS header', async () => {
  upstream.forget()
  const hosts = [
    'evil.example',
    `evil.example:${proxy.port}`,
    '127.0.0.1',
    '127.0.0.1:1',
    `127.0.0.1.evil.example:${proxy.port}`,
  ]
  const strange = [
    ...['https://evil.example', 'null', `http://127.0.0.1:${proxy.port}`].map((origin) => ({ origin })),
    { 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-dest': 'image' },
    ...hosts.map((host) => ({ host })),
  ]
  for (const headers of strange)
    for (const method of ['GET', 'POST', 'OPTIONS']) {
      const refused = await ask('/openai/echo', {
        method,
        headers: { ...headers, 'access-control-request-method': 'POST' },
      })
      assert.equal(refused.status, 403, JSON.stringify(headers))
      assert.ok(Object.keys(refused.headers).every((name) => !name.startsWith('access-control-')))
    }
  assert.deepEqual(upstream.requests, [])
  for (const host of ['localhost', 'LOCALHOST', '[::1]'])
    assert.equal((await ask('/openai/echo', { headers: { host: `${host}:${proxy.port}` } })).status, 200, host)
  // Node's own `fetch` says how it was called.
  assert.equal((await ask('/openai/echo', { headers: { 'sec-fetch-mode': 'cors' } })).status, 200)
})

test('no header of a connection, of a cookie or of CORS is handed on', async () => {
  const headers = {
    'set-cookie': 'session=of-ada',
    'access-control-allow-origin': '*',
    'access-control-expose-headers': 'x-request-id',
    'alt-svc': 'h3=":443"',
    'x-request-id': 'r-1',
    connection: 'x-hop',
    'x-hop': '1',
  }
  upstream.plan('ada', { status: 200, headers, body: '{}' })
  upstream.forget()
  const answer = await ask('/openai/echo', { headers: { connection: 'x-mine', 'x-mine': '1', te: 'trailers' } })
  assert.equal(answer.headers['x-request-id'], 'r-1')
  for (const name of ['set-cookie', 'access-control-allow-origin', 'access-control-expose-headers', 'alt-svc', 'x-hop'])
    assert.equal(answer.headers[name], undefined, name)
  for (const name of ['x-mine', 'te']) assert.equal(seen().headers[name], undefined, name)
})

test('an answer that tells its status in letters of any kind is handed on, and the next is, too', async () => {
  const words = { '/utf8': 'Schön €', '/latin1': 'Sch\xf6n', '/none': '', '/plain': 'As It Is' }
  const provider = createTcpServer((socket) => {
    socket
      .on('error', () => {})
      .on('data', (bytes) => {
        const [, path] = / (\S+) /.exec(bytes)
        socket.end(
          `HTTP/1.1 200 ${words[path]}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`,
          path === '/utf8' ? 'utf8' : 'latin1',
        )
      })
  })
  await once(provider.listen(new URL(nowhere).port, '127.0.0.1'), 'listening')
  for (const path of [...Object.keys(words), '/utf8']) {
    const { status, text } = await ask(`/nowhere${path}`)
    assert.deepEqual([status, text], [200, '{}'], path)
  }
  assert.match(
    await junk(
      proxy,
      `GET /nowhere/plain HTTP/1.1\r\nhost: 127.0.0.1:${proxy.port}\r\nauthorization: Bearer ${proxy.token}\r\nconnection: close\r\n\r\n`,
    ),
    /^HTTP\/1.1 200 As It Is\r\n/,
  )
  provider.close()
})

test('an upgrade to a WebSocket is refused plainly, and one to HTTP/2 is left out', async () => {
  const upgrade = (to) => ({ connection: 'upgrade', upgrade: to })
  const refused = await ask('/openai/echo', { headers: { ...upgrade('websocket'), 'sec-websocket-version': '13' } })
  assert.deepEqual([refused.status, codeOf(refused)], [501, 'UPGRADE_REFUSED'])
  upstream.forget()
  assert.equal((await ask('/openai/echo', { headers: upgrade('h2c') })).status, 200)
  assert.equal(seen().headers.upgrade, undefined)
})

test('bytes that are not HTTP are refused, and others are served as before', async () => {
  const host = `host: 127.0.0.1:${proxy.port}\r\nauthorization: Bearer ${proxy.token}\r\n`
  const bytes = [
    '\0\0\0\0\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00',
    'GET / HTTP/9.9\r\n\r\n',
    `POST /openai/echo HTTP/1.1\r\n${host}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    `POST /openai/echo HTTP/1.1\r\n${host}content-length: -1\r\n\r\n`,
    `GET /openai/echo HTTP/1.1\r\n${host}x: ${'y'.repeat(100_000)}\r\n\r\n`,
    `GET /openai/echo HTTP/1.1\r\n${host}host: evil.example\r\nbad header\r\n\r\n`,
    'CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n',
  ]
  upstream.forget()
  for (const text of bytes)
    assert.doesNotMatch(await junk(proxy, text), /^HTTP\/1.1 2/, JSON.stringify(text.slice(0, 60)))
  assert.deepEqual(upstream.requests, [])
  assert.equal((await ask('/openai/v1/models')).status, 200)
  const traced = await junk(proxy, `TRACE /openai/echo HTTP/1.1\r\n${host}connection: close\r\n\r\n`)
  assert.match(traced, /^HTTP\/1.1 501/)
})

/* ───────────────────────────── what goes wrong ───────────────────────────── */

test('each error of ours has a status, a code and the next step, in the form of the SDKs', async () => {
  for (const [path, status, code, next] of [
    ['/empty/echo', 401, 'NO_ACCOUNT', /provider-auth login empty/],
    ['/nowhere/echo', 502, 'NETWORK', /ECONNREFUSED/],
    ['/nothing/echo', 404, 'UNKNOWN_PROVIDER', /not served/],
  ]) {
    const { text, headers, ...rest } = await ask(path)
    const { type, error } = JSON.parse(text)
    assert.deepEqual([rest.status, type, error.code], [status, 'error', code])
    assert.match(error.message, next)
    assert.equal(typeof error.type, 'string')
    assert.equal(headers['x-should-retry'], 'false')
    assert.equal(headers['content-type'], 'application/json')
  }
  assert.equal(
    (await ask('/openai/echo', { method: 'GET', headers: { 'content-length': '2' }, body: '{}' })).status,
    400,
  )
})

test('where all accounts rest the client learns for how long, and not to try again', async () => {
  upstream.plan('claude', { status: 429, headers: { 'retry-after': '3000' }, body: bodies.spent, times: Infinity })
  const headers = { 'content-type': 'application/json' }
  const call = { method: 'POST', headers, body: '{"model":"small-1"}' }
  await ask('/anthropic/echo', call)
  upstream.forget()
  const resting = await ask('/anthropic/echo', call)
  assert.equal(resting.status, 429)
  assert.ok(Number(resting.headers['retry-after']) > 2900)
  assert.equal(resting.headers['x-should-retry'], 'false')
  assert.match(JSON.parse(resting.text).error.message, /cooling down/)
  assert.deepEqual(upstream.requests, [])
  upstream.behave('claude')
})

test('a body of up to 32 MiB is sent again with another account, and a longer one is sent once', async () => {
  const call = (size, headers) => ({ method: 'POST', headers, body: 'x'.repeat(size) })
  const limit = { status: 429, headers: { 'retry-after': '3000' }, body: bodies.spent }
  const [long, longer] = [32 * 1024 * 1024, 32 * 1024 * 1024 + 1]
  for (const size of [long, longer]) {
    upstream.forget()
    upstream.plan('*', limit)
    const { status, text } = await ask('/pair/echo', call(size))
    upstream.behave()
    const sizes = upstream.requests.map(({ body }) => body.length)
    if (size === long) assert.deepEqual([status, sizes, JSON.parse(text).body.length], [200, [long, long], long])
    else assert.deepEqual([status, sizes], [429, [longer]])
    await sandbox.output('await auth.clearCooldowns({})')
  }
})

/* ───────────────────────────── its token ───────────────────────────── */

test('proxy env prints what the clients of each provider read, in the words of a shell', async () => {
  const { address, token } = proxy
  const env = (provider, ...more) => answer(sandbox, 'proxy-env', ['proxy', 'env', provider, ...more])
  assert.deepEqual((await env('openai')).variables, { OPENAI_BASE_URL: `${address}/openai/v1`, OPENAI_API_KEY: token })
  assert.deepEqual((await env('anthropic')).variables, {
    ANTHROPIC_BASE_URL: `${address}/anthropic`,
    ANTHROPIC_API_KEY: token,
  })
  const google = (await env('google')).variables
  assert.deepEqual([google.GOOGLE_GEMINI_BASE_URL, google.GEMINI_API_KEY], [`${address}/google`, token])
  assert.deepEqual((await env('acme.ai', '--namespace', 'work team')).variables, {
    ACME_AI_BASE_URL: `${address}/acme.ai@work%20team`,
    ACME_AI_API_KEY: token,
  })
  assert.equal((await env('notes')).variables.NOTES_BASE_URL, `${address}/notes/mcp`)
  const lines = async (shell) => (await command(sandbox, ['proxy', 'env', 'openai', '--shell', shell])).stdout
  const url = `${address}/openai/v1`
  assert.equal(await lines('sh'), `export OPENAI_BASE_URL='${url}'\nexport OPENAI_API_KEY='${token}'\n`)
  assert.equal(await lines('fish'), `set -gx OPENAI_BASE_URL '${url}'\nset -gx OPENAI_API_KEY '${token}'\n`)
  assert.equal(await lines('powershell'), `$env:OPENAI_BASE_URL = '${url}'\n$env:OPENAI_API_KEY = '${token}'\n`)
  for (const provider of ['nothing', 'azure'])
    assert.equal((await failure(sandbox, ['proxy', 'env', provider])).code, 'UNKNOWN_PROVIDER')
})

test('the file that tells of the proxy is its owner’s alone, and one of a dead proxy is told of', async () => {
  const second = await startProxy(sandbox)
  const file = join(sandbox.vaultDir, `proxy-${second.port}.json`)
  if (!onWindows) assert.equal(statSync(file).mode & 0o777, 0o600)
  const several = await failure(sandbox, ['proxy', 'env', 'openai'])
  assert.equal(several.exit, 2)
  for (const { port } of [proxy, second]) assert.ok(several.message.includes(port))
  second.child.kill('SIGKILL')
  await second.ended
  assert.ok(existsSync(file))
  const dead = await failure(sandbox, ['proxy', 'env', 'openai', '--port', String(second.port)])
  assert.deepEqual([dead.exit, dead.code], [1, 'PROXY_NOT_RUNNING'])
  assert.match(dead.why, new RegExp(`process ${second.child.pid}`))
  assert.ok(!existsSync(file))
  assert.equal((await answer(sandbox, 'proxy-env', ['proxy', 'env', 'openai'])).token, proxy.token)
})

test('a token file is made once, and taken only where its owner alone can read it', { skip: onWindows }, async () => {
  const file = join(sandbox.work, 'not-yet-there/token')
  const tokens = []
  for (const _ of [1, 2]) {
    const { token, child, ended } = await startProxy(sandbox, { args: ['--token-file', file] })
    tokens.push(token)
    child.kill('SIGTERM')
    await ended
  }
  assert.equal(tokens[0], tokens[1])
  assert.notEqual(tokens[0], proxy.token)
  assert.equal(readFileSync(file, 'utf8'), `${tokens[0]}\n`)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(statSync(dirname(file)).mode & 0o777, 0o700)

  const refused = async (path, pattern) => {
    const { exit, code, why } = await failure(sandbox, ['proxy', '--port', '0', '--token-file', path])
    assert.deepEqual([exit, code], [1, 'PROXY_TOKEN_FILE'])
    assert.match(why, pattern)
    assert.ok(!why.includes(tokens[0]))
  }
  symlinkSync(file, `${file}-link`)
  await refused(`${file}-link`, /link/)
  writeFileSync(`${file}-short`, 'too short', { mode: 0o600 })
  await refused(`${file}-short`, /at least 32/)
  writeFileSync(`${file}-words`, `${'a '.repeat(40)}`, { mode: 0o600 })
  await refused(`${file}-words`, /without spaces/)
  execFileSync('mkfifo', ['-m', '600', `${file}-pipe`])
  await refused(`${file}-pipe`, /not a regular file/)
  mkdirSync(`${file}-folder`, { mode: 0o700 })
  await refused(`${file}-folder`, /not a regular file/)
  for (const mode of [0o640, 0o604, 0o620]) {
    chmodSync(file, mode)
    await refused(file, /other users/)
  }
})

/* ───────────────────────────── its beginning and its end ───────────────────────────── */

test('a port that is taken is named, and it listens on loopback alone', async () => {
  const busy = createServer()
  await once(busy.listen(await freePort(), '127.0.0.1'), 'listening')
  const { port } = busy.address()
  const { exit, code, message } = await failure(sandbox, ['proxy', '--port', String(port)])
  busy.close()
  assert.deepEqual([exit, code], [1, 'PORT_BUSY'])
  assert.match(message, new RegExp(`port ${port} of 127.0.0.1`))
  for (const wrong of ['-1', '65536', 'http', ''])
    assert.equal((await failure(sandbox, ['proxy', '--port', wrong])).exit, 2)

  assert.equal(await junk(proxy, 'GET / HTTP/1.0\r\n\r\n', '::1'), '', 'not at ::1 unless that is asked for')
  if (process.platform === 'linux') {
    const hex = proxy.port.toString(16).toUpperCase().padStart(4, '0')
    const listening = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/net/${name}`, 'utf8').split('\n'))
    const places = listening
      .filter((line) => line.includes(`:${hex} `) && / 0A /.test(line))
      .map((line) => line.trim().split(/\s+/)[1])
    assert.deepEqual(places, [`0100007F:${hex}`])
  }
})

test('at a signal it lets running requests end, and a second one ends it at once', { skip: onWindows }, async () => {
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ]) {
    const one = await startProxy(sandbox)
    upstream.plan('ada', { status: 200, body: '{"late":true}', delayMs: 700 })
    upstream.forget()
    const late = raw(one, { path: '/openai/echo', headers: bearer(one) })
    await until('the request has arrived', () => upstream.requests.length === 1)
    one.child.kill(signal)
    assert.equal((await late).text, '{"late":true}', signal)
    assert.equal((await one.ended).code, code)
    assert.ok(!existsSync(join(sandbox.vaultDir, `proxy-${one.port}.json`)))
    await assert.rejects(raw(one, { path: '/' }), /ECONNREFUSED/)
  }
  const hanging = await startProxy(sandbox)
  upstream.plan('ada', { hang: true })
  upstream.forget()
  const lost = assert.rejects(raw(hanging, { path: '/openai/echo', headers: bearer(hanging) }))
  await until('the request has arrived', () => upstream.requests.length === 1)
  hanging.child.kill('SIGINT')
  await until('it no longer listens', () =>
    raw(hanging, { path: '/' }).then(
      () => false,
      ({ code }) => code === 'ECONNREFUSED',
    ),
  )
  hanging.child.kill('SIGINT')
  assert.equal((await hanging.ended).code, 130)
  await lost
})

test('one that begins on the port while requests of the last one still run is found', { skip: onWindows }, async () => {
  const last = await startProxy(sandbox)
  upstream.plan('ada', { status: 200, body: '{}', delayMs: 4000 })
  upstream.forget()
  const late = raw(last, { path: '/openai/echo', headers: bearer(last) })
  await until('the request has arrived', () => upstream.requests.length === 1)
  last.child.kill('SIGTERM')
  await until('it no longer listens', () =>
    raw(last, { path: '/' }).then(
      () => false,
      () => true,
    ),
  )
  const next = await startProxy(sandbox, { args: ['--port', String(last.port)] })
  assert.equal((await late).status, 200)
  await last.ended
  const { token } = await answer(sandbox, 'proxy-env', ['proxy', 'env', 'openai', '--port', String(next.port)])
  assert.equal(token, next.token)
  next.child.kill('SIGTERM')
  await next.ended
  assert.ok(!existsSync(join(sandbox.vaultDir, `proxy-${next.port}.json`)))
})

test('connections on which nothing was asked do not hold up its end', { skip: onWindows }, async () => {
  const one = await startProxy(sandbox)
  const silent = [
    connect(one.port, '127.0.0.1'),
    connect(one.port, '127.0.0.1', function () {
      this.write('GET /openai/echo HTTP/1.1\r\nhost: ')
    }),
  ]
  await Promise.all(silent.map((socket) => once(socket, 'connect')))
  upstream.plan('ada', { status: 200, body: '{"late":true}', delayMs: 3000 })
  upstream.forget()
  const ends = []
  for (const socket of silent) socket.on('error', () => {}).once('close', () => ends.push('silent'))
  const late = raw(one, { path: '/openai/echo', headers: bearer(one) })
  await until('the request has arrived', () => upstream.requests.length === 1)
  one.child.kill('SIGTERM')
  assert.equal((await late).text, '{"late":true}')
  ends.push('late')
  assert.equal((await one.ended).code, 143)
  assert.deepEqual(ends, ['silent', 'silent', 'late'])
})

test('what still runs when the time is over is cut off, and that is said', { skip: onWindows }, async () => {
  const one = await startProxy(sandbox)
  upstream.plan('ada', { sse: ['data: {"choices":[{"delta":{"content":"a"}}]}\n\n'], end: 'hang' })
  upstream.forget()
  const lost = assert.rejects(raw(one, { path: '/openai/v1/chat/completions', method: 'POST', headers: bearer(one) }))
  await until('the request has arrived', () => upstream.requests.length === 1)
  one.child.kill('SIGTERM')
  await lost
  const { code, stderr } = await one.ended
  assert.equal(code, 143)
  assert.match(stderr, /1 request runs, and may take 10 s/)
  assert.match(stderr, /1 request was cut off/)
})

test('without an account, or a vault that opens, it does not start', async () => {
  const none = await failure(sandbox, ['proxy', '--port', '0'], {
    env: { PROVIDER_AUTH_DIR: join(sandbox.dir, 'none') },
  })
  assert.deepEqual([none.exit, none.code], [3, 'NO_ACCOUNT'])
  const locked = await failure(sandbox, ['proxy', '--port', '0'], {
    env: { PROVIDER_AUTH_KEY: Buffer.alloc(32).toString('base64') },
  })
  assert.deepEqual([locked.exit, locked.code], [4, 'VAULT_KEY_MISMATCH'])
})

test('nothing that it prints or leaves holds a secret', async () => {
  proxy.child.kill('SIGTERM')
  const { stdout, stderr } = await proxy.ended
  const logs = readdirSync(sandbox.vaultDir)
    .filter((name) => /\.(?:jsonl?|log)$/.test(name))
    .map((name) => readFileSync(join(sandbox.vaultDir, name), 'utf8'))
  for (const text of [stdout, stderr, ...logs])
    for (const secret of [...KEYS, proxy.token]) assert.ok(!text.includes(secret), text)
  assert.match(stderr, /provider-auth proxy env/)
})
