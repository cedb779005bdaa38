/**
 * The other side of the conformance program: an API and the login server of its users, on one loopback port. Who
 * asks brings a key or token of their own, so that many programs can share one host.
 *
 * `node host.cjs` prints the origin, and serves until its standard input ends.
 */
const { randomUUID } = require('node:crypto')
const { createServer } = require('node:http')

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
/** So long that 20 callers have asked before the first of them has its answer. */
const REFRESH_MS = 300
const STREAM_GAP_MS = 20

/**
 * Starts a host: `{ origin, close() }`.
 *
 * @param {object} [options]
 * @param {number} [options.refreshMs] how long the answer to a refresh takes, after the refresh token is spent
 * @param {() => void} [options.onRefresh] called once a refresh token is spent
 */
async function startHost({ refreshMs = REFRESH_MS, onRefresh } = {}) {
  /** Each login by any of its tokens: `{ access, refresh, refreshes }`. */
  const logins = new Map()
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => json(response, 500, { error: { message: error.message } }))
  })
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const origin = `http://127.0.0.1:${server.address().port}`

  async function answer(request, response) {
    const { pathname } = new URL(request.url, origin)
    const body = new URLSearchParams(await read(request))
    if (pathname === '/device') return json(response, 200, startDevice())
    if (pathname === '/token') return token(body, response)
    const who = owner(request.headers.authorization)
    if (who === undefined) return json(response, 401, { error: { type: 'authentication_error', message: 'unknown' } })
    if (pathname === '/v1/refreshes') return json(response, 200, { refreshes: who.login?.refreshes })
    if (pathname === '/v1/stream') return stream(response)
    if (pathname === '/v1/limited' && who.account === 'a')
      return json(response, 429, { error: { type: 'rate_limit_error', message: 'slow down' } }, { 'retry-after': '600' })
    return json(response, 200, { account: who.account })
  }

  const startDevice = () => ({
    device_code: randomUUID(),
    user_code: 'TEST-CODE',
    verification_uri: `${origin}/verify`,
    expires_in: 300,
    interval: 1,
  })

  /** The person has always agreed already. The first access token ends at once; later ones live for an hour. */
  async function token(body, response) {
    if (body.get('grant_type') === DEVICE_GRANT)
      return json(response, 200, issue({ refreshes: 0 }, { expires_in: 1 }))
    const login = logins.get(body.get('refresh_token'))
    if (login === undefined || login.refresh !== body.get('refresh_token'))
      return json(response, 400, { error: 'invalid_grant' })
    login.refreshes += 1
    const tokens = issue(login, { expires_in: 3600 })
    onRefresh?.()
    await new Promise((resolve) => setTimeout(resolve, refreshMs))
    return json(response, 200, tokens)
  }

  /** A refresh token is good for one use. */
  function issue(login, { expires_in }) {
    login.access = `access-${randomUUID()}`
    login.refresh = `refresh-${randomUUID()}`
    for (const name of [login.access, login.refresh]) logins.set(name, login)
    return { access_token: login.access, refresh_token: login.refresh, token_type: 'Bearer', expires_in }
  }

  function owner(header = '') {
    const [, account] = /^Bearer key-([a-z])-/.exec(header) ?? []
    if (account !== undefined) return { account }
    const login = logins.get(header.replace('Bearer ', ''))
    return login === undefined ? undefined : { account: 'person', login }
  }

  return {
    origin,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections?.()
      await closed
    },
  }
}

async function stream(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const word of ['one', 'two', 'three', '[DONE]']) {
    const chunk = { object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: word } }] }
    response.write(`data: ${word === '[DONE]' ? word : JSON.stringify(chunk)}\n\n`)
    await new Promise((resolve) => setTimeout(resolve, STREAM_GAP_MS))
  }
  response.end()
}

function json(response, status, value, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
}

async function read(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

module.exports = { startHost }

if (require.main === module)
  startHost().then(({ origin, close }) => {
    console.log(origin)
    process.stdin.on('end', close).resume()
  })
