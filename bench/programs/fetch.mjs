// Times requests with so many in flight, in Node or in Bun: ours, `fetch` with the same headers, and others.

import { setImmediate } from 'node:timers'
import { setImmediate as turn } from 'node:timers/promises'
import { OAuth2Client } from 'google-auth-library'
import { addon } from '../../npm/build/addon.js'
import { addApiKey, configure, createAuthFetch, getAuthHeaders } from '../../npm/dist/index.js'
import { oneByOne } from '../lib/measure.mjs'
import { options, tell } from '../lib/process.mjs'
import { TOKEN } from '../peers.mjs'

const BODY = JSON.stringify({ model: 'small-1', messages: [{ role: 'user', content: 'x'.repeat(8 * 1024 - 70) }] })
const JSON_TYPE = { 'content-type': 'application/json' }

const { url, loads } = options()
configure({ config: { providers: { bench: { origins: [new URL(url).origin] } } } })
await addApiKey({ provider: 'bench', apiKey: TOKEN })
const authFetch = createAuthFetch({ provider: 'bench' })
const google = new OAuth2Client({ clientId: 'bench' })
google.setCredentials({ access_token: TOKEN, expiry_date: Date.now() + 86_400_000 })

const call = { method: 'POST', headers: JSON_TYPE, body: BODY }
const merge = (init) => ({ ...init, headers: { ...init.headers, authorization: `Bearer ${TOKEN}` } })
const plain = async () => (await fetch(url, merge(call))).text()
const contenders = {
  plain,
  wrapped: async () => (await authFetch(url, call)).text(),
  least: openLeast(),
  again: plain,
  merged: async () => {
    const headers = new Headers(call.headers)
    headers.set('authorization', `Bearer ${TOKEN}`)
    return (await fetch(url, { ...call, headers })).text()
  },
  google: () => google.request({ url, method: 'POST', headers: JSON_TYPE, data: BODY, responseType: 'text' }),
}

/** The least that does the same: the addon's calls for a request that it knows, and no look at the call or the answer. */
function openLeast() {
  let number
  const served = []
  const report = () => {
    for (const attempt of served.splice(0)) addon.reportServed(attempt, 200, '')
  }
  const ask = async () => {
    const asked = ['bench', undefined, url, 'small-1', undefined, undefined, undefined, undefined, null]
    const [attempt, , known] = addon.authHeadersNow(...asked) ?? []
    number = known ?? undefined
    return attempt ?? (await getAuthHeaders({ provider: 'bench', url, model: 'small-1' })).attempt
  }
  return async () => {
    report()
    const attempt = (number === undefined ? null : addon.authHeadersAgain(number)) ?? (await ask())
    const text = await (await fetch(url, merge(call))).text()
    if (served.push(attempt) === 1) setImmediate(report)
    return text
  }
}

const figures = {}
for (const { inFlight, rounds } of loads) {
  const cpu = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]))
  const batches = Object.entries(contenders).map(([name, one]) => ({
    name,
    async call() {
      const before = process.cpuUsage()
      await Promise.all(Array.from({ length: inFlight }, one))
      // What is left to do after the answers counts, too.
      if (inFlight > 1) await turn()
      const { user, system } = process.cpuUsage(before)
      cpu[name].push(((user + system) * 1e3) / inFlight)
    },
  }))
  const spans = await oneByOne(batches, rounds)
  figures[inFlight] = Object.fromEntries(
    [...spans].map(([name, all]) => [
      name,
      { times: all.map((span) => span / inFlight), cpu: cpu[name].slice(-all.length) },
    ]),
  )
}
tell(figures)
