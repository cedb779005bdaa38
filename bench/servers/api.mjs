// The endpoint that both sides of a comparison call: reads a request to its end and answers little, or with a stream.

import { createServer } from 'node:http'
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'

const ANSWER = JSON.stringify({ id: 'answer', model: 'small-1', choices: [{ message: { content: 'yes' } }] })
const EVENT = `data: ${JSON.stringify({ id: 'answer', choices: [{ index: 0, delta: { content: ' token' } }] })}\n\n`

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const events = Number(/events=(\d+)/.exec(request.url)?.[1] ?? 0)
  request.resume()
  request.once('end', () => {
    if (events > 0) return request.url.includes('stamped') ? stamped(response, events) : stream(response, events)
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': ANSWER.length })
    response.end(ANSWER)
  })
})
server.listen(0, '127.0.0.1', 1_024, () => process.send(server.address().port))
process.once('disconnect', () => process.exit(0))

/** Each event in a packet of its own, as models send them. */
async function stream(response, events) {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (let event = 0; event < events; event += 1) {
    response.write(EVENT)
    await turn()
  }
  response.end('data: [DONE]\n\n')
}

/** Each event says when it was sent, on the clock that all processes of the machine share. */
async function stamped(response, events) {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (let event = 0; event < events; event += 1) {
    await pause(1)
    response.write(`data: {"choices":[{"delta":{"content":"a"}}],"at":${process.hrtime.bigint()}}\n\n`)
  }
  response.end()
}
