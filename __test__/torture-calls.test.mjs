/**
 * Every system call with which a deed touches the vault's folder, made to fail in turn by `strace`: the process is killed
 * there, or the disk reports EIO or ENOSPC. Whatever happened, the next process finds the old state or the new one, what
 * was acknowledged is there, and doing it again works.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, before as setUp, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openStage } from './support/stage.mjs'
import { buildProgram, inParallel, sizes, WITHOUT_AUTHORITIES } from './support/torture.mjs'

const CALLS = [
  ...['openat', 'write', 'pwrite64', 'fsync', 'fdatasync', 'rename', 'renameat', 'renameat2', 'link', 'linkat'],
  ...['unlink', 'unlinkat', 'mkdir', 'mkdirat', 'ftruncate'],
]
const FAILURES = ['signal=SIGKILL', 'error=EIO', 'error=ENOSPC']
/** Longer than any lock is waited for. */
const TIMEOUT_MS = 60_000
/** Runs at a time: each waits for the disk as often as it computes. */
const WIDTH = 4

const reason = whyNoStrace()
if (reason !== undefined) console.log(`no system call is made to fail: ${reason}`)
const program = reason === undefined ? await buildProgram() : undefined
const { oidc, sandbox, library, logIn } = await openStage({ name: 'calls' })
/** What a healthy process shows of the vault that every run begins with, and the vault's key. */
const before = { accounts: [], key: undefined }

/** What OpenCode kept: two entries that are accounts here, and one that is not understood. */
const LEGACY = {
  local: { type: 'oauth', access: 'taken-login', refresh: 'taken-refresh', expires: Date.now() + 86_400_000 },
  strange: { type: 'of a later version', key: 'kept' },
  anthropic: { type: 'api', key: 'taken-key' },
}
const TAKEN = { local: 'taken-login', anthropic: 'taken-key' }

/** Each deed, and what must hold of the vault after it, by whether it was acknowledged. */
const DEEDS = {
  put: {
    args: ['add', 'key-three'],
    check({ accounts }, isDone) {
      const rest = accounts.filter(({ bearer }) => bearer !== 'key-three')
      assert.deepEqual(rest, before.accounts)
      const added = accounts.length - rest.length
      assert.ok(isDone ? added === 1 : added <= 1, `added ${added} times`)
    },
  },
  refresh: {
    args: () => ['refresh', before.accounts[0].id],
    check({ accounts }, isDone) {
      const [{ bearer, ...login }, ...rest] = accounts
      const [{ bearer: old, ...was }, ...others] = before.accounts
      assert.deepEqual([login, ...rest], [was, ...others])
      assert.ok(oidc.issuedTo(bearer) === 'ada' && !(isDone && bearer === old), 'the new token is lost')
    },
  },
  rotation: {
    args: ['rotate'],
    check({ accounts }, isDone, dir) {
      assert.deepEqual(accounts, before.accounts)
      const { epoch, previous } = header(dir)
      assert.ok(isDone ? epoch > 1 && previous === undefined : epoch >= 1)
    },
  },
  import: {
    args: () => ['import', before.key],
    prepare: (dir) => {
      for (const file of ['vault.hdr', 'vault.hdr.bak']) rmSync(join(dir, file))
    },
    check: ({ accounts }) => assert.deepEqual(accounts, before.accounts),
    /** Without its header the vault is what it was before: closed, with all records. */
    isOld: (dir, stderr) =>
      /is missing though there are records/.test(stderr) &&
      readdirSync(join(dir, 'rec')).filter((file) => file.endsWith('.rec')).length === before.accounts.length,
  },
  ...Object.fromEntries(['keep', 'backup', 'remove'].map((source) => [`migration, ${source}`, migration(source)])),
  removal: {
    args: (dir) => ['remove', takenLogins.get(dir)],
    prepare(dir) {
      takeOver('remove')(dir)
      takenLogins.set(dir, takenLogin(dir))
    },
    check({ accounts }, isDone) {
      const rest = accounts.filter(({ bearer }) => bearer !== TAKEN.local)
      assert.deepEqual(rest.slice(0, before.accounts.length), before.accounts)
      assert.deepEqual(
        rest.slice(before.accounts.length).map(({ bearer }) => bearer),
        [TAKEN.anthropic],
      )
      if (isDone) assert.equal(rest.length, accounts.length)
    },
    /** An undo brings what was not removed, and of the removed one nothing. */
    last(dir) {
      migrateNow(dir, 'undo')
      const { local, ...rest } = LEGACY
      assert.deepEqual(readLegacy(dir), rest)
    },
  },
  'moved login': {
    args: ['move'],
    // Each takes a second on purpose, and is checked by two more of them.
    failures: ['signal=SIGKILL'],
    every: sizes.everyOfSlow,
    async check({ accounts }, isDone, dir) {
      const bearers = (shown) => shown.map(({ bearer }) => bearer)
      const [login] = accounts
      if (isDone) assert.equal(login.state, 'needs_login')
      // The bundle got lost on its way: what is not here comes back with the copy.
      const { code, stderr } = await act(dir, ['return'])
      assert.equal(code, 0, stderr)
      assert.deepEqual(bearers((await show(dir)).accounts), bearers(before.accounts))
      assert.ok(!existsSync(join(dir, 'moved.age')))
    },
  },
  'undone migration': {
    args: (dir) => ['migrate', legacyFolder(dir), 'undo'],
    prepare: takeOver('backup'),
    check({ accounts }, isDone, dir) {
      const { left, taken } = checkLegacy(accounts, dir)
      if (isDone) assert.deepEqual([left, taken], [LEGACY, []])
    },
  },
}

function migration(source) {
  return {
    args: (dir) => ['migrate', legacyFolder(dir), source],
    prepare: writeLegacy,
    check({ accounts }, isDone, dir) {
      const { left, taken } = checkLegacy(accounts, dir)
      if (!isDone) return
      assert.deepEqual(taken, Object.values(TAKEN))
      assert.deepEqual(left, source === 'keep' ? LEGACY : { strange: LEGACY.strange })
    },
  }
}

/** Has a migration run to its end before the deed. */
function takeOver(source) {
  return (dir) => {
    writeLegacy(dir)
    migrateNow(dir, source)
  }
}

function migrateNow(dir, how) {
  const { status, stderr } = spawnSync(program, ['migrate', legacyFolder(dir), how], {
    env: { ...sandbox.env, ...WITHOUT_AUTHORITIES, PROVIDER_AUTH_DIR: dir },
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
}

const takenLogins = new Map()

/** The account that a migration has made of the login. */
function takenLogin(dir) {
  const env = { ...sandbox.env, ...WITHOUT_AUTHORITIES, PROVIDER_AUTH_DIR: dir }
  const { stdout } = spawnSync(program, ['show'], { env, encoding: 'utf8' })
  return JSON.parse(stdout).accounts.find(({ bearer }) => bearer === TAKEN.local).id
}

const readLegacy = (dir) => JSON.parse(readFileSync(join(legacyFolder(dir), 'auth.json'), 'utf8'))

/** Whatever was cut off, the file is whole, each entry is in it or in the vault, and none is in the vault twice. */
function checkLegacy(accounts, dir) {
  const isTaken = ({ bearer }) => Object.values(TAKEN).includes(bearer)
  assert.deepEqual(
    accounts.filter((account) => !isTaken(account)),
    before.accounts,
  )
  const left = readLegacy(dir)
  assert.deepEqual(left.strange, LEGACY.strange)
  const taken = accounts.filter(isTaken).map(({ bearer }) => bearer)
  assert.equal(new Set(taken).size, taken.length, 'an account is there twice')
  for (const [key, bearer] of Object.entries(TAKEN))
    assert.ok(taken.includes(bearer) || left[key] !== undefined, `${key} is lost`)
  return { left, taken: Object.values(TAKEN).filter((bearer) => taken.includes(bearer)) }
}

function legacyFolder(dir) {
  return `${dir}-opencode`
}

function writeLegacy(dir) {
  mkdirSync(legacyFolder(dir))
  writeFileSync(join(legacyFolder(dir), 'auth.json'), JSON.stringify(LEGACY), { mode: 0o600 })
}

describe('a deed that fails at any system call', { skip: reason }, () => {
  setUp(async () => {
    // A run that is cut off after the server has answered is the next run's second use of the same token.
    oidc.setReuseGraceMs(Infinity)
    await logIn('ada')
    for (const apiKey of ['key-one', 'key-two']) await library.addApiKey({ provider: 'local', apiKey })
    before.accounts = (await show(sandbox.vaultDir)).accounts
    before.key = (await act(sandbox.vaultDir, ['export'])).stdout.trim()
  })
  for (const [name, deed] of Object.entries(DEEDS))
    test(`leaves the old state or the new one: ${name}`, async (t) => t.diagnostic(`${name}: ${await sweep(deed)}`))
})

/** Breaks a deed off at each of its calls in each way; returns the figures. */
async function sweep(deed) {
  const startedAt = Date.now()
  const { every = sizes.every } = deed
  const hour = Math.floor(Date.now() / 3_600_000)
  const calls = (await tracedCalls(deed)).filter((_, number) => number % every === hour % every)
  assert.ok(calls.length > 10 / every, `${calls.length} calls were seen`)
  const failures = deed.failures ?? FAILURES
  const cases = calls.flatMap((call) => failures.map((failure) => ({ ...call, failure })))
  const results = await inParallel(WIDTH, cases, (failing) => breakOff(deed, failing))
  const [hit, done] = ['isHit', 'isDone'].map((name) => results.filter((result) => result[name]).length)
  // A file that was just written is read again or not, by the clock: now and then a call has another number.
  assert.ok(hit > 0.6 * cases.length, `${hit} of ${cases.length} runs were hit`)
  const names = calls.map(({ call }) => call)
  const kinds = [...new Set(names)].map((kind) => `${names.filter((name) => name === kind).length} ${kind}`)
  return (
    `${kinds.join(', ')}, each with ${failures.join(', ')}: ${cases.length} runs, ${hit} hit, ` +
    `${done} acknowledged all the same, 0 torn, 0 lost, in ${Math.round((Date.now() - startedAt) / 1000)} s`
  )
}

/** The calls of a deed that touch the folder, each as its name and its number in the thread that works with the disk. */
async function tracedCalls(deed) {
  const { dir, log, ended } = await perform(deed)
  assert.equal(ended.code, 0, ended.stderr)
  const counts = new Map()
  const found = []
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const [, thread, call] = /^(\d+) +(\w+)\(/.exec(line) ?? []
    // At its end a process adds what it counted, in another thread and after all else.
    if (call === undefined || line.includes('/stats.')) continue
    const name = `${thread} ${call}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
    if (line.includes(dir)) found.push({ thread, call, number: counts.get(name) })
  }
  // What another thread looks at, as it opens the vault, has numbers that this one has used up before it began.
  const disk = found.at(-1).thread
  const calls = found.filter(({ thread }) => thread === disk)
  for (const { call, number } of calls)
    for (const [name, count] of counts)
      assert.ok(name.startsWith(`${disk} `) || !name.endsWith(` ${call}`) || count < number, `${name}: ${count}`)
  rmSync(dir, { recursive: true })
  return calls
}

/** Performs a deed with one call failing, and checks what is left. */
async function breakOff(deed, { call, number, failure }) {
  const injection = `inject=${call}:${failure}:when=${number}`
  const { dir, log, ended, isStuck } = await perform(deed, injection).catch((error) => {
    throw new Error(`${injection}: ${error.message}`)
  })
  const isDone = ended.code === 0
  const lines = readFileSync(log, 'utf8').split('\n')
  // A call that has another number for once may be one that wakes a thread, which then sleeps for ever.
  const isHit = lines.some((line) => isInjected(line, dir) || (!isStuck && line.includes('killed by SIGKILL')))
  assert.ok(!(isHit && isStuck), `${injection}: it took more than a minute`)
  const when = `${failure} at ${call} ${number} (${isDone ? 'acknowledged' : ended.stderr.trim()})`
  try {
    if (isDone) assert.ok(!failure.startsWith('signal') || !isHit)
    const found = await act(dir, ['show'])
    if (found.code === 0) await check(deed, JSON.parse(found.stdout), isDone, dir)
    else assert.ok(!isDone && deed.isOld?.(dir, found.stderr), found.stderr)
    const again = await act(dir, argsOf(deed, dir))
    assert.equal(again.code, 0, again.stderr)
    await check(deed, await show(dir), true, dir)
    deed.last?.(dir)
  } catch (error) {
    error.message = `${when}: ${error.message}`
    throw error
  }
  rmSync(dir, { recursive: true })
  return { isHit, isDone }
}

function isInjected(line, dir) {
  return line.includes('(INJECTED)') && line.includes(dir)
}

async function check(deed, shown, isDone, dir) {
  assert.equal(shown.quarantined, 0)
  await deed.check(shown, isDone, dir)
}

let runs = 0

/** Performs a deed under `strace` on a copy of the vault. */
async function perform(deed, ...injections) {
  runs += 1
  const dir = join(sandbox.dir, `run-${runs}`)
  const log = `${dir}.log`
  cpSync(sandbox.vaultDir, dir, { recursive: true })
  deed.prepare?.(dir)
  // What was written a moment ago is read again and again, by the clock; from then on once.
  await sleep(60)
  const trace = [`trace=${CALLS.map((call) => `?${call}`).join()}`, ...injections].flatMap((rule) => ['-e', rule])
  const args = ['-y', '-o', log, ...trace, program, ...argsOf(deed, dir)]
  const env = { PROVIDER_AUTH_DIR: dir, ...WITHOUT_AUTHORITIES }
  const traced = sandbox.spawn('-f', { command: 'strace', args, env })
  let isStuck = false
  const limit = setTimeout(() => {
    isStuck = true
    // The one that is traced, which the first line names: `strace` ends with it, but not it with `strace`.
    process.kill(Number.parseInt(readFileSync(log, 'utf8'), 10), 'SIGKILL')
  }, TIMEOUT_MS)
  const ended = await traced.ended
  clearTimeout(limit)
  assert.ok(existsSync(log), ended.stderr)
  return { dir, log, ended, isStuck }
}

function argsOf({ args }, dir) {
  return typeof args === 'function' ? args(dir) : args
}

/** Lets a healthy process do something. */
function act(dir, [deed, ...args]) {
  return endOf(sandbox.spawn(deed, { command: program, args, env: { PROVIDER_AUTH_DIR: dir } }))
}

/** How a process ended; one that takes too long is ended, and fails its test by its signal. */
async function endOf({ child, ended }) {
  const limit = setTimeout(() => child.kill('SIGTERM'), TIMEOUT_MS)
  const outcome = await ended
  clearTimeout(limit)
  assert.notEqual(outcome.signal, 'SIGTERM', 'it took more than a minute')
  return outcome
}

async function show(dir) {
  const { code, stdout, stderr } = await act(dir, ['show'])
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout)
}

function header(dir) {
  return JSON.parse(readFileSync(join(dir, 'vault.hdr'), 'utf8').split('\n')[0])
}

function whyNoStrace() {
  if (process.platform !== 'linux') return 'strace is of Linux'
  const { error, status, stderr } = spawnSync('strace', ['-f', '-o', '/dev/null', 'true'], { encoding: 'utf8' })
  if (error !== undefined) return 'strace not found: apt-get install strace'
  return status === 0 ? undefined : `strace may not trace here: ${stderr.trim()}`
}
