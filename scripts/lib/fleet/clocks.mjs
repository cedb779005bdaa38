// Machines whose clocks are five minutes fast and slow share logins: none renews too often, or serves what has ended.

import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const LIBRARY = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'
const TOKEN_SECONDS = 6
const LASTS_MS = 30_000
const PAUSE_MS = 300
const ACCOUNTS = 4

/** Runs a program as of yesterday, where that can be done: a certificate must be valid for a slow clock, too. */
export const yesterday = existsSync(LIBRARY) ? { LD_PRELOAD: LIBRARY, FAKETIME: '-1d' } : {}

export async function clocks(stage) {
  const name = 'clocks 5 min fast and slow'
  if (!existsSync(LIBRARY)) return { name, way: 'direct', skipped: 'apt-get install faketime', wrong: [] }
  const { provider } = stage
  provider.forgive(0)
  provider.answerAfter(0)
  const at = (machine, offset) => stage.process(machine, 'direct', { faketime: { library: LIBRARY, offset } })
  const processes = [await at('a', '+5m'), await at('b', '-5m'), await stage.process('c')]
  // From here on they know by how much they are off.
  for (const process of processes) await process.ask('status')
  const logins = []
  for (let number = 0; number < ACCOUNTS; number += 1)
    logins.push(await stage.logIn(processes[number % processes.length], TOKEN_SECONDS))
  for (const process of processes) for (const login of logins) await stage.sees(process, login)
  const before = provider.count()
  const startedAt = Date.now()
  let calls = 0
  let late = 0
  const errors = {}
  await Promise.all(
    processes.flatMap((process) =>
      logins.map(async ({ account, user }) => {
        while (Date.now() - startedAt < LASTS_MS) {
          const { token, error } = await process.ask('headers', account)
          calls += 1
          if (error !== undefined) errors[error] = (errors[error] ?? 0) + 1
          else if (provider.owner(token) !== user) late += 1
          await sleep(PAUSE_MS)
        }
      }),
    ),
  )
  for (const process of processes) await process.close()
  const after = provider.count()
  const sent = after.sent - before.sent
  // A token is renewed at the earliest when a tenth of its life is left, or when it is due and asked for.
  const most = ACCOUNTS * (Math.ceil(LASTS_MS / (TOKEN_SECONDS * 1000 * 0.7)) + 1)
  const result = { name, way: 'direct', calls, sent, most, late, errors }
  const more = { twice: after.twice - before.twice, refused: after.refused - before.refused, lost: 0 }
  const wrong = []
  if (sent > most) wrong.push(`${sent} exchanges, at most ${most}`)
  if (late > 0) wrong.push(`${late} tokens were served past their end`)
  if (more.twice + more.refused > 0) wrong.push('a token was sent twice or refused')
  if (Object.keys(errors).length > 0) wrong.push(`calls failed: ${JSON.stringify(errors)}`)
  return { ...result, ...more, wrong }
}
