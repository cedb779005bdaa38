/** The recipes of `docs/recipes.md` that need servers of their own: the MCP SDK with OAuth, and a WebSocket. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { InvalidGrantError, InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js'
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js'
import { getOAuthProtectedResourceMetadataUrl, mcpAuthRouter } from '@modelcontextprotocol/sdk/server/auth/router.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import { WebSocketServer } from 'ws'
import { z } from 'zod'
import { examplesOf, openProject } from './support/examples.mjs'
import { startOidcProvider } from './support/oidc.mjs'
import { createSandbox } from './support/sandbox.mjs'

const examples = examplesOf('docs/recipes.md')
const mcp = await startMcpServer()
const realtime = await startRealtime()
const oidc = await startOidcProvider()
const providers = {
  openai: { origins: [realtime.origin], rotation: { maxWaitMs: 2000 } },
  desk: oidc.config({ origins: [realtime.origin] }),
}
const sandbox = createSandbox({ name: 'recipes', config: { providers } })
const { printed, start } = openProject(sandbox, {
  addresses: {
    'https://mcp.notes.example/mcp': mcp.url,
    'wss://api.openai.com': realtime.origin.replace('http', 'ws'),
  },
})
after(async () => {
  sandbox.cleanup()
  await mcp.close()
  await realtime.close()
  await oidc.close()
})

describe('MCP SDK', { skip: process.platform !== 'linux' && 'the browser is opened as on Linux' }, () => {
  const [example] = examples('MCP SDK', 'js')
  // The browser of a person who is signed in already: it follows every redirect.
  const browser = join(sandbox.dir, 'xdg-open')
  writeFileSync(
    browser,
    `#!/bin/sh\nexec "${process.execPath}" -e 'fetch(process.argv[1]).then((a) => a.text())' "$1"\n`,
    {
      mode: 0o755,
    },
  )
  const env = { DISPLAY: ':99', PATH: `${sandbox.dir}:${process.env.PATH}` }

  test('signs in, is served, and is signed in from then on', async () => {
    assert.equal(await printed(example, { env }), 'notes: buy milk\n')
    assert.deepEqual(mcp.counted, { registrations: 1, logins: 1, refreshes: 0, refused: 1 })
    assert.equal(await printed(example, { env }), 'notes: buy milk\n')
    assert.deepEqual(mcp.counted, { registrations: 1, logins: 1, refreshes: 0, refused: 1 })
  })

  test('a token that the server ends is renewed within the call, once for two programs', async () => {
    const more = `
      const transport = () => new StreamableHTTPClientTransport(new URL(resource), { fetch })
      const again = new Client({ name: 'example', version: '1.0.0' })
      await again.connect(transport())
      console.log('ready')
      await new Promise((go) => process.stdin.once('data', go))
      process.stdin.destroy()
      const { content: [{ text }] } = await again.callTool({ name: 'add_note', arguments: { text: 'buy bread' } })
      console.log(text)
      await again.close()`
    const programs = [1, 2].map(() => start(example, { env, more, input: null }))
    await Promise.all(programs.map(({ line }) => line(/^ready/)))
    mcp.endTokens()
    for (const { child } of programs) child.stdin.write('go')
    for (const { code, stdout, stderr } of await Promise.all(programs.map(({ ended }) => ended))) {
      assert.equal(code, 0, stderr)
      assert.match(stdout, /^notes: buy bread$/m)
    }
    assert.deepEqual([mcp.counted.refreshes, mcp.counted.logins], [1, 1])
  })

  test('what the server sends by itself arrives', async () => {
    const more = `
      const listening = new Client({ name: 'example', version: '1.0.0' })
      const told = new Promise((resolve) => {
        listening.fallbackNotificationHandler = async ({ params }) => resolve(params.data)
      })
      await listening.connect(new StreamableHTTPClientTransport(new URL(resource), { fetch }))
      await listening.callTool({ name: 'tell_later', arguments: {} })
      console.log(await told)
      await listening.close()`
    assert.match(await printed(example, { env, more }), /^of itself$/m)
  })

  test('a login that the server has ended is its 401 once, and NEEDS_LOGIN from then on', async () => {
    mcp.endTokens({ refresh: true })
    for (const found of [/StreamableHTTPError.*ended/, /NEEDS_LOGIN/]) {
      const { code, stderr } = await start(example, { env }).ended
      assert.equal(code, 1)
      assert.match(stderr, found)
    }
  })
})

describe('WebSocket', () => {
  const [example] = examples('WebSocket', 'js')
  let pools = 0
  const openPool = async (...plans) => {
    pools += 1
    await sandbox.output(`
      for (const { id } of await auth.listAccounts({ provider: 'openai' })) await auth.removeAccount(id)
      for (const priority of [0, 1])
        await auth.addApiKey({ provider: 'openai', label: 'key ' + priority, apiKey: 'key-${pools}-' + priority, priority })`)
    realtime.plan(...plans)
    return [`key-${pools}-0`, `key-${pools}-1`]
  }
  const limit = (seconds) => [429, { 'retry-after': `${seconds}` }, { error: { code: 'rate_limit_exceeded' } }]

  test('opens with an account of the vault', async () => {
    const [first] = await openPool()
    assert.equal(await printed(example), 'hello\n')
    assert.deepEqual(realtime.keys(), [first])
  })

  test('a limit at the handshake gives the connection to another account, and rests the first', async () => {
    const [first, second] = await openPool(limit(600))
    assert.equal(await printed(example), 'hello\n')
    assert.deepEqual(realtime.keys(), [first, second])
    assert.equal(await printed(example), 'hello\n')
    assert.deepEqual(realtime.keys(), [second])
  })

  test('a limit of a second is waited for', async () => {
    const [first] = await openPool(limit(1))
    assert.equal(await printed(example), 'hello\n')
    assert.deepEqual(realtime.keys(), [first, first])
  })

  test('a key that is refused gives way to another', async () => {
    const [first, second] = await openPool([401, {}, { error: { code: 'invalid_api_key' } }])
    assert.equal(await printed(example), 'hello\n')
    assert.deepEqual(realtime.keys(), [first, second])
  })

  test('a login whose token the server has ended is renewed, and the handshake sent again', async () => {
    const agent = new URL('./support/agent.mjs', import.meta.url)
    await sandbox.output(`
      const { signIn } = await import('${agent}')
      const onPrompt = (prompt) => void signIn(prompt, { user: 'ada' })
      await auth.login({ provider: 'desk', method: 'browser', onPrompt })`)
    realtime.plan([401, {}, { error: { code: 'token_expired' } }])
    assert.equal(await printed(example.replaceAll("'openai'", "'desk'")), 'hello\n')
    const [ended, renewed, ...more] = realtime.keys()
    assert.deepEqual([oidc.owner(renewed), more, oidc.counters.refreshRequests], ['ada', [], 1])
    assert.notEqual(ended, renewed)
  })

  test('where no account can serve, or the request is wrong, the error is the caller’s', async () => {
    await openPool(limit(600), limit(600))
    const { code, stderr } = await start(example).ended
    assert.equal(code, 1)
    assert.match(stderr, /the handshake was refused: 429/)
    assert.equal(realtime.keys().length, 2)
    await openPool([400, {}, { error: { code: 'no_such_model' } }])
    assert.match((await start(example).ended).stderr, /the handshake was refused: 400/)
    assert.equal(realtime.keys().length, 1)
  })

  test('a server that is not there is a failure, not a wait without an end', async () => {
    await openPool()
    const gone = example.replace("'wss://api.openai.com/", `'${realtime.origin.replace('http', 'ws')}/`)
    realtime.drop(10)
    const { code, stderr } = await start(gone).ended
    realtime.drop(0)
    assert.equal(code, 1)
    assert.match(stderr, /the handshake was refused: network/)
    realtime.keys()
  })
})

/** A WebSocket server that says back what it is told, and refuses handshakes as planned. */
async function startRealtime() {
  const [plans, seen] = [[], []]
  let drops = 0
  const server = createServer((_, response) => response.writeHead(426).end())
  const sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    if (drops > 0) {
      drops -= 1
      socket.destroy()
      return
    }
    seen.push(/^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1])
    const [status, headers, body] = plans.shift() ?? []
    if (status === undefined) {
      sockets.handleUpgrade(request, socket, head, (one) => one.on('message', (text) => one.send(`${text}`)))
      return
    }
    const text = JSON.stringify(body)
    const all = { 'content-type': 'application/json', 'content-length': text.length, connection: 'close', ...headers }
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.end(`HTTP/1.1 ${status} No\r\n${lines.join('')}\r\n${text}`)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    plan: (...steps) => plans.splice(0, plans.length, ...steps),
    /** Lets so many handshakes end without an answer. */
    drop: (count) => {
      drops = count
    },
    /** The keys that were sent since the last look. */
    keys: () => seen.splice(0),
    async close() {
      for (const one of sockets.clients) one.terminate()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** An MCP server of the SDK that is its own authorization server: rotating refresh tokens, each good for one use. */
async function startMcpServer() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${server.address().port}`
  const url = new URL('/mcp', origin)
  const counted = { registrations: 0, logins: 0, refreshes: 0, refused: 0 }
  const [clients, codes, access, refresh] = [new Map(), new Map(), new Map(), new Set()]
  const issue = (client) => {
    const [access_token, refresh_token] = [randomUUID(), randomUUID()]
    access.set(access_token, client.client_id)
    refresh.add(refresh_token)
    return { access_token, refresh_token, token_type: 'bearer', expires_in: 3600, scope: 'notes' }
  }
  const provider = {
    clientsStore: {
      getClient: (id) => clients.get(id),
      registerClient: (client) => {
        counted.registrations += 1
        const whole = { ...client, client_id: randomUUID() }
        clients.set(whole.client_id, whole)
        return whole
      },
    },
    authorize: async (_, { redirectUri, state, codeChallenge }, response) => {
      const code = randomUUID()
      codes.set(code, codeChallenge)
      const target = new URL(redirectUri)
      target.search = String(new URLSearchParams({ code, ...(state !== undefined && { state }) }))
      response.redirect(target.href)
    },
    challengeForAuthorizationCode: async (_, code) => codes.get(code),
    exchangeAuthorizationCode: async (client) => {
      counted.logins += 1
      return issue(client)
    },
    exchangeRefreshToken: async (client, token) => {
      if (!refresh.delete(token)) throw new InvalidGrantError('spent')
      counted.refreshes += 1
      return issue(client)
    },
    verifyAccessToken: async (token) => {
      const clientId = access.get(token)
      if (clientId === undefined) throw new InvalidTokenError('ended')
      return { token, clientId, scopes: ['notes'], expiresAt: Math.floor(Date.now() / 1000) + 600, resource: url }
    },
  }

  const app = express()
  app.use(mcpAuthRouter({ provider, issuerUrl: new URL(origin), resourceServerUrl: url, scopesSupported: ['notes'] }))
  const resourceMetadataUrl = getOAuthProtectedResourceMetadataUrl(url)
  app.use('/mcp', (_, response, next) => {
    response.once('finish', () => (counted.refused += Number(response.statusCode === 401)))
    next()
  })
  app.use(
    '/mcp',
    requireBearerAuth({ verifier: provider, requiredScopes: ['notes'], resourceMetadataUrl, expectedResource: url }),
  )
  app.use('/mcp', express.json())
  const sessions = new Map()
  app.all('/mcp', async (request, response) => {
    const transport = sessions.get(request.headers['mcp-session-id']) ?? (await openSession())
    await transport.handleRequest(request, response, request.body)
  })
  server.on('request', app)

  async function openSession() {
    const notes = new McpServer({ name: 'notes', version: '1.0.0' }, { capabilities: { logging: {} } })
    const answer = (text) => ({ content: [{ type: 'text', text }] })
    notes.registerTool('add_note', { inputSchema: { text: z.string() } }, async ({ text }) => answer(`notes: ${text}`))
    notes.registerTool('tell_later', { inputSchema: {} }, async () => {
      setTimeout(() => notes.server.sendLoggingMessage({ level: 'info', data: 'of itself' }), 50)
      return answer('later')
    })
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, transport),
    })
    await notes.connect(transport)
    return transport
  }

  return {
    url: url.href,
    counted,
    /** Ends every access token; refresh tokens too, with `refresh`. */
    endTokens(kinds = {}) {
      access.clear()
      if (kinds.refresh) refresh.clear()
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
