// Many callers in one process at the moment when the token has run out.

import { p50 } from '../lib/measure.mjs'
import { measureIn, startServer } from '../lib/process.mjs'
import { ours, peers } from '../peers.mjs'

const LATENCY_MS = 200
const SIZES = [100, 10_000]

export const expiry = {
  name: 'expiry',
  title: 'Callers at expiry',
  what:
    `So many calls at once when the access token has run out, in one process of Node; the token endpoint takes ${LATENCY_MS} ms. ` +
    'How many token requests it got, how many of them with a refresh token that had come before (a strict server ends the ' +
    'login for the first of those), and when the last caller had its headers. `openid-client` renews when it is told to; the ' +
    'few lines around it read the file before each call, and renew when the token in it has run out.',
  async run({ sandbox, rounds, version }) {
    const server = await startServer('tokens', { BENCH_LATENCY_MS: String(LATENCY_MS) })
    const tables = []
    const promises = []
    try {
      for (const callers of SIZES) {
        const rows = []
        for (const { id, name, isOurs } of [ours, ...peers.filter(({ refreshes }) => refreshes)]) {
          const places = { folder: sandbox.work, tokens: server.origin, url: server.origin }
          // 10,000 requests for tokens at once take long.
          const options = { id, callers, places, rounds: id === 'openid' && callers > 100 ? 1 : rounds(7, 1) }
          const results = await measureIn(sandbox, 'callers', { options })
          const median = (field) => p50(results.map((one) => one[field]))
          const values = [median('requests'), median('reused'), median('failed'), median('last') * 1e6]
          rows.push({ id, name: `${name}${version(isOurs ? undefined : { id })}`, isOurs, values })
        }
        const number = callers.toLocaleString('en')
        tables.push({
          id: `expiry-${callers}`,
          title: `${number} callers`,
          columns: [
            { title: 'token requests', unit: 'count' },
            { title: 'with a spent token', unit: 'count' },
            { title: 'calls that failed', unit: 'count' },
            { title: 'until the last caller', unit: 'ms', chart: `until the last of ${number} callers, ms` },
          ],
          isLogarithmic: true,
          rows,
        })
        const [requests, , failed, last] = rows[0].values
        promises.push(
          { text: `${number} callers make 1 token request`, value: requests, most: 1, unit: 'count' },
          { text: `of ${number} callers none fails`, value: failed, most: 0, unit: 'count' },
          {
            text: `the last of ${number} callers has its headers within 1.3 times the endpoint's ${LATENCY_MS} ms, and 50 ms`,
            value: last,
            most: (LATENCY_MS * 1.3 + 50) * 1e6,
            unit: 'ms',
          },
        )
      }
    } finally {
      server.stop()
    }
    return { tables, promises }
  },
}
