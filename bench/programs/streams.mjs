// Times streams, in Node or in Bun: until the first event, and the processor's time for each event.

import { addApiKey, configure, createAuthFetch } from '../../npm/dist/index.js'
import { options, tell } from '../lib/process.mjs'
import { TOKEN } from '../peers.mjs'

const { url, events, rounds } = options()
configure({ config: { providers: { bench: { origins: [new URL(url).origin] } } } })
await addApiKey({ provider: 'bench', apiKey: TOKEN })
const authFetch = createAuthFetch({ provider: 'bench' })
const body = JSON.stringify({ model: 'small-1', stream: true, messages: [{ role: 'user', content: 'hello' }] })
const call = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
const plain = () => fetch(url, { ...call, headers: { ...call.headers, authorization: `Bearer ${TOKEN}` } })
const contenders = Object.entries({ plain, wrapped: () => authFetch(url, call), again: plain })

const figures = Object.fromEntries(contenders.map(([name]) => [name, { first: [], perEvent: [] }]))
for (let round = -2; round < rounds; round += 1)
  for (const turn of contenders.keys()) {
    const [name, start] = contenders[(turn + Math.abs(round)) % contenders.length]
    const { first, perEvent } = await read(start)
    if (round < 0) continue
    figures[name].first.push(first)
    figures[name].perEvent.push(perEvent)
  }
tell(figures)

/** Reads a stream to its end. */
async function read(start) {
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  const reader = (await start()).body.getReader()
  await reader.read()
  const first = (performance.now() - startedAt) * 1e6
  while (!(await reader.read()).done);
  const { user, system } = process.cpuUsage(cpu)
  return { first, perEvent: ((user + system) * 1e3) / events }
}
