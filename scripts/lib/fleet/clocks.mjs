// Machines whose clocks are wrong: one is five minutes behind, one ahead. No exchange is one too many, and no token is handed
// out whose time is up.

import { setTimeout as sleep } from 'node:timers/promises'
import { clockOff } from './commands.mjs'

const WRONG_BY = { a: '-300s', b: '+300s', c: '+0s' }
const ACCOUNTS = 6
const TOKEN_SECONDS = 5
const EXCHANGE_MS = 300
const LASTS_MS = 40_000
const PAUSE_MS = 500

export async function clocks(stage) {
  const { provider, database } = stage
  provider.forgive(0)
  provider.answerAfter(0)
  const processes = []
  for (const [machine, by] of Object.entries(WRONG_BY))
    for (let number = 0; number < 2; number += 1)
      processes.push(await stage.process(machine, 'direct', { under: clockOff(by) }))
  // Each machine logs somebody in: the time that is left for that is not theirs to say either.
  const logins = []
  for (let number = 0; number < ACCOUNTS; number += 1)
    logins.push(await stage.logIn(processes[number % processes.length], TOKEN_SECONDS))
  for (const process of processes) for (const login of logins) await stage.sees(process, login)
  provider.answerAfter(EXCHANGE_MS)

  const ids = logins.map(({ account }) => `'${account}'`).join()
  const generations = async () =>
    Number(await database.sql(`select sum(generation) from pa.record where id in (${ids})`))
  const [before, generationsBefore] = [provider.count(), await generations()]
  const until = Date.now() + LASTS_MS
  const counted = { calls: 0, failed: 0, over: 0 }
  await Promise.all(
    processes.flatMap((process) =>
      logins.map(async ({ user, account }) => {
        while (Date.now() < until) {
          const { token, error } = await process.ask('headers', account)
          counted.calls += 1
          if (error !== undefined) counted.failed += 1
          else if (provider.owner(token) !== user) counted.over += 1
          await sleep(PAUSE_MS * (0.5 + Math.random()))
        }
      }),
    ),
  )
  provider.answerAfter(0)
  provider.setLife(3600)
  const states = await Promise.all(logins.map(({ account }) => processes[0].insist(['refresh', account], 30_000)))
  const after = provider.count()
  const renewed = (await generations()) - generationsBefore
  await Promise.all(processes.map((process) => process.close()))
  const result = {
    name: 'clocks five minutes apart',
    way: 'direct',
    ...counted,
    sent: after.sent - before.sent,
    generations: renewed,
    twice: after.twice - before.twice,
    refused: after.refused - before.refused,
    lost: states.filter(({ error, state }) => error !== undefined || state !== 'ready').length,
  }
  const none = ['failed', 'over', 'twice', 'refused', 'lost'].filter((name) => result[name] > 0)
  const wrong = none.map((name) => `${name}: none`)
  // As many as tokens that ended, and not one for each machine that thinks so.
  if (result.sent !== renewed) wrong.push(`${result.sent} requests for ${renewed} generations`)
  if (renewed > ACCOUNTS * (LASTS_MS / 1000 / (TOKEN_SECONDS / 2) + 1)) wrong.push('tokens are renewed too early')
  return { ...result, wrong }
}
