// Many processes on three machines use accounts whose tokens end every few seconds, while everything fails in turn.

import { setTimeout as sleep } from 'node:timers/promises'
import { faults } from './faults.mjs'

const PROCESSES = 8
const ACCOUNTS = 20
const TOKEN_SECONDS = 4
const EXCHANGE_MS = 300
const LASTS_MS = 60_000
const CUT_MS = 4000
/** Between two requests of a process for one account. */
const PAUSE_MS = 2000
/** How much longer than a fault a call may wait: an exchange, and a busy machine. */
const PATIENCE_MS = 3000

const ALL = ['a', 'b', 'c']

/** What happens when, in ms from the start. A cut falls into an exchange: there is always one. */
const PLAN = [
  [4000, 'cut', 'a'],
  [13_000, 'restart'],
  [20_000, 'cut', 'b'],
  [28_000, 'crash'],
  [35_000, 'dropLines'],
  [40_000, 'cut', 'c'],
  [50_000, 'failOver'],
]

/** Runs the storm over one way to the database. Behind a pooler there is no failover: it knows one server. */
export async function storm(stage, way) {
  const { provider } = stage
  if (way === 'pooled') stage.openPooler()
  provider.forgive(0)
  provider.answerAfter(0)
  const desk = await stage.process('a', way)
  const logins = []
  for (let number = 0; number < ACCOUNTS; number += 1) logins.push(await stage.logIn(desk, 3600))
  await desk.close()
  const processes = []
  for (const machine of ALL)
    processes.push(...(await Promise.all(Array.from({ length: PROCESSES }, () => stage.process(machine, way)))))
  for (const process of processes) for (const login of logins) await stage.sees(process, login)
  // From here on every token ends soon: the first one is asked for.
  provider.setLife(TOKEN_SECONDS)
  provider.answerAfter(EXCHANGE_MS)
  for (const { account } of logins) await processes[0].insist(['refresh', account], 30_000)

  const before = sum(stage, logins)
  const generationsBefore = await generations(stage, logins)
  const calls = []
  const struck = []
  const startedAt = Date.now()
  const isOver = () => Date.now() - startedAt > LASTS_MS
  const asking = processes.flatMap((process) =>
    logins.map(async ({ account }) => {
      await sleep(Math.random() * PAUSE_MS)
      while (!isOver()) {
        const at = Date.now()
        const answer = await process.ask('headers', account)
        calls.push({ at, tookMs: Date.now() - at, machine: process.machine.name, error: answer.error, why: answer.why })
        await sleep(PAUSE_MS * (0.5 + Math.random()))
      }
    }),
  )
  await Promise.all([...asking, strike(stage, way, startedAt, struck)])

  provider.answerAfter(0)
  provider.setLife(3600)
  // A token that ends is renewed once more, so that every login shows that it lives.
  const states = await Promise.all(
    logins.map(({ account }, index) => processes[index % processes.length].insist(['refresh', account], 30_000)),
  )
  const after = sum(stage, logins)
  const renewed = (await generations(stage, logins)) - generationsBefore
  await Promise.all(processes.map((process) => process.close()))
  const longestMs = Math.max(...calls.map(({ tookMs }) => tookMs))
  const beyond = ({ at, tookMs }) => tookMs - faultTime(struck, at, at + tookMs)
  const slowest = calls.toSorted((one, other) => beyond(other) - beyond(one)).slice(0, 3)
  const uncut = calls.filter(({ at, tookMs, machine }) => !touches(struck, machine, at, at + tookMs))
  const failed = uncut.filter(({ error }) => error !== undefined)
  const result = {
    name: `storm: ${ALL.length} machines × ${PROCESSES} processes × ${ACCOUNTS} accounts`,
    way,
    calls: calls.length,
    failed: calls.filter(({ error }) => error !== undefined).length,
    failedOnUncut: failed.length,
    errors: tally(calls.map(({ error, why }) => error && `${error}: ${why}`)),
    sent: after.sent - before.sent,
    generations: renewed,
    twice: after.twice,
    refused: after.refused,
    lost: states.filter(({ error, state }) => error !== undefined || state !== 'ready').length,
    medianMs: quantile(calls, 0.5),
    p99Ms: quantile(calls, 0.99),
    longestMs,
    worstWaitMs: Math.max(0, ...calls.map(beyond)),
    slowest: slowest.map(
      (call) => `${call.machine} at ${call.at - startedAt} ms: ${call.tookMs} ms, ${call.error ?? 'answered'}`,
    ),
  }
  return { ...result, wrong: deviations(result, uncut.length) }
}

function deviations({ sent, generations, twice, refused, lost, failedOnUncut, worstWaitMs }, uncut) {
  const wrong = []
  if (sent !== generations) wrong.push(`${sent} requests for ${generations} generations`)
  for (const [name, value] of Object.entries({ twice, refused, lost })) if (value > 0) wrong.push(`${name}: none`)
  if (failedOnUncut > uncut / 1000)
    wrong.push(`${failedOnUncut} of ${uncut} calls failed on machines that were not cut off`)
  if (worstWaitMs > PATIENCE_MS) wrong.push(`a call waited ${worstWaitMs / 1000} s beyond the faults`)
  return wrong
}

/** Strikes as planned, and notes from when to when. */
async function strike(stage, way, startedAt, struck) {
  const isPooled = way === 'pooled'
  if (!isPooled) await stage.database.addStandby()
  for (const [at, fault, machine] of PLAN) {
    if (isPooled && fault === 'failOver') continue
    await sleep(startedAt + at - Date.now())
    const from = Date.now()
    if (fault === 'failOver') await stage.database.deafenStandby()
    await faults[fault](stage, { machine, victims: [] })
    if (fault === 'cut') {
      await sleep(CUT_MS)
      await faults.mend(stage, { machine })
    }
    struck.push({ fault, machine, from, to: Date.now() })
  }
}

/** Whether a call fell into the time in which its machine was cut off, or was finding back. */
function touches(struck, machine, from, to) {
  return struck.some((one) => one.machine === machine && from < one.to + PATIENCE_MS && to > one.from)
}

/** How long faults lasted between two moments, anywhere: others wait for a machine that is cut off. */
function faultTime(struck, from, to) {
  return struck.reduce((total, one) => total + Math.max(0, Math.min(to, one.to) - Math.max(from, one.from)), 0)
}

function sum(stage, logins) {
  const counts = logins.map(({ user }) => stage.provider.count(user))
  const of = (name) => counts.reduce((total, count) => total + count[name], 0)
  return { sent: of('sent'), twice: of('twice'), refused: of('refused') }
}

async function generations(stage, logins) {
  const ids = logins.map(({ account }) => `'${account}'`).join()
  return Number(await stage.database.sql(`select sum(generation) from pa.record where id in (${ids})`))
}

function tally(names) {
  const counts = {}
  for (const name of names) if (name) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

function quantile(calls, share) {
  const sorted = calls.map(({ tookMs }) => tookMs).sort((one, other) => one - other)
  return sorted[Math.floor(sorted.length * share)]
}
