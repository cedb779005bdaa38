// The clock of a machine is set while its processes run: an hour ahead, back, an hour behind, back. No token is handed out
// whose time is up, and none is renewed before its time.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { clockOf } from './commands.mjs'
import { TIMES } from './process.mjs'

const MACHINES = ['a', 'b', 'c']
const ACCOUNTS = 8
/** So many of them are used on one machine only. */
const OWN = 4
const TOKEN_SECONDS = 5
const EXCHANGE_MS = 300
const PAUSE_MS = 100
/** Longer than a poll takes, by which a process learns what time it is. */
const BETWEEN_MS = 8000
const JUMPS = ['+3600', '+0', '-3600', '+0']
/** As users have it: with the torture's own the wrong time would be over too soon to show. */
const POLL_MS = 5000

export async function jumps(stage) {
  const { provider, database } = stage
  provider.forgive(0)
  provider.answerAfter(0)
  const file = join(stage.folder, 'clock')
  const set = (by) => writeFileSync(file, `${by}\n`)
  set('+0')
  const more = { times: { ...TIMES, poll: POLL_MS } }
  const processes = []
  for (const machine of MACHINES) {
    const under = machine === 'a' ? clockOf(file) : []
    for (let number = 0; number < 2; number += 1)
      processes.push(await stage.process(machine, 'direct', { ...more, under }))
  }
  const logins = []
  // Half of them need nothing while this lasts.
  for (let number = 0; number < ACCOUNTS; number += 1)
    logins.push(await stage.logIn(processes[number % processes.length], number % 2 ? 3600 : TOKEN_SECONDS))
  const lasting = logins.filter((_, number) => number % 2)
  for (const process of processes) for (const login of logins) await stage.sees(process, login)
  provider.setLife(TOKEN_SECONDS)
  provider.answerAfter(EXCHANGE_MS)

  const ids = logins.map(({ account }) => `'${account}'`).join()
  const generations = async () =>
    Number(await database.sql(`select sum(generation) from pa.record where id in (${ids})`))
  const [before, generationsBefore] = [provider.count(), await generations()]
  const lastsMs = (JUMPS.length + 1) * BETWEEN_MS
  const until = Date.now() + lastsMs
  const counted = { calls: 0, failed: 0, over: 0 }
  // Some are used on the machine whose clock is set alone: no other renews them.
  const isUsed = (process, number) => process.machine.name === 'a' || number < ACCOUNTS - OWN
  const asking = processes.flatMap((process) =>
    logins
      .filter((_, number) => isUsed(process, number))
      .map(async ({ user, account }) => {
        while (Date.now() < until) {
          const { token, error } = await process.ask('headers', account)
          counted.calls += 1
          if (error !== undefined) counted.failed += 1
          else if (provider.owner(token) !== user) counted.over += 1
          await sleep(PAUSE_MS * (0.5 + Math.random()))
        }
      }),
  )
  for (const by of JUMPS) {
    await sleep(BETWEEN_MS)
    set(by)
  }
  await Promise.all(asking)
  const early = lasting.reduce((total, { user }) => total + provider.count(user).sent, 0)
  provider.answerAfter(0)
  provider.setLife(3600)
  const states = await Promise.all(logins.map(({ account }) => processes[0].insist(['refresh', account], 30_000)))
  const after = provider.count()
  const renewed = (await generations()) - generationsBefore
  await Promise.all(processes.map((process) => process.close()))
  const result = {
    name: 'a clock that is set an hour ahead and an hour behind',
    way: 'direct',
    ...counted,
    sent: after.sent - before.sent,
    generations: renewed,
    early,
    twice: after.twice - before.twice,
    refused: after.refused - before.refused,
    lost: states.filter(({ error, state }) => error !== undefined || state !== 'ready').length,
  }
  const none = ['failed', 'over', 'early', 'twice', 'refused', 'lost'].filter((name) => result[name] > 0)
  const wrong = none.map((name) => `${name}: none`)
  if (result.sent !== renewed) wrong.push(`${result.sent} requests for ${renewed} generations`)
  const most = (logins.length - lasting.length) * (lastsMs / 1000 / (TOKEN_SECONDS / 2) + 1) + logins.length
  if (renewed > most) wrong.push('tokens are renewed too early')
  return { ...result, wrong }
}
