/** Requests that hold what only one account can serve keep that account; the same conversation without it moves on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boundItemOf } from '../npm/build/bound.js'
import { boundItems } from '../npm/build/facts.js'
import { saidIn } from '../npm/build/said.js'
import { chat, openDesk } from './support/desk.mjs'
import { until } from './support/until.mjs'
import { throttle } from './support/upstream.mjs'

const { library, upstream, openPool } = await openDesk({ rotation: { maxWaitMs: 0 } })
const reasoning = (encrypted = 'gAAAA-one') => ({
  type: 'reasoning',
  id: 'rs_1',
  summary: [],
  encrypted_content: encrypted,
})
const turn = (session, input) => ({
  ...chat({ input: [{ role: 'user', content: 'hello' }, ...input] }),
  headers: { 'content-type': 'application/json', ...(session && { 'x-session-id': session }) },
})

test('a_conversation_with_encrypted_reasoning_never_changes_its_account', async () => {
  const { fetch, served, accounts, namespace } = await openPool(['ada', 'bob'])
  const events = []
  const stop = library.subscribe((event) => event.namespace === namespace && events.push(event))
  await fetch(upstream.chatUrl, turn('talk', []))
  await fetch(upstream.chatUrl, turn('talk', [reasoning()]))
  upstream.plan(accounts[0], { ...throttle(600), times: 1 })
  const limited = await fetch(upstream.chatUrl, turn('talk', [reasoning(), reasoning('gAAAA-two')]))
  assert.equal(limited.status, 429)
  assert.ok(Number(limited.headers.get('retry-after')) > 500)
  // Nothing is sent while the account rests, and the answer says why.
  const resting = await fetch(upstream.chatUrl, turn('talk', [reasoning()]))
  assert.equal(resting.status, 429)
  assert.equal((await resting.json()).error.code, 'account_bound')
  assert.deepEqual(served(), [accounts[0], accounts[0], accounts[0]])
  await library.clearCooldowns({ namespace })
  await fetch(upstream.chatUrl, turn('talk', [reasoning()]))
  assert.deepEqual(served(), [accounts[0], accounts[0], accounts[0], accounts[0]])
  const exhausted = () => events.filter(({ type }) => type === 'exhausted')
  await until(
    'both refusals and what followed are told',
    () => exhausted().length >= 2 && events.at(-1).type === 'served',
  )
  stop()
  const reasons = exhausted().map(({ reason }) => reason)
  assert.deepEqual(reasons, ['account_bound', 'account_bound'])
})

test('the_same_conversation_without_it_moves_on', async () => {
  const { fetch, served, accounts } = await openPool(['ada', 'bob'])
  await fetch(upstream.chatUrl, turn('talk', []))
  upstream.plan(accounts[0], throttle(600))
  assert.equal((await fetch(upstream.chatUrl, turn('talk', []))).status, 200)
  assert.deepEqual(served(), [accounts[0], accounts[0], accounts[1]])
})

test('other_conversations_that_move_do_not_take_a_bound_one_along', async () => {
  const { fetch, served, accounts, namespace } = await openPool(['ada', 'bob'])
  await fetch(upstream.chatUrl, turn('talk', [reasoning()]))
  upstream.plan(accounts[0], { ...throttle(600), times: 1 })
  // Without the item, even the same session moves; with it, it is back at once.
  await fetch(upstream.chatUrl, turn('talk', []))
  await library.clearCooldowns({ namespace })
  await fetch(upstream.chatUrl, turn('talk', [reasoning()]))
  assert.deepEqual(served(), [accounts[0], accounts[0], accounts[1], accounts[0]])
})

test('without_a_session_the_item_itself_finds_its_account', async () => {
  const { fetch, served, accounts, namespace } = await openPool(['ada', 'bob'])
  await fetch(upstream.chatUrl, turn(undefined, [reasoning('mine')]))
  upstream.plan(accounts[0], { ...throttle(600), times: 1 })
  await fetch(upstream.chatUrl, turn(undefined, []))
  await library.clearCooldowns({ namespace })
  await fetch(upstream.chatUrl, turn(undefined, [reasoning('mine'), reasoning('another')]))
  assert.deepEqual(served(), [accounts[0], accounts[0], accounts[1], accounts[0]])
})

test('the_verdict_says_that_the_account_is_bound', async () => {
  const { accounts, namespace, provider } = await openPool(['ada', 'bob'])
  const ask = { provider, namespace, url: upstream.chatUrl, boundBy: 'file-1' }
  const { attempt } = await library.getAuthHeaders(ask)
  const verdict = await library.reportResponse({ attempt, status: 429, headers: { 'retry-after': '900' } })
  assert.equal(verdict.action, 'deliver')
  assert.equal(verdict.reason, 'account_bound')
  assert.ok(verdict.retryAt >= Date.now() + 890_000)
  assert.equal(accounts.length, 2)
})

test('a_pool_of_one_says_what_was_met', async () => {
  const { namespace, provider } = await openPool(['ada'])
  const ask = { provider, namespace, url: upstream.chatUrl, boundBy: 'file-1' }
  const { attempt } = await library.getAuthHeaders(ask)
  const verdict = await library.reportResponse({ attempt, status: 429, headers: { 'retry-after': '900' } })
  assert.equal(verdict.reason, 'quota_exhausted')
})

/* What binds, by provider: see crates/broker/src/providers/bound.rs. */

const itemOf = (provider, url, body) => {
  const { fields, paths } = boundItems(provider)
  return boundItemOf(url, saidIn(JSON.stringify(body), fields), paths)
}
const api = 'https://api.example/v1/x'

for (const [provider, what, body, expected] of [
  ['openai', 'a stored response', { previous_response_id: 'resp_1' }, 'resp_1'],
  ['openai', 'encrypted reasoning', { input: [{ type: 'reasoning', encrypted_content: 'secret' }] }, 'secret'],
  ['openai', 'a reference to reasoning', { input: [{ type: 'item_reference', id: 'rs_9' }] }, 'rs_9'],
  ['openai', 'a file', { input: [{ content: [{ type: 'input_file', file_id: 'file-1' }] }] }, 'file-1'],
  [
    'openai',
    'files of a tool',
    { tools: [{ type: 'code_interpreter', container: { file_ids: ['file-2'] } }] },
    'file-2',
  ],
  ['openai', 'a vector store', { tools: [{ type: 'file_search', vector_store_ids: ['vs_1'] }] }, 'vs_1'],
  ['openai', 'a conversation', { conversation: { id: 'conv_1' } }, 'conv_1'],
  ['openai', 'the wish for reasoning', { include: ['reasoning.encrypted_content'] }, undefined],
  ['openai', 'a null', { previous_response_id: null }, undefined],
  ['openai', 'a text about it', { input: 'set "previous_response_id":"resp_1" and "file_id"' }, undefined],
  ['openai', 'arguments of a tool', { input: [{ type: 'function_call', arguments: '{"file_id":"x"}' }] }, undefined],
  ['openai', 'a schema', { tools: [{ parameters: { properties: { file_id: { type: 'string' } } } }] }, undefined],
  ['anthropic', 'a file', { messages: [{ content: [{ source: { type: 'file', file_id: 'file_1' } }] }] }, 'file_1'],
  ['anthropic', 'a container', { container: { id: 'container_1', skills: [] } }, 'container_1'],
  ['anthropic', 'a signature', { messages: [{ content: [{ type: 'thinking', signature: 'x' }] }] }, undefined],
  [
    'anthropic',
    'input of a tool',
    { messages: [{ content: [{ type: 'tool_use', input: { file_id: 'x' } }] }] },
    undefined,
  ],
  ['google', 'a thought', { contents: [{ parts: [{ text: '', thoughtSignature: 'sig' }] }] }, 'sig'],
  ['google', 'a cache', { cachedContent: 'cachedContents/1' }, 'cachedContents/1'],
  [
    'google',
    'a file',
    { contents: [{ parts: [{ fileData: { fileUri: 'https://generativelanguage.googleapis.com/v1beta/files/a' } }] }] },
    'https://generativelanguage.googleapis.com/v1beta/files/a',
  ],
  ['google', 'a link', { contents: [{ parts: [{ fileData: { fileUri: 'https://video.example/1' } }] }] }, undefined],
  ['google', 'arguments of a tool', { parts: [{ functionCall: { args: { cachedContent: 'x' } } }] }, undefined],
]) {
  test(`at ${provider} ${what} binds ${expected === undefined ? 'nothing' : 'the request'}`, () => {
    assert.equal(itemOf(provider, api, body), expected)
  })
}

for (const [provider, url, expected] of [
  ['openai', 'https://api.openai.com/v1/files', undefined],
  ['openai', 'https://api.openai.com/v1/files/file-1/content?x=1', 'file-1'],
  ['openai', 'https://api.openai.com/v1/responses/resp_1/cancel', 'resp_1'],
  ['openai', 'https://api.openai.com/v1/responses?after=/files/x', undefined],
  ['google', 'https://generativelanguage.googleapis.com/v1beta/files/a:download', 'a'],
]) {
  test(`the address ${url} binds ${expected === undefined ? 'nothing' : 'the request'}`, () => {
    assert.equal(itemOf(provider, url, {}), expected)
  })
}
