/** The server: on loopback alone, and how it ends. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { EXIT, fault } from '../faults.js'
import { IDLE_MS, STOP_MS } from './limits.js'
import { type Desk, serve } from './serve.js'

export interface Listening {
  port: number
  /** Takes no more requests, and resolves once the running ones have ended, or have had their time: to how many were cut off. */
  stop(): Promise<number>
  /** How many requests run. */
  running(): number
}

/** Listens at 127.0.0.1, and on the same port at ::1 where that is asked for. */
export async function listen({ port: wanted, isV6, ...desk }: Desk & { isV6: boolean }): Promise<Listening> {
  const running = new Set<ServerResponse>()
  const connections = new Set<Socket>()
  let port = wanted
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    running.add(response)
    response.once('close', () => {
      running.delete(response)
      if (isStopping) for (const server of servers) server.closeIdleConnections()
    })
    void serve(request, response, { ...desk, port })
  }
  let isStopping = false
  const servers: Server[] = []
  for (const host of isV6 ? ['127.0.0.1', '::1'] : ['127.0.0.1']) {
    // Asked whether the body may come, the same answers first.
    const server = createServer({ keepAliveTimeout: IDLE_MS }, answer).on('checkContinue', answer)
    server.on('connection', (socket: Socket) => {
      connections.add(socket)
      socket.once('close', () => connections.delete(socket))
    })
    await bound(server, host, port)
    port = (server.address() as AddressInfo).port
    servers.push(server)
  }
  const ended = () => Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return {
    port,
    running: () => running.size,
    async stop() {
      isStopping = true
      const all = ended()
      for (const response of running) response.shouldKeepAlive = false
      // Node takes one that has never asked for one that is about to.
      const busy = new Set([...running].map(({ socket }) => socket))
      for (const socket of connections) if (!busy.has(socket)) socket.destroy()
      let cutOff = 0
      const limit = setTimeout(() => {
        cutOff = running.size
        for (const server of servers) server.closeAllConnections()
      }, STOP_MS)
      await all
      clearTimeout(limit)
      return cutOff
    },
  }
}

function bound(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(notBound(host, port, error)))
    server.listen({ host, port, exclusive: true }, resolve)
  })
}

function notBound(host: string, port: number, { code = '' }: NodeJS.ErrnoException): Error {
  if (code === 'EADDRINUSE')
    return fault({
      code: 'PORT_BUSY',
      exit: EXIT.failed,
      message: `another program listens on port ${port} of ${host}`,
      next: 'end it, or choose another port: provider-auth proxy --port 0 takes a free one',
    })
  return fault({ message: `port ${port} of ${host} cannot be used: ${code}`, next: 'choose another port with --port' })
}
