/**
 * How providers and accounts are said to stand: the data, the texts, and that no e-mail is in them.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { maskIdentity } from '../npm/build/opencode/mask.js'
import { nearestLimit, restOf, servedWords, statusOf, statusText } from '../npm/build/opencode/status.js'
import { addCommand, createTools, fillCommand } from '../npm/build/opencode/tools.js'

const NOW = new Date(2026, 10, 26, 12, 0).getTime()
const MINUTE = 60_000

const account = (fields) => ({
  id: '01A',
  provider: 'acme',
  namespace: 'default',
  label: 'ada@example.com',
  kind: 'oauth',
  identity: { email: 'ada@example.com', subject: 'ada' },
  state: 'ready',
  enabled: true,
  priority: 0,
  createdAt: 0,
  updatedAt: 0,
  refreshable: true,
  cooldowns: [],
  successes: 0,
  failures: 0,
  quota: [],
  ...fields,
})

const pool = (...accounts) => ({
  provider: accounts[0].provider,
  namespace: accounts[0].namespace,
  accounts,
  requests: 0,
  attempts: 0,
  rotations: 2,
  refreshes: 1,
  refreshFailures: 0,
  exhausted: 0,
})

test('an e-mail address is masked wherever it stands in a text', () => {
  const rows = [
    ['ada@example.com', 'a…@e….com'],
    ['ada@example.com 2', 'a…@e….com 2'],
    ['work (Ada.L+x@mail.example.co.uk)', 'work (A…@m….uk)'],
    ['"ada@example.com",<b@c.de>', '"a…@e….com",<b…@c….de>'],
    ['a@b', 'a…@b…'],
    ['@example.com', '…@e….com'],
    ['ada@', 'a…@…'],
    ['a@b@example.com', 'a…@e….com'],
    ['äda@exämple.com', 'ä…@e….com'],
    ['key …1234', 'key …1234'],
    ['work', 'work'],
    ['', ''],
  ]
  for (const [text, masked] of rows) assert.equal(maskIdentity(text), masked, text)
  const startedAt = performance.now()
  maskIdentity('a@'.repeat(200_000))
  maskIdentity('a'.repeat(400_000))
  assert.ok(performance.now() - startedAt < 5_000, 'long texts take linear time')
})

test('accounts come in the order in which they would serve, and only those that can have a place', () => {
  const accounts = [
    account({ id: '01B', label: 'b' }),
    account({ id: '01A', state: 'needs_login' }),
    account({ id: '01C', label: 'c', state: 'exhausted' }),
  ]
  const gone = account({ id: '01Z', provider: 'former' })
  const [acme, former] = statusOf({ pools: [pool(...accounts)], accounts: [...accounts, gone] }, { mask: true })
  assert.deepEqual(
    acme.accounts.map(({ id, serves }) => [id, serves]),
    [
      ['01B', 1],
      ['01A', undefined],
      ['01C', 2],
    ],
  )
  assert.deepEqual([acme.rotations, acme.refreshes], [2, 1])
  assert.deepEqual(
    former.accounts.map(({ id, serves }) => [id, serves]),
    [['01Z', undefined]],
  )
})

test('the text says who serves and why, and how each account stands', () => {
  const accounts = [
    account({
      method: 'device',
      expiresAt: NOW + 5 * MINUTE,
      quota: [{ window: '5h', usedPercent: 62, resetAt: NOW + 125 * MINUTE }],
    }),
    account({
      id: '01K',
      kind: 'api',
      label: 'key …1234',
      state: 'cooling',
      lastStatus: 429,
      cooldowns: [{ scope: 'account', until: NOW + 10 * MINUTE, reason: 'rate_limited', source: 'header' }],
    }),
    account({ id: '01D', label: 'old', enabled: false, state: 'disabled' }),
  ]
  const decisions = [
    { provider: 'openai', who: 'host', row: 'host-credential', why: 'auth.json has a key of ada@example.com' },
    { provider: 'acme', who: 'us', row: 'account', why: 'the vault has an account' },
    { provider: 'bare', who: 'us', row: 'configured', why: 'configured' },
  ]
  const providers = [{ id: 'acme', origins: ['https://api.acme.example'], methods: ['api-key'] }]
  const statuses = statusOf({ pools: [pool(...accounts)], providers, decisions }, { mask: true })
  const lines = statusText(statuses, { now: NOW, ids: true }).split('\n')
  assert.deepEqual(lines, [
    'acme: provider-auth serves (the vault has an account)',
    '  endpoint: https://api.acme.example',
    '  1. a…@e….com [01A]: sign-in with a device code; ready; token until 12:05, then renewed; 5h 62 % used, resets 14:05',
    '  2. key …1234 [01K]: API key; resting until 12:10 (rate_limited); last answer 429',
    '  - old [01D]: sign-in; disabled',
    '',
    'bare: provider-auth serves (configured)',
    '  no account yet',
    '',
    'openai: OpenCode serves (auth.json has a key of a…@e….com)',
  ])
  assert.equal(statusText(statuses, { now: NOW, ids: false }).includes('01A'), false)
  assert.equal(JSON.stringify(statuses).includes('ada@'), false)
  assert.match(
    statusText(statusOf({ pools: [pool(...accounts)] }, { mask: false }), { now: NOW, ids: false }),
    /ada@example\.com/,
  )
  assert.equal(servedWords(statusOf({ pools: [pool(...accounts)] }, { mask: true })[0]), 'acme: not used here')
})

test('accounts whose labels look the same are told apart', () => {
  const accounts = [
    account({ id: '01AAAA' }),
    account({ id: '01BBBB', label: 'anne@else.com' }),
    account({ id: '01CCCC', label: 'work' }),
  ]
  const text = statusText(statusOf({ accounts }, { mask: true }), { now: NOW, ids: false })
  assert.match(text, /a…@e….com \(…AAAA\): .*\n.*a…@e….com \(…BBBB\): .*\n.* work: /)
})

test('the nearest limit is that of the fullest window that still counts', () => {
  const [{ accounts }] = statusOf(
    {
      accounts: [
        account({
          quota: [
            { window: '5h', usedPercent: 99, resetAt: NOW - 1 },
            { window: '7d', usedPercent: 40, resetAt: NOW + MINUTE },
            { window: '1d', usedPercent: 62, resetAt: NOW + MINUTE },
          ],
          cooldowns: [{ scope: 'large-1', until: NOW + MINUTE, reason: 'rate_limited', source: 'header' }],
        }),
      ],
    },
    { mask: true },
  )
  assert.equal(nearestLimit(accounts[0], NOW).window, '1d')
  assert.equal(restOf(accounts[0], NOW), undefined)
})

test('a label cannot act on the terminal', () => {
  const [{ accounts }] = statusOf({ accounts: [account({ label: '\u001b[2Jx' })] }, { mask: true })
  assert.equal(accounts[0].label, '\\u{1b}[2Jx')
})

const locked = Object.assign(new Error('the vault of ada@example.com is locked'), { code: 'VAULT_LOCKED' })
const box = (library) => ({
  library: async () => ({ configuredProviders: async () => [], poolStatus: async () => [], ...library }),
  decisions: () => [{ provider: 'acme', who: 'us', row: 'account', why: 'it has an account' }],
  signIn: (provider) => `sign in to ${provider}`,
  masks: () => true,
})

test('a tool says why the vault, or the library, does not open', async () => {
  const tools = createTools(box({ listAccounts: () => Promise.reject(locked) }))
  const status = await tools.auth_status.execute({ provider: '', emails: false })
  assert.match(
    status.output,
    /^provider-auth: the accounts cannot be read: the vault of a…@e….com is locked\n\nacme: provider-auth serves/,
  )
  assert.equal((await tools.auth_refresh.execute({})).output, 'provider-auth: the vault of a…@e….com is locked')
  const broken = createTools({ ...box({}), library: () => Promise.reject(new Error('no addon')) })
  for (const { execute } of Object.values(broken)) assert.equal((await execute()).output, 'provider-auth: no addon')
})

test('a tool takes whatever arguments it is given', async () => {
  const tools = createTools(box({ listAccounts: async () => [] }))
  for (const args of [undefined, null, 1, 'x', [], {}, { provider: 1, account: {}, force: 'yes' }]) {
    for (const { execute } of Object.values(tools)) assert.equal(typeof (await execute(args)).output, 'string')
  }
})

test('a refresh names each account and how it ended', async () => {
  const accounts = [
    account({ id: '01A', updatedAt: 1 }),
    account({ id: '01B', label: 'b', updatedAt: 1, expiresAt: Number.MAX_SAFE_INTEGER }),
    account({ id: '01C', label: 'c' }),
    account({ id: '01D', label: 'd' }),
    account({ id: '01E', label: 'e', enabled: false }),
  ]
  const outcomes = {
    '01A': async () => ({ ...accounts[0], updatedAt: 2 }),
    '01B': async () => accounts[1],
    '01C': () => Promise.reject(Object.assign(new Error('over'), { code: 'NEEDS_LOGIN' })),
    '01D': () => Promise.reject(Object.assign(new Error('no answer for ada@example.com'), { code: 'NETWORK' })),
  }
  const tools = createTools(box({ listAccounts: async () => accounts, refreshAccount: (id) => outcomes[id]() }))
  const { output } = await tools.auth_refresh.execute({ provider: 'acme', account: '', force: true })
  const [first, second, third, fourth, ...rest] = output.split('\n')
  assert.equal(first, 'a…@e….com of acme [01A]: the token was renewed; it does not end')
  assert.match(second, /^b of acme \[01B\]: the token is still good, and was not renewed; good until /)
  assert.equal(third, 'c of acme [01C]: its login has ended; sign in to acme')
  assert.equal(fourth, 'd of acme [01D]: the token was not renewed: no answer for a…@e….com')
  assert.deepEqual(rest, [])
})

test('the slash command is added beside those of the user, and fills only its own message', async () => {
  const config = { command: { test: { template: 'x' } } }
  addCommand(config)
  assert.deepEqual(Object.keys(config.command), ['test', 'auth-status'])
  const own = { command: { 'auth-status': { template: 'mine' } } }
  addCommand(own)
  assert.equal(own.command['auth-status'].template, 'mine')
  const parts = [{ type: 'file' }, { type: 'text', text: 'x' }]
  await fillCommand(box({ listAccounts: async () => [account({})] }), 'test', parts)
  assert.equal(parts[1].text, 'x')
  await fillCommand(box({ listAccounts: async () => [account({})] }), 'auth-status', parts)
  assert.match(parts[1].text, /a…@e….com: sign-in; ready/)
  for (const odd of [undefined, null, [], [null], 'x']) await fillCommand(box({}), 'auth-status', odd)
})
