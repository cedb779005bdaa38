// A plain reverse proxy, as Node's documentation leads to one: a header is set, and both bodies are piped.

import { Agent, createServer, request as httpRequest } from 'node:http'

const target = new URL(process.env.BENCH_TARGET)
const agent = new Agent({ keepAlive: true })

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const headers = { ...request.headers, host: target.host, authorization: 'Bearer sk-of-relay' }
  const { hostname, port } = target
  const upstream = httpRequest(
    { hostname, port, agent, method: request.method, path: request.url, headers },
    (answer) => {
      response.writeHead(answer.statusCode, answer.headers)
      response.flushHeaders()
      answer.pipe(response)
    },
  )
  upstream.on('error', () => response.destroy())
  response.on('close', () => upstream.destroy())
  request.pipe(upstream)
})
server.listen(0, '127.0.0.1', 1_024, () => process.send(server.address().port))
process.once('disconnect', () => process.exit(0))
