// What many accounts in one vault cost beside the calls for headers: lists, a refusal, an exhausted pool, a write.

import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { p50 } from '../lib/measure.mjs'
import { options, tell } from '../lib/process.mjs'
import { ours } from '../peers.mjs'

const { what, rounds, places } = options()
const dir = process.env.PROVIDER_AUTH_DIR
const { provider, url } = places
const model = 'large-1'
const [stateFile, newsFile] = ['state.json', 'news.json'].map((name) => join(dir, name))

/** Nanoseconds of each of so many calls, one after the other. */
async function spansOf(count, call) {
  const spans = []
  for (let number = 0; number < count; number += 1) {
    const startedAt = performance.now()
    await call(number)
    spans.push((performance.now() - startedAt) * 1e6)
  }
  return spans
}

/** The longest time for which the event loop did nothing else while the call ran, in nanoseconds. */
async function blockedBy(call) {
  let isOver = false
  let longest = 0
  let last = performance.now()
  const tick = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (!isOver) setImmediate(tick)
  }
  setImmediate(tick)
  await call()
  isOver = true
  tick()
  return longest * 1e6
}

/** Writes a state in which accounts rest for hours: for each of so many models, or as a whole. */
function rest(ids, scopesOf) {
  const now = Date.now()
  const block = (number) => ({
    until: now + 7_200_000 + number,
    reason: 'quota_exhausted',
    source: 'header',
    observed_at: now,
  })
  const blocks = ids.flatMap((id, number) => scopesOf(id).map((scope) => [scope, block(number)]))
  writeFileSync(stateFile, JSON.stringify({ format: 1, blocks: Object.fromEntries(blocks) }))
}

const ids = readdirSync(join(dir, 'rec'))
  .filter((name) => name.endsWith('.rec'))
  .map((name) => name.slice(0, -'.rec'.length))

const measures = {
  async lists(auth) {
    await auth.getAuthHeaders({ provider, url, model })
    const turns = Array.from({ length: rounds })
    const blocked = { list: [], pool: [] }
    for (const _ of turns) {
      blocked.list.push(await blockedBy(() => auth.listAccounts({ provider })))
      blocked.pool.push(await blockedBy(() => auth.poolStatus({ provider })))
    }
    // Whatever else the machine does holds it up as well: the best of several.
    return { list: Math.min(...blocked.list), pool: Math.min(...blocked.pool) }
  },
  /** Reports a 429 of one account after the other. One is left, so that a request is never refused. */
  async refusal(auth, accounts = ids.length) {
    const spans = []
    for (let number = 0; number < Math.min(rounds, accounts - 1); number += 1) {
      const { attempt } = await auth.getAuthHeaders({ provider, url, model, session: `refused ${number}` })
      const report = { attempt, status: 429, headers: { 'retry-after': '4000' } }
      spans.push(...(await spansOf(1, () => auth.reportResponse(report))))
    }
    return { refusal: p50(spans) }
  },
  /** The same where all others rest already. */
  async rested(auth) {
    const left = Math.min(rounds + 1, ids.length)
    rest(ids.slice(left), (id) => [`account:${id}`])
    return measures.refusal(auth, left)
  },
  async crowded(auth) {
    rest(ids, (id) => [1, 2, 3, 4, 5].map((number) => `model:${id}:other-${number}`))
    return measures.refusal(auth)
  },
  async exhausted(auth) {
    rest(ids, (id) => [`account:${id}`])
    const ask = async () => {
      const refused = await auth.getAuthHeaders({ provider, url, model }).catch((error) => error.code)
      if (refused !== 'EXHAUSTED') throw new Error(`not exhausted: ${refused}`)
    }
    await ask()
    return { exhausted: p50(await spansOf(rounds, ask)) }
  },
  async write(auth) {
    await auth.getAuthHeaders({ provider, url, model })
    const stamp = Date.now()
    const add = (number) => auth.addApiKey({ provider, apiKey: `sk-more-${stamp}-${number}` })
    return { write: p50(await spansOf(rounds, add)) }
  },
}

for (const file of [stateFile, newsFile]) rmSync(file, { force: true })
const figures = await measures[what](await ours.load())
tell(figures)
