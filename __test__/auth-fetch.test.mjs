/** What `createAuthFetch` adds around `fetch`: credentials, rotation within one call, and otherwise nothing that shows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chat, openDesk, rejection } from './support/desk.mjs'
import { bodies, throttle } from './support/upstream.mjs'

const { library, upstream, openPool } = await openDesk()

test('a_request_is_served_with_the_credential_of_the_pool', async () => {
  const { fetch, served, accounts } = await openPool(['ada'])
  const response = await fetch(upstream.chatUrl, chat())
  assert.equal(response.status, 200)
  assert.equal(response.url, upstream.chatUrl)
  assert.equal((await response.json()).choices[0].message.content, `served by ${accounts[0]}`)
  assert.deepEqual(served(), accounts)
})

test('a_429_with_a_long_wait_is_answered_by_the_next_account_within_the_same_call', async () => {
  const { fetch, served, accounts } = await openPool(['ada', 'bob'])
  upstream.plan(accounts[0], throttle(30))
  const response = await fetch(upstream.chatUrl, chat())
  assert.equal(response.status, 200)
  assert.deepEqual(served(), accounts)
})

test('placeholder_credentials_of_an_sdk_never_reach_the_server', async () => {
  const { fetch, seen, accounts } = await openPool(['ada'])
  const headers = {
    Authorization: 'Bearer placeholder',
    'X-Api-Key': 'placeholder',
    'x-goog-api-key': 'placeholder',
    'api-key': 'placeholder',
  }
  await fetch(upstream.chatUrl, { ...chat(), headers })
  const [{ headers: sent }] = seen()
  assert.equal(sent.authorization, `Bearer key-of-${accounts[0]}`)
  assert.ok(!JSON.stringify(sent).includes('placeholder'), JSON.stringify(sent))
})

for (const [query, sent] of [
  ['?key=placeholder', ''],
  ['?alt=sse&key=placeholder', '?alt=sse'],
  ['?key=placeholder&q=a%20b+c&%6Bey=x#part', '?q=a%20b+c'],
  ['?monkey=1&q=key', '?monkey=1&q=key'],
]) {
  test(`a_placeholder_in_the_address_never_reaches_the_server: ${query}`, async () => {
    for (const ask of [(url) => [url], (url) => [new URL(url)], (url) => [new Request(url)]]) {
      const { fetch, seen, accounts } = await openPool(['ada'], { provider: 'desk-google' })
      assert.equal((await fetch(...ask(`${upstream.origin}/echo${query}`))).status, 200)
      const [{ path, headers }] = seen()
      assert.equal(path, `/echo${sent}`)
      assert.equal(headers['x-goog-api-key'], `key-of-${accounts[0]}`)
    }
    // A parameter of a provider that has no key there is the caller's.
    const { fetch, seen } = await openPool(['ada'])
    await fetch(`${upstream.origin}/echo${query}`)
    assert.equal(seen()[0].path, `/echo${query.split('#')[0]}`)
  })
}

for (const [form, make] of [
  ['an_object', (pairs) => Object.fromEntries(pairs)],
  ['a_list', (pairs) => pairs],
  ['a_headers_object', (pairs) => new Headers(pairs)],
]) {
  test(`the_other_headers_of_the_caller_survive_as_${form}`, async () => {
    const { fetch, seen } = await openPool(['ada'])
    await fetch(`${upstream.origin}/echo`, {
      headers: make([
        ['X-Trace', 'one'],
        ['Accept', 'text/plain'],
        ['anthropic-beta', 'mine'],
      ]),
    })
    const [{ headers }] = seen()
    assert.equal(headers['x-trace'], 'one')
    assert.equal(headers.accept, 'text/plain')
    assert.ok(headers['anthropic-beta'].split(',').includes('mine'))
  })
}

test('a_configured_header_gives_way_to_the_callers_own_and_a_list_of_opt_ins_holds_both', async () => {
  const { fetch, seen } = await openPool(['ada'], { provider: 'desk-headed' })
  await fetch(`${upstream.origin}/echo`)
  await fetch(`${upstream.origin}/echo`, { headers: { 'X-Desk-Tenant': 'mine', 'anthropic-beta': 'mine' } })
  const sent = seen().map(({ headers }) => [headers['x-desk-tenant'], headers['anthropic-beta']])
  assert.deepEqual(sent, [
    ['ours', 'ours'],
    ['mine', 'mine,ours'],
  ])
})

test('a_request_to_another_origin_is_refused_before_it_is_made', async () => {
  const { fetch } = await openPool(['ada'])
  upstream.forget()
  const error = await rejection(fetch('https://elsewhere.invalid/v1/chat/completions', chat()))
  assert.equal(error.code, 'ORIGIN_NOT_ALLOWED')
  assert.equal(upstream.requests.length, 0)
})

test('an_empty_pool_rejects_with_no_account', async () => {
  const fetch = library.createAuthFetch({ provider: 'desk', namespace: 'nobody' })
  assert.equal((await rejection(fetch(upstream.chatUrl, chat()))).code, 'NO_ACCOUNT')
})

test('when_every_account_is_throttled_the_last_answer_comes_with_the_soonest_time', async () => {
  const { fetch, served, accounts } = await openPool(['ada', 'bob'])
  upstream.plan(accounts[0], throttle(40))
  upstream.plan(accounts[1], throttle(90))
  const response = await fetch(upstream.chatUrl, chat())
  assert.equal(response.status, 429)
  assert.equal(response.url, upstream.chatUrl)
  assert.equal(response.type, 'basic')
  assert.deepEqual(await response.json(), bodies.throttled)
  const [seconds, ms] = ['retry-after', 'retry-after-ms'].map((name) => Number(response.headers.get(name)))
  assert.ok(seconds >= 39 && seconds <= 46, `${seconds} s`)
  assert.equal(seconds, Math.ceil(ms / 1000))
  assert.deepEqual(served(), accounts)
})

test('while_every_account_cools_a_call_is_answered_without_the_server', async () => {
  const { fetch, seen, accounts } = await openPool(['ada'])
  upstream.plan(accounts[0], throttle(40))
  await fetch(upstream.chatUrl, chat())
  const before = seen().length
  const response = await fetch(upstream.chatUrl, chat())
  const { error } = await response.json()
  assert.equal(response.status, 429)
  assert.equal(error.type, 'rate_limit_error')
  assert.equal(error.code, 'all_accounts_cooling')
  assert.ok(error.retry_at > Date.now())
  const seconds = Number(response.headers.get('retry-after'))
  assert.ok(seconds >= 38 && seconds <= 46, `${seconds} s`)
  assert.equal(seen().length, before)
})

test('an_error_that_is_not_about_the_account_arrives_untouched', async () => {
  const { fetch, seen, accounts } = await openPool(['ada', 'bob'])
  const body = { error: { type: 'invalid_request_error', message: 'max_tokens is too large' } }
  upstream.plan(accounts[0], { status: 400, headers: { 'x-request-id': 'r1' }, body })
  const response = await fetch(upstream.chatUrl, chat())
  assert.equal(response.status, 400)
  assert.equal(response.headers.get('x-request-id'), 'r1')
  assert.deepEqual(await response.json(), body)
  assert.equal(seen().length, 1)
})

test('a_large_error_body_arrives_whole', async () => {
  const { fetch, accounts } = await openPool(['ada'])
  const body = JSON.stringify({ error: { message: 'x'.repeat(300_000) } })
  upstream.plan(accounts[0], { status: 400, body })
  const response = await fetch(upstream.chatUrl, chat())
  assert.equal(await response.text(), body)
})

test('a_dropped_connection_is_tried_again', async () => {
  const { fetch, served, accounts } = await openPool(['ada'])
  upstream.plan(accounts[0], { drop: true })
  const response = await fetch(upstream.chatUrl, chat())
  assert.equal(response.status, 200)
  assert.deepEqual(served(), [accounts[0], accounts[0]])
})

test('when_the_network_stays_away_the_error_is_the_one_that_fetch_threw', async () => {
  const thrown = []
  const fetchThatFails = async () => {
    thrown.push(new TypeError('fetch failed', { cause: Object.assign(new Error('reset'), { code: 'ECONNRESET' }) }))
    throw thrown.at(-1)
  }
  const { fetch } = await openPool(['ada'], { fetch: fetchThatFails })
  const error = await rejection(fetch(upstream.chatUrl, chat()))
  assert.equal(error, thrown.at(-1))
  assert.ok(thrown.length > 1, 'it was tried again')
})

for (const [what, input, init] of [
  ['an_address_that_is_none', 'not a url', {}],
  ['a_body_on_a_get', () => `${upstream.origin}/echo`, { method: 'GET', body: 'x' }],
  ['a_header_with_a_line_break', () => `${upstream.origin}/echo`, { headers: { 'x-bad': 'a\r\nb' } }],
]) {
  test(`${what}_fails_once_and_as_in_fetch`, async () => {
    let calls = 0
    const counting = (...args) => {
      calls += 1
      return globalThis.fetch(...args)
    }
    const { fetch } = await openPool(['ada'], { fetch: counting })
    const url = typeof input === 'function' ? input() : input
    const [ours, plain] = [await rejection(fetch(url, init)), await rejection(globalThis.fetch(url, init))]
    assert.equal(ours.name, plain.name)
    assert.equal(ours.message, plain.message)
    assert.equal(calls, 1)
  })
}

test('a_request_object_is_sent_with_its_method_headers_and_body', async () => {
  const { fetch, seen } = await openPool(['ada'])
  const request = new Request(`${upstream.origin}/echo`, {
    method: 'PUT',
    headers: { 'x-trace': 'two' },
    body: 'payload',
  })
  const echoed = await (await fetch(request)).json()
  assert.equal(echoed.method, 'PUT')
  assert.equal(echoed.body, 'payload')
  assert.equal(seen()[0].headers['x-trace'], 'two')
})

test('a_request_object_as_options_is_read_as_fetch_reads_it', async () => {
  const { fetch } = await openPool(['ada'])
  const options = new Request('https://elsewhere.invalid/', {
    method: 'PATCH',
    headers: { 'x-trace': 'three' },
    body: 'payload',
  })
  const echoed = await (await fetch(`${upstream.origin}/echo`, options)).json()
  assert.equal(echoed.method, 'PATCH')
  assert.equal(echoed.headers['x-trace'], 'three')
  assert.equal(echoed.body, 'payload')
})

test('options_that_only_the_runtime_knows_are_passed_on', async () => {
  const options = []
  const recording = (input, init) => {
    options.push(init)
    return globalThis.fetch(input, init)
  }
  const { fetch } = await openPool(['ada'], { fetch: recording })
  await fetch(upstream.chatUrl, { ...chat(), timeout: false, keepalive: true })
  assert.equal(options[0].timeout, false)
  assert.equal(options[0].keepalive, true)
})

function formOf(fields) {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.set(name, value)
  return form
}

for (const [where, url, init, model] of [
  ['the_body', '/v1/chat/completions', { body: '{"model":"m-1","messages":[]}' }, 'm-1'],
  ['the_end_of_the_body', '/v1/chat/completions', { body: '{"messages":[{"model":"no"}],"model":"m-2"}' }, 'm-2'],
  ['the_path', '/v1beta/models/m-3:generateContent', { body: '{"contents":[]}' }, 'm-3'],
  [
    'bytes',
    '/v1/chat/completions',
    { body: new TextEncoder().encode('{"model":"m-4"}'), headers: { 'content-type': 'application/json' } },
    'm-4',
  ],
  ['bytes_of_no_type', '/v1/chat/completions', { body: new TextEncoder().encode(' {"model":"m-5"}') }, 'm-5'],
  ['an_array_buffer', '/v1/chat/completions', { body: new TextEncoder().encode('{"model":"m-6"}').buffer }, 'm-6'],
  [
    'a_part_of_a_buffer',
    '/v1/chat/completions',
    { body: new DataView(new TextEncoder().encode('xx{"model":"m-7"}').buffer, 2) },
    'm-7',
  ],
  ['a_blob', '/v1/chat/completions', { body: new Blob(['{"model":"m-8"}'], { type: 'application/json' }) }, 'm-8'],
  ['a_blob_of_no_type', '/v1/chat/completions', { body: new Blob(['{"model":"m-9"}']) }, 'm-9'],
  ['a_form', '/v1/audio/transcriptions', { body: formOf({ file: new Blob(['{']), model: 'm-10' }) }, 'm-10'],
  ['url_search_params', '/v1/images', { body: new URLSearchParams({ model: 'm/11', q: 'ü' }) }, 'm/11'],
  [
    'the_text_of_a_form',
    '/v1/images',
    { body: 'q=1&model=m-12', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    'm-12',
  ],
  ['the_path_beside_a_form', '/v1/models/m-13/upload', { body: formOf({ file: new Blob(['x']) }) }, 'm-13'],
  ['the_path_of_a_deployment', '/openai/deployments/m-14/chat/completions?api-version=1', { body: '{}' }, 'm-14'],
  ['the_path_of_bedrock', '/model/us.m-15%3A0/invoke', { body: '{}' }, 'us.m-15:0'],
  ['a_stream', '/v1/chat/completions', { body: new Blob(['{"model":"m-16"}']).stream(), duplex: 'half' }, 'm-16'],
]) {
  test(`a_limit_of_one_model_is_known_from_${where}`, async () => {
    const { fetch, accounts, namespace } = await openPool(['ada', 'bob'])
    upstream.plan(accounts[0], throttle(40))
    await fetch(upstream.origin + url, { method: 'POST', ...init })
    const [cooldown] = (await library.listAccounts({ namespace })).flatMap(({ cooldowns }) => cooldowns)
    assert.equal(cooldown.scope, model)
  })
}

test('requests_of_one_session_stay_together', async () => {
  const { fetch, served, accounts } = await openPool(['ada', 'bob'])
  const headers = { 'content-type': 'application/json', 'x-session-id': 's1' }
  upstream.plan(accounts[0], { status: 429, headers: { 'retry-after': '7' }, body: bodies.throttled })
  for (let turn = 0; turn < 4; turn += 1) await fetch(upstream.chatUrl, { ...chat(), headers })
  assert.deepEqual(served(), [accounts[0], accounts[1], accounts[1], accounts[1], accounts[1]])
})

test('an_answer_after_which_trying_again_is_done_says_so_to_the_sdk', async () => {
  for (const [plan, said] of [
    [throttle(40), 'false'],
    [{ status: 529, body: bodies.overloaded, times: 9 }, 'false'],
    [{ status: 503, headers: { 'x-should-retry': 'true' }, times: 9 }, 'false'],
    [{ status: 402, times: 9 }, 'false'],
    [{ status: 409 }, null],
    [{ status: 400 }, null],
    [{ status: 200, body: {} }, null],
  ]) {
    const { fetch, accounts } = await openPool(['ada'])
    upstream.plan(accounts[0], plan)
    const response = await fetch(upstream.chatUrl, chat())
    assert.equal(response.status, plan.status)
    assert.equal(response.headers.get('x-should-retry'), said, `${plan.status}`)
  }
})

test('an_answer_of_our_own_says_so_too', async () => {
  const { fetch, accounts } = await openPool(['ada'])
  upstream.plan(accounts[0], throttle(40))
  for (let call = 0; call < 2; call += 1) {
    assert.equal((await fetch(upstream.chatUrl, chat())).headers.get('x-should-retry'), 'false')
  }
})

test('a_stream_that_could_not_be_sent_again_leaves_that_to_the_sdk', async () => {
  const { fetch, accounts } = await openPool(['ada'], { maxReplayBytes: 3 })
  upstream.plan(accounts[0], { status: 503 })
  const body = new Blob(['{"model":"m"}']).stream()
  const response = await fetch(upstream.chatUrl, { method: 'POST', body, duplex: 'half' })
  assert.equal(response.status, 503)
  assert.equal(response.headers.get('x-should-retry'), null)
})

for (const [form, headers] of [
  ['Headers', new Headers({ 'Retry-After': '40' })],
  ['a Map', new Map([['Retry-After', '40']])],
  ['pairs', [['Retry-After', '40']]],
  ['a flat list', ['Date', new Date().toUTCString(), 'Retry-After', '40']],
  ['an object', { 'Retry-After': '40' }],
  ['an object with a number', { 'retry-after': 40 }],
  ['an object with a list', { 'retry-after': ['40'], 'set-cookie': ['a', 'b'], gone: undefined }],
]) {
  test(`response headers are read from ${form}`, async () => {
    const { provider, namespace } = await openPool(['ada'])
    const ask = { provider, namespace, url: upstream.chatUrl }
    const { attempt } = await library.getAuthHeaders(ask)
    const reportedAt = Date.now()
    const { reason, cooldownUntil } = await library.reportResponse({ attempt, status: 429, headers })
    assert.equal(reason, 'throttled')
    assert.ok(cooldownUntil >= reportedAt + 40_000, String(cooldownUntil - reportedAt))
    assert.ok(cooldownUntil <= Date.now() + 44_000, String(cooldownUntil - reportedAt))
    const other = await openPool(['bob'])
    const lease = await library.getAuthHeaders({ ...ask, namespace: other.namespace })
    const good = await library.reportResponse({ attempt: lease.attempt, status: 200, headers })
    assert.deepEqual(good, { action: 'deliver', delayMs: 0, reason: 'ok' })
  })
}

for (const headers of [
  'retry-after: 40',
  40,
  true,
  () => {},
  [1],
  [['retry-after']],
  [['a', 'b', 'c']],
  ['odd'],
  new Set([1]),
  new Map([[1, 2]]),
]) {
  test(`what is no headers is refused: ${String(headers)}`, async () => {
    const { provider, namespace } = await openPool(['ada'])
    const { attempt } = await library.getAuthHeaders({ provider, namespace, url: upstream.chatUrl })
    for (const status of [200, 429]) {
      assert.equal((await rejection(library.reportResponse({ attempt, status, headers }))).code, 'INVALID_ARGUMENT')
    }
  })
}
