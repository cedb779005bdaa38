// Times requests and events through a proxy, beside the same without one.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { oneByOne, p50 } from '../lib/measure.mjs'
import { options, tell } from '../lib/process.mjs'

const BODY = JSON.stringify({ model: 'small-1', messages: [{ role: 'user', content: 'x'.repeat(8 * 1024 - 70) }] })
const { ways, rounds, crowds, streams, events } = options()
const agent = new Agent({ keepAlive: true })
const names = Object.keys(ways)

const requests = await oneByOne(
  names.map((name) => ({ name, call: async () => void (await read(name, '/chat/completions', () => {})) })),
  rounds.requests,
)
const delays = Object.fromEntries(names.map((name) => [name, []]))
for (let round = -1; round < rounds.streams; round += 1)
  for (const name of names) {
    const seen = []
    await read(name, '/chat/completions?events=200&stamped', (text) => {
      const now = process.hrtime.bigint()
      for (const [, at] of text.matchAll(/"at":(\d+)/g)) seen.push(Number(now - BigInt(at)))
    })
    if (round >= 0) delays[name].push(p50(seen))
  }
const crowd = Object.fromEntries(names.map((name) => [name, { times: [], cpu: [] }]))
for (let round = -1; round < crowds; round += 1)
  for (const name of names) {
    const [cpu, startedAt] = [processorOf(name), performance.now()]
    const path = `/chat/completions?events=${events}`
    await Promise.all(Array.from({ length: streams }, () => read(name, path, () => {})))
    if (round < 0) continue
    crowd[name].times.push(((performance.now() - startedAt) * 1e6) / (streams * events))
    crowd[name].cpu.push((processorOf(name) - cpu) / (streams * events))
  }
tell({ requests: Object.fromEntries(requests), delays, crowd })

/** Sends a request, and hands each part of the answer to `onText` as it comes. */
async function read(name, path, onText) {
  const { url, token } = ways[name]
  const headers = {
    'content-type': 'application/json',
    'content-length': BODY.length,
    authorization: `Bearer ${token}`,
  }
  const request = httpRequest(`${url}${path}`, { method: 'POST', agent, headers })
  request.end(BODY)
  const [response] = await once(request, 'response')
  if (response.statusCode !== 200) throw new Error(`${name} answered ${response.statusCode}`)
  response.setEncoding('latin1').on('data', onText)
  await once(response, 'end')
}

/** Nanoseconds of the processor that what stands between has taken so far; nothing where nothing does. */
function processorOf(name) {
  const { pid } = ways[name]
  if (pid === undefined || process.platform !== 'linux') return 0
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13)
  return (Number(user) + Number(system)) * 1e7
}
