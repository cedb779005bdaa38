// So many callers at once at the moment a token has run out: when the last one has its headers, and how many have none.

import { setTimeout as sleep } from 'node:timers/promises'
import { options, tell } from '../lib/process.mjs'
import { ours, peers } from '../peers.mjs'

const { id, callers, places, rounds } = options()
const library = await [ours, ...peers].find((one) => one.id === id).load()
const call = id === 'ours' ? await logIn(library) : await openPeer()
const results = []
for (let round = 0; round < rounds; round += 1) results.push(await all(round))
tell(results)

async function all(round) {
  const one = await call(round)
  const before = await counts()
  let last = 0
  let failed = 0
  const startedAt = performance.now()
  const done = () => (last = performance.now() - startedAt)
  const lost = () => (failed += 1)
  await Promise.all(Array.from({ length: callers }, () => one().then(done, lost)))
  const after = await counts()
  return { last, failed, requests: after.requests - before.requests, reused: after.reused - before.reused }
}

/** Signs in once for each round, and lets the tokens run out. */
async function logIn(auth) {
  const [device, token] = [`${places.tokens}/device`, `${places.tokens}/token`]
  const client = { clientId: 'bench', deviceAuthorizationEndpoint: device, tokenEndpoint: token, scopes: ['life:1'] }
  auth.configure({ config: { providers: { bench: { ...client, origins: [places.url] } } } })
  const pools = Array.from({ length: rounds }, (_, round) => `pool-${round}`)
  const logins = pools.map((namespace) =>
    auth.login({ provider: 'bench', method: 'device', namespace, label: namespace, onPrompt() {} }),
  )
  const accounts = await Promise.all(logins)
  await sleep(Math.max(...accounts.map(({ expiresAt }) => expiresAt)) - Date.now() + 100)
  return (round) => () => auth.getAuthHeaders({ provider: 'bench', namespace: pools[round], url: places.url })
}

async function openPeer() {
  const peer = peers.find((one) => one.id === id)
  return (round) => peer.open(library, { ...places, grant: `spent-${id}-${callers}-${round}` })
}

async function counts() {
  return (await fetch(`${places.tokens}/counts`)).json()
}
