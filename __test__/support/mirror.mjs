/** A server that tells each caller what it was sent, and answers in every way that a server can. */
import { createServer } from 'node:http'
import { gzipSync } from 'node:zlib'

/** Starts it on a free port. */
export async function startMirror() {
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://mirror')
    const [, route, detail, more, most] = pathname.split('/')
    const chunks = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      return
    }
    const answer = answers[route] ?? answers.echo
    answer({ request, response, detail, more, most, searchParams, body: Buffer.concat(chunks).toString() })
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
  phrase({ request: { socket }, detail, more: status, most: kind }) {
    const phrase = detail === 'letters' ? Buffer.from('请求过多 ünïcode') : Buffer.of(0x4e, 0xff, 0xfe, 0x80, 0x6f)
    const types = { events: 'text/event-stream', json: 'application/json' }
    const body = kind === 'events' ? 'data: x\n\n' : '{"a":1}'
    const head = `content-type: ${types[kind] ?? 'text/plain'}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n`
    const line = Buffer.concat([Buffer.from(`HTTP/1.1 ${status} `), phrase, Buffer.from('\r\n')])
    socket.end(Buffer.concat([line, Buffer.from(`${head}\r\n${body}`)]))
  },
  json({ response, detail }) {
    const type = { 'content-type': 'application/json; charset=utf-8' }
    const text = '\ufeff{"object":"list","text":"ü世","error":null}'
    if (detail === 'gzip') return response.writeHead(200, { ...type, 'content-encoding': 'gzip' }).end(gzipSync(text))
    if (detail === 'large') return response.writeHead(200, type).end(JSON.stringify({ text: 'x'.repeat(300_000) }))
    if (detail === 'error') return response.writeHead(200, type).end('{"error":{"message":"m"}}')
    if (detail === 'none') return response.writeHead(200, type).end('{"error')
    const bytes = Buffer.from(text)
    if (detail === undefined) return response.writeHead(200, { ...type, 'content-length': bytes.length }).end(bytes)
    response.writeHead(200, type).write(bytes.subarray(0, 31))
    setTimeout(() => (detail === 'breaks' ? response.destroy() : response.end(bytes.subarray(31))), 20)
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
