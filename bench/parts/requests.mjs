// Whole requests on loopback, and streams.

import { p50 } from '../lib/measure.mjs'
import { measureIn, startServer } from '../lib/process.mjs'

const LOADS = [
  { inFlight: 1, rounds: 2_000 },
  { inFlight: 16, rounds: 250 },
  { inFlight: 256, rounds: 40 },
]
const EVENTS = 500

const FETCHES = {
  plain: '`fetch` with the same headers',
  again: '`fetch`, once more: the noise',
  merged: '`fetch` with `Headers` merged in JavaScript',
  wrapped: '`createAuthFetch`',
  google: 'google-auth-library `request`',
}

export const fetches = {
  name: 'fetch',
  title: 'Requests',
  what:
    'A POST of 8 KB on loopback to its last byte, with so many in flight, one kind after the other in turn; the endpoint is a ' +
    'process of its own. The time is that of the whole batch, divided by their number.',
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
            const time = p50(figures[inFlight][id])
            return [time, time / p50(figures[inFlight].plain)]
          })
          return { id, name: `${FETCHES[id]}${version({ id })}`, isOurs: id === 'wrapped', values }
        }
        const rows = Object.keys(FETCHES).map(row)
        const columns = loads.flatMap(({ inFlight }) => [
          { title: `${inFlight} in flight`, unit: 'us' },
          { title: 'ratio', unit: 'ratio', chart: `${inFlight} in flight` },
        ])
        tables.push({ id: `fetch-${name}`, title: `one request, p50, on ${name}`, columns, rows })
        if (name === 'node') {
          const value = rows.find(({ id }) => id === 'wrapped').values[1]
          const text = 'createAuthFetch takes at most 5 % more than fetch, on node, with 1 in flight'
          promises.push({ text, value, most: 1.05, unit: 'ratio' })
        }
      }
    } finally {
      server.stop()
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
