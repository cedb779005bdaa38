/**
 * `docs/credential-commands.md`: a stand-in for each tool takes the example from the page, and runs the command as that tool
 * documents it: arguments, shell, standard input, time-out, exit code, what is on standard output.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { signIn } from './support/agent.mjs'
import { COMMAND } from './support/cli.mjs'
import { startMcp } from './support/dialects/mcp.mjs'
import { visit } from './support/dialects/strict.mjs'
import { examplesOf } from './support/examples.mjs'
import { createSession } from './support/keyring.mjs'
import { startOidcProvider } from './support/oidc.mjs'
import { createSandbox, LIBRARY_URL } from './support/sandbox.mjs'
import { until } from './support/until.mjs'
import { startUpstream } from './support/upstream.mjs'

/** Of a stand-in, where the tool sets none: no test waits for less. */
const LONG_MS = 120_000

const examples = examplesOf('docs/credential-commands.md')
const upstream = await startUpstream({ keys: { 'sk-ada': 'ada', 'sk-bob': 'bob', 'gw-key': 'gateway' } })
const mcp = await startMcp()
const git = await startGitServer('acme-token')
const oidc = await startOidcProvider()
const { origin } = upstream
const sandbox = createSandbox({
  name: 'commands',
  config: {
    providers: {
      ...Object.fromEntries(['openai', 'anthropic', 'google', 'gateway'].map((id) => [id, { origins: [origin] }])),
      acme: { origins: [git.origin] },
      empty: { origins: [origin] },
      desk: oidc.config({ origins: [origin] }),
    },
  },
})
const bin = join(sandbox.dir, 'bin')
mkdirSync(bin)
symlinkSync(COMMAND, join(bin, 'provider-auth'))
const env = { ...sandbox.env, PATH: `${bin}:${process.env.PATH}` }
sandbox.enter()
const library = await import(LIBRARY_URL)

before(async () => {
  for (const [provider, label, apiKey] of [
    ['anthropic', 'ada', 'sk-ada'],
    ['anthropic', 'bob', 'sk-bob'],
    ['openai', 'ada', 'sk-ada'],
    ['google', 'ada', 'sk-ada'],
    ['gateway', 'it', 'gw-key'],
    ['acme', 'it', 'acme-token'],
  ])
    await library.addApiKey({ provider, label, apiKey, priority: label === 'bob' ? 1 : 0 })
  const session = await library.startLogin({ provider: 'notes', resource: mcp.url, method: 'browser' })
  const [account] = await Promise.all([session.finish(), visit(session.url)])
  assert.equal(account.state, 'ready')
})
after(async () => {
  for (const server of [upstream, mcp, git, oidc]) await server.close()
  sandbox.cleanup()
})

const ADDRESSES = {
  'https://mcp.notes.example/mcp': mcp.url,
  'https://git.acme.example': git.origin,
  'https://gateway.acme.example': origin,
  'https://api.openai.com': origin,
}
/** An example with addresses of this machine. */
function example(heading, language, nth = 0) {
  const text = examples(heading, language)[nth]
  return Object.entries(ADDRESSES).reduce((all, [there, here]) => all.replaceAll(there, here), text)
}

/** Runs a command as tools do; resolves to `{ code, stdout, stderr }`. A time-out ends it, and rejects. */
function run(command, args, { timeoutMs = LONG_MS, stdin = 'ignore', env: extra = {}, cwd = sandbox.work } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...env, ...extra }, stdio: [stdin, 'pipe', 'pipe'] })
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${command} timed out after ${timeoutMs} ms`))
    }, timeoutMs)
    const said = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr']) child[name].on('data', (chunk) => (said[name] += chunk))
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve({ code, ...said })
    })
  })
}

/** Asks the API as a tool does that has this credential. */
const asked = (headers, path = '/v1/models') => fetch(`${origin}${path}`, { headers })

describe('Claude Code', () => {
  /** A command line of the shell; standard input is a pipe that stays open. The answer is trimmed, and must not be empty. */
  async function helperKey(helper, options) {
    const { code, stdout, stderr } = await run('/bin/sh', ['-c', helper], { stdin: 'pipe', ...options })
    if (code !== 0 || stdout.trim() === '') throw Object.assign(new Error(`apiKeyHelper failed: ${stderr}`), { code })
    return stdout.trim()
  }
  const settings = JSON.parse(example('Claude Code', 'json'))

  test('its helper gets the key of the account that serves', async () => {
    const key = await helperKey(settings.apiKeyHelper)
    assert.equal(key, 'sk-ada')
    assert.equal((await asked({ 'x-api-key': key, authorization: `Bearer ${key}` })).status, 200)
    assert.ok(Number(settings.env.CLAUDE_CODE_API_KEY_HELPER_TTL_MS) >= 60_000)
  })

  test('the key alone is on standard output, whatever the environment asks for', async () => {
    for (const more of [
      { FORCE_COLOR: '3', CLICOLOR_FORCE: '1', TERM: 'xterm-256color' },
      { CI: 'true', NO_COLOR: '1' },
      { PROVIDER_AUTH_LOG: 'trace' },
      { NODE_OPTIONS: '--trace-warnings' },
    ]) {
      const { code, stdout } = await run('/bin/sh', ['-c', settings.apiKeyHelper], { env: more })
      assert.deepEqual([code, stdout], [0, 'sk-ada\n'], JSON.stringify(more))
    }
  })

  test('an account that rests is not handed out', async () => {
    const { attempt, accountId } = await library.getAuthHeaders({ provider: 'anthropic', url: `${origin}/v1/messages` })
    const headers = { 'retry-after': '3600' }
    await library.reportResponse({ attempt, status: 429, headers, body: '{}' })
    assert.equal(await helperKey(settings.apiKeyHelper), 'sk-bob')
    await library.clearCooldowns({ account: accountId })
    assert.equal(await helperKey(settings.apiKeyHelper), 'sk-ada')
  })

  test('without an account, or without the vault’s key, it fails with nothing on standard output', async () => {
    const none = await run('/bin/sh', ['-c', 'provider-auth token empty'])
    assert.deepEqual([none.code, none.stdout], [3, ''])
    assert.match(none.stderr, /provider-auth login empty/)
    const env = { PROVIDER_AUTH_KEY: '' }
    const closed = await run('/bin/sh', ['-c', settings.apiKeyHelper], { env })
    assert.deepEqual([closed.code, closed.stdout], [4, ''])
    assert.doesNotMatch(closed.stderr, /sk-ada/)
  })
})

describe('MCP servers in Claude Code', () => {
  /** A command line of the shell, 10 s in Claude Code itself; its output is an object of texts. */
  async function helperHeaders(helper, more = {}) {
    const { code, stdout, stderr } = await run('/bin/sh', ['-c', helper], { env: more })
    assert.equal(code, 0, stderr)
    const headers = JSON.parse(stdout)
    assert.ok(headers !== null && typeof headers === 'object' && !Array.isArray(headers))
    for (const [name, value] of Object.entries(headers)) assert.equal(typeof value, 'string', name)
    return headers
  }
  const admitted = async (headers) =>
    (await fetch(mcp.url, { method: 'POST', headers, body: '{"method":"tools/list"}' })).status

  test('its helper gets an object of headers, with which the server lets it in', async () => {
    const { type, url, headersHelper } = JSON.parse(example('MCP servers in Claude Code', 'json')).mcpServers.notes
    assert.deepEqual([type, url], ['http', mcp.url])
    const headers = await helperHeaders(headersHelper)
    assert.deepEqual(Object.keys(headers), ['authorization'])
    assert.equal(await admitted(headers), 200)
    assert.equal(await admitted({}), 401)
  })

  test('one line serves every server, by its name and address in the environment', async () => {
    const { headersHelper } = JSON.parse(example('MCP servers in Claude Code', 'json', 1))
    const more = { CLAUDE_CODE_MCP_SERVER_NAME: 'notes', CLAUDE_CODE_MCP_SERVER_URL: mcp.url }
    assert.equal(await admitted(await helperHeaders(headersHelper, more)), 200)
    const elsewhere = { ...more, CLAUDE_CODE_MCP_SERVER_URL: 'https://elsewhere.example/mcp' }
    const { code, stdout } = await run('/bin/sh', ['-c', headersHelper], { env: elsewhere })
    assert.deepEqual([code, stdout], [1, ''])
  })
})

test('Claude Desktop: an executable without arguments prints the token', async () => {
  const file = join(sandbox.dir, 'helper')
  writeFileSync(file, example('Claude Desktop', 'sh'))
  chmodSync(file, 0o755)
  const { code, stdout } = await run(file, [], { timeoutMs: LONG_MS, env: { CLAUDE_HELPER_CONTEXT: 'background' } })
  assert.deepEqual([code, stdout.trim()], [0, 'gw-key'])
})

describe('Codex', () => {
  const config = parseToml(example('Codex', 'toml'))
  const { auth, base_url: baseUrl, ...vault } = config.model_providers.vault

  /** Without a shell or standard input; the output is trimmed, and must not be empty. */
  async function bearer({ command, args = [], timeout_ms: timeoutMs = 5000 }) {
    const { code, stdout, stderr } = await run(command, args, { timeoutMs: Math.max(timeoutMs, LONG_MS) })
    if (code !== 0) throw Object.assign(new Error(`exited with ${code}: ${stderr.trim()}`), { code })
    if (stdout.trim() === '') throw new Error('produced an empty token')
    return stdout.trim()
  }

  test('its configuration is one that Codex takes', () => {
    assert.equal(config.model_provider, 'vault')
    assert.deepEqual(Object.keys(vault), ['name', 'wire_api'])
    assert.equal(vault.wire_api, 'responses')
    assert.deepEqual(Object.keys(auth), ['command', 'args', 'timeout_ms', 'refresh_interval_ms'])
    for (const number of [auth.timeout_ms, auth.refresh_interval_ms]) assert.ok(Number.isInteger(number) && number > 0)
  })

  test('its command gets the token', async () => {
    const token = await bearer(auth)
    const body = JSON.stringify({ model: 'gpt-5', input: 'hello' })
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const answer = await fetch(`${baseUrl}/responses`, { method: 'POST', headers, body })
    assert.deepEqual([answer.status, token], [200, 'sk-ada'])
  })

  test('no token is printed for an address that it may not go to', async () => {
    const args = auth.args.map((arg) => arg.replace(origin, 'https://api.elsewhere.example'))
    await assert.rejects(bearer({ ...auth, args }), { code: 1 })
  })

  test('a keychain that stays locked ends the command, and keeps no tool waiting', {
    skip: spawnSync('gnome-keyring-daemon', ['--version']).status !== 0 && 'there is no GNOME Keyring here',
  }, async () => {
    const session = createSession()
    const dir = join(sandbox.dir, 'keychain-vault')
    try {
      await session.startBus()
      await session.startDaemon()
      const own = {
        ...session.env,
        PROVIDER_AUTH_DIR: dir,
        PROVIDER_AUTH_KEY: '',
        PROVIDER_AUTH_KEY_SOURCE: 'keychain',
      }
      const added = await run('/bin/sh', ['-c', 'echo sk-ada | provider-auth login openai --with-token'], { env: own })
      assert.equal(added.code, 0, added.stderr)
      const open = await run(auth.command, auth.args, { env: own })
      assert.equal(open.stdout, 'sk-ada\n', open.stderr)
      session.lock()
      const { code, stdout, stderr } = await run(auth.command, auth.args, { env: own })
      assert.deepEqual([code, stdout], [4, ''], stderr)
      assert.match(stderr, /keychain/)
    } finally {
      await session.close()
    }
  })
})

test('a time-out in the middle of a renewal does not cost the login where the tool asks the command to end', async () => {
  oidc.setAccessTokenSeconds(1)
  const account = await library.login({
    provider: 'desk',
    method: 'browser',
    onPrompt: (prompt) => void signIn(prompt, { user: 'ada' }),
  })
  oidc.setAccessTokenSeconds(3600)
  await until('the token has ended', () => Date.now() > account.expiresAt)
  // The server has used the refresh token up, and its answer is still on the way.
  oidc.setLatencyMs(0, 1000)
  const before = oidc.counters.refreshRequests
  const child = spawn('provider-auth', ['token', 'desk'], { cwd: sandbox.work, env, stdio: 'ignore' })
  const ended = new Promise((resolve) => child.once('close', resolve))
  await until('the renewal is under way', () => oidc.counters.refreshRequests > before)
  child.kill('SIGTERM')
  assert.equal(await ended, 143)
  const { code, stdout, stderr } = await run('provider-auth', ['token', 'desk'])
  assert.equal(code, 0, stderr)
  assert.equal(oidc.owner(stdout.trim()), 'ada')
  assert.deepEqual([oidc.counters.refreshRequests, oidc.counters.invalidGrants], [before + 1, 0])
})

describe('git', () => {
  const setUp = async (helper) => {
    const { code, stderr } = await run('/bin/sh', ['-c', helper])
    assert.equal(code, 0, stderr)
  }
  const list = () => run('git', ['ls-remote', `${git.origin}/repo.git`], { env: { GIT_TERMINAL_PROMPT: '0' } })

  test('a real git signs in with the token', async () => {
    assert.notEqual((await list()).code, 0, 'without the helper')
    await setUp(example('git', 'sh'))
    const { code, stdout, stderr } = await list()
    assert.equal(code, 0, stderr)
    assert.match(stdout, /refs\/heads\/main/)
  })

  test('without a token git goes on by itself, and nothing of ours is its password', async () => {
    await library.removeAccount((await library.listAccounts({ provider: 'acme' }))[0].id)
    const { code, stderr } = await list()
    assert.equal(code, 128)
    assert.match(stderr, /provider-auth login acme/)
    assert.match(stderr, /could not read Username/)
  })
})

describe('curl and scripts', { skip: spawnSync('curl', ['--version']).status !== 0 && 'no curl here' }, () => {
  test('a request, a stream and a script', async () => {
    const outputs = []
    for (const nth of [0, 1, 2]) {
      const { code, stdout, stderr } = await run('/bin/sh', ['-c', example('curl and scripts', 'sh', nth)])
      assert.equal(code, 0, stderr)
      outputs.push(stdout)
    }
    assert.equal(JSON.parse(outputs[0]).object, 'list')
    assert.match(outputs[1], /^data: .*served.*data: \[DONE\]/s)
    assert.equal(outputs[2], outputs[0])
  })

  test('a script ends with the exit code of the command, and without a question', async () => {
    const script = example('curl and scripts', 'sh', 2).replace('token openai', 'token empty')
    upstream.forget()
    const { code } = await run('/bin/sh', ['-c', script])
    assert.deepEqual([code, upstream.requests.length], [3, 0])
  })
})

describe('Tools that read a variable', () => {
  const [text] = examples('Tools that read a variable', 'sh')
  const lines = text.trim().split('\n')
  const variables = {
    openai: ['OPENAI_API_KEY'],
    google: ['GEMINI_API_KEY'],
    anthropic: ['ANTHROPIC_API_KEY'],
    notes: ['NOTES_TOKEN'],
  }

  for (const line of lines)
    test(line, async () => {
      const [, provider, words] = /^provider-auth exec (\w+) .*?-- (.+)$/.exec(line)
      const [tool, ...args] = words.split(' ')
      const print = `console.log(JSON.stringify({ args: process.argv.slice(2), env: process.env }))`
      writeFileSync(join(bin, tool), `#!${process.execPath}\n${print}\nprocess.exit(7)\n`, { mode: 0o755 })
      const { code, stdout, stderr } = await run('/bin/sh', ['-c', line])
      assert.equal(code, 7, stderr)
      const seen = JSON.parse(stdout)
      assert.deepEqual(
        seen.args,
        args.map((arg) => arg.replaceAll("'", '')),
      )
      for (const name of variables[provider]) {
        if (provider === 'notes') assert.ok(mcp.memory.owner(seen.env[name]) !== undefined)
        else assert.equal(seen.env[name], 'sk-ada')
      }
      assert.ok(!('PROVIDER_AUTH_KEY' in seen.env))
    })
})

/** A repository over HTTP, for those who have the token as a password. */
async function startGitServer(token) {
  const dir = createSandbox({ name: 'git' })
  const repo = join(dir.work, 'repo.git')
  const made = spawnSync(
    '/bin/sh',
    [
      '-c',
      `set -e; git init -q -b main tree; cd tree; git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m first
       cd ..; git clone -q --bare tree repo.git; git -C repo.git update-server-info`,
    ],
    { cwd: dir.work, env: dir.env, encoding: 'utf8' },
  )
  assert.equal(made.status, 0, made.stderr)
  const wanted = `Basic ${Buffer.from(`oauth2:${token}`).toString('base64')}`
  const server = createServer((request, response) => {
    if (request.headers.authorization !== wanted)
      return response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end()
    try {
      const { pathname } = new URL(request.url, 'http://localhost')
      return response.end(readFileSync(join(repo, pathname.replace(/^\/repo\.git\//, ''))))
    } catch {
      return response.writeHead(404).end()
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      dir.cleanup()
    },
  }
}

/** Reads the TOML of the example: tables, texts, numbers and lists of texts. */
function parseToml(text) {
  const root = {}
  let table = root
  for (const line of text.split('\n').filter((one) => one.trim() !== '')) {
    const [, path] = /^\[(.+)\]$/.exec(line) ?? []
    if (path !== undefined) {
      table = root
      for (const name of path.split('.')) table = table[name] ??= {}
      continue
    }
    const [, key, value] = /^(\w+) = (.+)$/.exec(line)
    table[key] = JSON.parse(value)
  }
  return root
}
