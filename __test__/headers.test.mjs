/** How a caller's headers and a provider's go together. Pure: no addon is loaded. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authenticated, observed, readHeaders, withoutCredentials } from '../npm/build/headers.js'

const auth = {
  attempt: 'a',
  accountId: 'A',
  headers: { 'x-api-key': 'ours', 'x-version': '1', 'x-opt-ins': 'ours-1,both' },
  strip: ['authorization', 'x-api-key'],
}
const rules = { appended: ['x-opt-ins'], defaulted: ['x-version'] }
const plain = (headers) => ({ ...headers })

test('the header module needs no addon', () => {
  const { sharedObjects } = process.report.getReport()
  assert.deepEqual(
    sharedObjects.filter((file) => file.endsWith('.node')),
    [],
  )
})

test('the credential replaces what the caller has, and headers of other places for keys go', () => {
  const given = { authorization: 'Bearer placeholder', 'x-api-key': 'placeholder', accept: 'text/plain' }
  assert.deepEqual(plain(authenticated(given, auth, rules)), { accept: 'text/plain', ...auth.headers })
})

test('a list of opt-ins holds those of both, each once', () => {
  const { 'x-opt-ins': list } = authenticated({ 'x-opt-ins': 'mine, both' }, auth, rules)
  assert.equal(list, 'mine,both,ours-1')
})

test('a default gives way to what the caller set', () => {
  assert.equal(authenticated({ 'x-version': '2' }, auth, rules)['x-version'], '2')
  assert.equal(authenticated({ 'x-version': '2' }, auth, { appended: [], defaulted: [] })['x-version'], '1')
})

test('another origin gets neither a credential nor a header that the redirected request no longer had', () => {
  const given = {
    accept: 'text/plain',
    authorization: 'Bearer mine',
    cookie: 'mine',
    'content-type': 'application/json',
    'x-api-key': 'mine',
    'x-opt-ins': 'mine',
    'x-version': '2',
  }
  const { 'content-type': _, ...sent } = authenticated(given, auth, rules)
  const kept = { accept: 'text/plain', 'x-opt-ins': 'mine', 'x-version': '2' }
  assert.deepEqual(plain(withoutCredentials(given, sent, auth, rules)), kept)
})

test('headers of any form are read under lower-case names, those of one name joined', () => {
  const pairs = [
    ['X-One', 'a'],
    ['x-one', 'b'],
  ]
  for (const form of [pairs, new Headers(pairs), new Map([['X-One', 'a, b']]), { 'X-One': 'a, b' }]) {
    assert.deepEqual(plain(readHeaders(form)), { 'x-one': 'a, b' })
  }
  assert.deepEqual(plain(readHeaders(undefined)), {})
})

test('of a response only the named headers are read, also where another package made it', () => {
  const headers = new Headers({ 'retry-after': '7', 'set-cookie': 'a=1' })
  const names = new Set(['retry-after', 'x-absent'])
  assert.deepEqual(plain(observed({ headers }, names)), { 'retry-after': '7' })
  const foreign = { get: (name) => (name === 'retry-after' ? '7' : null) }
  assert.deepEqual(plain(observed({ headers: foreign }, names)), { 'retry-after': '7' })
})
