// What calls cost in a vault of many accounts.

import { inTurns, p50 } from '../lib/measure.mjs'
import { options, tell } from '../lib/process.mjs'
import { ours } from '../peers.mjs'

const { places, rounds } = options()
const startedAt = performance.now()
const auth = await ours.load()
const { provider, url } = places
const open = []
const ask = (session) => {
  const promise = auth.getAuthHeaders({ provider, url, model: 'small-1', session })
  open.push(promise)
  return promise
}
const settle = async () => {
  for (const { attempt } of await Promise.all(open.splice(0))) await auth.reportResponse({ attempt, status: 200 })
}
await ask('bench')
const first = (performance.now() - startedAt) * 1e6
await settle()
let sessions = 0
const contenders = [
  { name: 'bound', call: () => ask('bench'), after: settle },
  {
    name: 'new',
    call: () => {
      sessions += 1
      return ask(`session ${sessions}`)
    },
    after: settle,
  },
]
const spans = await inTurns(contenders, rounds)
const listing = performance.now()
const { length } = await auth.listAccounts({ provider })
const list = (performance.now() - listing) * 1e6
tell({ accounts: length, first, bound: p50(spans.get('bound')), new: p50(spans.get('new')), list })
