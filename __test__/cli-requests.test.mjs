/** The commands that hand a credential to other programs, and those that tell what a request would get. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { answer, assertFits, command, failure } from './support/cli.mjs'
import { openShell } from './support/cli-shell.mjs'
import { openStage } from './support/stage.mjs'
import { hasTmux } from './support/tmux.mjs'
import { until } from './support/until.mjs'
import { bodies } from './support/upstream.mjs'

const PROCESSES = 8
/** A key of letters that a config of curl writes otherwise. */
const STRANGE_KEY = String.raw`sk-"quoted"\n\t\\$HOME'{a,b}[1-2]`

const { oidc, upstream, sandbox, library, logIn, openPool } = await openStage({
  name: 'cli-requests',
  rotation: { maxWaitMs: 0 },
  providers: ({ oidc, upstream }) => ({
    azure: oidc.config({ origins: [upstream.origin] }),
    keyed: { origins: [upstream.origin] },
    listless: { origins: [`${upstream.origin}`], modelsUrl: `${upstream.origin}/nothing` },
  }),
})
upstream.admit(STRANGE_KEY, 'key')
await library.addApiKey({ provider: 'keyed', apiKey: STRANGE_KEY, label: 'strange' })
await library.addApiKey({ provider: 'keyed', apiKey: 'sk-spare', label: 'spare' })

const hasCurl = spawnSync('curl', ['--version']).status === 0
const output = async (args) => {
  const { code, stdout, stderr } = await command(sandbox, args)
  assert.equal(code, 0, stderr)
  return stdout
}

test('token prints the credential and nothing else; with --json the header that it belongs in', async () => {
  assert.equal(await output(['token', 'keyed']), `${STRANGE_KEY}\n`)
  assert.equal(await output(['token', 'keyed', '--account', 'spare']), 'sk-spare\n')
  const key = await answer(sandbox, 'token', ['token', 'keyed'])
  assert.deepEqual([key.token, key.header, key.scheme], [STRANGE_KEY, 'authorization', 'Bearer'])
  assert.ok(!('expiresAt' in key))

  const { users, ids, namespace } = await openPool(['ada'])
  const login = await answer(sandbox, 'token', ['token', 'local', '--namespace', namespace])
  assert.equal(oidc.owner(login.token), users[0])
  assert.equal(login.accountId, ids[0])
  assert.ok(login.expiresAt > Date.now())
})

test('a token that lives on is not renewed, however often it is asked for', async () => {
  const { namespace } = await openPool(['ada'])
  const before = oidc.counters.refreshRequests
  const tokens = [await output(['token', 'local', '--namespace', namespace])]
  tokens.push(await output(['token', 'local', '--namespace', namespace]))
  assert.equal(tokens[0], tokens[1])
  assert.equal(oidc.counters.refreshRequests, before)
})

test('a token that has ended is renewed once for all processes that ask for it', async () => {
  oidc.setAccessTokenSeconds(1)
  const { users, namespace } = await openPool(['ada'])
  oidc.setAccessTokenSeconds(3600)
  const old = (await library.listAccounts({ namespace }))[0].expiresAt
  await until('the token has ended', () => Date.now() > old)
  const before = { ...oidc.counters }
  const args = ['token', 'local', '--namespace', namespace]
  const tokens = await Promise.all(Array.from({ length: PROCESSES }, () => output(args)))
  assert.equal(new Set(tokens).size, 1)
  assert.equal(oidc.owner(tokens[0].trim()), users[0])
  assert.equal(oidc.counters.refreshRequests, before.refreshRequests + 1)
  assert.equal(oidc.counters.invalidGrants, before.invalidGrants)
})

test('headers are a config for curl, lines or an object, and each of them lets a request in', async (t) => {
  const asked = ['headers', 'keyed', `${upstream.baseURL}/models?q=[1]&r={2}`]
  const object = await answer(sandbox, 'headers', asked)
  assert.deepEqual(object.headers, { authorization: `Bearer ${STRANGE_KEY}` })
  assert.ok(object.strip.includes('x-api-key'))
  assert.deepEqual(JSON.parse(await output([...asked, '--format', 'json'])), object)
  assert.equal(await output([...asked, '--format', 'lines']), `authorization: Bearer ${STRANGE_KEY}\n`)
  assert.deepEqual(JSON.parse(await output([...asked, '--format', 'object'])), object.headers)

  if (!hasCurl) return t.skip('no curl here')
  for (const [format, args] of [
    ['curl', ['-K', '-']],
    ['lines', ['-g', '-H', '@-', object.url]],
  ]) {
    upstream.forget()
    const status = await piped(
      'curl',
      ['-sS', '-o', '/dev/null', '-w', '%{http_code}', ...args],
      await output([...asked, '--format', format]),
    )
    assert.equal(status, '200', format)
    assert.equal(upstream.requests[0].path, '/v1/models?q=[1]&r={2}', format)
  }
})

test('a credential goes to no other origin than the provider’s', async () => {
  for (const args of [
    ['headers', 'keyed', 'https://evil.example/'],
    ['token', 'keyed', '--url', 'https://evil.example/'],
  ]) {
    const { exit, code } = await failure(sandbox, args)
    assert.deepEqual([exit, code], [1, 'ORIGIN_NOT_ALLOWED'], args.join(' '))
  }
  for (const url of ['http://192.0.2.1/', 'ftp://127.0.0.1/', 'file:///etc/hosts']) {
    const { code, message, next } = await failure(sandbox, ['headers', 'keyed', url])
    assert.equal(code, 'ORIGIN_NOT_ALLOWED', url)
    assert.match(message, /neither https nor http to this machine/, url)
    assert.doesNotMatch(next, /config edit/, 'no configuration allows it')
  }
  assert.equal((await failure(sandbox, ['token', 'keyed', '--url', ''])).exit, 2)
  assert.equal((await failure(sandbox, ['headers', 'keyed', ''])).exit, 2)
})

test('a URL that curl and the library read differently gets no credential', async () => {
  const { origin } = new URL(upstream.baseURL)
  for (const form of ['curl', 'lines', 'json', 'object'])
    for (const url of [
      `${origin}\\@localhost:1/`,
      `${origin}\\.localhost:1/`,
      ` ${origin}/`,
      `${origin}/\n`,
      `${origin}\t/`,
    ]) {
      const { exit, message } = await failure(sandbox, ['headers', 'keyed', url, '--format', form])
      assert.equal(exit, 2, url)
      assert.match(message, /backslash/)
    }
  const { stdout } = await command(sandbox, ['headers', 'keyed', `${origin}#@localhost:1/`])
  assert.match(stdout, new RegExp(`^url = "${origin}/#@localhost:1/"$`, 'm'))
})

test('on a terminal a secret is shown only when that is asked for', { skip: !hasTmux }, async () => {
  for (const args of [
    ['token', 'keyed', '--account', 'spare'],
    ['headers', 'keyed', upstream.baseURL, '--account', 'spare', '--format', 'lines'],
  ]) {
    const refused = await openShell(sandbox, args)
    const shown = await openShell(sandbox, [...args, '--show'])
    try {
      await refused.shows(/--show/)
      await refused.shows(/^ended with 2, echo on$/m)
      assert.ok(refused.seen.every((screen) => !screen.includes('sk-spare')))
      await shown.shows(/sk-spare/)
    } finally {
      await refused.close()
      await shown.close()
    }
  }
})

test('without an account, a login or a free account, the exit code says which, and no secret is said', async () => {
  const { namespace, ids, users, ask } = await openPool(['ada'])
  const pool = ['--namespace', namespace]
  const none = await failure(sandbox, ['token', 'local', '--namespace', 'empty'])
  assert.deepEqual([none.exit, none.code], [3, 'NO_ACCOUNT'])
  assert.match(none.next, /login local/)
  assert.equal((await failure(sandbox, ['token', 'nothing'])).code, 'UNKNOWN_PROVIDER')
  assert.equal((await failure(sandbox, ['token', 'keyed', '--account', 'nobody'])).code, 'UNKNOWN_ACCOUNT')

  upstream.plan(users[0], { status: 429, headers: { 'retry-after': '3000' }, body: bodies.spent, times: Infinity })
  assert.equal((await ask()).status, 429)
  const spent = await failure(sandbox, ['token', 'local', ...pool])
  assert.deepEqual([spent.exit, spent.code], [5, 'EXHAUSTED'])
  assert.ok(spent.retryAt > Date.now())
  const resting = await explained(['local', ...pool], 5)
  assert.deepEqual([resting.outcome, resting.accounts[0].chance], ['exhausted', 'resting'])
  assert.match(
    (await command(sandbox, ['explain', 'local', ...pool])).stdout,
    new RegExp(`${users[0]} +rests until .*, in (50|49) min`),
  )

  await library.clearCooldowns({ namespace })
  oidc.revokeGrants(users[0])
  await assert.rejects(library.refreshAccount(ids[0], { force: true }))
  const ended = await failure(sandbox, ['token', 'local', ...pool])
  assert.deepEqual([ended.exit, ended.code], [3, 'NEEDS_LOGIN'])
  assert.equal((await explained(['local', ...pool], 3)).outcome, 'needs_login')

  const said = JSON.stringify([none, spent, ended, resting])
  for (const token of oidc.issuedTokens()) assert.ok(!said.includes(token))
})

test('explain names who serves and why each other does not, and changes nothing', async () => {
  const { users, ids, namespace } = await openPool(['ada', 'bo'])
  await library.updateAccount(ids[1], { enabled: false })
  const asked = ['local', '--namespace', namespace]
  const trace = await explained(asked, 0)
  assert.deepEqual([trace.outcome, trace.accountId], ['serve', ids[0]])
  assert.deepEqual(
    trace.accounts.map(({ label, chance }) => [label, chance]),
    [
      [users[0], 'eligible'],
      [users[1], 'disabled'],
    ],
  )
  const { stdout } = await command(sandbox, ['explain', ...asked])
  assert.match(stdout, new RegExp(`^${users[0]} serves local: `))
  assert.match(stdout, new RegExp(`${users[1]} +is disabled`))
  const refused = await explained([...asked.slice(0, 1), 'https://evil.example', ...asked.slice(1)], 1)
  assert.equal(refused.outcome, 'origin_refused')
  assert.equal((await explained(['local', '--namespace', 'empty'], 3)).outcome, 'no_account')
  const pinned = await explained([...asked, '--account', ids[0]], 0)
  assert.equal(pinned.rule, 'pinned')
})

test('models lists what the provider offers, and says when the list is an old one', async () => {
  const list = await answer(sandbox, 'models', ['models', 'keyed'])
  assert.deepEqual(
    list.models.map(({ id }) => id),
    ['small-1', 'large-1'],
  )
  assert.equal(await output(['models', 'keyed']), 'MODEL\nsmall-1\nlarge-1\n')
  upstream.forget()
  await output(['models', 'keyed'])
  assert.equal(upstream.requests.length, 0, 'a list is kept')
  upstream.plan('key', { drop: true, times: 20 })
  const { code, stdout, stderr } = await command(sandbox, ['models', 'keyed', '--refresh'])
  upstream.behave('key')
  assert.equal(code, 0, stderr)
  assert.match(stdout, /small-1/)
  assert.match(stderr, /could not be asked/)
  await output(['models', 'keyed', '--refresh'])
  assert.equal((await failure(sandbox, ['models', 'listless'])).exit, 3)
})

test('exec says until when an access token is good that ends within the hour', async () => {
  const user = (await logIn('eve', { namespace: 'short' })).label
  const script = join(sandbox.work, 'print.mjs')
  writeFileSync(script, 'console.log(process.env.TOKEN)')
  const args = ['exec', 'local', '--namespace', 'short', '--env', 'TOKEN', '--', process.execPath, script]
  const { code, stdout, stderr } = await command(sandbox, args)
  assert.equal(code, 0, stderr)
  assert.equal(oidc.owner(stdout.trim()), user)
  assert.match(stderr, /the access token in TOKEN ends in (59 min|1 h)/)
  assert.equal((await command(sandbox, ['exec', '-q', ...args.slice(1)])).stderr, '')
})

test('an access token goes into the variable for access tokens, where a key would go into another header', async () => {
  await logIn('zoe', { provider: 'azure' })
  const print = ['exec', 'azure', '-q', '--', process.execPath, '-p', 'JSON.stringify(process.env)']
  const { stdout } = await command(sandbox, print, { env: { AZURE_API_KEY: 'an old key', AZURE_REGION: 'here' } })
  const env = JSON.parse(stdout)
  assert.equal(oidc.owner(env.AZURE_OPENAI_AD_TOKEN), 'zoe')
  assert.deepEqual([env.AZURE_API_KEY, env.AZURE_OPENAI_API_KEY, env.AZURE_REGION], [undefined, undefined, 'here'])
})

/** The answer of `explain`, which has an exit code of its own. */
async function explained(args, exit) {
  const { code, stdout, stderr } = await command(sandbox, ['explain', ...args, '--json'])
  assert.equal(code, exit, stderr)
  const value = JSON.parse(stdout)
  assertFits('explain', value)
  return value
}

/** What a program prints that reads this. */
function piped(program, args, input) {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, (error, stdout) => (error === null ? resolve(stdout) : reject(error)))
    child.stdin.end(input)
  })
}
