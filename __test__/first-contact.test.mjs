/** What somebody meets who has read the README alone, on a machine without display and keychain. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { signIn } from './support/agent.mjs'
import { LIBRARY_URL } from './support/sandbox.mjs'
import { openStage } from './support/stage.mjs'

const { sandbox, inChild } = await openStage({
  name: 'first-contact',
  providers: ({ oidc, upstream: { origin } }) => ({
    'page-only': { ...oidc.config({ origins: [origin] }), grants: ['authorization_code'] },
  }),
})
const NO_DISPLAY = { DISPLAY: '', WAYLAND_DISPLAY: '' }

/** A program that logs in and says how it ended. */
const login = (options) => `
  const began = Date.now()
  const told = await auth.login(${options}).then(
    ({ identity }) => ({ outcome: 'signed in', subject: identity.subject }),
    ({ code, message, stack }) => ({ outcome: code, message, stack }),
  )
  console.log(JSON.stringify({ ...told, ms: Date.now() - began }))
  process.exit()`

for (const options of ["{ provider: 'page-only' }", "{ provider: 'local', method: 'paste' }"]) {
  test(`without a terminal a login by paste rejects at once and says what to do: ${options}`, async () => {
    const { outcome, message, ms } = await inChild(login(options), { env: NO_DISPLAY })
    assert.equal(outcome, 'INVALID_ARGUMENT', message)
    for (const remedy of ['readCode', 'startLogin', "method: 'device'"]) assert.ok(message.includes(remedy), message)
    assert.ok(ms < 5_000, `${ms} ms`)
  })
}

test('without a display a login takes a device code where the server has it', async () => {
  const source = login(`{
    provider: 'local',
    onPrompt: ({ method }) => { console.log(JSON.stringify({ method })); process.exit() },
  }`)
  assert.deepEqual(await inChild(source, { env: NO_DISPLAY }), { method: 'device' })
})

test('on a terminal a login by paste reads lines until one is taken', async () => {
  const { screen, seen, type, ended } = atTerminal("{ provider: 'page-only', label: 'ann' }")
  const [, url] = await seen(/Go to (\S+)\r?\n/)
  await seen(/Paste it here: $/)
  type('\n')
  await seen(/Paste it here:\s+Paste it here: $/)
  type('https://elsewhere.test/callback?code=1\n')
  await seen(/failed[\s\S]*Paste it here: $/)
  const { url: address } = await signIn(url, {
    user: 'ann',
    unreachable: new URL(url).searchParams.get('redirect_uri'),
  })
  type(`${address}\n`)
  await ended
  assert.match(screen(), /"outcome":"signed in","subject":"ann"/)
})

for (const [what, keys] of [
  ['an interrupt', '\u0003'],
  ['the end of the input', '\u0004'],
]) {
  test(`on a terminal ${what} ends a login by paste`, async () => {
    const { screen, seen, type, ended } = atTerminal("{ provider: 'local', method: 'paste' }")
    await seen(/Paste it here: $/)
    type(keys)
    await ended
    assert.match(screen(), /"outcome":"LOGIN_CANCELLED"/)
  })
}

test('on a terminal a login that ends by itself leaves the terminal as it was', async () => {
  const { screen, seen, ended } = atTerminal("{ provider: 'local', method: 'paste', timeoutMs: 1500 }")
  await seen(/Paste it here: /)
  await ended
  assert.match(screen(), /"outcome":"LOGIN_TIMEOUT"/)
})

/** Runs such a login in a real terminal, which `script` of util-linux makes. */
function atTerminal(options) {
  const source = `import * as auth from ${JSON.stringify(LIBRARY_URL)}\n${login(options)}`
  const file = join(sandbox.work, 'login-at-a-terminal.mjs')
  writeFileSync(file, source)
  const { child, ended } = sandbox.spawn('-qefc', {
    command: 'script',
    args: [`${JSON.stringify(process.execPath)} ${JSON.stringify(file)}`, '/dev/null'],
    env: NO_DISPLAY,
    input: null,
  })
  let screen = ''
  const looking = new Set()
  child.stdout.on('data', (chunk) => {
    screen += chunk
    for (const look of looking) look()
  })
  after(() => child.kill())
  const seen = (pattern) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${pattern} was not shown within 20 s: ${screen}`)), 20_000)
      const look = () => {
        const found = pattern.exec(stripVTControlCharacters(screen))
        if (found === null) return
        clearTimeout(timer)
        looking.delete(look)
        resolve(found)
      }
      looking.add(look)
      look()
    })
  return { screen: () => screen, seen, type: (text) => child.stdin.write(text), ended }
}
