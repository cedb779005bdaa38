/**
 * Every command over every state of a vault, in pipes with `--json` and in a terminal: the exit code, an error with its next
 * step, nothing but an answer on standard output, never a stack trace, and an end.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { hasCommand } from '../scripts/lib/toolchain.mjs'
import { answer, assertFits, COMMAND, command } from './support/cli.mjs'
import { ROWS } from './support/command-rows.mjs'
import { leafCommands } from './support/program.mjs'
import { createSandbox } from './support/sandbox.mjs'

const PASSPHRASE = 'gravel orbit lantern sofa'
/** A command that asks for nothing ends in a fraction of it. */
const LONGEST_MS = 60_000
/** Characters of an error, and of all that is said beside an answer. */
const LONGEST_SAID = 1_200
/** Of a disk, in KiB: a vault, and little more. */
const SMALL_DISK = 256
/** What a question begins with. */
const QUESTION = /◆|not shown while you type/
const STACK = /^\s+at .+:\d+:\d+\)?$|Error: |file:\/\/|node:internal/m
const isRoot = process.platform === 'linux' && process.getuid() === 0

const sandbox = createSandbox({
  name: 'states',
  config: { providers: { desk: { origins: ['http://127.0.0.1:1'] } } },
})
const disks = []
after(() => {
  for (const disk of disks) spawnSync('umount', ['-l', disk])
  sandbox.cleanup()
})

const commands = leafCommands()
/** A vault with two accounts; its copies are what the commands meet. */
const whole = sandbox.vaultDir
const bare = join(sandbox.dir, 'bare')
const bundle = join(sandbox.dir, 'keys.age')
let key
let bob

before(async () => {
  const add = async (label) => {
    const call = `auth.addApiKey({ provider: 'desk', apiKey: 'sk-of-${label}', label: '${label}' })`
    return JSON.parse(await sandbox.output(`console.log(JSON.stringify(await ${call}))`)).id
  }
  await add('ada')
  bob = await add('bob')
  assert.equal((await command(sandbox, ['key', 'init'], { env: { PROVIDER_AUTH_DIR: bare } })).code, 0)
  const carol = await add('carol')
  key = (await answer(sandbox, 'key-export', ['key', 'export'])).key
  await answer(sandbox, 'vault-export', ['vault', 'export', bundle, '--passphrase-stdin'], { input: PASSPHRASE })
  await sandbox.output(`await auth.removeAccount('${carol}')`)
  const opencode = join(sandbox.env.XDG_DATA_HOME, 'opencode')
  mkdirSync(opencode)
  const entries = { openai: { type: 'api', key: 'sk-of-eve' } }
  writeFileSync(join(opencode, 'auth.json'), JSON.stringify(entries), { mode: 0o600 })
})

/** Each makes the folder of a vault in the state, and says what the environment adds. */
const STATES = {
  /** There is no vault yet, and a key for it. */
  empty: () => ({}),
  /** A vault without accounts. */
  bare(dir) {
    cpSync(bare, dir, { recursive: true })
    return {}
  },
  wrongKey: (dir) => ({ ...copied(dir), PROVIDER_AUTH_KEY: Buffer.alloc(32, 7).toString('base64') }),
  noKey: (dir) => ({ ...copied(dir), PROVIDER_AUTH_KEY: '' }),
  header(dir) {
    copied(dir)
    for (const name of ['vault.hdr', 'vault.hdr.bak']) damage(join(dir, name))
    return {}
  },
  record(dir) {
    copied(dir)
    damage(join(dir, 'rec', `${bob}.rec`))
    return {}
  },
  noKeychain: () => ({
    PROVIDER_AUTH_KEY: '',
    PROVIDER_AUTH_KEY_SOURCE: 'keychain',
    DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere',
  }),
  full(dir) {
    if (isRoot) fill(dirname(dir), () => copied(dir))
    else copied(dir)
    return {}
  },
}

test('every command has a row, and every row a command and all states', () => {
  const names = commands.map(({ name }) => name)
  assert.deepEqual(names.toSorted(), Object.keys(ROWS).toSorted(), 'see support/command-rows.mjs')
  for (const name of names)
    assert.deepEqual(Object.keys(ROWS[name].ends).toSorted(), Object.keys(STATES).toSorted(), name)
})

for (const [state, make] of Object.entries(STATES)) {
  test(`every command over this state of a vault: ${state}`, { skip: lacking() }, async () => {
    const runs = commands.flatMap(({ name }) => [
      () => inPipes(state, make, name),
      ...(hasCommand('script') ? [() => inTerminal(state, make, name)] : []),
    ])
    const faults = (await together(runs)).filter((fault) => fault !== undefined)
    assert.deepEqual(faults, [])
  })

  function lacking() {
    if (state === 'full' && process.platform === 'win32') return 'a full disk cannot be made here'
    return state === 'noKeychain' && process.platform !== 'linux' ? 'there is always a keychain here' : false
  }
}

/* ───────────────────────────── runs ───────────────────────────── */

async function inPipes(state, make, name) {
  const run = prepared(make, name)
  const { words, args, places, env, row } = run
  const { code, stdout, stderr } = await ended(
    start(state, process.execPath, [COMMAND, ...words, '--json', ...args], env),
    (child) => child.stdin.end(row.input?.(places) ?? ''),
  )
  return judged(`${name} --json`, { code, stdout, stderr }, () => {
    assert.equal(code, row.unasked ?? row.ends[state], 'exit code')
    assert.doesNotMatch(stderr, STACK)
    assert.ok(stderr.length < LONGEST_SAID, 'it says too much')
    assertMakesNothing(run)
    const schema = name.replaceAll(' ', '-')
    const isAnswer = code === 0 || (row.tells?.includes(code) && stdout !== '')
    if (row.isLines) for (const line of stdout.split('\n').slice(0, -1)) assertFits(schema, JSON.parse(line))
    else if (isAnswer && row.schema !== null) assertFits(schema, JSON.parse(stdout))
    else if (isAnswer) assert.doesNotMatch(stdout, STACK)
    else assert.equal(stdout, '', 'standard output carries only an answer')
    if (code === 0 || (row.isReport && isAnswer)) return
    const error = JSON.parse(stderr.trim().split('\n').at(-1))
    assertFits('error', error)
    assert.equal(error.error.exitCode, code)
    assert.ok(error.error.next, 'an error says what to do next')
  })
}

async function inTerminal(state, make, name) {
  const run = prepared(make, name)
  const { words, args, env, row } = run
  const line = [process.execPath, COMMAND, ...words, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`)
  const child = start(state, 'script', ['-qec', line.join(' '), '/dev/null'], {
    ...env,
    TERM: 'xterm',
    NO_COLOR: '1',
    SHELL: '/bin/sh',
  })
  let asked = false
  const { code, stdout } = await ended(child, () =>
    child.stdout.on('data', (chunk) => {
      if (asked || !QUESTION.test(chunk)) return
      asked = true
      child.stdin.write('\u0003')
    }),
  )
  return judged(`${name} in a terminal`, { code, stdout }, () => {
    if (asked) {
      assert.ok(row.asks, 'it asks for something')
      assert.equal(code, 130)
    } else assert.equal(code, row.ends[state], 'exit code')
    assertMakesNothing(run)
    assert.doesNotMatch(stdout, STACK)
    if (code !== 0 && !asked && !row.isReport) assert.match(stdout, /error: [\s\S]+ {2}next: \S/)
  })
}

function prepared(make, name) {
  const row = ROWS[name]
  const dir = join(mkdtempSync(join(sandbox.dir, 'run-')), 'vault')
  const env = { ...sandbox.env, PROVIDER_AUTH_DIR: dir, ...row.env, ...make(dir) }
  const places = { folder: dirname(dir), bundle, key, passphrase: PASSPHRASE }
  return { row, places, env, words: name.split(' '), args: row.args(places), dir, isThere: existsSync(dir) }
}

/** Where there was no vault, only what stores something makes one. */
function assertMakesNothing({ row, isThere, dir }) {
  if (!row.makes && !isThere) assert.ok(!existsSync(dir), 'it has made a vault')
}

/** Without the right to make a full disk: a process that may not write a byte to a file. */
function start(state, program, args, env) {
  const isLimited = state === 'full' && !isRoot
  const limited = ['bash', ['-c', 'trap "" XFSZ; ulimit -f 0; exec "$@"', 'bash', program, ...args]]
  return spawn(...(isLimited ? limited : [program, args]), { env, cwd: sandbox.work })
}

async function ended(child, begun) {
  const told = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => (told[name] += text))
  child.stdin.on('error', () => {})
  begun(child)
  const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST_MS)
  const [code, signal] = await new Promise((resolve) => child.once('close', (...end) => resolve(end)))
  clearTimeout(timer)
  return { code: signal ?? code, ...told }
}

/** What is wrong with a run, in a line; all are told at once. */
function judged(what, told, judge) {
  try {
    judge()
    return undefined
  } catch (error) {
    return `${what}: ${error.message.split('\n')[0]}: ${JSON.stringify(told).slice(0, 600)}`
  }
}

async function together(runs) {
  const results = []
  const waiting = [...runs]
  const work = async () => {
    for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) results.push(await run())
  }
  await Promise.all(Array.from({ length: availableParallelism() + 1 }, work))
  return results
}

/* ───────────────────────────── states ───────────────────────────── */

function copied(dir) {
  cpSync(whole, dir, { recursive: true })
  return {}
}

function damage(file) {
  const bytes = readFileSync(file)
  for (let at = 0; at < bytes.length; at += 7) bytes[at] ^= 0x55
  writeFileSync(file, bytes)
}

/** Puts the folder on a disk of its own, on which there is no room once `begin` has written to it. */
function fill(folder, begin) {
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_DISK}k,mode=700`, 'tmpfs', folder])
  assert.equal(status, 0, String(stderr))
  disks.push(folder)
  begin()
  for (let count = 0; count <= SMALL_DISK / 4; count++) {
    try {
      writeFileSync(join(folder, `filler-${count}`), Buffer.alloc(4096))
    } catch (error) {
      assert.equal(error.code, 'ENOSPC')
      return
    }
  }
  assert.fail('the disk is never full')
}
