/**
 * The ground of every dialect server: it takes a request only if it is exactly what the table of its step says, and it
 * remembers codes and refresh tokens, each of which is good for one use.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'

/** Any value that is not empty. */
export const ANY = /./s

/**
 * Starts a server. A route (`'POST /token'`) is handed the request and returns, or throws, `[status, body, headers]`.
 *
 * @param {Record<string, (call: object) => unknown>} routes
 */
export async function startServer(routes) {
  const calls = []
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://localhost')
    const { method, headers } = request
    const call = { method, path: url.pathname, query: url.searchParams, headers, raw: await read(request) }
    calls.push(call)
    const [status, body, extra] = await answerOf(routes[`${method} ${url.pathname}`] ?? missing, call)
    const text = typeof body === 'string' ? body : JSON.stringify(body ?? null)
    response.writeHead(status, {
      'content-type': typeof body === 'string' ? 'text/html' : 'application/json',
      ...extra,
    })
    response.end(text)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    calls,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const missing = () => [404, { message: 'Not Found' }]

async function answerOf(route, call) {
  try {
    return await route(call)
  } catch (refusal) {
    return Array.isArray(refusal) ? refusal : [500, { error: String(refusal) }]
  }
}

/** A refusal in the standard's form (RFC 6749 §5.2). */
export const refusal = (error, description, status = 400) => [status, { error, error_description: description }]

/** Reads a form that holds exactly these parameters, once each: a text to be equal to, or a pattern. */
export function form({ headers, raw }, expected) {
  if (headers['content-type'] !== 'application/x-www-form-urlencoded')
    throw refusal('invalid_request', `a form, not ${headers['content-type']}`)
  return exactly([...new URLSearchParams(raw)], expected)
}

/** The same of a flat JSON object. */
export function json({ headers, raw }, expected) {
  if (headers['content-type'] !== 'application/json')
    throw refusal('invalid_request', `JSON, not ${headers['content-type']}`)
  return exactly(Object.entries(parsed(raw)), expected)
}

/** The same of a query. */
export const query = (call, expected) => exactly([...call.query], expected)

/** Reads JSON, or refuses. */
export function parsed(raw) {
  try {
    return JSON.parse(raw)
  } catch {
    throw refusal('invalid_request', 'the body is no JSON')
  }
}

function exactly(pairs, expected) {
  const given = Object.fromEntries(pairs)
  if (Object.keys(given).length !== pairs.length) throw refusal('invalid_request', 'a parameter comes twice')
  for (const [name, wanted] of Object.entries(expected)) {
    const value = given[name]
    const fits = wanted instanceof RegExp ? typeof value === 'string' && wanted.test(value) : value === wanted
    if (!fits) throw refusal('invalid_request', `${name} is ${value}, not ${wanted}`)
  }
  const extra = Object.keys(given).filter((name) => !(name in expected))
  if (extra.length > 0) throw refusal('invalid_request', `unknown: ${extra}`)
  return given
}

/** Holds that a header is exactly this; `undefined`: that it is not there. */
export function header({ headers }, name, wanted) {
  if (headers[name] !== wanted) throw refusal('invalid_request', `${name} is ${headers[name]}, not ${wanted}`)
}

/** The S256 challenge of a verifier. */
export const challengeOf = (verifier) => createHash('sha256').update(verifier).digest('base64url')

/** Codes, tokens and who they belong to. */
export function createMemory({ prefix = '' } = {}) {
  const codes = new Map()
  const refreshTokens = new Map()
  const access = new Map()
  const token = (kind) => `${prefix}${kind}-${randomBytes(12).toString('base64url')}`
  const memory = {
    /** A code for one exchange by the client that knows the verifier. */
    code(login) {
      const code = token('code')
      codes.set(code, login)
      return code
    },
    /** Spends a code: a second use, a wrong verifier or another redirect end it. */
    spend({ code, code_verifier: verifier, redirect_uri: redirect, state }) {
      const login = codes.get(code)
      codes.delete(code)
      if (login === undefined) throw refusal('invalid_grant', 'the code is unknown or used')
      if (challengeOf(verifier) !== login.challenge) throw refusal('invalid_grant', 'the verifier does not fit')
      if (redirect !== login.redirect) throw refusal('invalid_grant', 'another redirect URI')
      if (state !== undefined && state !== login.state) throw refusal('invalid_request', 'another state')
      return login
    },
    /** Issues an access token and, but for `rotates: false`, a new refresh token of the same family. */
    issue({ user, family = randomUUID() }) {
      const issued = { access_token: token('access'), refresh_token: token('refresh') }
      access.set(issued.access_token, { user, family })
      refreshTokens.set(issued.refresh_token, { user, family, used: false })
      return issued
    },
    /** Spends a refresh token. The second use ends its whole family. */
    renew(given) {
      const known = refreshTokens.get(given)
      if (known === undefined) throw refusal('invalid_grant', 'the refresh token is unknown')
      if (known.used) {
        memory.end(known.family)
        throw refusal('invalid_grant', 'the refresh token was used')
      }
      known.used = true
      return memory.issue(known)
    },
    /** Whose token it is, while it lives. */
    owner: (given) => access.get(given)?.user,
    /** Whose refresh token it is; it is not spent. */
    ownerOfRefresh: (given) => (refreshTokens.get(given)?.used === false ? refreshTokens.get(given).user : undefined),
    /** Ends every access token, as a server does that loses its sessions. */
    expire: () => access.clear(),
    /** Ends a family, or every one. */
    end(family) {
      for (const [given, known] of refreshTokens)
        if (family === undefined || known.family === family) refreshTokens.delete(given)
      for (const [given, known] of access) if (family === undefined || known.family === family) access.delete(given)
    },
  }
  return memory
}

/**
 * The API of a provider at one path: it serves whom `admits` lets in, shows the headers that came, and answers once
 * with whatever a test plans. `list` makes the route of its models: each page by the query that asks for it.
 */
export function createApi({ admits, refused }) {
  const planned = []
  let listed = 0
  return {
    plan: (...answer) => planned.push(answer),
    /** How often a page of models was asked for. */
    listed: () => listed,
    list: (pages) => (call) => {
      listed += 1
      header(call, 'accept', 'application/json')
      if (!admits(call)) return refused
      const page = (typeof pages === 'function' ? pages(call) : pages)[`${call.query}`]
      return page === undefined ? [400, { message: `no page ${call.query}` }] : [200, page]
    },
    route: (call) => {
      if (planned.length > 0) return planned.shift()
      return admits(call) ? [200, { headers: call.headers, path: call.path }] : refused
    },
  }
}

/** The credential of an `authorization: Bearer` header, if no other place holds one. */
export function bearerOf({ headers }) {
  const others = ['x-api-key', 'api-key', 'x-goog-api-key'].filter((name) => headers[name] !== undefined)
  return others.length === 0 ? /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1] : undefined
}

/** The credential of a header of its own, if no other place holds one. */
export function keyOf({ headers }, name) {
  const others = ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key'].filter((other) => other !== name)
  return others.every((other) => headers[other] === undefined) ? headers[name] : undefined
}

/** Opens a page as a browser does that is signed in already, and returns the last answer. */
export async function visit(url) {
  const response = await fetch(url, { redirect: 'manual' })
  const location = response.headers.get('location')
  return location === null ? { status: response.status, text: await response.text() } : visit(location)
}

async function read(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
