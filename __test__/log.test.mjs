/** What the log tells of a rotation, of a refresh and of a login: who, why and how long, and nothing secret. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openStage } from './support/stage.mjs'
import { until } from './support/until.mjs'
import { throttle } from './support/upstream.mjs'

/** A server that repeats all that it is told, in its answer's headers and in its body. */
const parrot = createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  const said = `${request.url} ${JSON.stringify(request.headers)} ${body}`
  const status = request.url.startsWith('/token') ? 400 : 429
  response.writeHead(status, {
    'content-type': 'application/json',
    'retry-after': said,
    'x-ratelimit-remaining-requests': said,
  })
  response.end(JSON.stringify({ error: 'invalid_request', error_description: said, message: said }))
})
await new Promise((resolve) => parrot.listen(0, '127.0.0.1', resolve))
after(() => parrot.close())
const parrotOrigin = `http://127.0.0.1:${parrot.address().port}`

const { upstream, sandbox, library, oidc, logIn } = await openStage({
  name: 'log',
  rotation: { maxWaitMs: 0 },
  providers: ({ upstream: { origin } }) => ({
    keys: { origins: [origin], notAKey: true },
    parrot: { origins: [parrotOrigin], rotation: { maxWaitMs: 0, maxAttempts: 1 } },
    echo: {
      origins: [parrotOrigin],
      tokenEndpoint: `${parrotOrigin}/token`,
      clientId: 'ours',
      clientSecret: '{env:ECHO_SECRET}',
    },
  }),
})
const file = join(sandbox.dir, 'trace.log')
process.env.ECHO_SECRET = 'seed-secret-6Cx1Bw8'
library.configure({ log: { level: 'trace', file } })

const secrets = ['key-of-ada', 'key-of-bob']
const ids = {}
for (const [priority, name] of ['ada', 'bob'].entries()) {
  upstream.admit(`key-of-${name}`, name)
  const { id } = await library.addApiKey({ provider: 'keys', apiKey: `key-of-${name}`, label: name })
  await library.updateAccount(id, { priority })
  ids[name] = id
}

/** The lines of the log since `from`. */
function lines(from = 0) {
  const text = readFileSync(file, 'utf8').slice(from)
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ line, ...JSON.parse(line) }))
}

const size = () => readFileSync(file).length
/** Returns an answer once it has been judged, which a good one is after its caller has it. */
async function chat(provider) {
  const send = library.createAuthFetch({ provider })
  const response = await send(upstream.chatUrl, { method: 'POST', body: '{"model":"small-1"}' })
  await library.poolStatus({ provider })
  return response
}

test('what is odd about the configuration is in the log, though it was read before the log was open', () => {
  const odd = lines().filter(({ level, line }) => level === 'warn' && line.includes('notAKey'))
  assert.equal(odd.length, 1, readFileSync(file, 'utf8'))
})

test('a rotation says from whom to whom, why, and how each account stood', async () => {
  const from = size()
  upstream.plan('ada', throttle(30))
  assert.equal((await chat('keys')).status, 200)
  const told = lines(from)
  const only = (message) => {
    const found = told.filter((line) => line.message === message)
    assert.equal(found.length, 1, `${message}: ${told.map(({ line }) => line).join('\n')}`)
    return found[0]
  }

  const failed = only('an attempt failed')
  assert.deepEqual(
    [failed.level, failed.provider, failed.account, failed.status, failed.reason, failed.charged, failed.retries],
    ['info', 'keys', ids.ada, 429, 'throttled', 'small-1', true],
  )
  const seconds = (Date.parse(failed.until) - Date.now()) / 1000
  assert.ok(seconds > 20 && seconds < 40, failed.line)

  const switched = only('a request switches to another account')
  assert.deepEqual(
    [switched.level, switched.provider, switched.from, switched.to, switched.reason, switched.model],
    ['info', 'keys', ids.ada, ids.bob, 'throttled', 'small-1'],
  )

  const judged = told.filter(({ message }) => message === 'an answer was judged')
  assert.deepEqual(
    judged.map(({ level, account, status, action }) => [level, account, status, action]),
    [
      ['debug', ids.ada, 429, 'Retry'],
      ['debug', ids.bob, 200, 'Deliver'],
    ],
  )
  const by = told.find(({ message }) => message === 'what an answer was judged by')
  assert.equal(by.level, 'trace')
  assert.match(by.line, /retry-after.*30/)

  const choices = told.filter(({ message }) => message === 'a pool was asked for an account')
  assert.ok(choices.length >= 2 && choices.every(({ level, accounts }) => level === 'debug' && accounts === 2))
  const stood = told.filter(({ level, message }) => level === 'trace' && message === 'how an account stood')
  for (const id of Object.values(ids))
    assert.ok(
      stood.some(({ account }) => account === id),
      id,
    )
})

test('a pool that is exhausted says why, and until when', async () => {
  const from = size()
  upstream.plan('bob', throttle(60))
  assert.equal((await chat('keys')).status, 429)
  const exhausted = lines(from).filter(({ message }) => message === 'a request was refused: no account can serve it')
  assert.equal(exhausted.length, 1)
  assert.deepEqual([exhausted[0].level, exhausted[0].provider, exhausted[0].reason], ['info', 'keys', 'throttled'])
  assert.ok(Date.parse(exhausted[0].until) > Date.now())
})

test('a login and a refresh say who, why, how they ended and how long they took', async () => {
  const from = size()
  const { id } = await logIn('eve')
  await library.refreshAccount(id, { force: true })
  await until('the end of the refresh is in the log', () =>
    lines(from).some(({ message }) => message === 'a refresh ended'),
  )
  const told = lines(from)
  const one = (message) => told.find((line) => line.message === message) ?? {}

  const began = one('a login waits for its answer')
  assert.deepEqual([began.level, began.provider, began.method], ['info', 'local', 'browser'])
  const login = one('a login ended')
  assert.deepEqual([login.level, login.login, login.account, login.error], ['info', began.login, id, undefined])
  assert.ok(login.took_ms >= 0)

  const refresh = one('a refresh ended')
  assert.deepEqual(
    [refresh.level, refresh.provider, refresh.account, refresh.due, refresh.outcome],
    ['info', 'local', id, 'asked_for', 'renewed'],
  )
  assert.ok(refresh.took_ms >= 0)
  assert.ok(Date.parse(refresh.expires_at) > Date.now(), refresh.line)
  assert.equal(one('a refresh has the lock of its record').level, 'debug')
  assert.equal(one('what a refresh was decided by').level, 'trace')
})

test('one id ties the lines of a request together, over its attempts, and names the refresh that it waits for', async () => {
  const from = size()
  oidc.expireAccess('eve')
  assert.equal((await chat('local')).status, 200)
  await until('the end of the refresh is in the log', () =>
    lines(from).some(({ message }) => message === 'a refresh ended'),
  )
  const told = lines(from)
  const ids = new Set(told.map(({ request }) => request).filter((id) => id !== undefined))
  assert.equal(ids.size, 1, [...ids].join())
  const of = (message) => told.filter((line) => line.message === message)
  assert.ok(of('a pool was asked for an account').length >= 2)
  assert.equal(of('an answer was judged').length, 2)
  const [asked] = of('a refresh is asked for')
  assert.ok(ids.has(asked.request), asked.line)
  assert.equal(asked.due, 'token_refused')
  const [ended] = of('a refresh ended')
  assert.equal(ended.refresh, asked.refresh)
  assert.match(asked.refresh, /^[0-9a-f]{8}-f[0-9a-f]+$/)
  assert.equal(ended.outcome, 'renewed')
})

test('warnings are in the vault, too, and nothing less grave is', async () => {
  oidc.revokeGrants('eve')
  oidc.expireAccess('eve')
  assert.equal((await chat('local')).status, 401)
  const files = await library.logFiles()
  assert.deepEqual(files, [
    { file: join(sandbox.vaultDir, 'log.jsonl'), kind: 'ring' },
    { file, kind: 'configured' },
  ])
  const [ring] = files
  assert.equal(statSync(ring.file).mode & 0o777, 0o600)
  const text = readFileSync(ring.file, 'utf8')
  const told = text.trim().split('\n').map(JSON.parse)
  assert.ok(told.every(({ level }) => level === 'warn' || level === 'error'))
  assert.ok(
    told.some(({ message }) => message === 'an account cannot serve until a person acts'),
    text,
  )
  for (const line of text.trim().split('\n')) assert.ok(readFileSync(file, 'utf8').includes(line), line)
})

test('no line holds a secret, though servers repeat it everywhere', async () => {
  const from = size()
  const failing = async (call) => assert.rejects(call, (error) => error.code !== undefined)
  await failing(library.login({ provider: 'echo', method: 'client-credentials' }))
  await library.addApiKey({ provider: 'parrot', apiKey: 'seed-parrot-7Jq2Zk9', label: 'polly' })
  const send = library.createAuthFetch({ provider: 'parrot' })
  const response = await send(`${parrotOrigin}/v1/chat/completions?token=seed-query-8Wm3Xn4`, {
    method: 'POST',
    headers: { 'x-extra': 'seed-header-5Tb6Yv1' },
    body: JSON.stringify({ model: 'sk-seedmodel0123456789abcdef', secret: 'seed-body-2Lp8Rc7' }),
  })
  await response.text()
  await failing(library.getAuthHeaders({ provider: 'keys', url: `http://127.0.0.1:1/?key=seed-query-8Wm3Xn4` }))
  const session = await library.startLogin({ provider: 'local', method: 'paste' })
  await failing(session.finish(`${parrotOrigin}/?code=seed-code-9Gd4Hs6&state=seed-state-1Nf5Kj3`))
  session.cancel()
  await failing(library.importVault(Buffer.from('no bundle'), { passphrase: 'seed-passphrase-3Ve7Qa2' }))

  assert.ok(lines(from).length >= 5, 'something was logged')
  assert.ok(oidc.issuedTokens().length >= 4, 'the provider has issued tokens')
  const texts = readdirSync(sandbox.dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => /log/.test(name))
    .map((name) => join(sandbox.dir, name))
    .filter((name) => statSync(name).isFile())
  assert.ok(texts.length >= 2, texts.join())
  const all = texts.map((name) => readFileSync(name, 'utf8')).join('')
  const seeds = [/seed-\w+-\w+/, /seedmodel/, /seed-secret/, /c2VlZC/]
  for (const seed of seeds) assert.doesNotMatch(all, seed)
  for (const secret of [...secrets, ...oidc.issuedTokens(), process.env.PROVIDER_AUTH_KEY])
    assert.ok(!all.includes(secret), secret)
})
