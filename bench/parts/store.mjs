// Hot headers of a vault that many machines share, beside those of a vault in a folder.

import { command as run } from '../../__test__/support/cli.mjs'
import { postgresSkip, startPostgres } from '../../__test__/support/postgres.mjs'
import { spanAndRatio } from '../lib/format.mjs'
import { p50, ratio } from '../lib/measure.mjs'
import { measureIn } from '../lib/process.mjs'

export const store = {
  name: 'store',
  title: 'A vault in PostgreSQL',
  what:
    'The same call with the same addon, once on a vault in a folder and once on one in a database on this machine. Memory ' +
    'answers in both; what others change is heard of behind the call.',
  needs: ['baseline', 'store'],
  async run({ sandbox, runtimes, baseline, storeAddon, rounds, tokenServer }) {
    if (postgresSkip) return { tables: [], promises: [], notes: [postgresSkip] }
    const { origin: tokens } = await tokenServer()
    const postgres = await startPostgres()
    try {
      postgres.sql('create role pa_ci login')
      const addon = { NAPI_RS_NATIVE_LIBRARY_PATH: storeAddon }
      const results = []
      for (const { name, command } of runtimes) {
        const places = { folder: sandbox.work, tokens, url: `${tokens}/v1/chat/completions` }
        const options = { places, baseline, hasPeers: false, rounds: rounds(15, 2) }
        const owner = { ...addon, PROVIDER_AUTH_STORE: postgres.address('postgres', name) }
        const made = await run(sandbox, ['store', 'init', '--role', 'pa_ci'], { env: owner })
        if (made.code !== 0) throw new Error(`store init failed: ${made.stderr}`)
        const of = (kind, more) => {
          const env = { ...addon, PROVIDER_AUTH_DIR: `${sandbox.vaultDir}-${kind}-${name}`, ...more }
          return measureIn(sandbox, 'headers', { command, options, env })
        }
        const folder = await of('folder', {})
        const database = await of('store', { PROVIDER_AUTH_STORE: postgres.address('pa_ci', name) })
        results.push({ folder, database })
      }
      return tell(runtimes, results)
    } finally {
      await postgres.stop()
    }
  },
}

function tell(runtimes, results) {
  const row = (id, name, isOurs) => {
    const [place, call] = id.split(' ')
    const values = results.flatMap((result) => {
      const spans = result[place]
      return [p50(spans[call]), ratio(spans[call], spans.baseline)]
    })
    return { id, name, isOurs, values }
  }
  const table = {
    id: 'store',
    title: 'one call, p50',
    columns: spanAndRatio(runtimes),
    isLogarithmic: true,
    rows: [
      row('folder baseline', 'a resolved promise, native'),
      row('folder headers', 'getAuthHeaders, vault in a folder', true),
      row('database headers', 'getAuthHeaders, vault in PostgreSQL', true),
      row('folder report', 'reportResponse of a 2xx, vault in a folder', true),
      row('database report', 'reportResponse of a 2xx, vault in PostgreSQL', true),
    ],
  }
  const promises = runtimes.map(({ name }, index) => ({
    text: `hot getAuthHeaders takes no longer with PostgreSQL than with a folder, on ${name}`,
    value: table.rows[2].values[2 * index + 1] / table.rows[1].values[2 * index + 1],
    most: 1,
    unit: 'ratio',
  }))
  return { tables: [table], promises }
}
