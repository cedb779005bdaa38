// The endpoint that both sides of the fetch comparison call: reads a request to its end and answers little.

import { createServer } from 'node:http'

const ANSWER = JSON.stringify({ id: 'answer', model: 'small-1', choices: [{ message: { content: 'yes' } }] })

const server = createServer((request, response) => {
  request.resume()
  request.once('end', () => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': ANSWER.length })
    response.end(ANSWER)
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send(server.address().port))
process.once('disconnect', () => process.exit(0))
