/**
 * Sixteen processes on twenty logins whose tokens run out all the time, at a server that ends a login when a refresh token
 * comes twice: first in peace, then with one process killed each second.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { chat, openStage } from './support/stage.mjs'
import { sizes } from './support/torture.mjs'
import { until } from './support/until.mjs'

const PROCESSES = 16
const ACCOUNTS = 20
const TOKEN_SECONDS = 4
const SECONDS = sizes.herdSeconds

const { oidc, upstream, sandbox, library, openPool } = await openStage({ name: 'herd' })
const people = Array.from({ length: ACCOUNTS }, (_, number) => `user-${number}-of-`)
const records = join(sandbox.vaultDir, 'rec')

beforeEach(() => {
  oidc.setAccessTokenSeconds(TOKEN_SECONDS)
  oidc.setLatencyMs(0)
  oidc.requests.length = 0
  for (const name of Object.keys(oidc.counters)) oidc.counters[name] = 0
})

test(`16 processes on 20 logins spend each refresh token once, for ${SECONDS} s`, async (t) => {
  const { reports } = await runHerd(await openPool(people))
  const { refreshRequests, tokenGenerations, invalidGrants, mostAtOnce } = oidc.counters
  t.diagnostic(
    `${sum(reports, 'calls')} calls and ${sum(reports, 'forced')} forced refreshes: ${refreshRequests} refresh requests, ` +
      `${tokenGenerations} generations, ${invalidGrants} invalid_grant, at most ${mostAtOnce} at once for a login`,
  )
  assert.deepEqual(
    reports.flatMap(({ failures }) => failures),
    [],
  )
  assert.equal(refreshRequests, tokenGenerations)
  assert.equal(invalidGrants, 0)
  assert.equal(mostAtOnce, 1)
  assert.ok(tokenGenerations >= ((SECONDS / TOKEN_SECONDS) * ACCOUNTS) / 2, 'the tokens did run out')
})

test('with a kill each second, a login is lost only where the server had spent its token and our disk had not', async (t) => {
  const { ids, kills, cuts } = await runHerd(await openPool(people), { isKilling: true })
  const lost = await deadLogins(ids)

  const refused = oidc.requests.filter(({ error }) => error === 'invalid_grant').map(({ spent }) => hash(spent))
  const granted = new Set(oidc.requests.filter(({ status }) => status === 200).map(({ spent }) => hash(spent)))
  const committed = cuts.filter((cut) => granted.has(cut.hash) && refused.includes(cut.hash))
  t.diagnostic(
    `${kills} kills, of which ${cuts.length} fell between a request and our disk; the server had spent the token of ` +
      `${committed.length}: ${lost.length} logins lost, with no grace`,
  )
  assert.ok(cuts.length > 0, 'no kill fell into a refresh')
  assert.deepEqual(lost, [...new Set(committed.map(({ id }) => id))].sort())
  assert.deepEqual(
    refused.filter((spent) => !committed.some((cut) => cut.hash === spent)),
    [],
  )
})

test('with a kill each second and a server that grants 10 s for a second use, no login is lost', async (t) => {
  oidc.setReuseGraceMs(10_000)
  const { ids, kills, cuts } = await runHerd(await openPool(people), { isKilling: true })
  const lost = await deadLogins(ids)
  const { replays, invalidGrants } = oidc.counters
  t.diagnostic(
    `${kills} kills, of which ${cuts.length} fell between a request and our disk: ${replays} tokens came again within the ` +
      `grace, ${invalidGrants} invalid_grant, ${lost.length} logins lost`,
  )
  assert.ok(cuts.length > 0, 'no kill fell into a refresh')
  assert.deepEqual(lost, [])
  assert.equal(invalidGrants, 0)
})

/** Lets the processes run for their time. With `isKilling` one is killed each second, and another takes its place. */
async function runHerd({ ids, namespace }, { isKilling = false } = {}) {
  // Half of it before the tokens rotate, half between that and the answer: it is there that a kill costs a login.
  oidc.setLatencyMs(40, 40)
  const enter = () => sandbox.start(memberSource(namespace, ids))
  const members = Array.from({ length: PROCESSES }, enter)
  const ready = () => Promise.all(members.map((member) => member.line(/^ready$/)))
  await ready()
  const endsAt = Date.now() + SECONDS * 1000
  const cuts = []
  let kills = 0
  // A kill that falls into a refresh is what it is about: it goes on for a while until there was one.
  const isMissingCut = () => isKilling && cuts.length === 0 && Date.now() < endsAt + 60_000
  while (Date.now() < endsAt || isMissingCut()) {
    await sleep(1000)
    if (!isKilling) continue
    // Every other kill is aimed at a process that is refreshing; else few would fall there.
    const wanted = kills % 2 === 0 ? undefined : await someRefresher()
    const chosen = members.findIndex(({ child }) => child.pid === wanted)
    const place = chosen === -1 ? Math.floor(Math.random() * PROCESSES) : chosen
    cuts.push(...(await kill(members[place])))
    kills += 1
    members[place] = enter()
  }
  await ready()
  for (const { child } of members) child.kill('SIGUSR2')
  const ended = await Promise.all(members.map((member) => member.ended))
  const reports = ended.map(({ code, stdout, stderr }) => {
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout.split('\n')[1])
  })
  oidc.setLatencyMs(0)
  return { ids, kills, cuts, reports }
}

/** What one process does: calls with one account after the other, and now and then a refresh that is not needed. */
function memberSource(namespace, ids) {
  return `
    const ids = ${JSON.stringify(ids)}
    const options = { provider: 'local', namespace: '${namespace}' }
    const calls = ids.map((account) => auth.createAuthFetch({ ...options, account }))
    const report = { calls: 0, forced: 0, failures: [] }
    const act = async (place) => {
      if (Math.random() < 0.02) {
        report.forced += 1
        return auth.refreshAccount(ids[place], { force: true })
      }
      report.calls += 1
      const response = await calls[place]('${upstream.chatUrl}', ${JSON.stringify(chat())})
      if (response.status !== 200) report.failures.push(response.status)
      await response.arrayBuffer()
    }
    let isOver = false
    process.on('SIGUSR2', () => {
      isOver = true
    })
    console.log('ready')
    const run = async () => {
      while (!isOver) {
        await act(Math.floor(Math.random() * ids.length)).catch(({ code }) => report.failures.push(code))
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    await Promise.all([run(), run()])
    console.log(JSON.stringify(report))`
}

/** The process of some refresh under way, if one begins within half a second. */
async function someRefresher() {
  const endsAt = Date.now() + 500
  while (Date.now() < endsAt) {
    const [note] = notes()
    if (note !== undefined) return note.pid
    await sleep(2)
  }
  return undefined
}

/**
 * Kills a process, and returns what that cuts off: the refreshes that it has noted as begun, and whose outcome is not in
 * the vault. It is stopped first, so that it does not change that between the look and the kill.
 */
async function kill({ child, ended }) {
  child.kill('SIGSTOP')
  await until(`process ${child.pid} is stopped`, () => isStopped(child.pid))
  const cuts = notes().filter(({ id, pid, generation }) => pid === child.pid && generation === generationOf(id))
  child.kill('SIGKILL')
  await ended
  return cuts
}

/** Whether each thread of a process is stopped. Where the system does not tell, a moment later they are. */
function isStopped(pid) {
  const threads = `/proc/${pid}/task`
  if (!existsSync(threads)) return sleep(20, true)
  return readdirSync(threads).every((thread) => / T [^)]*$/.test(readFileSync(join(threads, thread, 'stat'), 'utf8')))
}

/** The notes of refreshes under way. */
function notes() {
  const files = readdirSync(records).filter((file) => file.endsWith('.pending'))
  return files.flatMap((file) => {
    try {
      const { pid, generation, refresh_hash: hash } = JSON.parse(readFileSync(join(records, file), 'utf8'))
      return [{ id: file.slice(0, -'.pending'.length), pid, generation, hash }]
    } catch (error) {
      if (error.code === 'ENOENT') return []
      throw error
    }
  })
}

/** How often a record was written, as its file says in the clear. */
function generationOf(id) {
  return Number(readFileSync(join(records, `${id}.rec`)).readBigUInt64LE(16))
}

/** The logins that the server no longer knows, in order; each is asked for. */
async function deadLogins(ids) {
  const dead = await Promise.all(
    ids.map((id) =>
      library.refreshAccount(id, { force: true }).then(
        () => [],
        ({ code }) => {
          assert.equal(code, 'NEEDS_LOGIN')
          return [id]
        },
      ),
    ),
  )
  return dead.flat().sort()
}

function hash(token) {
  return createHash('sha256')
    .update(token ?? '')
    .digest('hex')
}

function sum(reports, name) {
  return reports.reduce((total, report) => total + report[name], 0)
}
