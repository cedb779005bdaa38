/** A server that tells each caller what it was sent, and answers in every way that a server can. */
import { createServer } from 'node:http'
import { gzipSync } from 'node:zlib'

/** Starts it on a free port. */
export async function startMirror() {
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://mirror')
    const [, route, detail] = pathname.split('/')
    const chunks = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      return
    }
    const answer = answers[route] ?? answers.echo
    answer({ request, response, detail, searchParams, body: Buffer.concat(chunks).toString() })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const answers = {
  echo({ request: { method, url, headers }, response, body }) {
    // How a body is framed and the credential itself are all that may differ.
    const { authorization, connection, host, 'transfer-encoding': _, 'content-length': __, ...rest } = headers
    const framed = body === '' && !('content-length' in headers) ? 'no body' : 'body'
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(method === 'HEAD' ? undefined : JSON.stringify({ method, url, headers: rest, framed, body }))
  },
  status({ response, detail }) {
    const status = Number(detail)
    const hasBody = ![204, 205, 304].includes(status)
    response
      .writeHead(status, hasBody ? { 'content-type': 'text/plain' } : {})
      .end(hasBody ? `status ${status}` : undefined)
  },
  redirect({ response, detail, searchParams }) {
    if (detail === 'none') return response.writeHead(302).end()
    response.writeHead(Number(detail), { location: searchParams.get('to') ?? '/echo/moved' }).end('moved')
  },
  circle({ response }) {
    response.writeHead(302, { location: '/circle' }).end()
  },
  text({ response }) {
    response.writeHead(200, 'Quite Fine', { 'x-own': 'yes' }).end('text')
  },
  twice({ response }) {
    response.writeHead(
      200,
      [
        ['x-many', 'one'],
        ['x-many', 'two'],
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ].flat(),
    )
    response.end()
  },
  gzip({ response }) {
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'text/plain' }).end(gzipSync('unpacked'))
  },
  events({ response }) {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(': comment\n\nevent: ping\ndata: {}\n\n')
    setTimeout(() => response.end('data: ü\r\n\r\ndata: [DONE]\n\n'), 5)
  },
  'no-events'({ response }) {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end()
  },
  large({ response }) {
    response.writeHead(200, { 'content-type': 'text/plain' }).end('0123456789'.repeat(30_000))
  },
  breaks({ response }) {
    response.writeHead(200, { 'content-type': 'text/plain' }).write('part')
    setTimeout(() => response.destroy(), 20)
  },
  drop({ request }) {
    request.socket.destroy()
  },
  hang() {},
}
