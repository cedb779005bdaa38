// Machines whose clocks are wrong: one is five minutes behind, one ahead. No exchange is one too many, and no token is handed
// out whose time is up.

import { clockOff } from './commands.mjs'
import { useAll } from './use.mjs'

const WRONG_BY = { a: '-300s', b: '+300s', c: '+0s' }
const ACCOUNTS = 6
const TOKEN_SECONDS = 5
const EXCHANGE_MS = 300
const LASTS_MS = 40_000
const PAUSE_MS = 500

export async function clocks(stage) {
  const { provider } = stage
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

  const used = await useAll(stage, processes, logins, { lastsMs: LASTS_MS, pauseMs: PAUSE_MS })
  return { name: 'clocks five minutes apart', way: 'direct', ...used }
}
