/** `provider-auth exec`: another program in its place, in pipes and in a terminal. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { COMMAND, command } from './support/cli.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { hasTmux, startTerminal } from './support/tmux.mjs'

const KEY = 'sk-ant-test-of-exec'

const sandbox = createSandbox({
  name: 'cli-exec',
  config: {
    providers: {
      acme: { origins: ['https://api.acme.example'], clientSecret: '{env:ACME_CLIENT}' },
      nokey: { origins: ['https://api.nokey.example'] },
    },
  },
})
after(sandbox.cleanup)
before(() =>
  sandbox.output(`
    await auth.addApiKey({ provider: 'anthropic', apiKey: '${KEY}' })
    await auth.addApiKey({ provider: 'acme', apiKey: 'acme-key' })`),
)

/** A program that runs until it is ended, and says which signals it gets. */
const LISTENER = join(sandbox.work, 'listener.mjs')
writeFileSync(
  LISTENER,
  `for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2', 'SIGCONT'])
    process.on(signal, () => console.log('got ' + signal))
  process.stdin.on('data', (text) => String(text).includes('end') && process.exit(9))
  console.log('listens ' + process.pid)`,
)

/** What a program prints that is run with these arguments and nothing on its standard input. */
async function printed(args, options) {
  const { code, stdout, stderr } = await command(sandbox, ['exec', ...args], options)
  assert.equal(code, 0, stderr)
  return stdout
}

const variables = async (args, env) => JSON.parse(await printed([...args, '--', ...PRINT_ENV], { env }))
const PRINT_ENV = [process.execPath, '-p', 'JSON.stringify(process.env)']

test('the program gets the usual variable of the provider, and all that is not a secret of ours', async () => {
  const env = await variables(['anthropic'], {
    ANTHROPIC_AUTH_TOKEN: 'a credential that it might prefer',
    ANTHROPIC_BASE_URL: 'https://api.anthropic.com',
    PROVIDER_AUTH_PASSPHRASE: 'secret',
    PROVIDER_AUTH_STORE_PASSWORD: 'secret',
    OPENCODE_VAULT_KEY: 'secret',
    OPENCODE_AUTH_CONTENT: '{}',
    ACME_CLIENT: 'named by the configuration',
    OPENAI_API_KEY: 'of another provider',
  })
  assert.equal(env.ANTHROPIC_API_KEY, KEY)
  for (const name of [
    'ANTHROPIC_AUTH_TOKEN',
    'PROVIDER_AUTH_KEY',
    'PROVIDER_AUTH_PASSPHRASE',
    'PROVIDER_AUTH_STORE_PASSWORD',
    'OPENCODE_VAULT_KEY',
    'OPENCODE_AUTH_CONTENT',
    'ACME_CLIENT',
  ])
    assert.ok(!(name in env), name)
  for (const name of ['PATH', 'HOME', 'LANG', 'PROVIDER_AUTH_DIR']) assert.equal(env[name], sandbox.env[name], name)
  assert.equal(env.ANTHROPIC_BASE_URL, 'https://api.anthropic.com')
  assert.equal(env.OPENAI_API_KEY, 'of another provider')
})

test('the program gets every signal as usual, also those that Node ignores', {
  skip: process.platform !== 'linux' && 'another system does not tell',
}, async () => {
  const status = await printed(['anthropic', '--', 'cat', '/proc/self/status'])
  assert.match(status, /^SigIgn:\t0+$/m)
})

test('--env names the variables instead, with the credential or with a text that has it', async () => {
  const env = await variables(['acme', '--env', 'KEY', '--env=AUTH=Bearer {token}={token}$&', '--env', 'EMPTY='])
  assert.equal(env.KEY, 'acme-key')
  assert.equal(env.AUTH, 'Bearer acme-key=acme-key$&')
  assert.equal(env.EMPTY, '')
  const before = { ANTHROPIC_API_KEY: 'mine', ANTHROPIC_AUTH_TOKEN: 'mine too' }
  const other = await variables(['anthropic', '--env', 'KEY'], before)
  assert.deepEqual([other.KEY, other.ANTHROPIC_API_KEY, other.ANTHROPIC_AUTH_TOKEN], [KEY, 'mine', 'mine too'])
})

test('what makes no sense is a usage error, and no program is run', async () => {
  for (const [args, next] of [
    [['acme', '--', 'true'], /--env NAME -- true/],
    [['anthropic', 'true'], /exec anthropic -- true/],
    [['anthropic', 'env', '--', 'true'], /exec anthropic -- env true/],
    [['anthropic', '--'], /help/],
    [['anthropic', '--env', '=x', '--', 'true'], undefined],
    [['anthropic', '--env', 'KEY=token', '--env', 'MODE=1', '--', 'true'], /\{token\}/],
  ]) {
    const { exit, next: said = '' } = await failureOf(args)
    assert.equal(exit, 2, args.join(' '))
    if (next !== undefined) assert.match(said, next)
  }
})

test('an account that is missing, or may not go there, is told before any program runs', async () => {
  assert.equal((await failureOf(['openai', '--', 'true'])).exit, 3)
  assert.equal((await failureOf(['anthropic', '--url', 'https://evil.example', '--', 'true'])).exit, 1)
})

/** The error of `exec`, whose own `--json` stands before the program. */
async function failureOf(args) {
  const { code, stdout, stderr } = await command(sandbox, ['exec', '--json', ...args])
  assert.equal(stdout, '')
  const { error } = JSON.parse(stderr.trim().split('\n').at(-1))
  return { exit: code, ...error }
}

test('arguments behind -- are the program’s own, whatever they look like', async () => {
  const words = ['--json', '-q', '--', '--env', 'a b', '$HOME', '*', '']
  const shown = await printed([
    'anthropic',
    '--',
    process.execPath,
    '-p',
    'JSON.stringify(process.argv.slice(1))',
    '--',
    ...words,
  ])
  assert.deepEqual(JSON.parse(shown), words)
})

test('the end of the program is the end of the command, by exit code or by signal', async () => {
  for (const code of [0, 1, 7, 255]) {
    const ended = await command(sandbox, ['exec', 'anthropic', '--', 'sh', '-c', `exit ${code}`])
    assert.deepEqual([ended.code, ended.signal], [code, null])
  }
  for (const signal of ['TERM', 'KILL', 'SEGV', 'PIPE']) {
    const ended = await command(sandbox, ['exec', 'anthropic', '--', 'sh', '-c', `kill -${signal} $$`])
    assert.deepEqual([ended.code, ended.signal], [null, `SIG${signal}`])
  }
})

test('a program that is not there is 127, one that cannot be run 126, as in a shell', async () => {
  const notRunnable = join(sandbox.work, 'no-program')
  writeFileSync(notRunnable, 'text')
  for (const [program, code] of [
    ['no-such-program', 127],
    [join(sandbox.work, 'nowhere/program'), 127],
    [notRunnable, 126],
    [sandbox.work, 126],
  ]) {
    const fault = await failureOf(['anthropic', '--', program])
    assert.equal(fault.exit, code, program)
    assert.ok(fault.message.includes(program))
  }
  // A script without a first line that names its interpreter is one of the shell.
  writeFileSync(notRunnable, 'echo runs')
  chmodSync(notRunnable, 0o755)
  assert.equal(await printed(['anthropic', '--', notRunnable]), 'runs\n')
})

test('standard input and output are the program’s, in pipes that wait as usual', async () => {
  const text = 'x'.repeat(300_000)
  const { stdout } = await command(
    sandbox,
    ['exec', 'anthropic', '--', 'sh', '-c', 'sleep 0.3; cat; echo to stderr >&2'],
    {
      input: text,
    },
  )
  assert.equal(stdout, text)
  const late = sandbox.spawn(COMMAND, { args: ['exec', 'anthropic', '--', 'head', '-c', '4'], input: null })
  late.child.stdin.end('late')
  assert.equal((await late.ended).stdout, 'late')
})

test('each signal to the command reaches the program, once; it has the command’s process id', async () => {
  const { child, ended, line } = sandbox.spawn(COMMAND, {
    args: ['exec', 'anthropic', '--', process.execPath, LISTENER],
    input: null,
  })
  assert.equal(await line(/^listens/), `listens ${child.pid}`)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2']) {
    child.kill(signal)
    await line(new RegExp(`^got ${signal}$`))
  }
  child.stdin.write('end\n')
  const { code, stdout } = await ended
  assert.equal(code, 9)
  assert.deepEqual(stdout.match(/got \w+/g), ['got SIGINT', 'got SIGTERM', 'got SIGHUP', 'got SIGUSR2'])
})

test('in a terminal Ctrl-C reaches the program once, and Ctrl-Z and fg work as with any program', {
  skip: !hasTmux,
}, async () => {
  const shell = await startTerminal('/bin/bash', ['--norc', '--noprofile', '-i'], {
    cwd: sandbox.work,
    env: { ...sandbox.env, PS1: '$ ' },
    width: 80,
    height: 24,
  })
  try {
    await shell.shows(/^\$$/m)
    await shell.type(`${process.execPath} ${COMMAND} exec anthropic -- ${process.execPath} listener.mjs; echo code $?`)
    await shell.press('Enter')
    await shell.shows(/^listens \d+/m)
    await shell.press('C-c')
    await shell.shows(/got SIGINT/)
    await shell.press('C-z')
    await shell.shows(/Stopped/)
    await shell.type('fg')
    await shell.press('Enter')
    await shell.shows(/got SIGCONT/)
    await shell.type('end')
    await shell.press('Enter')
    // What bash prints of the stopped job has its own code.
    const text = await shell.shows(/^end\n\$$/m)
    assert.equal(text.match(/got SIGINT/g).length, 1)
    await shell.type(
      `clear; ${process.execPath} ${COMMAND} exec anthropic -- sh -c 'test -t 0 && test -t 1 && stty size'`,
    )
    await shell.press('Enter')
    await shell.shows(/^24 80$/m)
  } finally {
    await shell.close()
  }
})
