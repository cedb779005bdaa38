// Runs rows of the table of faults, several runs at a time: each has a login and processes of its own, and they share what
// strikes a machine or the database.

import { setTimeout as sleep } from 'node:timers/promises'
import { until } from './commands.mjs'
import { faults } from './faults.mjs'
import { TIMES } from './process.mjs'

/** Runs at a time: more would be about a busy machine. */
const WIDTH = 5
/** What a busy machine adds. */
const SLACK_MS = 3000
/** How long a process is held back that a fault is to strike before it sends. */
const HELD_BACK_MS = 5000
/** Of an access token that is to end at once; logging in takes as long. */
const SHORT_LIFE = 2
const LONG_LIFE = 3600

/** Runs one row `runs` times. */
export async function runRow(stage, row, runs) {
  const done = []
  while (done.length < runs) done.push(...(await wave(stage, row, Math.min(WIDTH, runs - done.length))))
  const sum = (name) => done.reduce((total, run) => total + run[name], 0)
  const waits = done.map(({ waitedMs }) => waitedMs).sort((one, other) => one - other)
  const result = {
    name: row.name,
    way: row.way,
    runs,
    twice: sum('twice'),
    refused: sum('refused'),
    lost: sum('lost'),
    missed: sum('missed'),
    medianMs: waits[Math.floor(waits.length / 2)],
    longestMs: waits.at(-1),
  }
  return { ...result, wrong: deviations(row, result) }
}

function deviations(row, result) {
  const wrong = ['twice', 'refused', 'lost']
    .filter((name) => result[name] > row.expect[name] * result.runs)
    .map((name) => `${name}: at most ${row.expect[name] * result.runs}`)
  const limit = row.withinMs && row.withinMs + row.exchangeMs + SLACK_MS
  if (limit && result.longestMs > limit) wrong.push(`recovery: at most ${limit / 1000} s`)
  if (result.missed > 0) wrong.push(`${result.missed} exchanges were over before the fault`)
  return wrong
}

/** Some runs side by side. */
async function wave(stage, row, width) {
  const { provider } = stage
  if (row.way === 'pooled') stage.openPooler()
  const more = { times: { ...TIMES, hold: row.hold } }
  const start = (machine) => stage.process(machine, row.way, more)
  provider.forgive(row.graceMs)
  provider.answerAfter(0)
  const runs = await Promise.all(Array.from({ length: width }, () => begin(stage, row, start)))
  if (row.prepare) await faults[row.prepare](stage)

  await strikeIn(stage, row, runs)
  const machine = { machine: 'a', victims: runs.map(({ victim }) => victim) }
  const struckAt = Date.now()
  const striking = faults[row.fault](stage, machine)
  const mending = row.mend && sleep(row.lastMs).then(() => faults[row.mend](stage, machine))
  const waiting = runs.map((run) => recover(run, row, start, struckAt))
  await Promise.all([striking, mending, ...waiting])
  // Whatever happened, it is over.
  await stage.machines.a.mend()

  provider.answerAfter(0)
  const ended = await Promise.all(runs.map((run) => outcome(stage, run)))
  await Promise.all(runs.flatMap(({ processes }) => processes.map((process) => process.kill())))
  return ended
}

/** Processes of one run, and a login whose access token has ended, or is about to. */
async function begin(stage, row, start) {
  const heirs = row.heir === 'c' ? ['b'] : [row.heir]
  const [victim, ...others] = await Promise.all(['a', ...heirs].map(start))
  const login = await stage.logIn(victim, SHORT_LIFE)
  for (const process of others) await stage.sees(process, login)
  return { ...login, victim, heir: others[0], processes: [victim, ...others] }
}

/** Brings every run to where the fault is to strike. */
async function strikeIn(stage, row, runs) {
  const { provider } = stage
  const token = async ({ victim, account }) => (await victim.insist(['headers', account], 30_000)).token
  for (const run of runs) run.old = await token(run)
  await sleep(SHORT_LIFE * 1000)
  if (row.when === 'done') {
    // The token that comes ends soon, too.
    provider.setLife(SHORT_LIFE)
    for (const run of runs)
      run.old = await until('a new token', async () => {
        const fresh = await token(run)
        return fresh !== run.old && fresh
      })
    for (const run of runs)
      await until('the other machine has it', async () => {
        const seen = await run.heir.ask('headers', run.account)
        return seen.token === run.old
      })
    await sleep(SHORT_LIFE * 1000)
    provider.setLife(LONG_LIFE)
    return
  }
  provider.setLife(LONG_LIFE)
  if (row.when === 'sending') await Promise.all(runs.map(({ victim }) => victim.ask('slow', HELD_BACK_MS)))
  provider.answerAfter(row.exchangeMs)
  for (const run of runs) {
    run.sentBefore = provider.count(run.user).sent
    run.isSending = run.victim.hears('sending')
    run.asked = run.victim.ask('headers', run.account).then((answer) => {
      run.isOver = answer.error === undefined
    })
  }
  if (row.when === 'sending') await Promise.all(runs.map(({ isSending }) => isSending))
  else
    for (const run of runs) await until('the provider is asked', () => provider.count(run.user).sent > run.sentBefore)
  for (const run of runs) run.missed = run.isOver ? 1 : 0
}

/** Asks for a token elsewhere until there is a new one. */
async function recover(run, row, start, struckAt) {
  if (row.heir === 'c') {
    run.heir = await start('c')
    run.processes.push(run.heir)
  }
  const limit = (row.withinMs ?? 30_000) + row.exchangeMs + 4 * SLACK_MS
  for (;;) {
    const answer = await run.heir.insist(['headers', run.account], limit)
    run.waitedMs = Date.now() - struckAt
    if (answer.error !== undefined || answer.token !== run.old || run.waitedMs > limit) return
  }
}

/** What became of a run: whether its login can still be renewed, on both machines. */
async function outcome(stage, run) {
  const isAlive = run.victim.child.exitCode === null && run.victim.child.signalCode === null
  const asked = [run.heir, ...(isAlive ? [run.victim] : [])]
  const served = await Promise.all(asked.map((process) => process.insist(['headers', run.account], 30_000)))
  const { twice, refused } = stage.provider.count(run.user)
  const serves = served.every(({ error }) => error === undefined)
  // To ask for it would spend a dead token once more.
  const renewed = serves && (await run.heir.insist(['refresh', run.account], 30_000))
  const isLost = renewed.state !== 'ready' || stage.provider.count(run.user).refused > refused
  return { waitedMs: run.waitedMs, twice, refused, lost: isLost ? 1 : 0, missed: run.missed ?? 0 }
}
