// Times one call of each contender, in Node or in Bun: ours, what it cannot be faster than, and what others do.

import { createRequire } from 'node:module'
import { inTurns } from '../lib/measure.mjs'
import { options, tell } from '../lib/process.mjs'
import { fillKeyring, ours, peers, TOKEN } from '../peers.mjs'

const { places, baseline: file, hasKeyring, hasPeers = true, rounds } = options()
const auth = await ours.load()
auth.configure({ config: { providers: { bench: { origins: [new URL(places.url).origin] } } } })
for (const end of ['1', '2']) await auth.addApiKey({ provider: 'bench', apiKey: TOKEN.slice(0, -1) + end })
const request = { provider: 'bench', url: places.url, model: 'small-1', session: 'bench' }
const first = await auth.getAuthHeaders(request)
await auth.reportResponse({ attempt: first.attempt, status: 200 })
const baseline = createRequire(import.meta.url)(file)
baseline.answerWith({ ...first, headers: Object.entries(first.headers) })

// An attempt that is not reported is kept for minutes: they are reported between the samples.
const open = []
const settle = async () => {
  for (const { attempt } of await Promise.all(open.splice(0))) await auth.reportResponse({ attempt, status: 200 })
}
const keep = (promise) => {
  open.push(promise)
  return promise
}
const headers = { 'content-type': 'application/json' }
const contenders = [
  { name: 'baseline', call: () => keep(baseline.getAuthHeaders(request)), after: () => void open.splice(0) },
  { name: 'headers', call: () => keep(auth.getAuthHeaders(request)), after: settle },
  {
    name: 'report',
    *call() {
      yield {
        0: async () => (await auth.getAuthHeaders(request)).attempt,
        bench: (attempt) => auth.reportResponse({ attempt, status: 200, headers }),
      }
    },
  },
]
if (hasKeyring) await fillKeyring()
for (const { id, load, open: start, needsKeyring } of hasPeers ? peers : []) {
  if (needsKeyring && !hasKeyring) continue
  contenders.push({ name: id, call: await start(await load(), places) })
}
tell(Object.fromEntries(await inTurns(contenders, rounds)))
