/** What the screens of `/accounts` say, and when they read. */
import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pin } from '../npm/build/opencode/pins.js'
import {
  accountDetails,
  accountWords,
  countdownOf,
  countsLine,
  faultWords,
  namesOf,
  providerTitle,
  servingLine,
  sidebarLines,
  span,
  vaultWords,
  when,
} from '../npm/build/opencode/tui/lines.js'
import { createLive } from '../npm/build/opencode/tui/live.js'
import { isAttached } from '../npm/build/opencode/tui/start.js'
import { until } from './support/until.mjs'

const SECOND = 1_000
const HOUR = 3_600 * SECOND
const NOW = new Date(2026, 10, 26, 12, 0).getTime()

const account = (more = {}) => ({
  id: '01M8CZ7DWJEVB5X58JYTXSEPC7',
  provider: 'acme',
  namespace: 'default',
  label: 'work',
  kind: 'api',
  state: 'ready',
  enabled: true,
  priority: 0,
  createdAt: NOW,
  updatedAt: NOW,
  refreshable: false,
  cooldowns: [],
  successes: 0,
  failures: 0,
  quota: [],
  ...more,
})
const window = (name, usedPercent, resetAt) => ({ window: name, usedPercent, resetAt, observedAt: NOW })
const rest = (ms, scope = 'account') => ({ scope, until: NOW + ms, reason: 'rate_limited', source: 'header' })

test('the line of a session has the window that is used most', () => {
  const quota = [window('7d', 12, NOW + 50 * HOUR), window('5h', 62, NOW + 2 * HOUR + 5 * 60 * SECOND)]
  assert.equal(lineOf({ outcome: 'serve' }, { quota }), 'work · 5h 62 % · resets 14:05')
  assert.equal(lineOf({ outcome: 'serve' }, { quota: [window('5h', 62, NOW - 1)] }), 'work')
})

for (const [outcome, more, chosen, line] of [
  ['wait', { until: NOW + HOUR }, undefined, 'work · resting until 13:00'],
  ['exhausted', { until: NOW + HOUR, accountId: undefined }, undefined, 'acme · every account rests until 13:00'],
  ['exhausted', { accountId: undefined }, undefined, 'acme · every account rests'],
  ['exhausted', { until: NOW + HOUR, accountId: undefined }, 'id', 'work · chosen, and rests until 13:00'],
  ['exhausted', { until: NOW + HOUR, accountId: undefined }, 'work', 'work · chosen, and rests until 13:00'],
  ['needs_login', {}, undefined, 'work · sign in again: /accounts'],
  ['no_account', { accountId: undefined }, undefined, 'acme · no account: /accounts'],
  ['no_account', { accountId: undefined }, 'id', 'work · chosen, and cannot serve: /accounts'],
  ['unknown_account', { accountId: undefined }, 'gone', 'the chosen account is gone: /accounts'],
  ['origin_refused', { accountId: undefined }, undefined, 'acme · not one of its addresses'],
]) {
  test(`the line of a session says ${outcome}${chosen === undefined ? '' : ` of the chosen account ${chosen}`}`, () => {
    assert.equal(lineOf({ outcome, ...more }, {}, chosen === 'id' ? account().id : chosen), line)
  })
}

test('the line of a session is empty where OpenCode serves, and says where a fault is told', () => {
  assert.equal(servingLine({ provider: 'acme' }, [], new Map(), NOW), '')
  assert.equal(servingLine({ provider: 'acme', fault: 'any' }, [], new Map(), NOW), 'acme · see /accounts')
})

test('names are masked, and told apart where they then look the same', () => {
  const accounts = [
    account({ id: 'XXXX1111', label: 'ada@local.test' }),
    account({ id: 'XXXX2222', label: 'alan@local.test' }),
    account({ id: 'XXXX3333', label: 'bob@local.test' }),
    account({ id: 'XXXX4444', label: 'ada@local.test', provider: 'other' }),
  ]
  assert.deepEqual(
    [...namesOf(accounts, true).values()],
    ['a…@l….test (1111)', 'a…@l….test (2222)', 'b…@l….test', 'a…@l….test'],
  )
  assert.deepEqual([...namesOf(accounts.slice(0, 2), false).values()], ['ada@local.test', 'alan@local.test'])
})

test('what a terminal would act on is written out', () => {
  assert.equal(namesOf([account({ label: 'a\u001b[2Jb' })], true).get(account().id), 'a\\u{1b}[2Jb')
  assert.equal(faultWords(new Error('no\u0007 for ada@local.test')), 'no\\u{7} for a…@l….test')
})

test('a row says state, limits and the last answer', () => {
  const quota = [window('5h', 62, NOW + HOUR), window('7d', 12, NOW + 50 * HOUR)]
  assert.equal(
    accountWords(account({ quota, lastStatus: 200 }), NOW),
    'ready · 5h 62 %, resets 13:00 · 7d 12 %, resets Sat 14:00 · last answer 200',
  )
  const resting = account({ state: 'cooling', cooldowns: [rest(HOUR)], lastStatus: 429 })
  assert.equal(accountWords(resting, NOW), 'resting until 13:00 (rate_limited) · last answer 429')
  assert.equal(accountWords(account({ enabled: false, state: 'disabled', cooldowns: [rest(HOUR)] }), NOW), 'disabled')
})

test('the screen of an account says the rest', () => {
  const login = account({
    kind: 'oauth',
    namespace: 'team',
    expiresAt: NOW + HOUR,
    refreshable: true,
    successes: 3,
    failures: 1,
  })
  assert.equal(
    accountDetails(login, NOW),
    'sign-in · pool team · priority 0 · 3 served · 1 refused · token until 13:00, then renewed',
  )
  assert.match(
    accountDetails(account({ cooldowns: [rest(HOUR, 'small-1')] }), NOW),
    /small-1 rests until 13:00 \(rate_limited\)/,
  )
})

test('a countdown is that of the account, else of what rests longest', () => {
  assert.equal(countdownOf(account({ cooldowns: [rest(42 * SECOND), rest(HOUR, 'small-1')] }), NOW), 'free in 0:42')
  assert.equal(countdownOf(account({ cooldowns: [rest(SECOND, 'a'), rest(HOUR, 'b')] }), NOW), 'b free in 1:00:00')
  assert.equal(countdownOf(account({ cooldowns: [rest(-1)] }), NOW), '')
  assert.equal(countdownOf(account({ enabled: false, cooldowns: [rest(HOUR)] }), NOW), '')
})

for (const [ms, text] of [
  [0, '0:00'],
  [1, '0:01'],
  [59_999, '1:00'],
  [3_909_000, '1:05:09'],
  [26 * HOUR, '1 d 2 h'],
  [-5, '0:00'],
]) {
  test(`${ms} ms are ${text}`, () => assert.equal(span(ms), text))
}

test('a time is as short as can be', () => {
  assert.equal(when(NOW + 13 * HOUR, NOW), '01:00')
  assert.equal(when(NOW + 25 * HOUR, NOW), 'Fri 13:00')
  assert.equal(when(NOW + 24 * 7 * HOUR, NOW), '2026-12-03')
})

test('at home the accounts are counted, and those that need something', () => {
  assert.equal(countsLine([], NOW), '')
  assert.equal(countsLine([account()], NOW), '1 account')
  const all = [account({ cooldowns: [rest(HOUR)] }), account({ state: 'needs_login' }), account({ enabled: false })]
  assert.equal(countsLine(all, NOW), '3 accounts, 1 resting, 1 to sign in')
})

test('the side bar marks who serves, and lists a few', () => {
  const many = Array.from({ length: 8 }, (_, index) => account({ id: `id${index}`, label: `n${index}` }))
  const lines = sidebarLines(many, namesOf(many, true), 'id1', NOW)
  assert.deepEqual([lines[0], lines[1], lines.at(-1), lines.length], ['○ n0', '● n1', 'and 2 more: /accounts', 7])
})

test('the title of a provider says who serves and how its pools went', () => {
  const pools = [{ requests: 3, rotations: 1, refreshes: 0, exhausted: 2 }]
  assert.equal(
    providerTitle('acme', { isOurs: true, serving: 'work', pools }),
    'acme · this session: work · 3 requests · 1 switch · 2 times exhausted',
  )
  assert.equal(
    providerTitle('acme', { isOurs: false, serving: undefined, pools: [] }),
    'acme · OpenCode serves it; options.auth in opencode.json hands it over',
  )
})

test('each state of a vault that is not open has words', () => {
  for (const state of ['locked', 'timeout', 'unavailable', 'key_missing', 'key_mismatch'])
    assert.ok(vaultWords({ state }))
  for (const state of ['open', 'empty']) assert.equal(vaultWords({ state }), undefined)
})

test('only opencode attach shows what another process does', () => {
  assert.ok(isAttached(['bun', '/$bunfs/root/src/index.js', 'attach', 'http://127.0.0.1:4096']))
  assert.ok(!isAttached(['bun', '/$bunfs/root/src/index.js']))
})

test('nothing is read while nothing is shown', async () => {
  const { live, calls, emit } = stage()
  assert.deepEqual(calls, [])
  const stop = live.watch({})
  await until('it was read', () => live.now().read)
  assert.equal(live.now().accounts.length, 1)
  stop()
  calls.length = 0
  emit()
  await live.reload()
  calls.length = 0
  emit()
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.deepEqual(calls, [])
  assert.equal(emit(), 0, 'it listens on')
})

test('an event is seen at once, a change of another process within a second while a countdown is shown', async () => {
  const { live, emit, vault } = stage()
  const stop = live.watch({ counts: true })
  await until('it was read', () => live.now().read)
  vault.accounts = [account({ label: 'renamed' })]
  emit()
  await until('the event was heard', () => live.now().accounts[0].label === 'renamed')
  vault.accounts = [account({ label: 'elsewhere' })]
  await until('it was read again', () => live.now().accounts[0].label === 'elsewhere')
  stop()
})

test('under attach nothing is subscribed to, and all is read once a second', async () => {
  const { live, vault, emit } = stage({ attached: true })
  const stop = live.watch({})
  await until('it was read', () => live.now().read)
  assert.equal(emit(), 0)
  vault.accounts = []
  await until('it was read again', () => live.now().accounts.length === 0)
  stop()
})

test('a locked vault is asked for its state only, until somebody wants to try again', async () => {
  const { live, calls, vault } = stage()
  vault.state = 'locked'
  const stop = live.watch({ counts: true })
  await until('the reason is there', () => /keychain is locked/.test(live.now().fault))
  await until('it was looked at again', () => calls.filter((call) => call === 'vaultStatus').length > 1)
  assert.ok(!calls.includes('listAccounts'), calls.join())
  vault.state = 'open'
  await until('the accounts are there', () => live.now().accounts.length === 1)
  stop()
})

test('an empty vault is not made by looking at it', async () => {
  const { live, calls, vault } = stage()
  vault.state = 'empty'
  const stop = live.watch({ counts: true })
  await until('it was looked at twice', () => calls.filter((call) => call === 'vaultStatus').length > 1)
  assert.ok(!calls.includes('listAccounts'), calls.join())
  assert.equal(live.now().fault, undefined)
  stop()
})

test('what fails while reading is said, and read again', async () => {
  const { live, vault } = stage()
  vault.fault = new Error('the disk is gone')
  const stop = live.watch({ counts: true })
  await until('the reason is there', () => live.now().fault === 'the disk is gone')
  vault.fault = undefined
  await until('the accounts are there', () => live.now().accounts.length === 1)
  stop()
})

test('who serves a session is asked with its model, its pool and the account that was chosen for it', async () => {
  const file = join(tmpdir(), `provider-auth-pins-${process.pid}.json`)
  const { live, asked } = stage({ file, auth: { namespace: 'team', strategy: 'balanced' } })
  const stop = live.watch({ session: 'ses_1', counts: true })
  await until('it was asked', () => asked.length > 0)
  const [{ rotation, ...first }] = asked
  const place = { provider: 'acme', url: 'https://acme.test/v1', model: 'small-1', namespace: 'team' }
  assert.deepEqual(first, { ...place, session: 'ses_1' })
  assert.equal(rotation.strategy, 'balanced')
  assert.equal(live.now().sessions.get('ses_1').trace.outcome, 'serve')
  pin({ session: 'ses_parent' }, 'acme', 'id-of-parent', file)
  await until('the choice of the session above counts', () => asked.at(-1).account === 'id-of-parent')
  stop()
})

test('a provider that OpenCode serves is not asked about', async () => {
  const { live, asked } = stage({ apiKey: 'its own' })
  const stop = live.watch({ session: 'ses_1' })
  await until('it was read', () => live.now().read)
  assert.deepEqual([asked, live.now().sessions.get('ses_1')], [[], { provider: 'acme' }])
  stop()
})

test('before OpenCode is ready nothing is read', async () => {
  const { live, calls, api } = stage()
  api.state.ready = false
  const stop = live.watch({})
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.deepEqual(calls, [])
  api.state.ready = true
  await until('it was read', () => live.now().read)
  stop()
})

/** A library and a host that remember how they were called. */
function stage({
  attached = false,
  file = join(tmpdir(), 'no-such-pins.json'),
  auth,
  apiKey = 'kept-by-provider-auth',
} = {}) {
  const calls = []
  const asked = []
  const listeners = new Set()
  const vault = { state: 'open', accounts: [account()], fault: undefined }
  const call =
    (name, answer) =>
    async (...args) => {
      calls.push(name)
      if (vault.fault !== undefined) throw vault.fault
      return answer(...args)
    }
  const library = {
    vaultStatus: async () => {
      calls.push('vaultStatus')
      return { state: vault.state }
    },
    listAccounts: call('listAccounts', () => vault.accounts),
    poolStatus: call('poolStatus', () => []),
    configuredProviders: call('configuredProviders', () => []),
    explain: call('explain', (request) => {
      asked.push(request)
      return { outcome: 'serve', accounts: [] }
    }),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const message = { role: 'assistant', providerID: 'acme', modelID: 'small-1' }
  const api = {
    state: {
      ready: true,
      config: { provider: { acme: { options: { ...(auth !== undefined && { auth }) } } } },
      provider: [{ id: 'acme', options: { apiKey, baseURL: 'https://acme.test/v1' } }],
      path: { directory: '/projects/a', worktree: '/projects/a' },
      session: { get: () => ({ parentID: 'ses_parent' }), messages: () => [message] },
    },
  }
  const createSignal = (value) => [() => value, (next) => (value = next)]
  const live = createLive(api, { createSignal }, { library, attached, pinsFile: file })
  const emit = () => {
    for (const listener of listeners) listener({ type: 'served' })
    return listeners.size
  }
  return { live, calls, asked, vault, api, emit }
}

function lineOf(trace, more, chosen) {
  const one = account(more)
  const serving = { provider: 'acme', trace: { accountId: one.id, accounts: [], ...trace }, ...(chosen && { chosen }) }
  return servingLine(serving, [one], namesOf([one], true), NOW)
}
