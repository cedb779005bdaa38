/**
 * Writers that are killed without warning, thousands of times, while eight of them use one vault: what a writer was told
 * is done stays done, and what it was not told is done or is not, whole.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openStage } from './support/stage.mjs'
import { buildProgram, sizes, WITHOUT_AUTHORITIES } from './support/torture.mjs'

const WRITERS = 8
/** The last writer is Node with the addon; the others are the broker alone, which starts ten times as fast. */
const ADDON = WRITERS - 1
const WORKER = fileURLToPath(new URL('support/worker.mjs', import.meta.url))
/** A writer lives about this long once it is at work. */
const LIFE_MS = 100

const program = await buildProgram()
const { oidc, upstream, sandbox, library, logIn } = await openStage({ name: 'kills' })

test(`${sizes.kills} kills of 8 writers tear no record and lose nothing that was acknowledged`, async (t) => {
  const startedAt = Date.now()
  // What is lost between the server and our disk is the matter of the herd. On a busy machine a dozen writers in turn may
  // be killed before their disk has the answer, which takes longer than the usual 10 s.
  oidc.setReuseGraceMs(60_000)
  const logins = [await logIn('ada'), await logIn('bob')].map(({ id }) => id)
  const quiet = { provider: 'local', namespace: 'quiet' }
  const apiKey = 'a-key-that-stays-untouched'
  const bystander = await library.addApiKey({ ...quiet, apiKey })

  let kills = 0
  const writers = Array.from({ length: WRITERS }, (_, number) => openBook(`writer-${number}`))
  const keepKilling = async (book, number) => {
    const args = [book.namespace, ...logins]
    while (kills < sizes.kills) {
      const writer =
        number === ADDON
          ? sandbox.spawn(WORKER, { args: [upstream.origin, ...args], env: WITHOUT_AUTHORITIES })
          : sandbox.spawn('work', { command: program, args, env: WITHOUT_AUTHORITIES })
      // One in ten dies while it opens the vault, as it does on a machine that is switched off.
      if (Math.random() < 0.9) await writer.line(/^ready$/)
      await sleep(Math.random() * 2 * LIFE_MS)
      writer.child.kill('SIGKILL')
      const { code, signal, stdout, stderr } = await writer.ended
      assert.equal(signal, 'SIGKILL', `a writer ended by itself (${code}): ${stderr}`)
      kills += 1
      book.read(stdout)
    }
  }
  await Promise.all(writers.map(keepKilling))

  const accounts = await library.listAccounts()
  const { state, quarantined } = await library.vaultStatus()
  assert.deepEqual({ state, quarantined }, { state: 'open', quarantined: 0 })
  const torn = accounts.filter((account) => account.state !== 'ready')
  assert.deepEqual(torn, [])
  for (const book of writers) book.compare(accounts.filter(({ namespace }) => namespace === book.namespace))
  assert.ok(accounts.some(({ id, updatedAt }) => id === bystander.id && updatedAt === bystander.updatedAt))
  const { headers } = await library.getAuthHeaders({ ...quiet, url: upstream.origin })
  assert.equal(headers.authorization, `Bearer ${apiKey}`)

  // The server numbers its tokens by their order; the vault must not hold an older one than somebody was given.
  assert.equal(oidc.counters.invalidGrants, 0)
  const order = new Map(oidc.issuedTokens().map((token, number) => [token, number]))
  for (const id of logins) {
    const { namespace } = accounts.find((account) => account.id === id)
    const { headers } = await library.getAuthHeaders({
      provider: 'local',
      namespace,
      account: id,
      url: upstream.origin,
    })
    const held = order.get(headers.authorization.replace('Bearer ', ''))
    for (const book of writers)
      for (const token of book.tokens.get(id) ?? []) assert.ok(order.get(token) <= held, 'a token was lost')
  }
  const records = readdirSync(join(sandbox.vaultDir, 'rec')).filter((file) => file.endsWith('.rec'))
  assert.equal(records.length, accounts.length)

  const sum = (name) => writers.reduce((total, book) => total + book.counts[name], 0)
  t.diagnostic(`${kills} kills in ${seconds(startedAt)} s, ${sum('cut')} of them in the middle of a call`)
  t.diagnostic(
    `acknowledged: ${['add', 'label', 'remove', 'refresh'].map((deed) => `${sum(deed)} ${deed}`).join(', ')}`,
  )
  t.diagnostic(
    `of the calls that were cut off ${sum('kept')} are done and ${sum('undone')} are not; 0 torn, 0 lost; ` +
      `${oidc.counters.replays} refresh tokens came again after a kill, at the latest ` +
      `${oidc.counters.longestReplayMs / 1000} s after their first answer`,
  )
  assert.ok(sum('cut') > kills / 4, 'most kills fell where nothing was under way')
})

/**
 * What one writer is owed. `read` takes all that one life of it has printed, and compares what it found in the vault
 * with what the lives before it were told.
 */
function openBook(namespace) {
  /** Account to the label that was acknowledged. */
  const owed = new Map()
  /** The call that was cut off: it may be done or not. */
  let open
  let found
  const counts = { add: 0, label: 0, remove: 0, refresh: 0, cut: 0, kept: 0, undone: 0 }
  const tokens = new Map()

  const compare = (accounts) => {
    const labels = new Map(accounts.map(({ id, label }) => [id, label]))
    const added = [...labels.keys()].filter((id) => !owed.has(id))
    const was = open
    open = undefined
    let isDone = false
    if (was?.deed === 'add') {
      isDone = added.length === 1 && labels.get(added[0]) === was.label
      if (isDone) owed.set(added[0], was.label)
    } else if (was?.deed === 'label') {
      isDone = labels.get(was.id) === was.label
      if (isDone) owed.set(was.id, was.label)
    } else if (was?.deed === 'remove') {
      isDone = !labels.has(was.id)
      if (isDone) owed.delete(was.id)
    }
    if (was !== undefined && was.deed !== 'refresh') counts[isDone ? 'kept' : 'undone'] += 1
    assert.deepEqual(sorted(labels), sorted(owed), `${namespace}, after ${JSON.stringify(was)}`)
  }
  const done = {
    add: (id, label) => owed.set(id, label),
    label: (id, label) => owed.set(id, label),
    remove: (id) => owed.delete(id),
    refresh: (id, token) => tokens.set(id, [...(tokens.get(id) ?? []), token]),
  }
  const take = ([word, ...rest]) => {
    if (word === 'has') found.push({ id: rest[0], label: rest[1] })
    if (word === 'ready') compare(found)
    if (word === 'try') open = { deed: rest[0], id: rest[1], label: rest[2] }
    if (word === 'did') {
      const [deed, ...details] = rest
      done[deed](...details)
      counts[deed] += 1
      open = undefined
    }
  }
  return {
    namespace,
    counts,
    tokens,
    compare,
    read(stdout) {
      found = []
      // The last line ends in the middle, or is empty.
      for (const line of stdout.split('\n').slice(0, -1)) take(line.split(' '))
      if (stdout.includes('ready\n') && open !== undefined) counts.cut += 1
    },
  }
}

function sorted(map) {
  return [...map].sort(([one], [other]) => (one < other ? -1 : 1))
}

function seconds(startedAt) {
  return Math.round((Date.now() - startedAt) / 100) / 10
}
