// Asks for headers and reports an answer, again and again, for a while; waits for its start on standard input.

import { options, tell } from '../lib/process.mjs'
import { ours } from '../peers.mjs'

/** Of so many calls one is looked at: whether it was answered at once. */
const SAMPLE = 16
/** Turns of the queue of promises that an answer takes which is there at once; the others come from another thread. */
const AT_ONCE = 8

const { places, milliseconds } = options()
const auth = await ours.load()
const { provider, url } = places
const session = `session of ${process.pid}`
const headers = {
  'content-type': 'application/json',
  'anthropic-ratelimit-requests-limit': '1000',
  'anthropic-ratelimit-requests-remaining': '900',
  'anthropic-ratelimit-requests-reset': new Date(Date.now() + 3_600_000).toISOString(),
}
await call()
console.log('ready')
await new Promise((resolve) => process.stdin.once('end', resolve).resume())
const endsAt = performance.now() + milliseconds
let calls = 0
let slow = 0
for (; performance.now() < endsAt; calls += 1) if (await call(calls % SAMPLE === 0)) slow += SAMPLE
tell({ calls, slow })

/** One call, and its report; returns whether it was not answered at once. */
async function call(isLookedAt = false) {
  const promise = auth.getAuthHeaders({ provider, url, model: 'small-1', session })
  let isThere = false
  if (isLookedAt) {
    promise.then(() => {
      isThere = true
    })
    for (let turn = 0; turn < AT_ONCE; turn += 1) await undefined
  }
  const isSlow = isLookedAt && !isThere
  const { attempt } = await promise
  await auth.reportResponse({ attempt, status: 200, headers })
  return isSlow
}
