/**
 * An endpoint that speaks the dialects of `dialects.mjs`, OpenAI's chat above all, and serves only whom it should: live access tokens of the given providers, and
 * the given API keys. It can be told, for each account, how to misbehave, and it remembers every request.
 */
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { answerTo } from './dialects.mjs'

const MODELS = ['small-1', 'large-1']

/**
 * Starts the endpoint.
 *
 * @param {object} [options]
 * @param {{ owner(token: string): string | undefined, issuedTo(token: string): string | undefined }[]} [options.providers]
 * @param {Record<string, string>} [options.keys] API key to account name
 * @param {number} [options.latencyMs] before each answer
 * @param {number} [options.port] default: a free one
 */
export async function startUpstream({ providers = [], keys: given = {}, latencyMs = 0, port = 0 } = {}) {
  const keys = { ...given }
  const server = createServer()
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const origin = `http://127.0.0.1:${server.address().port}`
  /** @type {{ at: number, method: string, path: string, account?: string, model?: string, session?: string, status?: number, headers: object, body: string }[]} */
  const requests = []
  const plans = new Map()

  const nextPlan = (account) => {
    const queue = plans.get(account) ?? []
    const plan = queue[0]
    if (plan === undefined) return undefined
    plan.times -= 1
    if (plan.times <= 0) queue.shift()
    return plan
  }

  server.on('request', async (request, response) => {
    const { pathname, search } = new URL(request.url, origin)
    const body = await read(request)
    const credential = readCredential(request.headers)
    const owner = keys[credential] ?? first(providers, (provider) => provider.owner(credential))
    const account = owner ?? first(providers, (provider) => provider.issuedTo(credential))
    const entry = {
      at: Date.now(),
      method: request.method,
      path: request.url,
      account,
      model: parse(body)?.model,
      session: request.headers['x-session-id'],
      headers: request.headers,
      body,
      get status() {
        return response.headersSent ? response.statusCode : undefined
      },
    }
    requests.push(entry)
    await sleep(latencyMs)
    if (pathname.startsWith('/open/')) return echo(response, entry)
    const plan = nextPlan(account) ?? nextPlan('*')
    if (plan !== undefined) return play(plan, response, origin)
    if (owner === undefined) return refuse(response)
    if (pathname === '/v1/models')
      return json(response, 200, {
        object: 'list',
        data: MODELS.map((id) => ({ id, object: 'model', owned_by: 'local' })),
      })
    const answer = answerTo(pathname, search, owner, parse(body) ?? {})
    if (answer?.json) return json(response, 200, answer.json)
    if (answer) return stream(response, answer.events)
    if (pathname.startsWith('/echo')) return echo(response, entry)
    return json(response, 404, { error: { type: 'not_found_error', message: `no such path: ${pathname}` } })
  })

  return {
    origin,
    baseURL: `${origin}/v1`,
    chatUrl: `${origin}/v1/chat/completions`,
    /** Answers whatever it is sent, without credentials, at `/open/…`; as a redirect's target it shows what leaks. */
    openUrl: `${origin}/open/`,
    requests,
    /** Who was asked, in order. */
    accounts: () => requests.map(({ account }) => account),
    /**
     * Tells how to answer the next requests of an account (`*`: of anyone): `{ status, headers, body }`, `{ redirect, status }`,
     * `{ drop: true }`, `{ hang: true }`, `{ sse: [event, …], end: 'drop' }`, each for `times` requests, default 1, and after `delayMs`.
     */
    plan(account, ...steps) {
      if (!plans.has(account)) plans.set(account, [])
      plans.get(account).push(...steps.map((step) => ({ times: 1, ...step })))
    },
    /** Lets an API key in, as `account`. */
    admit(key, account) {
      keys[key] = account
    },
    /** Forgets the plans, of one account or of all. */
    behave(account) {
      if (account === undefined) plans.clear()
      else plans.delete(account)
    },
    /** Forgets the requests seen so far. */
    forget() {
      requests.length = 0
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** The error bodies with which OpenAI-shaped servers explain themselves. */
export const bodies = {
  spent: { error: { type: 'usage_limit_reached', message: 'the limit of your plan is reached' } },
  throttled: { error: { type: 'rate_limit_error', code: 'rate_limit_exceeded', message: 'slow down' } },
  quota: {
    error: { type: 'insufficient_quota', code: 'insufficient_quota', message: 'you exceeded your current quota' },
  },
  overloaded: { error: { type: 'overloaded_error', message: 'overloaded' } },
}

/** The `plan` of a 429 that says how many seconds to stay away. */
export function throttle(seconds, times = Infinity) {
  return { status: 429, headers: { 'retry-after': String(seconds) }, body: bodies.throttled, times }
}

/** The `plan` of a chat in which the model calls a tool. */
export function toolCall(name, args) {
  const choice = (delta, finish_reason = null) => {
    const chunk = { id: 'chatcmpl-local', object: 'chat.completion.chunk', created: 1, model: 'small-1' }
    return `data: ${JSON.stringify({ ...chunk, choices: [{ index: 0, delta, finish_reason }] })}\n\n`
  }
  const call = { index: 0, id: `call_${name}`, type: 'function', function: { name, arguments: JSON.stringify(args) } }
  const said = { role: 'assistant', content: null, tool_calls: [call] }
  return { sse: [choice(said), choice({}, 'tool_calls'), 'data: [DONE]\n\n'] }
}

async function play(plan, response, origin) {
  await sleep(plan.delayMs ?? 0)
  if (plan.hang) return undefined
  if (plan.drop) return response.destroy()
  if (plan.sse) return stream(response, plan.sse, plan)
  if (plan.redirect)
    return response
      .writeHead(plan.status ?? 302, { location: new URL(plan.redirect, origin).href, ...plan.headers })
      .end()
  const text =
    typeof plan.body === 'string'
      ? plan.body
      : JSON.stringify(plan.body ?? { error: { message: `status ${plan.status}` } })
  return response.writeHead(plan.status ?? 200, { 'content-type': 'application/json', ...plan.headers }).end(text)
}

async function stream(response, events, { end = 'close', gapMs = 1, headers } = {}) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', ...headers })
  for (const event of events) {
    response.write(event)
    await sleep(gapMs)
  }
  if (end === 'drop') response.destroy()
  else if (end !== 'hang') response.end()
}

function refuse(response) {
  return json(response, 401, {
    error: { type: 'authentication_error', code: 'invalid_api_key', message: 'the credential is not valid' },
  })
}

function echo(response, { method, path, account, headers, body }) {
  return json(response, 200, { method, path, account, headers, body })
}

function json(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

function readCredential(headers) {
  return (
    /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1] ?? headers['x-api-key'] ?? headers['x-goog-api-key'] ?? ''
  )
}

function first(list, ask) {
  for (const item of list) {
    const answer = ask(item)
    if (answer !== undefined) return answer
  }
  return undefined
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

async function read(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
