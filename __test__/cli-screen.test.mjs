/** The accounts screen in a real terminal: what it shows, what its keys do, and that the terminal is given back whatever ends it. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { signIn } from './support/agent.mjs'
import { COMMAND, command, startCommand } from './support/cli.mjs'
import { startOidcProvider } from './support/oidc.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { hasTmux, startTerminal } from './support/tmux.mjs'
import { until } from './support/until.mjs'

const SKIP = !hasTmux && 'no tmux'
const origins = ['https://api.acme.example']
const CONFIG = { providers: { acme: { origins }, zeta: { origins } } }

const sandbox = openSandbox()
const { vaultDir } = sandbox
assert.ok(vaultDir)

function openSandbox() {
  const made = createSandbox({ name: 'cli-screen', config: CONFIG })
  after(made.cleanup)
  return made
}

/** Adds API keys of a provider, in this order. */
const add = (to, provider, ...labels) =>
  to.output(`
    for (const [index, label] of ${JSON.stringify(labels)}.entries())
      await auth.addApiKey({ provider: '${provider}', apiKey: 'the-key-of-${provider}-' + index, label })`)
const accounts = async (of, provider = 'acme') => (await of.accountsOf(provider)).map(({ label }) => label)

async function open(of, options) {
  const terminal = await startCommand(of, [], options)
  after(terminal.close)
  return terminal
}

/** Sequences that set a colour. */
const COLOURS = new RegExp(`${'\u001b'}\\[(?:[\\d;]*;)?[349]\\dm`)
const WIDE = '漢字の名前'
const LONG = 'somebody.with.a.rather.long.name@department.example.com'

test('accounts by provider, their state, a countdown that runs, who serves and why', { skip: SKIP }, async () => {
  await add(sandbox, 'acme', 'first', WIDE, LONG)
  await add(sandbox, 'zeta', 'other')
  await sandbox.output(`
    const { attempt } = await auth.getAuthHeaders({ provider: 'acme', url: '${origins[0]}/v1' })
    await auth.reportResponse({ attempt, status: 429, headers: { 'retry-after': '3000' }, body: '{}' })`)
  const terminal = await open(sandbox)
  const screen = await terminal.shows(/first +limit reached 4\d:\d\d/)
  const lines = screen.split('\n')
  assert.match(lines[0], /^provider-auth {2}4 accounts, 1 resting/)
  assert.match(screen, /漢字の名前 serves next: /)
  assert.match(screen, /other serves next: the only account/)
  assert.match(screen, /❯ +\d+ +first/)
  assert.match(screen, /q quit/)
  assert.ok(lines.length <= 25)
  const countdown = /limit reached (4\d:\d\d)/
  const [, before] = countdown.exec(screen)
  await terminal.shows((text) => countdown.exec(text)?.[1] < before)
  await terminal.press('m')
  const masked = await terminal.shows(/e-mails masked/)
  assert.ok(!masked.includes('department'))
  await terminal.press('m')
  await terminal.shows(/department/)
  await terminal.press('c')
  await terminal.shows(/1 cooldown of first cleared/)
  await terminal.press('?')
  await terminal.shows(/any key goes back/)
  await terminal.press('q')
  await terminal.shows(/q quit/)
  await terminal.press('q')
  assert.equal(await terminal.ended(), 0)
})

test('keys rename, switch, move, put first and remove', { skip: SKIP }, async () => {
  const own = openSandbox()
  await add(own, 'acme', 'a', 'b', 'c')
  const terminal = await open(own)
  await terminal.shows(/❯ +1 ● a/)
  await terminal.press('r')
  await terminal.shows(/New label/)
  assert.equal((await terminal.modes()).cursor, true)
  await terminal.type('é漢 x')
  await terminal.press('Escape')
  await terminal.shows((text) => !/New label/.test(text))
  assert.deepEqual(await accounts(own), ['a', 'b', 'c'])
  assert.equal((await terminal.modes()).cursor, false)
  await terminal.press('r', 'C-u')
  await terminal.type('漢 q')
  await terminal.press('Left', 'BSpace', 'Enter')
  await terminal.shows(/a is called 漢q now/)
  await terminal.press('Down', 'd')
  await terminal.shows(/❯ +- +b +disabled/)
  await terminal.press('e')
  await terminal.shows(/b is enabled/)
  await terminal.press('K')
  await terminal.shows(/b is moved up/)
  await terminal.shows(/b .*\n.*漢q/)
  await terminal.press('K')
  await terminal.shows(/b is first already/)
  await terminal.press('End', 'u')
  await terminal.shows(/c serves first in acme; before, b did/)
  await terminal.press('x')
  await terminal.shows(/Remove c of acme for good\?/)
  await terminal.press('Enter')
  await terminal.shows(/nothing was removed/)
  await terminal.press('x', 'y')
  await terminal.shows(/c is removed/)
  assert.deepEqual((await accounts(own)).sort(), ['b', '漢q'])
  // An API key has neither a token nor a login.
  await terminal.press('f')
  await terminal.shows(/nothing to refresh, an API key does not end/)
  await terminal.press('l')
  await terminal.shows(/add the new key with a/)
})

test('without colours, and without more than ASCII, it says the same', { skip: SKIP }, async () => {
  const plain = await open(sandbox, { env: { NO_COLOR: '1', LANG: 'C' } })
  const text = await plain.shows(/> +\d+ /)
  assert.match(text, /\* /)
  assert.doesNotMatch(text, /[❯●█░]/)
  assert.doesNotMatch(await plain.coloured(), COLOURS)
  const coloured = await open(sandbox)
  await coloured.shows(/❯/)
  assert.match(await coloured.coloured(), COLOURS)
})

test('sixty accounts scroll, and the selected one stays in sight, whatever the size', { skip: SKIP }, async () => {
  const many = openSandbox()
  await add(many, 'acme', ...Array.from({ length: 60 }, (_, index) => `account-${index}`))
  const terminal = await open(many)
  await terminal.shows(/❯ +1 ● account-0[\s\S]*below/)
  await terminal.press('End')
  await terminal.shows(/❯ +60 +account-59/)
  await terminal.press('PPage')
  await terminal.shows(/❯ +\d+ +account-4\d/)
  const [selected] = /account-4\d/.exec(/❯.*/.exec(await terminal.screen())[0])
  for (const [columns, rows] of [
    [50, 10],
    [30, 7],
    [120, 50],
    [80, 24],
  ]) {
    await terminal.resize(columns, rows)
    const fits = (text) => new RegExp(`❯ +\\d+ +${selected}`).test(text) && text.includes('q quit')
    const screen = await terminal.shows(fits)
    assert.ok(screen.split('\n').length <= rows + 1)
  }
  await terminal.press('Home')
  await terminal.shows(/acme\n.*\n❯ +1 ● account-0/)
})

test('what other processes do shows, also of one that is killed amid it', { skip: SKIP }, async () => {
  const own = openSandbox()
  const terminal = await open(own)
  await terminal.shows(/There is no account yet[\s\S]*a add/)
  await add(own, 'acme', 'one', 'two')
  await terminal.shows(/❯ +1 ● one/)
  const busy = own.start(`
    const [{ id }] = await auth.listAccounts()
    for (let turn = 0; ; turn += 1) {
      await auth.updateAccount(id, { label: 'turn ' + turn })
      console.log('turn')
    }`)
  await busy.line(/turn/)
  await terminal.shows(/turn [1-9]/)
  busy.child.kill('SIGKILL')
  await busy.ended
  assert.equal((await command(own, ['rename', 'two', 'last'])).code, 0)
  await terminal.shows(/last/)
  for (const { id } of await own.accountsOf('acme')) await own.output(`await auth.removeAccount('${id}')`)
  await terminal.shows(/There is no account yet/)
})

test('where no key can be kept, the screen says that a place for it comes first', {
  skip: SKIP || (process.platform === 'linux' ? false : 'there is always a keychain here'),
}, async () => {
  const env = {
    PROVIDER_AUTH_KEY: '',
    PROVIDER_AUTH_KEY_SOURCE: 'keychain',
    DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere',
  }
  const terminal = await open(openSandbox(), { env })
  await terminal.shows(/There is no account yet\.[\s\S]*First make a place[\s\S]*key init\s+--source keyfile/)
})

test('a vault that does not open says why, and is tried again by a key', { skip: SKIP }, async () => {
  const own = openSandbox()
  await add(own, 'acme', 'one')
  const terminal = await open(own, { env: { PROVIDER_AUTH_KEY: Buffer.alloc(32).toString('base64') } })
  await terminal.shows(/cannot be shown[\s\S]*does not open this vault[\s\S]*Next: [\s\S]*t try again/)
  await terminal.press('t')
  await terminal.shows(/does not open this vault/)
  await terminal.press('Escape')
  assert.equal(await terminal.ended(), 0)
})

test('a deed that takes a while runs beside the screen, one at a time, and its error is said', {
  skip: SKIP,
}, async () => {
  const oidc = await startOidcProvider()
  after(oidc.close)
  const own = createSandbox({ name: 'cli-screen', config: { providers: { desk: oidc.config({ origins }) } } })
  after(own.cleanup)
  const login = own.start(`
    await auth.login({
      provider: 'desk', method: 'browser', label: 'ada', onPrompt: (prompt) => console.log('prompt ' + JSON.stringify(prompt)),
    })`)
  await signIn(JSON.parse((await login.line(/^prompt /)).slice('prompt '.length)), { user: 'ada' })
  assert.equal((await login.ended).code, 0)
  const terminal = await open(own)
  await terminal.shows(/ada: [\s\S]*token until[\s\S]*f refresh/)
  oidc.setLatencyMs(4_000)
  await terminal.press('f')
  await terminal.shows(/renewing the token of ada …/)
  await terminal.press('d')
  await terminal.shows(/one moment, first: renewing the token of ada …/)
  await terminal.shows(/the token of ada is new/)
  assert.equal((await own.accountsOf('desk'))[0].enabled, true)
  oidc.setLatencyMs(0)
  oidc.revokeGrants('ada')
  await terminal.press('f')
  await terminal.shows(/sign in again[\s\S]*Next: l, log in again/)
  await terminal.shows(/ada +needs a new sign-in[\s\S]*l log in/)
})

/** Writes who it is into a file, and throws or rejects when another file asks for it. */
const HOOK = `
  import { existsSync, writeFileSync } from 'node:fs'
  if (process.argv[1].endsWith('main.js')) {
    writeFileSync('pid', String(process.pid))
    const look = setInterval(() => {
      for (const [file, crash] of [
        ['throw', () => { throw new Error('thrown on purpose') }],
        ['reject', () => Promise.reject(new Error('rejected on purpose'))],
      ])
        if (existsSync(file)) {
          clearInterval(look)
          crash()
        }
    }, 50)
    look.unref()
  }`

/** A shell with the command in it, which tells how the terminal was before and after it. */
async function inShell(of) {
  for (const name of ['pid', 'throw', 'reject', 'before', 'after', 'code']) rmSync(join(of.work, name), { force: true })
  writeFileSync(join(of.work, 'hook.mjs'), HOOK)
  writeFileSync(
    join(of.work, 'run.sh'),
    `stty -a > before; '${process.execPath}' --import ./hook.mjs '${COMMAND}'; echo $? > code; stty -a > after; echo IT IS OVER\n`,
  )
  const terminal = await startTerminal('bash', ['--norc', '--noprofile', '-i'], {
    cwd: of.work,
    env: { ...of.env, PS1: '$ ' },
    width: 80,
    height: 24,
  })
  after(terminal.close)
  await terminal.type('. ./run.sh\n')
  await terminal.shows(/q quit/)
  assert.deepEqual(await terminal.modes(), { alternate: true, cursor: false })
  const text = (name) => readFileSync(join(of.work, name), 'utf8')
  return {
    terminal,
    pid: () => Number(text('pid')),
    async isAsBefore(code) {
      const screen = await terminal.shows(/^IT IS OVER/m)
      assert.equal(Number(text('code')), code)
      assert.equal(text('after'), text('before'))
      assert.deepEqual(await terminal.modes(), { alternate: false, cursor: true })
      return screen
    },
  }
}

for (const [how, code, end, says = /run\.sh/] of [
  ['q', 0, ({ terminal }) => terminal.press('q')],
  ['Escape', 0, ({ terminal }) => terminal.press('Escape')],
  ['Ctrl-C', 130, ({ terminal }) => terminal.press('C-c')],
  ['Ctrl-C while a label is typed', 130, ({ terminal }) => terminal.press('r', 'C-c')],
  ['SIGTERM', 143, ({ pid }) => process.kill(pid(), 'SIGTERM')],
  ['SIGHUP', 129, ({ pid }) => process.kill(pid(), 'SIGHUP')],
  ['SIGINT', 130, ({ pid }) => process.kill(pid(), 'SIGINT')],
  ['an exception', 1, () => writeFileSync(join(sandbox.work, 'throw'), ''), /error: thrown on purpose/],
  ['a rejected promise', 1, () => writeFileSync(join(sandbox.work, 'reject'), ''), /error: rejected on purpose/],
])
  test(`${how} gives the terminal back as it was`, { skip: SKIP }, async () => {
    const shell = await inShell(sandbox)
    await end(shell)
    assert.match(await shell.isAsBefore(code), says)
  })

test('Ctrl-Z stops it, and fg brings it back', { skip: SKIP }, async () => {
  const shell = await inShell(sandbox)
  const { terminal } = shell
  for (const stop of [() => terminal.press('C-z'), () => process.kill(shell.pid(), 'SIGTSTP')]) {
    await stop()
    await terminal.shows(/Stopped/)
    assert.deepEqual(await terminal.modes(), { alternate: false, cursor: true })
    await terminal.type('stty -a > stopped; echo ready\n')
    await terminal.shows(/^ready/m)
    await until('the state of the terminal was written', () => existsSync(join(sandbox.work, 'stopped')))
    assert.match(readFileSync(join(sandbox.work, 'stopped'), 'utf8'), / icanon /)
    rmSync(join(sandbox.work, 'stopped'))
    await terminal.type('clear; fg\n')
    await terminal.shows(/q quit/)
    assert.deepEqual(await terminal.modes(), { alternate: true, cursor: false })
  }
  await terminal.press('q')
})

test('adding an account hands the terminal to the login command, and comes back', { skip: SKIP }, async () => {
  const shell = await inShell(sandbox)
  const { terminal } = shell
  await terminal.press('a')
  await until('the screen is left', async () => !(await terminal.modes()).alternate)
  // Where it asks for a provider, it is left.
  await terminal.shows(/Press Enter to go back/, 5000).catch(() => terminal.press('C-c'))
  await terminal.shows(/Press Enter to go back/)
  await terminal.press('Enter')
  await terminal.shows(/not signed in[\s\S]*q quit/)
  assert.deepEqual(await terminal.modes(), { alternate: true, cursor: false })
  await terminal.press('q')
  await shell.isAsBefore(0)
})

test('in lines, each command is answered once, and nothing is redrawn', async () => {
  const own = openSandbox()
  await add(own, 'acme', 'one', 'two')
  const input = 'h\n2 rename the second\ndisable 2\n2 enable\n2 up\n7 up\n1 remove\nn\nwhat\nq\n'
  const { code, stdout } = await command(own, ['--plain'], { input })
  assert.equal(code, 0)
  for (const line of [
    /^acme:$/m,
    /^ {2}one serves next: /m,
    /^ {2}1\. one: ready$/m,
    /two is called the second now/,
    /the second is disabled/,
    /the second is enabled/,
    /the second is moved up/,
    /no account with that number/,
    /Nothing was removed/,
    /what is no command/,
  ])
    assert.match(stdout, line)
  assert.ok(!stdout.includes('\u001b'))
  assert.doesNotMatch(stdout, /[─│┌█❯]/)
  assert.match((await command(own, ['accounts'])).stdout, /1 +the second .*\n.* 2 +one /)
})

test('a terminal that cannot be drawn on gets lines; Ctrl-C ends them with 130', { skip: SKIP }, async () => {
  const shell = await startTerminal('sh', ['-c', `TERM=dumb exec '${process.execPath}' '${COMMAND}'`], {
    cwd: sandbox.work,
    env: sandbox.env,
    width: 80,
    height: 40,
  })
  after(shell.close)
  await shell.shows(/command \(h for help\):/)
  assert.equal((await shell.modes()).alternate, false)
  await shell.type('list\n')
  await shell.shows(/1\. [\s\S]*1\. /)
  await shell.press('C-c')
  assert.equal(await shell.ended(), 130)
})

test('--json alone needs a command', async () => {
  const { code, stderr } = await command(sandbox, ['--json'])
  assert.equal(code, 2)
  assert.match(stderr, /status --json/)
})
