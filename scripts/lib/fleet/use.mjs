// Accounts are used on many processes while something is wrong with their clocks.

import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Has each process use the accounts that are its, over and over until `lastsMs` are over, `meanwhile` something else; then
 * renews each account once more and ends the processes. Returns what came of it, and what of that is wrong.
 */
export async function useAll(stage, processes, logins, { lastsMs, pauseMs, isUsed, meanwhile }) {
  const { provider, database } = stage
  const ids = logins.map(({ account }) => `'${account}'`).join()
  const generations = async () =>
    Number(await database.sql(`select sum(generation) from pa.record where id in (${ids})`))
  const [before, generationsBefore] = [provider.count(), await generations()]
  const until = Date.now() + lastsMs
  const counted = { calls: 0, failed: 0, over: 0 }
  const use = async (process, { user, account }) => {
    while (Date.now() < until) {
      const { token, error } = await process.ask('headers', account)
      counted.calls += 1
      if (error !== undefined) counted.failed += 1
      else if (provider.owner(token) !== user) counted.over += 1
      await sleep(pauseMs * (0.5 + Math.random()))
    }
  }
  const using = processes.flatMap((process) =>
    logins.filter((_, number) => isUsed?.(process, number) ?? true).map((login) => use(process, login)),
  )
  await meanwhile?.()
  await Promise.all(using)
  const lasting = logins.filter(({ seconds }) => (seconds * 1000) / 2 > lastsMs)
  const early = lasting.reduce((total, { user }) => total + provider.count(user).sent, 0)
  provider.answerAfter(0)
  provider.setLife(3600)
  const states = await Promise.all(logins.map(({ account }) => processes[0].insist(['refresh', account], 30_000)))
  const after = provider.count()
  const renewed = (await generations()) - generationsBefore
  await Promise.all(processes.map((process) => process.close()))
  const result = {
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
  // As many as tokens that ended, and not one for each machine that thinks so.
  if (result.sent !== renewed) wrong.push(`${result.sent} requests for ${renewed} generations`)
  const most = logins.reduce((total, { seconds }) => total + lastsMs / 1000 / (seconds / 2) + 1, 0)
  if (renewed > most) wrong.push('tokens are renewed too early')
  return { ...result, wrong }
}
