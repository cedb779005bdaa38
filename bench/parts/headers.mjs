// Hot headers: what a program pays before each request while nothing has changed.

import { spanAndRatio } from '../lib/format.mjs'
import { p50, ratio } from '../lib/measure.mjs'
import { measureIn } from '../lib/process.mjs'
import { ours, peers } from '../peers.mjs'

export const headers = {
  name: 'headers',
  title: 'Hot headers',
  what:
    'One call in a process that is warm, while nothing has changed. The measure is a native function that only returns a ' +
    'resolved promise with the same object. `getAuthHeaders` asks at each call, at calls within 5 µs once, whether another ' +
    'process has changed an account, a token or a cooldown; those in memory do not. Those that read a file or a keychain ' +
    'see such changes, too.',
  needs: ['baseline'],
  async run({ sandbox, runtimes, baseline, rounds, tokenServer, keyring, version }) {
    const { origin: tokens } = await tokenServer()
    const session = await keyring()
    const results = []
    for (const { name, command } of runtimes) {
      const places = { folder: sandbox.work, tokens, url: `${tokens}/v1/chat/completions` }
      const options = { places, baseline, hasKeyring: session !== undefined, rounds: rounds(15, 2) }
      const env = { ...session?.env, PROVIDER_AUTH_DIR: `${sandbox.vaultDir}-${name}` }
      results.push(await measureIn(sandbox, 'headers', { command, options, env }))
    }
    const row = (id, name, isOurs) => {
      const values = results.flatMap((spans) =>
        spans[id] === undefined ? [undefined, undefined] : [p50(spans[id]), ratio(spans[id], spans.baseline)],
      )
      return { id, name, isOurs, values }
    }
    const table = {
      id: 'headers',
      title: 'one call, p50',
      columns: spanAndRatio(runtimes),
      isLogarithmic: true,
      rows: [
        row('baseline', 'a resolved promise, native'),
        row('headers', ours.name, true),
        row('report', 'reportResponse of a 2xx', true),
        ...peers.map((peer) => row(peer.id, `${peer.name}${version(peer)}`)),
      ],
    }
    const promises = runtimes.map(({ name }, index) => ({
      text: `hot getAuthHeaders takes at most 0.6 of a native resolved promise, on ${name}`,
      value: table.rows[1].values[2 * index + 1],
      most: 0.6,
      unit: 'ratio',
    }))
    const notes =
      session === undefined ? ['`@napi-rs/keyring` was skipped: there is no Secret Service to start here.'] : []
    return { tables: [table], promises, notes }
  },
}
