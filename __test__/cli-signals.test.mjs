/** What is left where a signal ends the command while it has the terminal, or an editor in it. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { COMMAND } from './support/cli.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { hasTmux, startTerminal } from './support/tmux.mjs'
import { until } from './support/until.mjs'

const sandbox = createSandbox({ name: 'cli-signals', config: { providers: {} } })
after(sandbox.cleanup)
before(() => sandbox.output(`await auth.addApiKey({ provider: 'anthropic', apiKey: 'key', label: 'one' })`))

const inTerminal = { skip: !hasTmux && 'tmux is not installed' }
const PID = join(sandbox.dir, 'pid')

/** Starts the command in a terminal of a shell, which says how it ended. */
async function start(t, args, env = {}) {
  const script = `trap : INT QUIT HUP; sh -c 'echo $$ > "$0"; exec "$@"' ${PID} "$@"; code=$?
    stty -a | grep -q -- '-echo ' && echo=off || echo=on; echo "ended with $code, echo $echo"; sleep 600`
  const terminal = await startTerminal('/bin/sh', ['-c', script, 'sh', process.execPath, COMMAND, ...args], {
    cwd: sandbox.work,
    env: { ...sandbox.env, ...env },
    width: 80,
    height: 24,
  })
  t.after(() => terminal.close())
  return terminal
}

const pid = () => Number(readFileSync(PID, 'utf8'))

for (const [args, shown, signal, code] of [
  [['logout', 'one'], /Remove one/, 'SIGTERM', 143],
  [['login'], /Which provider/, 'SIGQUIT', 131],
  [['key', 'slot', 'add', 'passphrase'], /Passphrase/, 'SIGTERM', 143],
  [[], /anthropic[\s\S]*one/, 'SIGQUIT', 131],
])
  test(`${signal} at ${args.join(' ') || 'the screen'} gives the terminal back`, inTerminal, async (t) => {
    const terminal = await start(t, args)
    await terminal.shows(shown)
    process.kill(pid(), signal)
    await terminal.shows(new RegExp(`ended with ${code}, echo on`))
    assert.deepEqual(await terminal.modes(), { alternate: false, cursor: true })
  })

test('where the terminal is gone, an editor still finds the folder of the copy', inTerminal, async (t) => {
  const editor = join(sandbox.dir, 'editor')
  const [ready, over] = [join(sandbox.dir, 'ready'), join(sandbox.dir, 'over')]
  // Like vim, which keeps what was not saved in a file beside the one that it was given.
  writeFileSync(
    editor,
    `#!/bin/sh\ntouch "${ready}"\nuntil [ -e "${over}" ]; do sleep 0.1; done\necho typed > "$(dirname "$1")/.swp"\ntouch "${over}.done"\n`,
  )
  chmodSync(editor, 0o700)
  await start(t, ['config', 'edit'], { EDITOR: editor })
  await until('the editor is open', () => existsSync(ready))
  process.kill(pid(), 'SIGHUP')
  await until('the command has ended', () => !existsSync(`/proc/${pid()}`) || process.platform !== 'linux')
  writeFileSync(over, '')
  await until('the editor has ended', () => existsSync(`${over}.done`))
  const [folder] = readdirSync(sandbox.env.TMPDIR).filter((name) => name.startsWith('provider-auth-edit-'))
  assert.ok(folder, 'the folder is there')
  assert.equal(readFileSync(join(sandbox.env.TMPDIR, folder, '.swp'), 'utf8'), 'typed\n')
})
