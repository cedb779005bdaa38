/** Completion of the command line in the real shells: commands, options, choices, files, and what the vault has. */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { hasCommand } from '../scripts/lib/toolchain.mjs'
import { answer, COMMAND, command } from './support/cli.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { inShell, startShell } from './support/shell.mjs'
import { hasTmux } from './support/tmux.mjs'

const BREAKS = ` \\t\\n"\\'@><=;|&(:`
/** What a shell would act on, were it not quoted. */
const LABELS = [
  'ada',
  'my own key',
  `it's $(touch pwned) \`touch pwned\` "q"; \\`,
  'bob:b@example.org',
  '*',
  '~',
  'a&b|c',
  'über',
]
const sandbox = createSandbox({
  name: 'completion',
  config: { providers: { desk: { origins: ['http://127.0.0.1:1'] } } },
})
after(sandbox.cleanup)
const needs = (...tools) => {
  const lacking = tools.find((tool) => (tool === 'tmux' ? !hasTmux : !hasCommand(tool)))
  return { skip: lacking === undefined ? false : `${lacking} is not installed` }
}

let slot
before(async () => {
  writeFileSync(join(sandbox.work, 'some file.age'), '')
  const labels = JSON.stringify(LABELS)
  await sandbox.output(
    `for (const label of ${labels}) await auth.addApiKey({ provider: 'desk', apiKey: 'sk-' + label.length + label.charCodeAt(), label })`,
  )
  slot = (await answer(sandbox, 'key-status', ['key', 'status'])).slots[0].id
})

for (const shell of ['bash', 'zsh', 'fish', 'powershell']) {
  test(`the script for ${shell} is printed, and its help says where to put it`, async () => {
    const { script } = await answer(sandbox, 'completion', ['completion', shell])
    assert.ok(script.includes('provider-auth'))
    const { stdout } = await command(sandbox, ['completion', shell])
    assert.equal(stdout.trimEnd(), script.trimEnd())
    assert.match((await command(sandbox, ['completion', '--help'])).stdout, new RegExp(`^  ${shell} +\\S`, 'm'))
  })
}

/* ───────────────────────────── bash ───────────────────────────── */

/** What bash is offered at the end of each line. */
function inBash(lines, env) {
  const tries = lines.map((line) => `try ${quoted(line)}`).join('\n')
  const script = `source <(provider-auth completion bash)
    complete -p provider-auth >&2
    COMP_WORDBREAKS=$'${BREAKS}'
    try() { COMP_LINE=$1 COMP_POINT=\${#1}; _provider_auth \${1%% *} "\${1##* }" ''; printf '%s\\n' "\${COMPREPLY[@]}"; echo --; }
    ${tries}`
  const answers = inShell(sandbox, 'bash', ['--norc', '--noprofile'], { input: script, env }).split('--\n').slice(0, -1)
  return answers.map((text) => text.split('\n').filter((line) => line !== ''))
}

test('bash completes commands, options, choices, files, and what the vault has', needs('bash'), () => {
  const [commands, below, help, option, choice, joined, provider, slots, files] = inBash([
    'provider-auth migr',
    'provider-auth key slot ',
    'provider-auth help migr',
    'provider-auth migrate --dr',
    'provider-auth key init --source ',
    'provider-auth key init --source=key',
    'provider-auth accounts --json de',
    `provider-auth key slot remove ${slot.slice(0, 2)}`,
    'provider-auth vault import some',
  ])
  assert.deepEqual(commands, ['migrate'])
  assert.deepEqual(below.slice(0, 2), ['add', 'remove'])
  assert.deepEqual(help, ['migrate'])
  assert.deepEqual(option, ['--dry-run'])
  assert.deepEqual(choice, ['keychain', 'env', 'passphrase', 'keyfile'])
  assert.deepEqual(joined, ['keychain', 'keyfile'])
  assert.deepEqual(provider, ['desk'])
  assert.deepEqual(slots, [slot])
  assert.deepEqual(files, ['some file.age'])
})

test('bash reads the script twice, and runs the command by the name that was typed', needs('bash'), () => {
  mkdirSync(join(sandbox.work, 'elsewhere'))
  symlinkSync(COMMAND, join(sandbox.work, 'elsewhere', 'pa'))
  const script = `unset -f provider-auth
    source <(provider-auth completion bash); source <(provider-auth completion bash)
    PATH=\${PATH#*:}
    COMP_LINE='elsewhere/pa migr' COMP_POINT=17; _provider_auth elsewhere/pa migr ''; printf '%s\\n' "\${COMPREPLY[@]}"`
  assert.equal(inShell(sandbox, 'bash', ['--norc', '--noprofile'], { input: script }), 'migrate\n')
})

test('whatever a label is, the shell hands exactly it to the command', needs('bash', 'zsh', 'fish'), () => {
  const args = `print-args() { printf '%s\\n' "$@"; }`
  const offered = inBash(['provider-auth use '])[0]
  assert.deepEqual(
    inShell(sandbox, 'bash', ['-c', `${args}\nprint-args ${offered.join(' ')}`])
      .trimEnd()
      .split('\n'),
    LABELS,
  )
  const [open, single, spaced, broken] = inBash([
    'provider-auth use "my o',
    "provider-auth use 'my o",
    'provider-auth use my\\ o',
    'provider-auth use bob:b',
  ])
  assert.deepEqual(
    [open, single, spaced, broken],
    [['my own key'], ['my own key'], ['my\\ own\\ key'], ['b@example.org']],
  )
  const fish = inShell(sandbox, 'fish', ['--no-config', '-c', FISH('provider-auth use ')])
  for (const label of LABELS)
    assert.ok(
      fish.split('\n').some((line) => line.startsWith(`${label}\t`) || line.startsWith(label)),
      label,
    )
})

test('a vault that does not open offers none of its own, prints no error and asks nothing', needs('bash'), () => {
  const env = { PROVIDER_AUTH_KEY: Buffer.alloc(32, 7).toString('base64') }
  const [pools, commands] = inBash(['provider-auth accounts --namespace ', 'provider-auth migr'], env)
  assert.deepEqual([pools, commands], [[], ['migrate']])
})

test('the hidden command that is asked ends well, whatever it is asked', async () => {
  for (const args of [
    [],
    ['--', ''],
    ['--', '--', '--'],
    ['--shell', 'bash', '--', 'x "'],
    ['--', 'nope', '--nope=', ''],
    ['--', '-', '='],
  ]) {
    const { code, stdout, stderr } = await command(sandbox, ['complete', ...args])
    assert.deepEqual([code, stderr], [0, ''], args.join(' '))
    assert.match(stdout, /^:(none|files)\n/)
  }
})

/* ───────────────────────────── fish, zsh ───────────────────────────── */

const FISH = (line) => `provider-auth completion fish | source; complete -C ${quoted(line)}`

test('fish completes with descriptions', needs('fish'), () => {
  const offered = (line) =>
    inShell(sandbox, 'fish', ['--no-config', '-c', FISH(line)])
      .trimEnd()
      .split('\n')
  assert.match(offered('provider-auth migr')[0], /^migrate\t.*OpenCode/)
  assert.deepEqual(offered(`provider-auth key slot remove ${slot.slice(0, 2)}`), [`${slot}\tenv`])
  assert.deepEqual(offered('provider-auth key init --source=keyf'), ['--source=keyfile'])
  assert.match(offered('provider-auth accounts de')[0], /^desk\thttp/)
  assert.match(offered('provider-auth vault import so')[0], /some file\.age/)
  assert.ok(offered('provider-auth migrate --').some((line) => line.startsWith('--undo\t')))
})

for (const [shell, line] of [
  ['zsh', ['zsh', '-f', '-i']],
  ['bash', undefined],
]) {
  test(`${shell} completes as keys are pressed`, needs(shell, 'tmux'), async () => {
    const terminal = await startShell(sandbox, line)
    try {
      await terminal.shows(/[%>#$] *$/m)
      await terminal.enter(`source <(provider-auth completion ${shell}); echo ready`)
      await terminal.shows(/^ready/m)
      for (const [typed, wanted] of [
        ['provider-auth migr', /provider-auth migrate $/m],
        ['provider-auth key slot rem', /key slot remove $/m],
        ['provider-auth key init --source=keyf', /--source=keyfile *$/m],
        [`provider-auth key slot remove ${slot.slice(0, 3)}`, new RegExp(`remove ${slot}`)],
        ['provider-auth accounts des', /accounts desk *$/m],
        ['provider-auth vault import some', /import some\\ file\.age *$/m],
        ['provider-auth use my', /use my\\ own\\ key *$/m],
        ['provider-auth use "my', /use "my own key" *$/m],
        ['provider-auth use bob:', /use bob(\\)?:b@example\.org *$/m],
      ]) {
        await terminal.enter('clear')
        await terminal.type(typed)
        await terminal.press('Tab')
        // The blank that a shell adds is at the end of the screen.
        await terminal.shows((screen) => wanted.test(`${screen.trimEnd()} `))
        await terminal.press('C-u')
      }
      if (shell === 'zsh') {
        await terminal.enter('clear')
        await terminal.type('provider-auth key ')
        await terminal.press('Tab')
        await terminal.shows(/rotate +-- encrypt every record/)
      }
    } finally {
      await terminal.close()
    }
  })
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`
}
