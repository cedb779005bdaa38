/** `provider-auth logs`: what it reads, chooses, prints and follows, and the file of warnings that it finds. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { assertFits, COMMAND, command, failure } from './support/cli.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { hasTmux, startTerminal } from './support/tmux.mjs'

const sandbox = createSandbox({
  name: 'cli-logs',
  config: { providers: { acme: { origins: ['https://acme.example'], notAKey: 1 } } },
})
after(sandbox.cleanup)
const onUnix = { skip: process.platform === 'win32' && 'Windows has no such pipes' }
const ring = join(sandbox.vaultDir, 'log.jsonl')

const line = (time, level, message, fields = {}) => JSON.stringify({ time, level, message, pid: 7, ...fields })
const write = (file, ...lines) => writeFileSync(file, lines.map((text) => `${text}\n`).join(''))
const logs = (args, options) => command(sandbox, ['logs', ...args], options)
const messages = (stdout) =>
  stdout
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text).message)

test('a warning is kept without a log that was asked for, and no vault is made for it', async () => {
  const { code, stdout } = await logs(['--json'])
  assert.deepEqual([code, stdout], [0, ''])
  assert.ok(!existsSync(sandbox.vaultDir), 'a vault was made')
  await sandbox.output("await auth.addApiKey({ provider: 'openai', apiKey: 'key-of-ada' })")
  // What is odd stays odd: it is said once.
  await sandbox.output('await auth.listAccounts()')
  const told = await logs(['--json'])
  const warnings = told.stdout.trim().split('\n').map(JSON.parse)
  for (const one of warnings) assertFits('logs', one)
  const odd = warnings.filter(({ level, warning }) => level === 'warn' && /notAKey/.test(warning))
  assert.equal(odd.length, 1, told.stdout)
})

test('a vault in memory and the level none leave nothing on the disk', async () => {
  for (const env of [{ PROVIDER_AUTH_KEY_SOURCE: 'memory' }, { PROVIDER_AUTH_LOG: 'none' }]) {
    const dir = join(sandbox.dir, `other-${Object.values(env)}`)
    const { code, stderr } = await sandbox.run("await auth.addApiKey({ provider: 'openai', apiKey: 'key-of-ada' })", {
      env: { ...env, PROVIDER_AUTH_DIR: dir },
    })
    assert.equal(code, 0, stderr)
    const files = existsSync(dir) ? readdirSync(dir) : []
    assert.ok(!files.some((name) => name.startsWith('log')), files.join())
  }
})

test('a vault on a disk that takes no line serves all the same', async () => {
  const dir = join(sandbox.dir, 'no-log')
  const env = { PROVIDER_AUTH_DIR: dir }
  const store = "await auth.addApiKey({ provider: 'openai', apiKey: 'key-of-ada' })"
  await sandbox.output(store, { env: { ...env, PROVIDER_AUTH_LOG: 'none' } })
  // Root may write into a folder that is read-only, but no line into a folder, nor through a link.
  mkdirSync(join(dir, 'log.jsonl'))
  await sandbox.output(store, { env })
  rmSync(join(dir, 'log.jsonl'), { recursive: true })
  await sandbox.output(store, { env })
  assert.ok(existsSync(join(dir, 'log.jsonl')))
})

test('a pipe in the place of the log has no lines, and is not waited for', onUnix, async () => {
  const dir = join(sandbox.dir, 'piped')
  mkdirSync(dir, { mode: 0o700 })
  execFileSync('mkfifo', [join(dir, 'log.jsonl')])
  const { child, ended } = sandbox.spawn(COMMAND, { args: ['logs'], env: { PROVIDER_AUTH_DIR: dir } })
  // A signal that can be handled does not end a process that waits in `open`.
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const { code, stdout } = await ended
  clearTimeout(late)
  assert.deepEqual([code, stdout], [0, ''])
})

test('lines are shown oldest first, of both files and the ones before, a line in two of them once', async () => {
  sandbox.writeConfig({ providers: {} })
  const named = join(sandbox.dir, 'named.log')
  write(ring, line('2026-01-15T10:00:03.000Z', 'warn', 'third'), line('2026-01-15T10:00:05.000Z', 'error', 'fifth'))
  write(join(sandbox.vaultDir, 'log.1.jsonl'), line('2026-01-15T10:00:01.000Z', 'warn', 'first'))
  write(
    named,
    line('2026-01-15T10:00:02.000Z', 'debug', 'second'),
    line('2026-01-15T10:00:03.000Z', 'warn', 'third'),
    '{"time":"2026-01-15T10:00:0',
    line('2026-01-15T10:00:04.000Z', 'info', 'fourth'),
  )
  const env = { PROVIDER_AUTH_LOG_FILE: named, PROVIDER_AUTH_LOG: 'error' }
  const all = await logs(['--json'], { env })
  assert.deepEqual(messages(all.stdout), ['first', 'second', 'third', 'fourth', 'fifth'])
  assert.match(all.stderr, /1 line was cut off/)
  for (const [args, expect] of [
    [
      ['--level', 'warn'],
      ['first', 'third', 'fifth'],
    ],
    [['--level', 'error'], ['fifth']],
    [
      ['--since', '2026-01-15T10:00:04Z'],
      ['fourth', 'fifth'],
    ],
    [['--since', '2026-01-16'], []],
    [['--since', '2100-01-01T00:00:00+02:00'], []],
    [
      ['--file', named],
      ['second', 'third', 'fourth'],
    ],
  ])
    assert.deepEqual(messages((await logs([...args, '--json'], { env })).stdout), expect, args.join(' '))
  const now = new Date().toISOString()
  appendFileSync(ring, `${line(now, 'warn', 'of late')}\n`)
  for (const span of ['90s', '30m', '2h', '1d'])
    assert.deepEqual(messages((await logs(['--since', span, '--json'])).stdout).slice(-1), ['of late'], span)
})

test('a person sees local time, level, message and fields, and nothing that moves the cursor', async () => {
  write(
    ring,
    line('2026-01-15T10:00:03.120Z', 'warn', 'odd', { account: '01M8', why: 'a b\u001b[2J\u202e', status: 429 }),
  )
  rmSync(join(sandbox.vaultDir, 'log.1.jsonl'), { force: true })
  const { stdout } = await logs([], { env: { TZ: 'Asia/Kolkata' } })
  assert.equal(stdout, '2026-01-15 15:30:03.120 WARN  odd pid=7 account=01M8 why="a b\\u{1b}[2J\\u{202e}" status=429\n')
  const coloured = await logs([], { env: { FORCE_COLOR: '1' } })
  assert.ok(coloured.stdout.includes('\u001b[33mWARN '), coloured.stdout)
})

test('what cannot be is a usage error, a file that is not there a failure, and an empty log none', async () => {
  assert.equal((await failure(sandbox, ['logs', '--since', 'yesterday'])).exit, 2)
  assert.equal((await failure(sandbox, ['logs', '--level', 'loud'])).exit, 2)
  assert.equal((await failure(sandbox, ['logs', '--file', join(sandbox.dir, 'absent.log')])).exit, 1)
  assert.equal((await failure(sandbox, ['logs', '--file', sandbox.dir])).exit, 1)
  write(ring)
  const { code, stdout, stderr } = await logs([])
  assert.deepEqual([code, stdout], [0, ''])
  assert.match(stderr, /empty/)
  const where = await logs(['--path', '--json'])
  const answer = JSON.parse(where.stdout)
  assertFits('logs-path', answer)
  assert.deepEqual(answer.files, [{ file: ring, kind: 'ring' }])
  assert.match((await logs([], { env: { PROVIDER_AUTH_LOG: 'none' } })).stderr, /none/)
})

test('--follow shows what comes, also after the file was renamed, and ends by a signal', async () => {
  write(ring, line('2026-01-15T10:00:00.000Z', 'warn', 'there'))
  const {
    child,
    ended,
    line: printed,
  } = sandbox.spawn(new URL('../npm/dist/cli/main.js', import.meta.url).pathname, {
    args: ['logs', '--follow', '--json'],
  })
  await printed(/"there"/)
  appendFileSync(ring, '{"time":"2026-01-15T10:00:01.000Z","level":"warn",')
  appendFileSync(ring, '"message":"in parts","pid":7}\n')
  await printed(/"in parts"/)
  appendFileSync(ring, `${line('2026-01-15T10:00:02.000Z', 'warn', 'at the end')}\n`)
  renameSync(ring, join(sandbox.vaultDir, 'log.1.jsonl'))
  write(ring, line('2026-01-15T10:00:03.000Z', 'warn', 'anew'))
  await printed(/"anew"/)
  child.kill('SIGINT')
  const { code, stdout } = await ended
  assert.equal(code, 130)
  assert.deepEqual(messages(stdout), ['there', 'in parts', 'at the end', 'anew'])
})

test('the library begins a new file when one is full, and logs reads on over both', async () => {
  const named = join(sandbox.dir, 'full.log')
  writeFileSync(named, `${line('2026-01-15T10:00:00.000Z', 'info', 'x'.repeat(1000))}\n`.repeat(4096))
  const env = { PROVIDER_AUTH_LOG_FILE: named, PROVIDER_AUTH_LOG: 'debug' }
  await sandbox.output("await auth.getAuthHeaders({ provider: 'openai', url: 'https://api.openai.com/v1/models' })", {
    env,
  })
  const renamed = readFileSync(join(sandbox.dir, 'full.1.log'), 'utf8')
  assert.ok(renamed.length > 4_000_000)
  assert.ok(readFileSync(named, 'utf8').length < 10_000)
  const { stdout } = await logs(['--json'], { env: { PROVIDER_AUTH_LOG_FILE: named } })
  assert.ok(messages(stdout).includes('an account was chosen'))
  assert.ok(messages(stdout).includes('x'.repeat(1000)))
})

test('in a terminal, Ctrl-C ends --follow', { skip: !hasTmux }, async () => {
  mkdirSync(sandbox.vaultDir, { recursive: true, mode: 0o700 })
  write(ring, line('2026-01-15T10:00:00.000Z', 'warn', 'there', { account: '01M8' }))
  // A shell says how the command has ended.
  const script = 'trap : INT; "$@"; echo "ended with $?"; exec sleep 600'
  const terminal = await startTerminal('/bin/sh', ['-c', script, 'sh', process.execPath, COMMAND, 'logs', '--follow'], {
    cwd: sandbox.work,
    env: sandbox.env,
  })
  after(terminal.close)
  await terminal.shows(/WARN {2}there/)
  await terminal.press('C-c')
  await terminal.shows(/ended with 130/)
})
