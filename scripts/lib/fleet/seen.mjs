// How soon a change on one machine is known on the others: within a second where they listen, within five where a pooler
// lets them poll only, at the pauses that users have.

import { setTimeout as sleep } from 'node:timers/promises'
import { TIMES } from './process.mjs'

const ROUNDS = 6
/** What is promised. */
const SEEN_MS = { direct: 1000, pooled: 5000 }
/** How exactly it is measured: a process is asked so often, and answers after a while on a busy machine. */
const ASKED_EVERY_MS = 20
const LIMIT_MS = 20_000

export async function seen(stage) {
  const { provider } = stage
  stage.openPooler()
  provider.forgive(0)
  provider.answerAfter(0)
  const { poll: _, ...times } = TIMES
  const more = { times }
  const desk = await stage.process('a', 'direct', more)
  const others = []
  for (const machine of ['b', 'c'])
    for (const way of ['direct', 'pooled']) others.push({ way, process: await stage.process(machine, way, more) })
  const login = await stage.logIn(desk, 3600)
  for (const { process } of others) await stage.sees(process, login)

  const spans = { direct: [], pooled: [] }
  const slowest = {}
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [kind, change] of Object.entries(changes)) {
      // Polls come at any time of a round.
      await sleep(SEEN_MS.pooled * Math.random())
      const isSeenBy = await change(desk, login, round)
      const changedAt = Date.now()
      await Promise.all(
        others.map(async ({ way, process }) => {
          const took = await span(changedAt, () => isSeenBy(process))
          spans[way].push(took)
          const key = `${kind}, ${way}`
          slowest[key] = Math.max(slowest[key] ?? 0, took)
        }),
      )
    }
  await Promise.all([desk, ...others.map(({ process }) => process)].map((process) => process.close()))
  const wrong = []
  for (const [way, most] of Object.entries(SEEN_MS)) {
    const late = spans[way].filter((took) => took > most).length
    if (late > 0) wrong.push(`${way}: ${late} of ${spans[way].length} seen later than after ${most / 1000} s`)
  }
  const { twice, refused } = provider.count(login.user)
  return {
    name: 'a change is seen elsewhere',
    way: 'both',
    changes: spans.direct.length / 2,
    directMedianMs: median(spans.direct),
    directSlowestMs: Math.max(...spans.direct),
    pooledMedianMs: median(spans.pooled),
    pooledSlowestMs: Math.max(...spans.pooled),
    slowest,
    twice,
    refused,
    lost: 0,
    wrong,
  }
}

/** Each changes something, and returns how another process shows that it knows. */
const changes = {
  async renewal(desk, { account }) {
    await desk.insist(['refresh', account], LIMIT_MS)
    const { token } = await desk.ask('headers', account)
    return async (other) => (await other.ask('headers', account)).token === token
  },
  async label(desk, { account }, round) {
    const label = `label-${round}`
    await desk.insist(['label', account, label], LIMIT_MS)
    return async (other) => (await listed(other, account))?.label === label
  },
  async key(desk, _login, round) {
    desk.key = (await desk.insist(['key', 'seen', `a-key-to-be-seen-${round}`], LIMIT_MS)).account
    return async (other) => (await listed(other, desk.key)) !== undefined
  },
  async rest(desk) {
    await desk.insist(['rest', desk.key], LIMIT_MS)
    return async (other) => (await listed(other, desk.key)).state !== 'ready'
  },
  async removal(desk) {
    await desk.insist(['remove', desk.key], LIMIT_MS)
    return async (other) => (await listed(other, desk.key)) === undefined
  },
}

async function listed(process, account) {
  const { accounts = [] } = await process.insist(['list'], LIMIT_MS)
  return accounts.find((one) => one.account === account)
}

/** How long after a moment it became so, in ms: it was at the latest when the question that showed it was put. */
async function span(since, isSo) {
  for (;;) {
    const askedAt = Date.now()
    if (await isSo()) return Math.max(0, askedAt - since)
    if (askedAt - since > LIMIT_MS) return LIMIT_MS
    await sleep(ASKED_EVERY_MS)
  }
}

function median(spans) {
  return spans.toSorted((one, other) => one - other)[spans.length >> 1]
}
