// Times requests to an origin that no provider has: through the `fetch` that `provider-auth/register` puts in place, and without.

import { addApiKey, configure } from '../../npm/dist/index.js'
import { inTurns, oneByOne } from '../lib/measure.mjs'
import { options, tell } from '../lib/process.mjs'
import { TOKEN } from '../peers.mjs'

const { url, requests, rounds, turns } = options()
configure({ config: { providers: { bench: { origins: ['https://api.bench.test'] } } } })
await addApiKey({ provider: 'bench', apiKey: TOKEN })

// What is registered over is told here where to send: to the runtime's fetch, or nowhere.
const network = globalThis.fetch
let target = network
globalThis.fetch = function fetch(input, init) {
  return target(input, init)
}
const plain = globalThis.fetch
await import('../../npm/dist/register.js')
const registered = globalThis.fetch
// The first request reads the configuration.
await (await registered(url)).text()

const fetches = { plain, registered, again: plain }
const cpu = Object.fromEntries(Object.keys(fetches).map((name) => [name, []]))
const batches = Object.entries(fetches).map(([name, one]) => ({
  name,
  async call() {
    const before = process.cpuUsage()
    for (let request = 0; request < requests; request += 1) await (await one(url)).text()
    const { user, system } = process.cpuUsage(before)
    cpu[name].push(((user + system) * 1e3) / requests)
  },
}))
const spans = await oneByOne(batches, rounds)

const settled = Promise.resolve()
target = () => settled
const named = 'https://other.example.test/v1/chat/completions'
const calls = Object.entries(fetches).map(([name, one]) => ({ name, call: () => one(named) }))
const alone = await inTurns(calls, turns)

tell(
  Object.fromEntries(
    Object.keys(fetches).map((name) => [
      name,
      {
        times: spans.get(name).map((span) => span / requests),
        cpu: cpu[name].slice(-rounds),
        call: alone.get(name),
      },
    ]),
  ),
)
