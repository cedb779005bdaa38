/** `provider-auth proxy` as a person starts it, and requests to it that no `fetch` would send. */
import { Agent, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { answer, assertFits, COMMAND } from './cli.mjs'

/**
 * Starts a proxy on a free port, unless `args` name one.
 *
 * @returns {Promise<{ address: string, port: number, token: string, child: object, ended: Promise<object>, providers: object[] }>}
 */
export async function startProxy(sandbox, { args = [], env } = {}) {
  const port = args.includes('--port') ? [] : ['--port', '0']
  const { child, ended, line } = sandbox.spawn(COMMAND, { args: ['proxy', '--json', ...port, ...args], env })
  const started = JSON.parse(await line(/"address"/))
  assertFits('proxy', started)
  const own = Number(new URL(started.address).port)
  const [{ id } = {}] = started.providers
  const { token } = await answer(sandbox, 'proxy-env', ['proxy', 'env', id, '--port', String(own)], { env })
  return { ...started, port: own, token, child, ended }
}

/** Sends one request as it is given: its path and its headers are not touched. Resolves to `{ status, headers, text }`. */
export function raw({ port }, { method = 'GET', path = '/', headers = {}, body, onResponse } = {}) {
  return new Promise((resolve, reject) => {
    const host = { host: `127.0.0.1:${port}` }
    const request = httpRequest(
      {
        host: '127.0.0.1',
        port,
        method,
        path,
        headers: { ...host, ...headers },
        agent: new Agent({ keepAlive: false }),
      },
      async (response) => {
        onResponse?.(response, request)
        let text = ''
        try {
          for await (const chunk of response.setEncoding('utf8')) text += chunk
          resolve({ status: response.statusCode, headers: response.headers, text })
        } catch (error) {
          reject(Object.assign(error, { text }))
        }
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}

/** Writes bytes to the port, and resolves to what comes back until the other side ends. */
export function junk({ port }, bytes, host = '127.0.0.1') {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => socket.write(bytes))
    let text = ''
    socket.on('data', (chunk) => (text += chunk.toString('latin1')))
    socket.on('error', () => resolve(text))
    socket.on('close', () => resolve(text))
  })
}
