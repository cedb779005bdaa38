// What `provider-auth/register` costs requests that are none of ours.

import { p50, ratio } from '../lib/measure.mjs'
import { measureIn, startServer } from '../lib/process.mjs'

const REQUESTS = 100
const ROUNDS = 100
/** About what the same `fetch` differs from itself in a run. */
const MOST = 1.05

const FETCHES = {
  plain: '`fetch` as it was',
  again: '`fetch` as it was, once more: the noise',
  registered: '`fetch` after `provider-auth/register`',
}

export const register = {
  name: 'register',
  title: 'Requests to other origins',
  what:
    `${(REQUESTS * ROUNDS).toLocaleString('en')} requests of each kind on loopback, one after the other, to an origin that no provider has, ` +
    `${REQUESTS} of one kind in turn. The call alone is over a \`fetch\` that sends nothing.`,
  async run({ sandbox, runtimes, rounds }) {
    const server = await startServer('api')
    const tables = []
    const promises = []
    try {
      for (const { name, command } of runtimes) {
        const options = {
          url: `${server.origin}/`,
          requests: REQUESTS,
          rounds: rounds(ROUNDS, 5),
          turns: rounds(20, 3),
        }
        const env = { PROVIDER_AUTH_DIR: `${sandbox.vaultDir}-register-${name}` }
        const figures = await measureIn(sandbox, 'register', { command, options, env })
        const { plain } = figures
        const rows = Object.entries(FETCHES).map(([id, title]) => {
          const { times, cpu, call } = figures[id]
          const values = [p50(times), ratio(times, plain.times), ratio(cpu, plain.cpu), p50(call)]
          return { id, name: title, isOurs: id === 'registered', values }
        })
        const columns = [
          { title: 'time', unit: 'us' },
          { title: 'ratio', unit: 'ratio', chart: 'time' },
          { title: 'processor', unit: 'ratio' },
          { title: 'call alone', unit: 'ns' },
        ]
        tables.push({ id: `register-${name}`, title: `one request, p50, on ${name}`, columns, rows })
        const [, value] = rows.find(({ id }) => id === 'registered').values
        promises.push({
          text: `a request to another origin, registered beside not, on ${name}`,
          value,
          most: MOST,
          unit: 'ratio',
        })
      }
    } finally {
      server.stop()
    }
    return { tables, promises }
  },
}
