// The authorization server of the bench, for every client: device logins, and refreshes that take BENCH_LATENCY_MS. It
// counts the token requests, and among them those whose refresh token had come before, for which a strict server ends
// the login. How long a first token lives says the scope of a device login, or the refresh token: `life:<seconds>`.

import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** As long as the access tokens of the large providers. */
const TOKEN = 'at-'.padEnd(1_200, 'k3yM4t3r1al')
const LATENCY_MS = Number(process.env.BENCH_LATENCY_MS ?? 0)

const spent = new Set()
const counts = { requests: 0, reused: 0 }

const server = createServer({ keepAliveTimeout: 60_000 }, async (request, response) => {
  const asked = new URL(request.url, 'http://127.0.0.1')
  if (asked.pathname === '/counts') return answer(response, counts)
  const form = await read(request)
  if (asked.pathname.includes('/device')) return answer(response, deviceCode(form))
  if (form.grant_type !== 'refresh_token') return answer(response, tokens(form.device_code, form))
  counts.requests += 1
  if (spent.has(form.refresh_token)) counts.reused += 1
  spent.add(form.refresh_token)
  await sleep(LATENCY_MS)
  answer(response, tokens(form.refresh_token, form))
})
server.listen(0, '127.0.0.1', 8_192, () => process.send(server.address().port))
process.once('disconnect', () => process.exit(0))

function deviceCode({ scope = '' }) {
  const page = 'http://127.0.0.1/device'
  const code = { device_code: `${scope}.${randomUUID()}`, user_code: 'AB-CD', verification_uri: page }
  return { ...code, expires_in: 300, interval: 1 }
}

function tokens(grant, { client_id: client, scope = grant.split('.', 1)[0] }) {
  const life = Number(/life:(\d+)/.exec(grant)?.[1] ?? 3_600)
  const access = { access_token: `${TOKEN}${randomUUID()}`, refresh_token: `rt-${randomUUID()}`, expires_in: life }
  // What Microsoft's library wants to know beside it.
  const claims = { aud: client, iss: 'bench', sub: 'ada', oid: 'ada', tid: 'bench', preferred_username: 'ada' }
  const user = {
    id_token: `e30.${base64({ ...claims, exp: 4e9 })}.`,
    client_info: base64({ uid: 'ada', utid: 'bench' }),
  }
  return { ...access, token_type: 'bearer', scope, ...(scope.includes('openid') && user) }
}

function base64(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function answer(response, value) {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

async function read(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  return text.startsWith('{') ? JSON.parse(text) : Object.fromEntries(new URLSearchParams(text))
}
