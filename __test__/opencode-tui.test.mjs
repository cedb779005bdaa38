/** `/accounts` and the lines about accounts in the real TUI of OpenCode, by keys. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { signIn } from './support/agent.mjs'
import { answerTo } from './support/dialects.mjs'
import { startOidcProvider } from './support/oidc.mjs'
import { createOpenCode, PLUGIN } from './support/opencode.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { hasTmux, startTerminal } from './support/tmux.mjs'
import { until } from './support/until.mjs'
import { startUpstream, throttle } from './support/upstream.mjs'

const KEYS = { A: 'sk-a-51c0e7b92d', B: 'sk-b-0f8e2d6a47', C: 'sk-c-b3d95e1f70' }
const MAIL = { ada: 'ada@local.test', alan: 'alan@local.test' }
const HOUR_S = 3600

let oidc, upstream, sandbox, opencode, tui
const terminals = []

const options = { skip: hasTmux ? false : 'tmux is not installed' }
let isBroken = false

/** One screen after the other: what comes after a step that failed would only wait in vain. */
function step(name, act) {
  test(name, options, async () => {
    if (isBroken) throw new Error('a step before this one failed')
    isBroken = true
    await act()
    isBroken = false
  })
}

before(async () => {
  if (!hasTmux) return
  oidc = await startOidcProvider()
  const keys = Object.fromEntries(Object.entries(KEYS).map(([account, key]) => [key, account]))
  upstream = await startUpstream({ providers: [oidc], keys })
  const origins = [upstream.origin]
  const providers = { acme: { origins }, desk: oidc.config({ origins }), intake: { origins } }
  sandbox = createSandbox({ name: 'tui', config: { providers } })
  opencode = createOpenCode(sandbox, {
    providers: Object.fromEntries(Object.keys(providers).map((id) => [id, upstream.baseURL])),
  })
  writeFileSync(join(opencode.configFolder, 'tui.json'), JSON.stringify({ plugin: [PLUGIN] }))
  await inVault(`
    await auth.addApiKey({ provider: 'acme', apiKey: '${KEYS.A}', label: 'work', priority: 1 })
    await auth.addApiKey({ provider: 'acme', apiKey: '${KEYS.B}', label: '${MAIL.ada}', priority: 2 })
    await auth.addApiKey({ provider: 'acme', apiKey: 'sk-none-77', label: '${MAIL.alan}', priority: 3 })`)
  tui = await start([])
})

after(async () => {
  for (const terminal of terminals) await terminal.close()
  await opencode?.close()
  sandbox?.cleanup()
  await upstream?.close()
  await oidc?.close()
})

step('at home the accounts are counted', async () => {
  await tui.shows(/3 accounts/)
})

step('beside the prompt stands who serves the session, and how near the limit is', async () => {
  upstream.plan('A', answerWithQuota('A', { '5h': 0.62, '7d': 0.12 }))
  await say('hello')
  await answered('A')
  await tui.shows(/work · 5h 62 % · resets \d\d:\d\d/)
  upstream.behave()
})

step('the side bar lists the accounts of the provider', async () => {
  const lines = (await tui.shows(/Accounts of acme/)).split('\n')
  const first = lines.findIndex((line) => line.includes('Accounts of acme'))
  const column = lines[first].indexOf('Accounts of acme')
  assertLines(
    'sidebar',
    lines.slice(first, first + 4).map((line) => line.slice(column)),
  )
})

step('/accounts lists all accounts with their states and limits', async () => {
  await open()
  assertDialog('list', await tui.shows(/5h 62 %, resets/), 'Connected accounts', 'Add an account')
  await shut()
})

step('the next account serves when one rests, and its rest counts down', async () => {
  upstream.plan('A', throttle(HOUR_S))
  await say('again')
  await answered('B')
  await open()
  const screen = await tui.shows(/free in \d+:\d\d/)
  assertDialog('resting', screen, 'Connected accounts', 'Add an account')
  const [before] = /free in [\d:]+/.exec(screen)
  await tui.shows((later) => /free in [\d:]+/.test(later) && !later.includes(before))
})

step('a cooldown is cleared', async () => {
  await choose('work')
  assertDialog('account', await tui.shows(/Clear its cooldowns/), 'acme · work', 'Back')
  await choose('Clear')
  await tui.shows(/The next request may try it/)
  upstream.behave()
  const [work] = await accounts('acme')
  assert.deepEqual(work.cooldowns, [])
})

step('an account that is chosen for this session serves its next request, and no other does', async () => {
  assert.match(await tui.screen(), /Use for this session/)
  await choose('for this session')
  await tui.shows(/work alone serves this session/)
  await shut()
  await say('third')
  await answered('A')
  upstream.plan('A', throttle(HOUR_S))
  upstream.forget()
  await say('fourth')
  await until('a request is refused', () => upstream.accounts().includes('A'))
  await tui.shows(/work · chosen, and rests until \d\d:\d\d/)
  assert.ok(!upstream.accounts().includes('B'), 'another account served')
  await until('the request is called off', async () => {
    await tui.press('Escape')
    return !/retrying/.test(await tui.screen())
  })
  upstream.behave()
  await open()
  await choose('work')
  await tui.shows(/No longer only for this session/)
  await choose('Clear')
  await tui.shows(/The next request may try it/)
  await choose('No longer')
  await tui.shows(/The pool of acme chooses again for this session/)
})

step('an account is chosen for this project, and not any more', async () => {
  await choose('for this project')
  await tui.shows(/work alone serves this project/)
  await choose('No longer only for this project')
  await tui.shows(/The pool of acme chooses again for this project/)
})

step('an account is renamed', async () => {
  await choose('Rename')
  await tui.shows(/New label/)
  await tui.press('C-u')
  await tui.type('office')
  await tui.press('Enter')
  await tui.shows(/It is renamed/)
  const [office] = await accounts('acme')
  assert.equal(office.label, 'office')
})

step('an account is disabled and enabled', async () => {
  await choose('Disable')
  await tui.shows(/It is disabled/)
  assert.equal((await accounts('acme'))[0].enabled, false)
  await choose('Enable')
  await tui.shows(/It is enabled/)
  assert.equal((await accounts('acme'))[0].enabled, true)
})

step('an account comes first in its pool for good', async () => {
  await choose('Back')
  await tui.shows(/Connected accounts/)
  const [, { id }] = await accounts('acme')
  // Two accounts look the same when they are masked, but for the end of their ids.
  await choose(id.slice(-4))
  await tui.shows(/Use always/)
  await choose('Use always')
  await tui.shows(/comes first in its pool now/)
  const [office, ada] = await accounts('acme')
  assert.ok(ada.priority < office.priority, `${ada.priority} is not before ${office.priority}`)
})

step('Enter alone does not remove an account', async () => {
  await choose('Remove')
  assertDialog('remove', await tui.shows(/Are you sure/), 'Remove', 'Remove')
  await tui.press('Enter')
  await tui.shows(/Use for this session/)
  assert.equal((await accounts('acme')).length, 3)
})

step('an account is removed', async () => {
  await choose('Remove')
  await tui.shows(/Are you sure/)
  await tui.press('Down', 'Enter')
  await tui.shows(/is removed/)
  assert.deepEqual(
    (await accounts('acme')).map(({ label }) => label),
    ['office', MAIL.alan],
  )
})

step('an API key is added, and shown nowhere', async () => {
  await choose('Add an account')
  await tui.shows(/Add an account: provider/)
  await choose('intake')
  await tui.shows(/Label of the new account/)
  await tui.type('side')
  await tui.press('Enter')
  await tui.shows(/API key of intake/)
  await tui.type(KEYS.C.slice(0, 5))
  await tui.paste(`${KEYS.C.slice(5)}\n`)
  assertDialog('key', await tui.shows(new RegExp(`•{${KEYS.C.length}}`)), 'API key of intake', '••')
  await tui.press('Enter')
  await tui.shows(/side of intake is in the vault/)
  const [side] = await accounts('intake')
  assert.deepEqual([side.kind, side.label], ['api', 'side'])
})

step('a login with a device code is added', async () => {
  await beginToAdd('desk', 'device')
  await tui.press('Enter')
  const screen = await tui.shows(/Open this page/)
  assertDialog('device', screen, 'Sign in to desk', 'Waiting')
  const [userCode] = /\b[A-Z]{4}-[A-Z]{4}\b/.exec(screen)
  await signIn({ url: addressIn(screen), userCode }, { user: 'ada' })
  await tui.shows(/a…@l….test of desk is in the vault/)
  const [ada] = await accounts('desk')
  assert.equal(ada.identity.email, MAIL.ada)
})

step('a login with the browser is added', async () => {
  await beginToAdd('desk', 'browser')
  await tui.press('Enter')
  await signIn(addressIn(await tui.shows(/Open this page/)), { user: 'bob' })
  await tui.shows(/b…@l….test of desk is in the vault/)
  assert.equal((await accounts('desk')).length, 2)
})

step('a login that is denied says why, and leaves nothing behind', async () => {
  await beginToAdd('desk', 'browser')
  await tui.press('Enter')
  await signIn(addressIn(await tui.shows(/Open this page/)), { user: 'eve', consent: false })
  assertDialog('denied', await tui.shows(/It did not work/), 'Sign in to desk', 'Back')
  await choose('Back')
  await tui.shows(/Connected accounts/)
  assert.equal((await accounts('desk')).length, 2)
})

step('a code is pasted, once more where it was the wrong one, and shown nowhere', async () => {
  await beginToAdd('desk', 'paste the code')
  await tui.type('pasted')
  await tui.press('Enter')
  const address = addressIn(await tui.shows(/Open this page/))
  const { url } = await signIn(address, {
    user: 'carl',
    unreachable: new URL(address).searchParams.get('redirect_uri'),
  })
  await tui.paste('no-such-code')
  await tui.press('Enter')
  await tui.shows(/Paste it once more/)
  await tui.paste(url)
  await tui.press('Enter')
  await tui.shows(/pasted of desk is in the vault/)
  const code = new URL(url).searchParams.get('code')
  assert.ok(!tui.seen.join().includes(code.slice(0, 12)), 'the code is on a screen')
  assert.equal((await accounts('desk')).length, 3)
})

step('the token of a login is refreshed, and with its removal the login ends at the provider', async () => {
  await choose('b…@l')
  await tui.shows(/Refresh its token/)
  await choose('Refresh')
  await tui.shows(/Its token is new/)
  assert.equal(oidc.counters.refreshRequests, 1)
  await choose('Remove')
  await tui.shows(/Are you sure/)
  await choose('end the login')
  await tui.shows(/is removed/)
  assert.equal(oidc.counters.revocations, 1)
  await shut()
})

step('opencode attach shows the same list', async () => {
  const { url } = await opencode.serve()
  const attached = await start(['attach', url, '--password', opencode.env.OPENCODE_SERVER_PASSWORD])
  await attached.shows(/5 accounts/)
  await open(attached)
  assertDialog('attached', await attached.shows(/office/), 'Connected accounts', 'Add an account')
  await inVault(`
    const [account] = await auth.listAccounts({ provider: 'intake' })
    await auth.updateAccount(account.id, { label: 'elsewhere' })`)
  await attached.shows(/elsewhere/)
  await attached.close()
})

step('a vault that does not open is told with the reason, and OpenCode goes on', async () => {
  await tui.close()
  tui = await start([], { PROVIDER_AUTH_KEY: randomBytes(32).toString('base64') })
  // It has a row of its own, below the prompt's last line, which may come later.
  await tui.shows((text) => /ctrl\+p commands/.test(text) && /^ *the vault is not open: \/accounts *$/m.test(text))
  await tui.type('/accounts')
  await tui.shows(/Manage connected accounts/)
  await tui.press('Enter')
  assertDialog('key-mismatch', await tui.shows(/cannot be shown/), 'Connected accounts', 'Try again')
  await tui.press('Enter')
  await tui.shows(/cannot be shown/)
})

/** Goes from the list of accounts to the label of a new one. */
async function beginToAdd(provider, method) {
  await choose('Add an account')
  await tui.shows(/Add an account: provider/)
  await choose(provider)
  await tui.shows((text) => text.includes(`${provider}: how`))
  await choose(method)
  await tui.shows(/Label of the new account/)
}

step('no screen shows a secret or an e-mail address', () => {
  const secrets = [...Object.values(KEYS), ...oidc.issuedTokens(), sandbox.env.PROVIDER_AUTH_KEY]
  for (const screen of terminals.flatMap(({ seen }) => seen)) {
    for (const secret of secrets)
      assert.ok(!screen.includes(secret.slice(0, 9)), `a secret is on the screen:\n${screen}`)
    assert.doesNotMatch(screen, /@local\.test/)
  }
})

async function start(args, extra = {}) {
  const env = { ...opencode.env, ...extra }
  // The side bar is there from 121 columns on.
  const terminal = await startTerminal(opencode.binary, args, { cwd: opencode.project, env, width: 150 })
  terminals.push(terminal)
  return terminal
}

/** Sends a message in the TUI. */
async function say(text) {
  await tui.type(text)
  await tui.press('Enter')
}

/** Waits until OpenCode has the whole answer to the last message, from this account. */
async function answered(account) {
  const line = new RegExp(`served by ${account}\\s[^▣]*▣ [^▣┃]*· [\\d.]+m?s[^▣]*$`)
  await tui.shows(line)
}

/** Closes the dialog. */
async function shut() {
  await tui.press('Escape')
  await tui.shows((screen) => !/ esc$/m.test(screen))
}

async function open(terminal = tui) {
  await terminal.type('/accounts')
  await terminal.shows(/Manage connected accounts/)
  await terminal.press('Enter')
  await terminal.shows(/Add an account/)
}

/** Chooses from the list on the screen, as a person does: by typing some of it. */
async function choose(text) {
  await tui.shows(/Search/)
  await tui.type(text)
  await tui.shows((screen) => screen.includes(text))
  await tui.press('Enter')
}

/** The address in the dialog; it may go over several lines. */
function addressIn(screen) {
  const lines = dialogOf(screen, 'Sign in to')
  const rest = lines.slice(lines.findIndex((line) => line.startsWith('http')))
  return rest.slice(0, rest.indexOf('')).join('')
}

/** The lines of the dialog whose first one has this text; without what stands beside it on the screen. */
function dialogOf(screen, from) {
  const lines = screen.split('\n')
  const first = lines.findIndex((line) => line.includes(from))
  const left = lines[first]?.indexOf(from) ?? 0
  // Its head ends with the key that closes it.
  const right = Math.max(...lines.slice(first).map((line) => line.search(/ esc(?! interrupt)/))) + 4
  assert.ok(first >= 0 && right > left, `no dialog "${from}" on the screen:\n${screen}`)
  return lines.slice(first).map((line) => line.slice(left, right).trimEnd())
}

/** Compares a dialog, down to a line, with what is kept; `WRITE_SCREENS=1` keeps it anew. */
function assertDialog(name, screen, from, to) {
  const lines = dialogOf(screen, from)
  const last = lines.findIndex((line, index) => index > 0 && line.includes(to))
  assert.ok(last > 0, `no "${to}" below "${from}" on the screen:\n${screen}`)
  assertLines(name, lines.slice(0, last + 1))
}

function assertLines(name, lines) {
  const text = `${lines.join('\n')}\n`
    .replace(/^http(.+\n)+/gm, 'ADDRESS\n')
    .replace(/\b[A-Z]{4}-[A-Z]{4}\b/g, 'CODE')
    .replace(/\b\d?\d:\d\d(:\d\d)?\b/g, 'TIME')
    .replace(/\([0-9A-Z]{4}\)/g, '(IDID)')
    .replace(/ {2,}/g, '  ')
  const file = new URL(`fixtures/tui/${name}.txt`, import.meta.url)
  if (process.env.WRITE_SCREENS === '1') writeFileSync(file, text)
  assert.equal(text, readFileSync(file, 'utf8'))
}

/** An answer as `A` gives it, with how much of each window is used. */
function answerWithQuota(account, windows) {
  const resetAt = Math.floor(Date.now() / 1000) + 3 * HOUR_S
  const headers = Object.entries(windows).flatMap(([window, used]) => [
    [`anthropic-ratelimit-unified-${window}-utilization`, String(used)],
    [`anthropic-ratelimit-unified-${window}-reset`, String(resetAt)],
    [`anthropic-ratelimit-unified-${window}-status`, 'allowed'],
  ])
  const { events } = answerTo('/v1/chat/completions', '', account, { stream: true })
  // OpenCode asks for a title of the session as well.
  return { sse: events, headers: Object.fromEntries(headers), times: 10 }
}

async function accounts(provider) {
  const { stdout } = await inVault(`
    const list = await auth.listAccounts({ provider: '${provider}' })
    list.sort((a, b) => a.createdAt - b.createdAt)
    console.log(JSON.stringify(list))`)
  return JSON.parse(stdout)
}

async function inVault(source) {
  const result = await sandbox.run(source)
  assert.equal(result.code, 0, result.stderr)
  return result
}
