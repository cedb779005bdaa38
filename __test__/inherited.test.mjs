/**
 * What is sent where does not depend on what all objects of the process inherit, nor on an object that answers otherwise when
 * it is asked again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chat, openDesk, rejection } from './support/desk.mjs'

const { library, upstream, elsewhere, openPool } = await openDesk()
const { fetch, accounts, namespace, seen } = await openPool(['ada'])
const other = await openPool(['eve'])
const [victim] = await library.listAccounts({ namespace })

const spy = (record) => async (input, init) => {
  record.push({ input, init })
  return new Response('{}', { __proto__: null, status: 200 })
}
const stolen = []

/** What a strange merge could leave behind, under every name that we read somewhere. */
const LEFT_BEHIND = {
  url: elsewhere.chatUrl,
  method: 'DELETE',
  headers: { 'x-left': 'behind' },
  body: 'left behind',
  redirect: 'error',
  signal: AbortSignal.abort(),
  fetch: spy(stolen),
  dispatcher: {
    dispatch() {
      stolen.push('dispatched')
      return true
    },
  },
  provider: 'nobody',
  namespace: 'nowhere',
  account: other.accounts[0],
  model: 'left-behind',
  session: 'left-behind',
  retryOf: 'no-attempt',
  boundBy: 'left-behind',
  cacheTtl: '1h',
  explain: true,
  trace: { left: 'behind' },
  providerAuth: { account: other.accounts[0] },
  maxReplayBytes: 0,
  peekStream: 'left',
  onTrace: () => stolen.push('traced'),
  instead: () => stolen.push('instead'),
  response: 'left behind',
  error: { left: 'behind' },
  broken: true,
  // biome-ignore lint/suspicious/noThenProperty: that is the point
  then: 'no function',
  attempt: 'no-attempt',
  status: 500,
  failure: 'network',
  retryAt: Date.now() + 3_600_000,
  delayMs: 3_600_000,
  accountId: 'nobody',
  authorization: 'Bearer left-behind',
  'x-api-key': 'left-behind',
  'x-provider-auth-account': other.accounts[0],
  'anthropic-beta': 'left-behind',
  wait: 0,
  label: 'left-behind',
  apiKey: 'sk-left-behind',
  keySource: 'memory',
  enabled: false,
  priority: 9,
  revoke: true,
  force: true,
  includeOAuth: true,
  origins: [elsewhere.origin],
  header: 'x-left',
  config: { providers: { desk: { origins: [elsewhere.origin] } } },
  dir: '/nowhere',
  log: { file: '/nowhere/log', level: 'trace' },
  cause: new Error('timeout'),
  code: 'ETIMEDOUT',
  type: 'tool_use',
}

/** Runs a call while every object inherits this. */
async function whileInherited(name, work) {
  Object.defineProperty(Object.prototype, name, {
    value: LEFT_BEHIND[name],
    enumerable: true,
    configurable: true,
    writable: true,
  })
  try {
    return await work()
  } finally {
    delete Object.prototype[name]
  }
}

for (const name of Object.keys(LEFT_BEHIND)) {
  test(`a call goes where it was sent although all objects inherit ${name}`, async () => {
    upstream.forget()
    const sent = []
    const own = { provider: 'desk', namespace, account: accounts[0], fetch: spy(sent) }
    const [lease, changed, listed] = await whileInherited(name, async () => {
      const bareCall = library.createAuthFetch(own)
      await bareCall(upstream.chatUrl, { method: 'POST', body: '{}', headers: { accept: 'text/plain' } })
      await bareCall(new URL(upstream.chatUrl))
      const lease = await library.getAuthHeaders({ provider: 'desk', namespace, url: upstream.chatUrl })
      const verdict = await library.reportResponse({ attempt: lease.attempt, status: 200, headers: {} })
      assert.equal(Object.hasOwn(verdict, 'action') && verdict.action, 'deliver')
      const changed = await library.updateAccount(victim.id, {})
      const listed = await library.listAccounts({})
      return [lease, changed, listed]
    })
    assert.deepEqual(stolen, [])
    const [post, get] = sent
    assert.deepEqual([post.input, get.input], [upstream.chatUrl, upstream.chatUrl])
    assert.equal(post.init.method, 'POST')
    assert.equal(post.init.body, '{}')
    assert.equal(get.init.method, 'GET')
    assert.equal(get.init.body, null)
    const names = ['accept', 'authorization']
    assert.deepEqual(Object.keys(post.init.headers).sort(), names)
    assert.deepEqual(Object.keys(get.init.headers), ['authorization'])
    for (const { init } of sent) {
      assert.equal(init.headers.authorization, `Bearer key-of-${accounts[0]}`)
      assert.equal(init.redirect, 'manual')
      // What the runtime looks for in its options is ours, or is not there.
      assert.equal(Object.getPrototypeOf(init), null)
    }
    assert.equal(lease.headers.authorization, `Bearer key-of-${accounts[0]}`)
    assert.deepEqual([changed.label, changed.enabled], [accounts[0], true])
    assert.ok(listed.length >= 2)
  })
}

for (const name of ['url', 'fetch', 'account', 'instead', 'origins', 'headers']) {
  test(`the runtime's own fetch sends nothing elsewhere although all objects inherit ${name}`, async () => {
    upstream.forget()
    elsewhere.forget()
    // The servers of this process read plain objects too.
    const response = await whileInherited(name, () => fetch(upstream.chatUrl, chat()))
    assert.equal(response.status, 200)
    assert.equal(seen().length, 1)
    assert.deepEqual([elsewhere.requests, stolen], [[], []])
  })
}

test('a configuration does not hold what all objects inherit', async () => {
  const source = `
    Object.prototype.origins = ['https://elsewhere.test']
    auth.configure({ config: { providers: { bare: { header: 'x-key' } } } })
    delete Object.prototype.origins
    const providers = await auth.configuredProviders()
    console.log(JSON.stringify(providers.find(({ id }) => id === 'bare') ?? null))`
  const { createSandbox } = await import('./support/sandbox.mjs')
  const sandbox = createSandbox({ name: 'inherited' })
  const { stdout, stderr } = await sandbox.run(source)
  sandbox.cleanup()
  assert.doesNotMatch(stdout, /elsewhere/)
  assert.match(stderr + stdout, /INVALID_CONFIG|"origins":\[\]/)
})

/** An instance of a class that has these getters and extends the class of `instance`. */
function ofClass(getters, instance = {}) {
  const parent = Object.getPrototypeOf(instance)
  const properties = Object.entries(getters).map(([name, get]) => [name, { get, configurable: true }])
  const prototype = Object.create(parent, Object.fromEntries(properties))
  return Object.setPrototypeOf(instance, prototype)
}

test('getters of a class of options are read as before', async () => {
  const getters = { provider: () => 'desk', namespace: () => namespace, url: () => upstream.chatUrl }
  const values = { provider: 'desk', namespace, url: upstream.chatUrl }
  for (const options of [ofClass(getters), ofClass({}, ofClass(getters)), Object.create(values)]) {
    const { headers } = await library.getAuthHeaders(options)
    assert.equal(headers.authorization, `Bearer key-of-${accounts[0]}`)
    // The slow way: it waits, and could be called off.
    const slow = await library.explain(options)
    assert.equal(slow.outcome, 'serve')
    const listed = await library.listAccounts(options)
    assert.deepEqual(
      listed.map(({ label }) => label),
      [accounts[0]],
    )
    const sent = []
    const call = library.createAuthFetch(Object.assign(Object.create(options), { fetch: spy(sent) }))
    await call(upstream.chatUrl)
    assert.equal(sent.length, 1)
  }
})

test('options of a call may be of a class', async () => {
  const sent = []
  const init = ofClass({ method: () => 'PUT', body: () => '{}', headers: () => ({ accept: 'text/plain' }) })
  await library.createAuthFetch({ provider: 'desk', namespace, fetch: spy(sent) })(upstream.chatUrl, init)
  const [put] = sent
  assert.deepEqual([put.init.method, put.init.body, put.init.headers.accept], ['PUT', '{}', 'text/plain'])
})

/** A value that is right once and wrong from then on. */
function once(right, wrong) {
  let asked = 0
  return () => {
    asked += 1
    return asked === 1 ? right : wrong
  }
}

for (const [what, make] of [
  [
    'a text that changes',
    () => {
      const answer = once(upstream.chatUrl, elsewhere.chatUrl)
      return { toString: answer, [Symbol.toPrimitive]: answer }
    },
  ],
  [
    'a URL whose text changes',
    () => {
      const answer = once(upstream.chatUrl, elsewhere.chatUrl)
      return ofClass({ toString: () => answer, href: answer }, new URL(upstream.chatUrl))
    },
  ],
  [
    'something like a Request whose address changes',
    () => {
      const answer = once(upstream.chatUrl, elsewhere.chatUrl)
      return {
        get url() {
          return answer()
        },
        method: 'POST',
        headers: {},
        body: '{}',
        [Symbol.toStringTag]: 'Request',
      }
    },
  ],
  [
    'a proxy of a Request whose address changes',
    () => {
      const answer = once(upstream.chatUrl, elsewhere.chatUrl)
      const request = new Request(upstream.chatUrl)
      const get = (target, name) => {
        if (name === 'url') return answer()
        const value = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      }
      return new Proxy(request, { get })
    },
  ],
]) {
  test(`${what} is read once, and what was checked is what is sent`, async () => {
    const sent = []
    const call = library.createAuthFetch({ provider: 'desk', namespace, fetch: spy(sent) })
    await call(make())
    assert.deepEqual(
      sent.map(({ input }) => input.url ?? input),
      [upstream.chatUrl],
    )
    elsewhere.forget()
    await fetch(make())
    assert.deepEqual(elsewhere.requests, [])
  })
}

test('a Request that lies about its address is sent where it truly goes, or not at all', async () => {
  elsewhere.forget()
  const error = await rejection(fetch(ofClass({ url: () => upstream.chatUrl }, new Request(elsewhere.chatUrl, chat()))))
  assert.equal(error.code, 'ORIGIN_NOT_ALLOWED')

  const getters = {
    url: once(upstream.chatUrl, elsewhere.chatUrl),
    method: () => 'DELETE',
    headers: () => new Headers({ 'x-other': 'yes' }),
  }
  upstream.forget()
  const response = await fetch(ofClass(getters, new Request(upstream.chatUrl, chat())))
  assert.equal(response.status, 200)
  assert.deepEqual(elsewhere.requests, [])
  const [request] = seen()
  assert.equal(request.body, chat().body)
  const own = await rejection(
    fetch(Object.defineProperty(new Request(elsewhere.chatUrl), 'url', { value: upstream.chatUrl })),
  )
  assert.equal(own.code, 'ORIGIN_NOT_ALLOWED')
  assert.deepEqual(elsewhere.requests, [])
})

test('fields of an init are read once', async () => {
  const sent = []
  const call = library.createAuthFetch({ provider: 'desk', namespace, fetch: spy(sent) })
  const [method, headers, body] = [
    once('PUT', 'DELETE'),
    once({ accept: 'text/plain' }, { accept: 'text/html' }),
    once('{}', 'other'),
  ]
  const init = Object.defineProperties(
    {},
    Object.fromEntries(
      Object.entries({ method, headers, body }).map(([name, get]) => [name, { get, enumerable: true }]),
    ),
  )
  await call(upstream.chatUrl, init)
  const [call1] = sent
  assert.deepEqual([call1.init.method, call1.init.body, call1.init.headers.accept], ['PUT', '{}', 'text/plain'])
})
