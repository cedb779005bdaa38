// Many conversations at the same time, in many processes on one vault.

import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { p50, quantile } from '../lib/measure.mjs'
import { figuresOf, measureIn, startIn } from '../lib/process.mjs'

const PROCESSES = [1, 2, 4, 8, 16]
const CONVERSATIONS = 4_000
/** Requests a second of each process. */
const RATE = 20
const places = { provider: 'anthropic', url: 'https://api.anthropic.com/v1/messages' }

export const conversations = {
  name: 'conversations',
  title: 'Conversations',
  what:
    `So many processes of Node on one vault with 10 accounts and ${CONVERSATIONS.toLocaleString('en')} conversations: each asks for headers ` +
    `${RATE} times a second, each time in another conversation, and reports an answer with quota headers. The added time is ` +
    'that of both calls; the share is of calls whose headers were not there at once, because something that another process had ' +
    'written was to be read first. Each run takes a minute, in which every process writes its counts two or three times; the ' +
    'figures are medians of its thirds.',
  async run({ sandbox, vault, isQuick }) {
    const dir = join(sandbox.dir, 'vault-of-conversations')
    cpSync(await vault(10), dir, { recursive: true })
    const env = { PROVIDER_AUTH_DIR: dir }
    const spans = { thirds: 3, milliseconds: isQuick ? 4_000 : 20_000 }
    const options = { places, conversations: CONVERSATIONS, rate: RATE, ...spans }
    await measureIn(sandbox, 'conversations', { options: { ...options, seed: true }, env })
    const results = new Map()
    for (const size of PROCESSES) {
      const start = () => startIn(sandbox, 'conversations', { options, env, input: null })
      const running = Array.from({ length: size }, start)
      await Promise.all(running.map(({ line }) => line(/^ready$/)))
      for (const { child } of running) child.stdin.end()
      const told = (await Promise.all(running.map(({ ended }) => ended))).map((one) => figuresOf(one, 'conversations'))
      results.set(
        size,
        told[0].map((_, third) => together(told.map((one) => one[third]))),
      )
    }
    const value = (size, field) => p50(results.get(size).map((one) => one[field]))
    const rows = PROCESSES.map((size) => ({
      id: size,
      name: `${size} process${size === 1 ? '' : 'es'}`,
      isOurs: true,
      values: ['slow', 'p50', 'p99', 'cpu'].map((field) => value(size, field)),
    }))
    const columns = [
      { title: 'not at once', unit: 'share' },
      { title: 'added, p50', unit: 'us' },
      { title: 'added, p99', unit: 'us', chart: 'added time, p99, µs' },
      { title: 'of a core, all together', unit: 'share' },
    ]
    const promises = [
      {
        text: 'of many processes at most 2 % of the calls are not answered at once',
        value: Math.max(...PROCESSES.map((size) => value(size, 'slow'))),
        most: 0.02,
        unit: 'share',
      },
      { text: '8 processes add at most 2 ms to a call, p99', value: value(8, 'p99'), most: 2e6, unit: 'ms' },
      { text: '16 processes take at most 60 % of a core', value: value(16, 'cpu'), most: 0.6, unit: 'share' },
    ]
    return { tables: [{ id: 'conversations', title: 'all processes together', columns, rows }], promises }
  },
}

/** What all processes came to in one third of a run. */
function together(told) {
  const spans = told.flatMap((one) => one.spans)
  const sum = (field) => told.reduce((total, one) => total + one[field], 0)
  return { p50: p50(spans), p99: quantile(spans, 0.99), slow: sum('slow') / spans.length, cpu: sum('cpu') }
}
