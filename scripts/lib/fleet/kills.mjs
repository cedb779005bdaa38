// Processes on three machines renew tokens and are killed without warning, several a second.

import { setTimeout as sleep } from 'node:timers/promises'

const ACCOUNTS = 3
const TOKEN_SECONDS = 4
const EXCHANGE_MS = 200
const LASTS_MS = 45_000
const GRACE_MS = 10_000
const PAUSE_MS = 300
const MACHINES = ['a', 'b', 'c']
const PROCESSES = 3

/** Kills `kills` processes. A login whose process dies between an answer and the outbox needs the provider's grace. */
export async function killStorm(stage, kills) {
  const { provider } = stage
  provider.forgive(GRACE_MS)
  provider.answerAfter(0)
  const desk = await stage.process('a')
  const logins = []
  for (let number = 0; number < ACCOUNTS; number += 1) logins.push(await stage.logIn(desk, TOKEN_SECONDS))
  provider.answerAfter(EXCHANGE_MS)

  const startedAt = Date.now()
  let killed = 0
  let cutShort = 0
  const isOver = () => killed >= kills || Date.now() - startedAt > 4 * LASTS_MS
  const slots = MACHINES.flatMap((machine) => Array.from({ length: PROCESSES }, () => machine))
  const life = (LASTS_MS * slots.length) / kills
  const live = async (machine) => {
    while (!isOver()) {
      const process = await stage.process(machine)
      let isExchanging = false
      process.hears('sending').then(() => {
        isExchanging = true
      })
      const asking = logins.map(async ({ account }) => {
        for (;;) {
          const { error } = await process.ask('headers', account)
          if (error === 'ENDED') return
          await sleep(PAUSE_MS)
        }
      })
      await sleep(life * 2 * Math.random())
      await process.kill()
      killed += 1
      if (isExchanging) cutShort += 1
      await Promise.all(asking)
    }
  }
  await Promise.all(slots.map(live))
  const tookMs = Date.now() - startedAt

  provider.answerAfter(0)
  const ended = await Promise.all(logins.map(({ account }) => desk.insist(['refresh', account], 40_000)))
  await desk.close()
  const counts = logins.map(({ user }) => provider.count(user))
  const of = (name) => counts.reduce((total, count) => total + count[name], 0)
  const result = {
    name: `${killed} kills of ${slots.length} processes in ${Math.round(tookMs / 1000)} s, 10 s of grace`,
    way: 'direct',
    exchanging: cutShort,
    sent: of('sent'),
    twice: of('twice'),
    refused: of('refused'),
    lost: ended.filter(({ error, state }) => error !== undefined || state !== 'ready').length,
  }
  const wrong = ['refused', 'lost'].filter((name) => result[name] > 0).map((name) => `${name}: none`)
  return { ...result, wrong }
}
