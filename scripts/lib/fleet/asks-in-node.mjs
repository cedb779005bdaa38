// Asks for headers for some seconds, between two marks that a tracer sees, and says how long that took.

import { accessSync } from 'node:fs'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { addApiKey, configure, getAuthHeaders, reportResponse } from '../../../npm/dist/index.js'

const ROUNDS = 100
const CALLS = 50
const PAUSE_MS = 50

const url = 'https://api.asks.test/v1/chat/completions'
configure({ config: { providers: { asks: { origins: [new URL(url).origin] } } } })
for (const end of ['1', '2']) await addApiKey({ provider: 'asks', apiKey: `sk-asks-in-node-${end}` })
const ask = () => getAuthHeaders({ provider: 'asks', url, session: 'one' })
for (let number = 0; number < 500; number += 1) {
  const { attempt } = await ask()
  await reportResponse({ attempt, status: 200 })
}

const mark = () => {
  try {
    accessSync('/torture-mark')
  } catch {}
}
const loop = monitorEventLoopDelay({ resolution: 1 })
const spans = []
mark()
loop.enable()
for (let round = 0; round < ROUNDS; round += 1) {
  for (let number = 0; number < CALLS; number += 1) {
    const begun = performance.now()
    const { attempt } = await ask()
    spans.push(performance.now() - begun)
    await reportResponse({ attempt, status: 200 })
  }
  await sleep(PAUSE_MS)
}
loop.disable()
mark()
spans.sort((one, other) => one - other)
const medianUs = Math.round(spans[spans.length >> 1] * 1000)
// The histogram counts its own millisecond.
const blockedMs = Math.round(loop.max / 1e6 - 1)
console.log(JSON.stringify({ calls: spans.length, medianUs, slowestUs: Math.round(spans.at(-1) * 1000), blockedMs }))
process.exit(0)
