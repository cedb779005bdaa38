/** The commands that show and change accounts: `accounts`, `status`, `use`, `move`, `rename`, `enable`, `disable`, `refresh`, `unblock`. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { signIn } from './support/agent.mjs'
import { answer, assertFits, COMMAND, command, failure, startCommand } from './support/cli.mjs'
import { startOidcProvider } from './support/oidc.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { hasTmux } from './support/tmux.mjs'

const oidc = await startOidcProvider()
const provider = { origins: ['https://api.acme.example'] }
const sandbox = createSandbox({
  name: 'cli-accounts',
  config: {
    providers: {
      acme: provider,
      zeta: provider,
      solo: provider,
      desk: oidc.config({ origins: ['https://api.acme.example'] }),
    },
  },
})
after(async () => {
  await oidc.close()
  sandbox.cleanup()
})

/** Adds API keys, in this order. */
const add = (...keys) =>
  sandbox.output(
    `for (const key of ${JSON.stringify(keys)}) await auth.addApiKey({ apiKey: 'key-of-' + JSON.stringify(key), ...key })`,
  )
const labels = (accounts) => accounts.map(({ label }) => label)
const order = async (id, namespace = 'default') =>
  labels((await answer(sandbox, 'accounts', ['accounts', id, '--namespace', namespace])).accounts)
const done = async (args) => {
  const { code, stdout, stderr } = await command(sandbox, args)
  assert.equal(code, 0, stderr)
  return { stdout, stderr }
}

await add(
  { provider: 'acme', label: 'a' },
  { provider: 'acme', label: 'b' },
  { provider: 'acme', label: 'c' },
  { provider: 'acme', label: 'd' },
  { provider: 'zeta', label: 'a' },
  { provider: 'zeta', label: 'a', namespace: 'team' },
  { provider: 'solo', label: 'only' },
)

test('an account is named by label, id, provider and label, or its provider alone', async () => {
  const { accounts } = await answer(sandbox, 'accounts', ['accounts'])
  const id = accounts.find(({ label }) => label === 'b').id
  for (const name of ['b', id, id.toLowerCase(), 'acme/b', 'acme/default/b'])
    assert.equal((await answer(sandbox, 'rename', ['rename', name, 'b'])).account.id, id, name)
  assert.equal((await answer(sandbox, 'rename', ['rename', 'solo', 'only'])).labelBefore, 'only')
  for (const [name, fits] of [
    ['a', ['acme/a', 'zeta/default/a', 'zeta/team/a']],
    ['zeta/a', ['zeta/default/a', 'zeta/team/a']],
    ['acme', ['acme/a', 'b', 'c', 'd']],
  ]) {
    const { exit, code, why } = await failure(sandbox, ['rename', name, 'x'])
    assert.equal(exit, 2)
    assert.equal(code, 'INVALID_ARGUMENT')
    assert.deepEqual(why.match(/[^\s(),]+(?= \()/g).sort(), fits)
    assert.match(why, /\(01[0-9A-Z]{24}\)/)
  }
  const { exit, code, next } = await failure(sandbox, ['rename', 'nobody', 'x'])
  assert.deepEqual([exit, code], [1, 'UNKNOWN_ACCOUNT'])
  assert.match(next, /provider-auth accounts/)
})

test('a label that is taken gets a number, which is said', async () => {
  const { stdout } = await done(['rename', 'c', 'b'])
  assert.match(stdout, /c is called b 2 now \(b is taken/)
  await done(['rename', 'b 2', 'c'])
  const { exit } = await failure(sandbox, ['rename', 'c', ''])
  assert.equal(exit, 2)
})

test('an account that is used serves first, and who did before is said', async () => {
  const used = await answer(sandbox, 'use', ['use', 'c'])
  assert.deepEqual([used.before.label, used.now.label, used.account.serves], ['a', 'c', 1])
  assert.deepEqual(await order('acme'), ['c', 'a', 'b', 'd'])
  assert.match((await done(['use', 'c'])).stdout, /as before/)
  await done(['disable', 'c'])
  assert.match((await done(['use', 'c'])).stdout, /but a serves now: it is disabled/)
  await done(['enable', 'c'])
})

test('an account moves to each place, and few priorities change', async () => {
  const move = async (...args) => {
    const moved = await answer(sandbox, 'move', ['move', ...args])
    assert.deepEqual(await order('acme'), labels(moved.order), args.join(' '))
    return [labels(moved.order).join(''), moved.changed]
  }
  await answer(sandbox, 'use', ['use', 'acme/a'])
  assert.deepEqual(await move('b', 'last'), ['acdb', 1])
  assert.deepEqual(await move('b', 'last'), ['acdb', 0])
  assert.deepEqual(await move('acme/a', 'up'), ['acdb', 0])
  assert.deepEqual((await move('acme/a', 'down'))[0], 'cadb')
  assert.deepEqual((await move('b', 'first'))[0], 'bcad')
  assert.deepEqual((await move('b', 'after', 'acme/a'))[0], 'cabd')
  assert.deepEqual((await move('d', 'before', 'c'))[0], 'dcab')
  assert.deepEqual((await move('c', 'up'))[0], 'cdab')
  for (const [args, what] of [
    [['b'], /neither a place nor a pool/],
    [['b', 'sideways'], /no place/],
    [['b', 'before'], /names no other account/],
    [['b', 'up', 'c'], /takes no other account/],
    [['b', 'before', 'b'], /is the account itself/],
    [['b', 'before', 'solo'], /another pool/],
  ]) {
    const { exit, message } = await failure(sandbox, ['move', ...args])
    assert.equal(exit, 2)
    assert.match(message, what)
  }
})

test('two processes that move accounts of one pool at once leave a whole order', async () => {
  const names = ['acme/a', 'b', 'c', 'd']
  await Promise.all(names.map((name) => done(['move', name, 'first'])))
  assert.deepEqual((await order('acme')).sort(), ['a', 'b', 'c', 'd'])
})

test('an account moves to another pool, and to a place in it', async () => {
  const { account } = await answer(sandbox, 'move', ['move', 'd', '--namespace', 'team'])
  assert.equal(account.namespace, 'team')
  await answer(sandbox, 'move', ['move', 'c', 'before', 'd', '--namespace', 'team'])
  assert.deepEqual(await order('acme', 'team'), ['c', 'd'])
  for (const name of ['c', 'd']) await done(['move', name, '--namespace', 'default'])
})

test('several accounts are switched at once, none where one name is wrong; an emptied pool is told', async () => {
  assert.equal((await failure(sandbox, ['disable', 'b', 'nobody'])).code, 'UNKNOWN_ACCOUNT')
  const whole = await answer(sandbox, 'accounts', ['accounts', 'acme'])
  assert.ok(whole.accounts.every(({ enabled }) => enabled))
  const { accounts, withoutServing } = await answer(sandbox, 'disable', ['disable', 'b', 'c', 'acme/b'])
  assert.deepEqual(labels(accounts).sort(), ['b', 'c'])
  assert.ok(accounts.every(({ enabled, serves }) => !enabled && serves === undefined))
  assert.deepEqual(withoutServing, [])
  assert.match((await done(['disable', 'solo'])).stderr, /no account of solo can serve any more/)
  assert.deepEqual((await answer(sandbox, 'disable', ['disable', 'solo'])).withoutServing, [
    { provider: 'solo', namespace: 'default' },
  ])
  assert.match(
    (await done(['enable', 'b', 'c', 'solo'])).stdout,
    /b of acme is enabled\nc of acme is enabled\nonly of solo is enabled/,
  )
})

test('the status says who serves and why, and a rest is cleared', async () => {
  const { pools } = await answer(sandbox, 'status', ['status', 'solo'])
  assert.equal(pools.length, 1)
  assert.deepEqual(
    [pools[0].next.label, pools[0].next.why, pools[0].states],
    ['only', 'the only account', { ready: 1 }],
  )
  // Processes that moved accounts at once, as in the test above, may have left two with the same priority.
  await done(['use', 'acme/a'])
  const [first] = await order('acme')
  assert.equal(first, 'a')
  await sandbox.output(`
    const { attempt } = await auth.getAuthHeaders({ provider: 'acme', url: 'https://api.acme.example/v1' })
    await auth.reportResponse({ attempt, status: 429, headers: { 'retry-after': '3000' }, body: '{}' })`)
  const { stdout } = await done(['status', 'acme'])
  assert.match(stdout, new RegExp(`serves next: next by priority, since ${first} rests until`))
  assert.match(stdout, /4 accounts: .*3 ready/)
  assert.match((await done(['accounts', 'acme'])).stdout, new RegExp(`${first} +limit reached, free in (50|49) min`))
  assert.equal((await answer(sandbox, 'unblock', ['unblock', '--provider', 'solo'])).cleared, 0)
  assert.equal((await answer(sandbox, 'unblock', ['unblock', `acme/${first}`])).cleared, 1)
  assert.match((await done(['unblock', '--all'])).stdout, /nothing to clear/)
  for (const args of [[], ['b', '--all'], ['--all', '--provider', 'acme']])
    assert.equal((await failure(sandbox, ['unblock', ...args])).exit, 2)
})

test('the status of a pool in which none can serve says what keeps its accounts, and until when', async () => {
  await sandbox.output(`
    const { attempt } = await auth.getAuthHeaders({ provider: 'solo', url: 'https://api.acme.example/v1' })
    await auth.reportResponse({ attempt, status: 429, headers: { 'retry-after': '3000' }, body: '{}' })`)
  const { next, retryAt } = (await answer(sandbox, 'status', ['status', 'solo'])).pools[0]
  assert.equal(next.outcome, 'exhausted')
  assert.match(next.why, /^only rests until /)
  assert.ok(next.until > Date.now() && retryAt > Date.now())
  assert.match(
    (await done(['status', 'solo'])).stdout,
    /no account can serve now: only rests until .*; free in (50|49):\d\d/,
  )
  await done(['disable', 'solo'])
  assert.match((await done(['status', 'solo'])).stdout, /no account can serve now: only is disabled/)
  await done(['enable', 'solo'])
  await done(['disable', 'acme/a', 'b', 'c', 'd'])
  assert.match(
    (await done(['status', 'acme'])).stdout,
    /no account can serve now: 4 are disabled\n {2}4 accounts: 4 disabled/,
  )
  await done(['enable', 'acme/a', 'b', 'c', 'd'])
})

test('status --watch prints a line per change, and ends with 130', async () => {
  const watching = sandbox.spawn(COMMAND, {
    args: ['status', 'solo', '--watch', '--json'],
    input: null,
  })
  assertFits('status', JSON.parse(await watching.line(/"ready":1/)))
  await done(['disable', 'solo'])
  assertFits('status', JSON.parse(await watching.line(/"disabled":1/)))
  watching.child.kill('SIGINT')
  assert.equal((await watching.ended).code, 130)
  await done(['enable', 'solo'])
})

test('tokens are renewed, keys are skipped, and a login that has ended is told by 3', async () => {
  for (const user of ['ada', 'alan']) {
    const login = sandbox.start(`
      const account = await auth.login({
        provider: 'desk', method: 'browser', label: '${user}', onPrompt: (prompt) => console.log('prompt ' + JSON.stringify(prompt)),
      })`)
    const prompt = JSON.parse((await login.line(/^prompt /)).slice('prompt '.length))
    await signIn(prompt, { user })
    assert.equal((await login.ended).code, 0)
  }
  const before = (await answer(sandbox, 'accounts', ['accounts', 'desk'])).accounts
  assert.deepEqual(labels(before).sort(), ['ada', 'alan'])
  assert.match(
    (await done(['refresh', 'ada', 'solo'])).stdout,
    /ada of desk: still good.*\nonly of solo: skipped, an API key/,
  )
  const all = await answer(sandbox, 'refresh', ['refresh', '--all', '--force'])
  assert.deepEqual(labels(all.refreshed).sort(), ['ada', 'alan'])
  assert.equal(all.skipped.length, 7)
  assert.equal((await answer(sandbox, 'refresh', ['refresh', 'solo'])).skipped[0].why, 'an API key does not end')
  oidc.revokeGrants('ada')
  const alone = await failure(sandbox, ['refresh', 'ada', '--force'])
  assert.deepEqual([alone.exit, alone.code], [3, 'NEEDS_LOGIN'])
  const { code, stdout } = await command(sandbox, ['refresh', '--provider', 'desk', '--force', '--json'])
  assert.equal(code, 3)
  const answered = JSON.parse(stdout)
  assertFits('refresh', answered)
  assert.deepEqual([labels(answered.refreshed), labels(answered.failed)], [['alan'], ['ada']])
  assert.equal((await failure(sandbox, ['refresh', '--provider', 'none'])).exit, 3)
  assert.equal((await failure(sandbox, ['refresh'])).exit, 2)
})

test('a hundred accounts with long labels read well in 80 columns', { skip: !hasTmux && 'no tmux' }, async () => {
  await sandbox.output(`
    for (let index = 0; index < 100; index += 1)
      await auth.addApiKey({ provider: 'zeta', apiKey: 'key-number-' + index, label: 'somebody.with.a.long.name.' + index + '@department.example.com' })`)
  const terminal = await startCommand(sandbox, ['accounts', 'zeta'], { height: 110 })
  after(terminal.close)
  const screen = await terminal.shows(/name\.99/)
  const rows = screen.split('\n').filter((line) => /^zeta /.test(line))
  assert.equal(rows.length, 102)
  assert.ok(
    rows.every((line) => /^zeta +\S+ +\d+ .* ready$/.test(line)),
    screen,
  )
  // What a script reads is whole.
  assert.match((await done(['accounts', 'zeta'])).stdout, /name\.99@department\.example\.com/)
  assert.match((await done(['accounts', 'zeta', '--long'])).stdout, /01[0-9A-Z]{24}/)
})

test('the status of a provider without an account says whose there is none', async () => {
  assert.match((await done(['status', 'nobody'])).stdout, /no account of nobody yet; .*provider-auth login nobody$/m)
})

test('no status makes a vault', async () => {
  const empty = createSandbox({ name: 'cli-status', config: { providers: {} } })
  after(empty.cleanup)
  const { vault, pools } = await answer(empty, 'status', ['status'])
  assert.deepEqual([vault.state, pools], ['empty', []])
  assert.equal((await answer(empty, 'status', ['status'])).vault.state, 'empty')
})
