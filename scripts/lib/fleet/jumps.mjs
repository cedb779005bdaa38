// The clock of a machine is set while its processes run: an hour ahead, back, an hour behind, back. No token is handed out
// whose time is up, and none is renewed before its time.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { clockOf } from './commands.mjs'
import { TIMES } from './process.mjs'
import { useAll } from './use.mjs'

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
  const { provider } = stage
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
  for (const process of processes) for (const login of logins) await stage.sees(process, login)
  provider.setLife(TOKEN_SECONDS)
  provider.answerAfter(EXCHANGE_MS)

  const used = await useAll(stage, processes, logins, {
    lastsMs: (JUMPS.length + 1) * BETWEEN_MS,
    pauseMs: PAUSE_MS,
    // Some are used on the machine whose clock is set alone: no other renews them.
    isUsed: (process, number) => process.machine.name === 'a' || number < ACCOUNTS - OWN,
    async meanwhile() {
      for (const by of JUMPS) {
        await sleep(BETWEEN_MS)
        set(by)
      }
    },
  })
  return { name: 'a clock that is set an hour ahead and an hour behind', way: 'direct', ...used }
}
