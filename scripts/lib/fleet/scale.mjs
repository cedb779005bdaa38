// Many records: how long a process takes to open, how soon a change is seen, and what a renewal costs the database.

import { readFileSync } from 'node:fs'
import { until } from './commands.mjs'

const SEEDING = 32
const POOLS = 1000
const RENEWALS = 20
const OPENED_MS = 2000
const SEEN_MS = 1000
/** What the database may take to say what changed. */
const CHANGES_MS = 2
/** A record and its account's row of the state; either may be named again while something else is being written. */
const ROWS_EACH = 3

/** Adds so many records, and renews one of them in one process while so many use it. */
export async function scale(stage, records, size) {
  const { provider, database } = stage
  provider.forgive(0)
  provider.answerAfter(0)
  const desk = await stage.process('a')
  const seedingAt = Date.now()
  let next = 0
  const seed = async () => {
    while (next < records) {
      const number = next
      next += 1
      const { error, why } = await desk.ask('key', `pool-${number % POOLS}`, `a-key-of-the-fleet-${number}`)
      if (error !== undefined) throw new Error(`a key was not added: ${error} ${why}`)
    }
  }
  await Promise.all(Array.from({ length: SEEDING }, seed))
  const seededMs = Date.now() - seedingAt
  const login = await stage.logIn(desk, 3600)
  await database.sql('vacuum analyze pa.record')

  const processes = []
  const opened = []
  for (let number = 0; number < size; number += 1) {
    const begun = Date.now()
    const process = await stage.process(['a', 'b', 'c'][number % 3])
    const { error } = await process.ask('headers', login.account)
    if (error !== undefined) throw new Error(`no headers: ${error}`)
    opened.push(Date.now() - begun)
    processes.push(process)
  }
  const memory = processes.map(({ child }) => residentOf(child.pid))
  await database.sql('select pg_stat_statements_reset()')
  const seen = []
  for (let round = 0; round < RENEWALS; round += 1) {
    const [one, ...others] = processes
    await one.insist(['refresh', login.account], 30_000)
    const { token } = await one.ask('headers', login.account)
    const begun = Date.now()
    await Promise.all(
      others.map((other) =>
        until('the new token is seen', async () => (await other.ask('headers', login.account)).token === token),
      ),
    )
    seen.push(Date.now() - begun)
  }
  const meanOf = async (like) => {
    const of = `from pg_stat_statements where query like '${like}'`
    return Number(await database.sql(`select round((sum(total_exec_time) / sum(calls))::numeric, 3) ${of}`))
  }
  const changesMs = await meanOf('%union all%pa.aside%')
  // What changed, beside the two rows that each answer begins with, and what was asked for by itself.
  const read = await database.sql(
    `select sum(rows - case when query like '%union all%pa.aside%' then 2 * calls else 0 end) from pg_stat_statements
     where query like '%union all%pa.aside%' or query like 'select r.id, r.generation%'`,
  )
  await Promise.all([desk, ...processes].map((process) => process.close()))
  const result = {
    name: `${records} records, ${size} processes`,
    way: 'direct',
    seededMs,
    firstOpenedMs: Math.max(...opened),
    openedMs: opened.toSorted((one, other) => one - other)[opened.length >> 1],
    seenMs: Math.max(...seen),
    changesUs: changesMs * 1000,
    rowsPerRenewal: Number(read) / RENEWALS,
    memoryMb: memory.toSorted((one, other) => one - other)[memory.length >> 1],
  }
  const wrong = []
  if (result.openedMs > OPENED_MS) wrong.push(`opened in ${OPENED_MS / 1000} s`)
  if (result.seenMs > SEEN_MS) wrong.push(`seen in ${SEEN_MS / 1000} s`)
  if (changesMs > CHANGES_MS) wrong.push(`the database says in ${CHANGES_MS} ms what changed`)
  if (result.rowsPerRenewal > ROWS_EACH * (size + 1))
    wrong.push(`a renewal is ${ROWS_EACH} rows for each process at most`)
  return { ...result, wrong }
}

/** How much memory a process has, in MB. */
function residentOf(pid) {
  const [, pages] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')
  return Math.round((Number(pages) * 4096) / 1e6)
}
