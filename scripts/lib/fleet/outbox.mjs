// The database is down when an answer comes, and the process that waited for it is killed at one system call after the
// other: the next process of the machine brings the token.

import { setTimeout as sleep } from 'node:timers/promises'
import { ended, start, until } from './commands.mjs'

const EXCHANGE_MS = 3000
const SHORT_LIFE = 2
/** Calls by which a disk changes. */
const CALLS = 'openat,write,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat'
/** More than a thread makes between the answer and the end. */
const MOST_CALLS = 60

/** Kills at the first, second, … call of a thread, until a process gets through; skips some where `every` is above 1. */
export async function outbox(stage, every) {
  const { provider } = stage
  // What dies before its token is in the outbox can only try again.
  provider.forgive(60_000)
  const runs = []
  for (let number = 1; number <= MOST_CALLS; number += every) {
    const run = await killAt(stage, number)
    runs.push(run)
    if (!run.killed) break
  }
  const sum = (name) => runs.filter((run) => run[name]).length
  const result = {
    name: 'killed at each call after the answer, database down',
    way: 'direct',
    runs: runs.length,
    killed: sum('killed'),
    brought: sum('brought'),
    twice: sum('twice'),
    refused: sum('refused'),
    lost: sum('lost'),
  }
  const wrong = ['refused', 'lost'].filter((name) => result[name] > 0).map((name) => `${name}: none`)
  if (result.brought === 0) wrong.push('no token was brought')
  if (runs.at(-1).killed) wrong.push('no process got through')
  return { ...result, wrong }
}

async function killAt(stage, number) {
  const { provider, database } = stage
  provider.answerAfter(0)
  const process = await stage.process('a')
  const { user, account } = await stage.logIn(process, SHORT_LIFE)
  await sleep(SHORT_LIFE * 1000)
  provider.setLife(3600)
  provider.answerAfter(EXCHANGE_MS)
  const before = provider.count(user).sent
  const asked = process.ask('headers', account)
  await until('the provider is asked', () => provider.count(user).sent > before)
  await database.stop('fast')
  const inject = ['-e', `trace=${CALLS}`, '-e', `inject=${CALLS}:signal=KILL:when=${number}`]
  const tracer = start('strace', ['-f', '-qq', '-o', '/dev/null', ...inject, '-p', String(process.child.pid)], {
    stdio: 'ignore',
  })
  const answer = await asked
  // It may be about to write more than what the answer waited for.
  if (answer.error === undefined) await Promise.race([ended(process.child), sleep(500)])
  const killed = process.child.signalCode !== null
  await process.kill()
  await ended(tracer)
  provider.answerAfter(0)
  await database.start()
  const next = await stage.process('a')
  const served = await next.insist(['headers', account], 30_000)
  const { twice, refused } = provider.count(user)
  const renewed = await next.insist(['refresh', account], 30_000)
  await next.kill()
  const lost = served.error !== undefined || renewed.state !== 'ready'
  return { killed, twice: twice > 0, refused: refused > 0, lost, brought: killed && !lost && twice === 0 }
}
