// Asks for headers in one conversation of thousands, and reports an answer, so many times a second; waits for its start on
// standard input, and tells the figures of each third of its run. With `seed` it has all conversations once, and ends.

import { setTimeout as pause } from 'node:timers/promises'
import { options, tell } from '../lib/process.mjs'
import { ours } from '../peers.mjs'

/** Turns of the queue of promises that an answer takes which is there at once; the others come from another thread. */
const AT_ONCE = 8

const { places, conversations, rate, thirds, milliseconds, seed } = options()
const auth = await ours.load()
const { provider, url } = places
const headers = {
  'content-type': 'application/json',
  'anthropic-ratelimit-requests-limit': '1000',
  'anthropic-ratelimit-requests-remaining': '900',
  'anthropic-ratelimit-requests-reset': new Date(Date.now() + 3_600_000).toISOString(),
}
let number = process.pid
if (seed) {
  for (let one = 0; one < conversations; one += 1) await call(one)
  tell({})
} else {
  await call(number % conversations)
  console.log('ready')
  await new Promise((resolve) => process.stdin.once('end', resolve).resume())
  const told = []
  for (let third = 0; third < thirds; third += 1) told.push(await runFor(milliseconds))
  tell(told)
}

async function runFor(milliseconds) {
  const spans = []
  let slow = 0
  const cpu = process.cpuUsage()
  const startedAt = performance.now() + Math.random() * (1_000 / rate)
  for (let turn = 0; turn * (1_000 / rate) < milliseconds; turn += 1) {
    await pause(Math.max(0, startedAt + turn * (1_000 / rate) - performance.now()))
    // A step that visits them all in an order of its own.
    number += 7_919
    const { span, isSlow } = await call(number % conversations)
    spans.push(Math.round(span * 1e6))
    if (isSlow) slow += 1
  }
  const { user, system } = process.cpuUsage(cpu)
  return { spans, slow, cpu: (user + system) / 1_000 / milliseconds }
}

/** One call and its report: the milliseconds that both took, and whether the headers were not there at once. */
async function call(number) {
  const start = performance.now()
  const promise = auth.getAuthHeaders({ provider, url, model: 'small-1', session: `conversation ${number}` })
  let isThere = false
  promise.then(() => {
    isThere = true
  })
  for (let turn = 0; turn < AT_ONCE; turn += 1) await undefined
  const isSlow = !isThere
  const { attempt } = await promise
  await auth.reportResponse({ attempt, status: 200, headers })
  return { span: performance.now() - start, isSlow }
}
