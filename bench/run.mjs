// Measures everything in one process, in Node or in Bun, and prints the figures as one line of JSON.
// `scripts/bench.mjs` starts it, with a vault of its own and the addons in NAPI_RS_NATIVE_LIBRARY_PATH and BENCH_BASELINE.

import { fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createTokenAuth } from '@octokit/auth-token'
import { OAuth2Client } from 'google-auth-library'
import * as auth from '../npm/dist/index.js'
import { inTurns, oneByOne, p50, ratio } from './measure.mjs'

/** As long as the access tokens of the large providers. */
const TOKEN = 'sk-'.padEnd(1_200, 'k3yM4t3r1al')
const BODY = JSON.stringify({ model: 'small-1', messages: [{ role: 'user', content: 'x'.repeat(8 * 1024 - 70) }] })

const { port, stop } = await startServer()
const origin = `http://127.0.0.1:${port}`
const url = `${origin}/v1/chat/completions`
auth.configure({ config: { providers: { bench: { origins: [origin] } } } })
for (const end of ['1', '2']) await auth.addApiKey({ provider: 'bench', apiKey: TOKEN.slice(0, -1) + end })
const calls = await measureCalls()
const fetches = await measureFetches()
console.log(JSON.stringify({ runtime: runtime(), calls, fetches }))
stop()
process.exit(0)

/** The calls of the library against the baseline and against what others do for the same end. */
async function measureCalls() {
  const request = { provider: 'bench', url, model: 'small-1', session: 'bench' }
  const first = await auth.getAuthHeaders(request)
  await auth.reportResponse({ attempt: first.attempt, status: 200 })
  const baseline = createRequire(import.meta.url)(process.env.BENCH_BASELINE)
  baseline.answerWith({ ...first, headers: Object.entries(first.headers) })

  // An attempt that nobody reports is kept for minutes: they are reported between the samples.
  const open = []
  const settle = async () => {
    for (const { attempt } of await Promise.all(open.splice(0))) await auth.reportResponse({ attempt, status: 200 })
  }
  const forget = () => void open.splice(0)
  const keep = (promise) => {
    open.push(promise)
    return promise
  }

  const google = new OAuth2Client({ clientId: 'bench' })
  google.setCredentials({ access_token: TOKEN, expiry_date: Date.now() + 86_400_000 })
  const octokit = createTokenAuth(TOKEN)
  const file = join(process.cwd(), 'auth.json')
  writeFileSync(file, JSON.stringify(Array.from({ length: 5 }, (_, n) => ({ type: 'oauth', access: TOKEN, n }))))

  const names = {
    baseline: 'resolved promise, native',
    headers: 'getAuthHeaders, hot',
    report: 'reportResponse of a 2xx',
    google: 'google-auth-library getRequestHeaders, cached',
    octokit: '@octokit/auth-token auth()',
    file: 'readFile + JSON.parse of 5 accounts',
  }
  const spans = await inTurns(
    [
      { name: names.baseline, call: () => keep(baseline.getAuthHeaders(request)), after: forget },
      { name: names.headers, call: () => keep(auth.getAuthHeaders(request)), after: settle },
      {
        name: names.report,
        *call() {
          const headers = { 'content-type': 'application/json' }
          yield {
            0: async () => (await auth.getAuthHeaders(request)).attempt,
            bench: (attempt) => auth.reportResponse({ attempt, status: 200, headers }),
          }
        },
      },
      { name: names.google, call: () => google.getRequestHeaders(url) },
      { name: names.octokit, call: () => octokit() },
      { name: names.file, call: async () => JSON.parse(await readFile(file, 'utf8')) },
    ],
    15,
  )
  return Object.entries(names).map(([id, name]) => ({
    id,
    name,
    ns: p50(spans.get(name)),
    ratio: ratio(spans, name, names.baseline),
  }))
}

/** `createAuthFetch` against `fetch` with the same headers; `fetch` against itself tells the noise. */
async function measureFetches() {
  const authFetch = auth.createAuthFetch({ provider: 'bench' })
  const contentType = { 'content-type': 'application/json' }
  const authenticated = { ...contentType, authorization: `Bearer ${TOKEN}` }
  const plain = async () => (await fetch(url, { method: 'POST', headers: authenticated, body: BODY })).text()
  const names = { plain: 'fetch', again: 'fetch, once more', wrapped: 'createAuthFetch' }
  const spans = await oneByOne(
    [
      { name: names.plain, call: plain },
      {
        name: names.wrapped,
        call: async () => (await authFetch(url, { method: 'POST', headers: contentType, body: BODY })).text(),
      },
      { name: names.again, call: plain },
    ],
    3_000,
  )
  const against = p50(spans.get(names.plain))
  return Object.entries(names).map(([id, name]) => {
    const ns = p50(spans.get(name))
    return { id, name, ns, ratio: ns / against }
  })
}

/** Starts the endpoint in a process of its own, which Node runs whatever runs this one. */
async function startServer() {
  const child = fork(new URL('server.mjs', import.meta.url).pathname, {
    execPath: process.env.BENCH_NODE,
    execArgv: [],
  })
  const port = await new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('exit', () => reject(new Error('the endpoint of the bench ended')))
  })
  return { port, stop: () => child.kill() }
}

function runtime() {
  return process.versions.bun === undefined ? `node ${process.versions.node}` : `bun ${process.versions.bun}`
}
