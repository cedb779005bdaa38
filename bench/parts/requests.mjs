// Whole requests on loopback, and streams.

import { TEXTS } from '../lib/bodies.mjs'
import { p50 } from '../lib/measure.mjs'
import { measureIn, startServer } from '../lib/process.mjs'

const LOADS = [
  { inFlight: 1, rounds: 2_000 },
  { inFlight: 16, rounds: 250 },
  { inFlight: 256, rounds: 40 },
]
const EVENTS = 500
/** Of `createAuthFetch` beside `fetch`, one after the other. */
const MOST = { node: 1.12, bun: 1.1 }
const SIZES = [64 * 1_024, 1_024 * 1_024]
const SDKS = { openai: "OpenAI's SDK", ai: 'AI SDK, OpenAI-compatible' }

const FETCHES = {
  plain: '`fetch` with the same headers',
  again: '`fetch`, once more: the noise',
  merged: '`fetch` with `Headers` merged in JavaScript',
  wrapped: '`createAuthFetch`',
  least: 'its native calls alone, beside `fetch`',
  google: 'google-auth-library `request`',
}

export const fetches = {
  name: 'fetch',
  title: 'Requests',
  what:
    'A POST of 8 KB on loopback to its last byte, with so many in flight, one kind after the other in turn; the endpoint is a ' +
    'process of its own. The time is that of the whole batch, divided by their number. What must be done in any case, to ask ' +
    'for the account at each request and to report each answer, has a row of its own: nothing that does it can be faster.',
  async run({ sandbox, runtimes, rounds, version }) {
    const server = await startServer('api')
    const tables = []
    const promises = []
    try {
      for (const { name, command } of runtimes) {
        const loads = LOADS.map((load) => ({ ...load, rounds: rounds(load.rounds, 10) }))
        const options = { url: `${server.origin}/v1/chat/completions`, loads }
        const env = { PROVIDER_AUTH_DIR: `${sandbox.vaultDir}-fetch-${name}` }
        const figures = await measureIn(sandbox, 'fetch', { command, options, env })
        const row = (id) => {
          const values = loads.flatMap(({ inFlight }) => {
            const { plain, [id]: one } = figures[inFlight]
            const time = p50(one.times)
            return [time, time / p50(plain.times), p50(one.cpu) / p50(plain.cpu)]
          })
          return { id, name: `${FETCHES[id]}${version({ id })}`, isOurs: id === 'wrapped', values }
        }
        const rows = Object.keys(FETCHES).map(row)
        const columns = loads.flatMap(({ inFlight }) => [
          { title: `${inFlight} in flight`, unit: 'us' },
          { title: 'ratio', unit: 'ratio', chart: `${inFlight} in flight` },
          { title: 'processor', unit: 'ratio' },
        ])
        tables.push({ id: `fetch-${name}`, title: `one request, p50, on ${name}`, columns, rows })
        const [one, all] = [1, 256].map((inFlight) => {
          const at = loads.findIndex((load) => load.inFlight === inFlight)
          return rows.find(({ id }) => id === 'wrapped').values.slice(3 * at)
        })
        const most = MOST[name]
        promises.push(
          { text: `createAuthFetch beside fetch, on ${name}, 1 in flight`, value: one[1], most, unit: 'ratio' },
          { text: `its processor's time, on ${name}, 256 in flight`, value: all[2], most: 1.1, unit: 'ratio' },
        )
      }
    } finally {
      server.stop()
    }
    return { tables, promises }
  },
}

export const sdks = {
  name: 'sdks',
  title: 'Requests through SDKs',
  what: 'The same 8 KB through an SDK, one after the other: over the `fetch` of the runtime, and over `createAuthFetch`.',
  async run({ sandbox, runtimes, rounds }) {
    const server = await startServer('api')
    const tables = []
    const promises = []
    try {
      for (const { name, command } of runtimes) {
        const options = { url: `${server.origin}/v1`, rounds: rounds(1_000, 10) }
        const env = { PROVIDER_AUTH_DIR: `${sandbox.vaultDir}-sdks-${name}` }
        const figures = await measureIn(sandbox, 'sdks', { command, options, env })
        const rows = Object.entries(SDKS).flatMap(([sdk, title]) =>
          ['plain', 'again', 'wrapped'].map((id) => {
            const time = p50(figures[sdk][id])
            return {
              name: `${title}, ${FETCHES[id]}`,
              isOurs: id === 'wrapped',
              values: [time, time / p50(figures[sdk].plain)],
            }
          }),
        )
        const columns = [
          { title: 'time', unit: 'us' },
          { title: 'ratio', unit: 'ratio', chart: 'time' },
        ]
        tables.push({ id: `sdks-${name}`, title: `one request, p50, on ${name}`, columns, rows })
        const value = Math.max(...rows.filter(({ isOurs }) => isOurs).map(({ values }) => values[1]))
        promises.push({ text: `createAuthFetch through the SDKs, on ${name}`, value, most: 1.05, unit: 'ratio' })
      }
    } finally {
      server.stop()
    }
    return { tables, promises }
  },
}

export const bodies = {
  name: 'bodies',
  title: 'Long conversations',
  what: 'What `createAuthFetch` adds to a call with a long body, all of it on the event loop: over a `fetch` that answers at once.',
  async run({ sandbox, runtimes, rounds }) {
    const tables = []
    const promises = []
    for (const { name, command } of runtimes) {
      const options = { url: 'https://api.test/v1/chat/completions', sizes: SIZES, rounds: rounds(200, 5) }
      const env = { PROVIDER_AUTH_DIR: `${sandbox.vaultDir}-bodies-${name}` }
      const figures = await measureIn(sandbox, 'bodies', { command, options, env })
      const rows = TEXTS.map((text) => ({
        name: text,
        isOurs: true,
        values: SIZES.map((size) => p50(figures[size][text])),
      }))
      const columns = SIZES.map((size) => ({ title: `${size / 1_024} KB`, unit: 'us', chart: `${size / 1_024} KB` }))
      tables.push({ id: `bodies-${name}`, title: `added to one call, p50, on ${name}`, columns, rows })
      const value = Math.max(...rows.map(({ values }) => values[1]))
      promises.push({ text: `added to a conversation of 1 MB, on ${name}`, value, most: 2e6, unit: 'ms' })
    }
    return { tables, promises }
  },
}

export const streams = {
  name: 'streams',
  title: 'Streams',
  what: `A stream of ${EVENTS} events on loopback: the time to its first bytes, and the processor's time of the whole process for each event.`,
  async run({ sandbox, runtimes, rounds }) {
    const server = await startServer('api')
    const tables = []
    try {
      for (const { name, command } of runtimes) {
        const url = `${server.origin}/v1/chat/completions?events=${EVENTS}`
        const options = { url, events: EVENTS, rounds: rounds(60, 3) }
        const env = { PROVIDER_AUTH_DIR: `${sandbox.vaultDir}-fetch-${name}` }
        const figures = await measureIn(sandbox, 'streams', { command, options, env })
        const row = (id) => {
          const values = ['first', 'perEvent'].flatMap((field) => {
            const value = p50(figures[id][field])
            return [value, value / p50(figures.plain[field])]
          })
          return { id, name: FETCHES[id], isOurs: id === 'wrapped', values }
        }
        tables.push({
          id: `streams-${name}`,
          title: `one stream, p50, on ${name}`,
          columns: [
            { title: 'first event', unit: 'us' },
            { title: 'ratio', unit: 'ratio', chart: 'time to the first event' },
            { title: 'processor per event', unit: 'us' },
            { title: 'ratio', unit: 'ratio', chart: "processor's time per event" },
          ],
          rows: ['plain', 'again', 'wrapped'].map(row),
        })
      }
    } finally {
      server.stop()
    }
    return { tables, promises: [] }
  },
}
