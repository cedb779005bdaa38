/** `provider-auth login` in a terminal: questions, pastes, keys that are typed, and a terminal that is as it was. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { signIn } from './support/agent.mjs'
import { findChromium, startChromium } from './support/chromium.mjs'
import { joined, openShell } from './support/cli-shell.mjs'
import { startOidcProvider } from './support/oidc.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { hasTmux } from './support/tmux.mjs'
import { startUpstream } from './support/upstream.mjs'

const KEY = 'sk-typed-right-5d0a61f3c2'
const skip = hasTmux ? false : 'tmux is missing'
const oidc = await startOidcProvider()
const upstream = await startUpstream({ providers: [oidc], keys: { [KEY]: 'key' } })
const origins = [upstream.origin]
const sandbox = createSandbox({
  name: 'cli-login-terminal',
  config: {
    providers: {
      desk: oidc.config({ origins }),
      page: oidc.config({ origins, grants: ['authorization_code'] }),
      keys: { origins },
    },
  },
})
const SSH = { SSH_CONNECTION: '192.0.2.1 50000 192.0.2.7 2222' }
let shell
after(async () => {
  await shell?.close()
  await Promise.all([oidc.close(), upstream.close()])
  sandbox.cleanup()
})

const WAITS = /Waiting for .* left · Ctrl-C cancels/
const open = async (args, options) => {
  await shell?.close()
  shell = await openShell(sandbox, args, options)
  return shell
}
/** The page's address, which goes over several lines, and the port that the login listens on. */
const pageOf = (screen) => {
  const url = new RegExp(`${oidc.issuer}/auth\\?[^\\s]*?prompt=consent`).exec(joined(screen))[0]
  return { url, callback: new URL(new URL(url).searchParams.get('redirect_uri')) }
}
const ends = (code) => new RegExp(`ended with ${code}, echo on`)

test('over SSH a paste ends the login: after a wrong one, and not shown', { skip }, async () => {
  await open(['login', 'page'], { env: SSH })
  const screen = await shell.shows(WAITS)
  const { url, callback } = pageOf(screen)
  assert.match(
    screen,
    new RegExp(`^  ssh -N -L ${callback.port}:127\\.0\\.0\\.1:${callback.port} -p 2222 \\S+@192\\.0\\.2\\.7$`, 'm'),
  )
  assert.match(screen, /paste here the address/)
  for (const line of screen.split('\n').filter((text) => text.includes(' ') && !text.includes('://')))
    assert.ok(line.length < 80, line)

  const last = await signIn(url, { user: 'pia', unreachable: callback.origin })
  await shell.paste(last.url.replace(/state=[^&]*/, 'state=another'))
  await shell.press('Enter')
  await shell.shows(/belongs to another login.*Paste\s+it\s+once more/s)
  await shell.press('Enter')
  await shell.paste(last.url)
  await shell.press('Enter')
  assert.match(await shell.shows(ends(0)), /pia@local\.test of page is signed in\. It serves first\./)
  const code = new URL(last.url).searchParams.get('code')
  for (const text of shell.seen) assert.ok(!joined(text).includes(code.slice(0, 12)))
})

test('over SSH the callback ends it too, and the terminal echoes again', { skip }, async () => {
  await open(['login', 'page'], { env: SSH })
  const { url } = pageOf(await shell.shows(WAITS))
  await shell.type('half of a pas')
  await signIn(url, { user: 'carl' })
  assert.match(await shell.shows(ends(0)), /carl@local\.test of page is signed in\. It serves after 1 other\./)
})

test('a real browser on this machine signs in, by the address that is shown', {
  skip: skip || (findChromium() === undefined && 'Chromium is missing'),
}, async () => {
  const browser = await startChromium(findChromium())
  try {
    await open(['login', 'page', '--no-browser'], { env: { DISPLAY: ':987' } })
    const screen = await shell.shows(WAITS)
    assert.match(screen, /Open this page and sign in/)
    const page = await browser.open(pageOf(screen).url)
    const isDone = ({ url, hasForm }) => url.includes('/callback') && !hasForm
    const answers = { login: 'chloe', password: 'any' }
    const { text } = await page.pass(answers, isDone)
    assert.match(text, /chloe@local\.test/)
    await shell.shows(ends(0))
  } finally {
    await browser.close()
  }
})

test('the time left runs, and Ctrl-C ends the login with nothing stored and no port open', { skip }, async () => {
  for (const [args, env] of [
    [['login', 'page'], SSH],
    [['login', 'desk'], SSH],
    [['login', 'page', '--no-browser'], { DISPLAY: ':987' }],
  ]) {
    const before = (await sandbox.accountsOf(args[1])).length
    await open(args, { env })
    const screen = await shell.shows(WAITS)
    const [line] = WAITS.exec(screen)
    await shell.shows((text) => WAITS.test(text) && WAITS.exec(text)[0] !== line)
    await shell.press('C-c')
    await shell.shows(ends(130))
    assert.equal((await sandbox.accountsOf(args[1])).length, before)
    if (args[1] === 'page') await assert.rejects(fetch(pageOf(screen).callback))
  }
})

test('a key is typed without being shown; Ctrl-C or Ctrl-D stores none, and an empty line asks again', {
  skip,
}, async () => {
  await open(['login', 'keys'])
  await shell.shows(/API key of keys, not shown while you type:/)
  await shell.type(`${KEY}x`)
  await shell.press('BSpace', 'Enter')
  assert.match(await shell.shows(ends(0)), /key …f3c2 of keys was added\. It serves first\./)
  for (const text of shell.seen) assert.ok(!text.includes('sk-typed'), text)
  for (const [keys, end] of [
    [['C-c'], 130],
    [['C-d'], 130],
    [['Enter', 'C-c'], 130],
  ]) {
    await open(['login', 'keys', '--with-token'])
    await shell.shows(/not shown while you type:/)
    await shell.press(...keys)
    await shell.shows(ends(end))
  }
  assert.equal((await sandbox.accountsOf('keys')).length, 1)
})

test('without a provider there is a list to choose from, and then the ways', { skip }, async () => {
  await open(['login'])
  const list = await shell.shows(/Which provider\?/)
  assert.match(list, /keys.*1 account/)
  assert.match(list, /desk.*configured|desk/)
  // Those with accounts come first.
  assert.ok(list.indexOf('keys') < list.indexOf('anthropic') && list.indexOf('desk') < list.indexOf('anthropic'))
  const chosen = async (name) => {
    for (let step = 0; step < 20; step += 1) {
      if (new RegExp(`● ${name}`).test(await shell.screen())) return shell.press('Enter')
      await shell.press('Down')
    }
    throw new Error(`${name} is not in the list`)
  }
  await chosen('desk')
  await shell.shows(/How do you want to sign in to desk\?/)
  await chosen('Sign in with a device code')
  const screen = await shell.shows(/enter the code/)
  const [, userCode] = /enter the code ([A-Z]{4}-[A-Z]{4})/.exec(joined(screen))
  await signIn({ url: `${oidc.issuer}/device?user_code=${userCode}`, userCode }, { user: 'lisa' })
  assert.match(await shell.shows(ends(0)), /lisa@local\.test of desk is signed in/)

  await open(['login'])
  await shell.shows(/Which provider\?/)
  await shell.press('C-c')
  await shell.shows(ends(130))
})

test('a code for another device has a QR code where the terminal can show one', { skip }, async () => {
  const QR = /[▀▄█]{10}/
  for (const [options, shown] of [
    [{ env: SSH, height: 50 }, true],
    [{ env: { ...SSH, NO_COLOR: '1' }, height: 50 }, false],
    [{ env: SSH, height: 20 }, false],
    [{ env: SSH, height: 50, width: 30 }, false],
    [{ env: SSH, height: 50, args: ['--no-qr'] }, false],
  ]) {
    await open(['login', 'desk', ...(options.args ?? [])], options)
    const screen = await shell.shows(/Waiting for/)
    assert.equal(QR.test(screen), shown, screen)
    assert.match(screen, /^ {4}[A-Z]{4}-[A-Z]{4}$/m)
    await shell.press('C-c')
    await shell.shows(/ended with 130/)
  }
})

test('what a project file wants is shown before anything of it is used, and a no ends the login', {
  skip,
}, async () => {
  const cwd = join(sandbox.work, 'project')
  mkdirSync(cwd)
  execFileSync('git', ['init', '-q'], { cwd })
  const providers = { foreign: oidc.config({ origins }) }
  writeFileSync(join(cwd, 'provider-auth.jsonc'), JSON.stringify({ providers }))
  for (const [answer, end] of [
    ['n', /PROJECT_NOT_TRUSTED|is not trusted[\s\S]*ended with 1, echo on/],
    ['y', /enter the code/],
  ]) {
    await open(['login', 'foreign'], { cwd, env: SSH })
    const screen = await shell.shows(/Trust it, and go on\?/)
    assert.ok(joined(screen).includes(oidc.issuer), screen)
    await shell.press(answer, 'Enter')
    await shell.shows(end)
  }
})
