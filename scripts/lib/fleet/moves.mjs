// Logins move from a folder into the store, and back, and the process that moves them is killed at each system call by which
// a disk or the database is changed, or hears that it was: no login is lost, and none is in two places.

import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ended, until } from './commands.mjs'
import { urls } from './database.mjs'

/** Calls by which a disk changes, and by which the database is told something, or its answer is read. */
const CALLS = [
  ...['openat', 'write', 'pwrite64', 'ftruncate', 'fsync', 'fdatasync', 'rename', 'renameat', 'renameat2', 'link'],
  ...['linkat', 'unlink', 'unlinkat', 'mkdir', 'mkdirat', 'connect', 'sendto', 'sendmsg', 'writev', 'recvfrom'],
]
const LOGINS = 2
const LIFE_SECONDS = 3600
const PATIENCE_MS = 60_000

/** Kills at the first, second, … call of each kind, until a process gets through; skips some where `every` is above 1. */
export async function moves(stage, every) {
  const { provider } = stage
  provider.forgive(0)
  provider.answerAfter(0)
  const dir = join(stage.folder, 'moves')
  // As a user has it, with the waits of the product.
  const plain = { plain: true, workers: 1, dir }
  const folder = { place: dir, more: { ...plain, url: '' } }
  const store = { place: urls.direct('ci'), more: { ...plain, url: urls.direct('ci') } }
  const desk = await stage.process('a', 'direct', folder.more)
  const ids = []
  for (let number = 0; number < LOGINS; number += 1) ids.push((await stage.logIn(desk, LIFE_SECONDS)).account)
  const { account: key } = await desk.ask('key', 'keys', 'a-key-that-moves')
  await desk.close()
  // Other parts leave accounts in the store, which move with these. One that came twice would have an id of its own.
  const reader = await stage.process('a', 'direct', store.more)
  const known = new Set([...ids, key, ...(await states(reader)).keys()])
  await reader.close()
  const refused = provider.count().refused
  const trace = join(stage.folder, 'moves.strace')
  const world = { stage, ids, key, known, trace }

  const counts = { runs: 0, killed: 0, underWay: 0, calls: {} }
  const wrong = new Set()
  for (const call of CALLS) {
    const isOver = new Set()
    for (let number = 1 + (every > 1 ? counts.runs % every : 0); isOver.size < 2; number += every) {
      for (const [from, to, way] of [
        [folder, store, 'in'],
        [store, folder, 'back'],
      ]) {
        const at = isOver.has(way) ? undefined : { call, number }
        const run = await move(world, from, to, at)
        for (const what of run.wrong) wrong.add(`${way}, ${call} ${number}: ${what}`)
        if (at === undefined) continue
        counts.runs += 1
        if (run.isUnderWay) counts.underWay += 1
        if (run.isKilled) counts.killed += 1
        else isOver.add(way)
        if (run.isKilled) counts.calls[call] = (counts.calls[call] ?? 0) + 1
      }
    }
  }
  rmSync(trace, { force: true })
  const result = {
    name: 'a move in and back, killed at each call',
    way: 'direct',
    ...counts,
    refused: provider.count().refused - refused,
    lost: [...wrong].filter((what) => what.includes('lost')).length,
  }
  if (result.refused > 0) wrong.add('refused: none')
  if (counts.underWay === 0) wrong.add('no kill left logins on their way')
  return { ...result, wrong: [...wrong].slice(0, 5) }
}

/** Moves all there is, killed at a call if there is one, looks what that left, and finishes. */
async function move({ stage, ids, key, known, trace }, from, to, at) {
  const isKilled = at !== undefined && (await killAt(stage, from, to, at, trace))
  const wrong = []
  const [here, there] = await Promise.all([from, to].map(({ more }) => stage.process('a', 'direct', more)))
  let isUnderWay = false
  if (isKilled) {
    const [left, arrived] = [await states(here), await states(there)]
    isUnderWay = (await here.ask('status')).under_way
    for (const id of ids) {
      const places = [left, arrived].filter((place) => place.get(id) === 'ready').length
      if (places > 1) wrong.push('a login is in two places')
      if (places === 0 && !isUnderWay) wrong.push('a login is lost')
    }
  }
  const moved = await here.insist(['move', to.place], PATIENCE_MS)
  if (moved.error !== undefined) wrong.push(`it cannot be finished: ${moved.error} ${moved.why}`)
  const isThere = async () => {
    const arrived = await states(there)
    return ids.every((id) => arrived.get(id) === 'ready')
  }
  await until('what arrived is seen there', isThere, { limitMs: 10_000 }).catch(({ message }) => wrong.push(message))
  for (const id of ids) {
    const { error, state, why } = await there.insist(['refresh', id], PATIENCE_MS)
    if (state !== 'ready') wrong.push(`a login is lost: ${state ?? `${error} ${why}`}`)
  }
  const [left, arrived] = [await states(here), await states(there)]
  if (ids.some((id) => left.get(id) === 'ready')) wrong.push('a login is in two places')
  if ((await here.ask('status')).under_way) wrong.push('it is not finished')
  if (arrived.get(key) !== 'ready' || [...arrived.keys()].some((id) => !known.has(id)))
    wrong.push(`what arrived: ${JSON.stringify([...arrived.values()])}`)
  await Promise.all([here.close(), there.close()])
  return { isKilled, isUnderWay, wrong }
}

/** Says whether a process that moves got as far as this call, where it was killed. */
async function killAt(stage, from, to, { call, number }, trace) {
  const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${number}`]
  const under = ['strace', '-f', '-qq', '-o', trace, ...inject]
  const process = await stage.process('a', 'direct', { ...from.more, under }).catch(() => undefined)
  // It died as it began.
  if (process === undefined) return true
  await process.ask('move', to.place)
  process.child.stdin.end()
  await ended(process.child)
  return readFileSync(trace, 'utf8').includes('killed by SIGKILL')
}

async function states(process) {
  const { accounts = [] } = await process.insist(['list'], PATIENCE_MS)
  return new Map(accounts.map(({ account, state }) => [account, state]))
}
