/** Signing in under the real OpenCode on a terminal: by its command, and in its TUI. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startOidcProvider } from './support/oidc.mjs'
import { createOpenCode } from './support/opencode.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { assertScreen } from './support/screens.mjs'
import { hasTmux, startTerminal } from './support/tmux.mjs'
import { until } from './support/until.mjs'
import { startUpstream } from './support/upstream.mjs'

const KEYS = { A: 'sk-typed-a-7b02c9e1f4', B: 'sk-typed-b-d5e8306a1c', C: 'sk-typed-c-41fa9d7e02' }
const skip = hasTmux ? false : 'tmux is missing'

let oidc, upstream, sandbox, opencode, terminal

before(async () => {
  oidc = await startOidcProvider()
  upstream = await startUpstream({
    providers: [oidc],
    keys: Object.fromEntries(Object.entries(KEYS).map(([name, key]) => [key, name])),
  })
  const origins = [upstream.origin]
  const down = { ...oidc.config({ origins }), issuer: 'http://127.0.0.1:9' }
  const providers = { acme: { origins }, desk: oidc.config({ origins }), down }
  sandbox = createSandbox({ name: 'opencode-terminal', config: { providers } })
  opencode = createOpenCode(sandbox, {
    providers: Object.fromEntries(Object.keys(providers).map((id) => [id, upstream.baseURL])),
  })
})

after(async () => {
  await terminal?.close()
  await opencode?.close()
  sandbox?.cleanup()
  await upstream?.close()
  await oidc?.close()
})

test('keys typed and pasted at the command are on no screen, and serve', { skip }, async () => {
  const shell = await openShell()
  await command(shell, 'typed')
  await shell.shows(/Label of the account \(optional\)/)
  await shell.type('mine')
  await shell.press('Enter')
  await shell.shows(/Pool that it joins \(optional\)/)
  await shell.press('Enter')
  await shell.shows(/provider-auth: API key of acme, not shown while you type:/)
  await shell.type(`${KEYS.A}x`)
  await shell.press('BSpace', 'Left', 'Enter')
  await shell.shows(/typed ended with 0\n-?echo|typed ended with 0\necho/)

  await command(shell, 'pasted')
  await answerPrompts(shell, 2)
  await shell.paste(`${KEYS.B}`)
  await shell.press('Enter')
  const screen = await shell.shows(/pasted ended with 0\n[-e]/)
  assert.equal(screen.match(/Login successful/g).length, 2)
  assertScreen('login/key-typed', screen, 'Add credential', 'Done')
  assert.doesNotMatch(screen, /-echo/)

  for (const text of [...shell.seen, ...(await accountsOf('acme')).map(({ label }) => label)]) {
    for (const key of Object.values(KEYS)) assert.ok(!text.includes(key.slice(0, 12)), text)
  }
  assert.deepEqual(
    (await accountsOf('acme')).map(({ label }) => label === 'mine'),
    [true, false],
  )
  assert.deepEqual(await servedOf('acme'), ['A', 'B'])
  await shell.close()
})

for (const [what, keys, reason] of [
  ['Ctrl-C', ['C-c'], /provider-auth: cancelled, nothing was stored/],
  ['Ctrl-D', ['C-d'], /provider-auth: cancelled, nothing was stored/],
  ['Enter alone', ['Enter'], /provider-auth: no key was typed, so nothing was stored/],
]) {
  test(`${what} at the command's question stores nothing, and gives the terminal back`, { skip }, async () => {
    const before = await accountsOf('acme')
    const shell = await openShell()
    await command(shell, 'question')
    await answerPrompts(shell, 1)
    await shell.press(...keys)
    const screen = await shell.shows(/question ended with 1\n[-e]/)
    assertScreen(
      `login/${what.toLowerCase().replaceAll(' ', '-')}`,
      screen,
      'not shown while you type',
      'nothing was stored',
    )
    assert.match(screen.replaceAll('\n', ' '), reason)
    assert.doesNotMatch(screen, /-echo|[{}]/)
    assert.deepEqual(await accountsOf('acme'), before)
    await shell.close()
  })
}

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`a command that ${signal} ends while a key is typed gives the terminal back`, { skip }, async () => {
    const shell = await openShell()
    await shell.type(`sh -c 'echo pid $$; exec "$OPENCODE" auth login --provider acme --method "API key"'`)
    await shell.press('Enter')
    const [, pid] = /^pid (\d+)$/m.exec(await shell.shows(/^pid \d+$/m))
    await answerPrompts(shell, 1)
    process.kill(Number(pid), signal)
    await until('the command has ended', () => !isRunning(Number(pid)))
    await shell.type("stty -a | grep -o -- '-*echo '")
    await shell.press('Enter')
    assert.doesNotMatch(await shell.shows(/^-?echo ?$/m), /^-echo/m)
    await shell.close()
  })
}

test('in the TUI, the reason of a failed login is on the screen, in words', { skip }, async () => {
  terminal = await openTui()
  await connect('desk', 'Sign in with the browser')
  const shown = await terminal.shows(/Waiting for authorization/)
  // The dialog's edges may cover what is beside it.
  assert.match(inOneLine(shown), /provider-auth: Open this page and sign in/)
  await deny(shown)
  const denied = await terminal.shows(/not signed in/)
  assertScreen('login/denied', denied, 'not signed in', 'access_denied')
  assert.match(inOneLine(denied), /provider-auth: not signed in to desk: the login was refused: .*access_denied/)

  await connect('desk', 'Sign in and paste the code')
  await terminal.shows(/Authorization code/)
  await terminal.type('no-such-code')
  await terminal.press('Enter')
  const refused = await terminal.shows((text) => /Invalid code/.test(text) && /Is it the/.test(text))
  assertScreen('login/wrong-code', refused, 'not signed in', 'last?')
  assert.match(inOneLine(refused), /not signed in to desk: the login failed: /)
  await terminal.press('Escape')

  await connect('down', 'Sign in with the browser')
  const down = await terminal.shows(/There is nothing to enter/)
  assertScreen('login/issuer-down', down, 'Sign in with the browser', 'connect once more')
  assert.match(inOneLine(down), /provider-auth: the login failed: the login server/)
  await terminal.press('Escape')
  for (const screen of terminal.seen) assert.doesNotMatch(screen, /[{}]|UnknownError/)
})

test('in the TUI, a second key is a second account, with its label', { skip }, async () => {
  terminal ??= await openTui()
  await connect('acme', undefined, 'from the TUI')
  await terminal.shows(/Authorization code/)
  await terminal.type(KEYS.C)
  await terminal.press('Enter')
  await terminal.shows((text) => !/Authorization code/.test(text))
  const labels = (await accountsOf('acme')).map(({ label }) => label)
  assert.ok(labels.includes('from the TUI'), labels.join())
  assert.deepEqual(await servedOf('acme'), ['A', 'B', 'C'])
})

test('what was typed is in no file of OpenCode', { skip }, () => {
  assert.deepEqual(opencode.filesWith(...Object.values(KEYS)), [])
})

function isRunning(pid) {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** A shell at its prompt, on a terminal that is high enough for nothing to leave its screen. */
async function openShell() {
  const env = { ...opencode.env, OPENCODE: opencode.binary, PS1: '$ ' }
  const shell = await startTerminal('/bin/sh', ['-i'], { cwd: opencode.project, env, width: 160, height: 150 })
  // What is typed before the prompt stands above it, and the first line of output beside it.
  await shell.shows(/^\$$/m)
  return shell
}

async function command(shell, name) {
  await shell.type(
    `"$OPENCODE" auth login --provider acme --method "API key"; echo ${name} ended with $?; stty -a | grep -o -- '-*echo '`,
  )
  await shell.press('Enter')
}

/** Leaves the questions empty; the screen shows those of `times` commands then. */
async function answerPrompts(shell, times) {
  const count = (text, wanted) => text.split(wanted).length - 1
  await shell.shows((text) => count(text, 'Label of the account') === times)
  await shell.press('Enter')
  await shell.shows((text) => count(text, 'Pool that it joins') === times)
  await shell.press('Enter')
  await shell.shows((text) => count(text, 'not shown while you type') === times)
}

async function openTui() {
  const tui = await startTerminal(opencode.binary, [], { cwd: opencode.project, env: opencode.env, height: 45 })
  await tui.shows(/Ask anything/)
  return tui
}

/** Goes to a login of a provider through OpenCode's own screens. */
async function connect(provider, method, label = '') {
  await terminal.shows((text) => /Ask anything/.test(text) && !/\besc\b/.test(text))
  await terminal.type('/connect')
  await terminal.shows(/Connect a provider|\/connect +\S/)
  await terminal.press('Enter')
  await terminal.shows(/Connect a provider/)
  await terminal.type(provider)
  await terminal.shows((text) => !/Popular/.test(text) && new RegExp(`Providers\\s+\\S? ?${provider}`).test(text))
  await terminal.press('Enter')
  const marked = /Select auth method|Label of the account/
  if (/Select auth method/.test(await terminal.shows(marked))) {
    await terminal.type(method)
    await terminal.shows((text) => text.split('Sign in').length === 3)
    await terminal.press('Enter')
  }
  await terminal.shows(/Label of the account/)
  await terminal.type(label)
  await terminal.press('Enter')
  await terminal.shows(/Pool that it joins/)
  await terminal.press('Enter')
}

/** Clicks "cancel" on the page of a login whose address stands on the screen, and is sent back. */
async function deny(screen) {
  const left = screen
    .split('\n')
    .find((line) => line.includes('http://'))
    .indexOf('http://')
  const lines = screen.split('\n').map((line) => line.slice(left, left + 56).trim())
  const first = lines.findIndex((line) => line.startsWith('http://'))
  const last = lines.findIndex((line, index) => index > first && line === '')
  const page = new URL(lines.slice(first, last).join(''))
  const target = new URL(page.searchParams.get('redirect_uri'))
  target.search = new URLSearchParams({
    error: 'access_denied',
    state: page.searchParams.get('state'),
    iss: oidc.issuer,
  })
  await fetch(target)
}

/** The text of the screen without its frames and line breaks. */
function inOneLine(screen) {
  return screen.replace(/[┃▀▄╹█]/g, ' ').replace(/\s+/g, ' ')
}

async function accountsOf(provider) {
  const accounts = `(await auth.listAccounts({ provider: '${provider}' })).map(({ id, label }) => ({ id, label }))`
  return JSON.parse(await sandbox.output(`console.log(JSON.stringify(${accounts}))`))
}

/** The accounts by which the upstream knows the keys of a provider, each asked for by its id. */
async function servedOf(provider) {
  const answers = await sandbox.output(`
    for (const { id } of await auth.listAccounts({ provider: '${provider}' })) {
      const request = { method: 'POST', body: '{"model":"small-1"}', headers: { 'content-type': 'application/json' } }
      const answer = await auth.createAuthFetch({ provider: '${provider}', account: id })('${upstream.chatUrl}', request)
      console.log(await answer.text())
    }`)
  return [...answers.matchAll(/served by (\w)/g)].map(([, name]) => name).sort()
}
