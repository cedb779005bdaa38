/** What the log tells of a rotation, of a refresh and of a login: who, why and how long, and nothing secret. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openStage } from './support/stage.mjs'
import { until } from './support/until.mjs'
import { throttle } from './support/upstream.mjs'

const { upstream, sandbox, library, oidc, logIn } = await openStage({
  name: 'log',
  rotation: { maxWaitMs: 0 },
  providers: ({ upstream: { origin } }) => ({ keys: { origins: [origin], notAKey: true } }),
})
const file = join(sandbox.dir, 'trace.log')
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
const chat = (provider) =>
  library.createAuthFetch({ provider })(upstream.chatUrl, { method: 'POST', body: '{"model":"small-1"}' })

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

test('no line holds a secret', () => {
  const text = readFileSync(file, 'utf8')
  assert.ok(oidc.issuedTokens().length >= 4, 'the provider has issued tokens')
  for (const secret of [...secrets, ...oidc.issuedTokens()]) assert.ok(!text.includes(secret), secret)
})
