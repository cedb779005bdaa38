/** Redirects are followed as `fetch` follows them, and no credential of ours follows to another origin. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chat, openDesk, rejection } from './support/desk.mjs'

const { upstream, elsewhere, openPool } = await openDesk()

for (const provider of ['desk', 'desk-x']) {
  for (const status of [301, 302, 303, 307, 308]) {
    test(`a_${status}_to_another_origin_carries_no_credential_of_${provider}`, async () => {
      const { fetch, accounts } = await openPool(['ada'], { provider })
      elsewhere.forget()
      upstream.plan(accounts[0], { redirect: elsewhere.openUrl, status })
      const headers = {
        authorization: 'Bearer placeholder',
        'x-api-key': 'placeholder',
        cookie: 'c=1',
        'x-trace': 'kept',
        'content-type': 'application/json',
      }
      const response = await fetch(upstream.chatUrl, { ...chat(), headers })
      const [seen] = elsewhere.requests
      assert.equal(response.status, 200)
      assert.equal(response.redirected, true)
      assert.equal(response.url, elsewhere.openUrl)
      assert.equal(seen.method, status <= 303 ? 'GET' : 'POST')
      assert.equal(seen.headers['x-trace'], 'kept')
      const sent = JSON.stringify(seen.headers)
      for (const secret of ['key-of', 'placeholder', 'c=1']) assert.ok(!sent.includes(secret), sent)
    })
  }
}

for (const status of [301, 302, 303, 307, 308]) {
  test(`a_${status}_within_the_origin_keeps_the_credential_and_looks_like_fetch`, async () => {
    const { fetch, accounts, seen } = await openPool(['ada'])
    upstream.plan(accounts[0], { redirect: '/echo/moved', status })
    const response = await fetch(upstream.chatUrl, chat())
    const ours = await response.json()
    const open = await openPlain(status)
    assert.equal(response.redirected, true)
    assert.equal(response.url, `${upstream.origin}/echo/moved`)
    assert.equal(ours.account, accounts[0])
    assert.equal(ours.method, open.method)
    assert.equal(ours.body, open.body)
    assert.equal(ours.headers['content-type'], open.headers['content-type'])
    assert.equal(seen().length, 2)
  })
}

test('with_redirect_manual_the_redirect_itself_is_the_answer', async () => {
  const { fetch, accounts } = await openPool(['ada'])
  upstream.plan(accounts[0], { redirect: elsewhere.openUrl })
  const response = await fetch(upstream.chatUrl, { ...chat(), redirect: 'manual' })
  assert.equal(response.status, 302)
  assert.equal(response.headers.get('location'), elsewhere.openUrl)
})

test('with_redirect_error_the_call_rejects_as_in_fetch_and_is_made_once', async () => {
  const { fetch, accounts, seen } = await openPool(['ada'])
  upstream.plan(accounts[0], { redirect: '/echo', times: 5 })
  const ours = await rejection(fetch(upstream.chatUrl, { ...chat(), redirect: 'error' }))
  assert.equal(ours.name, 'TypeError')
  assert.equal(ours.message, 'fetch failed')
  assert.equal(ours.cause.message, 'unexpected redirect')
  assert.equal(seen().length, 1)
})

test('a_circle_ends_after_twenty_redirects', async () => {
  const { fetch, accounts, seen } = await openPool(['ada'])
  upstream.plan(accounts[0], { redirect: '/v1/chat/completions', status: 307, times: 100 })
  const ours = await rejection(fetch(upstream.chatUrl, chat()))
  assert.equal(ours.cause.message, 'redirect count exceeded')
  assert.equal(seen().length, 21)
})

test('what_another_origin_answers_is_not_held_against_the_account', async () => {
  const { fetch, accounts, served } = await openPool(['ada', 'bob'])
  upstream.plan(accounts[0], { redirect: `${elsewhere.origin}/v1/models` })
  assert.equal((await fetch(upstream.chatUrl, chat())).status, 401)
  assert.equal((await fetch(upstream.chatUrl, chat())).status, 200)
  assert.deepEqual(served(), [accounts[0], accounts[0]])
})

/** What plain `fetch` makes of the same redirect. */
async function openPlain(status) {
  elsewhere.forget()
  elsewhere.plan('*', { redirect: '/open/moved', status })
  return (await fetch(elsewhere.chatUrl, chat())).json()
}
