/** The networks that people have: proxies that refuse, machines without certificates, servers that compress. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { createSandbox, LIBRARY_URL } from './support/sandbox.mjs'

const servers = []
after(() => {
  for (const server of servers) server.close()
})

async function listen(server) {
  servers.push(server)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server.address().port
}

/** How the login at an issuer fails, or begins, in a process of its own with these variables. */
async function begun(issuer, env = {}) {
  const sandbox = createSandbox({
    name: 'networks',
    config: { providers: { acme: { issuer, clientId: 'app', origins: ['https://api.acme.example'] } } },
  })
  const script = `
    const { startLogin } = await import(${JSON.stringify(LIBRARY_URL)})
    try {
      const session = await startLogin({ provider: 'acme', method: 'paste', timeoutMs: 20000 })
      session.cancel()
      console.log(session.url)
    } catch ({ code, message }) {
      console.log(code + ': ' + message)
    }`
  try {
    const run = promisify(execFile)
    const options = { env: { ...sandbox.env, ...env }, cwd: sandbox.work }
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], options)
    return stdout
  } finally {
    sandbox.cleanup()
  }
}

for (const [answer, expected] of [
  [
    '407 Proxy Authentication Required',
    /the proxy http:\/\/127\.0\.0\.1:\d+ requires a user name and password \(407\).*HTTPS_PROXY/,
  ],
  ['403 Forbidden', /the proxy http:\/\/127\.0\.0\.1:\d+ does not allow connections to this host \(403\).*NO_PROXY/],
  ['502 Bad Gateway', /the proxy http:\/\/127\.0\.0\.1:\d+ could not connect to this host \(502\)/],
]) {
  test(`a proxy that answers ${answer} is told, with what to do, and without its password`, async () => {
    const proxy = createServer()
    proxy.on('connect', (_, socket) =>
      socket.on('error', () => {}).end(`HTTP/1.1 ${answer}\r\ncontent-length: 0\r\n\r\n`),
    )
    const port = await listen(proxy)
    const said = await begun('https://id.acme.example', { HTTPS_PROXY: `http://ann:S3CRET@127.0.0.1:${port}` })
    assert.match(said, expected)
    assert.ok(!said.includes('S3CRET'))
  })
}

test('a SOCKS proxy and one that is not there are told, with what to do', async () => {
  const socks = await begun('https://id.acme.example', { ALL_PROXY: 'socks5://ann:S3CRET@127.0.0.1:9' })
  assert.match(socks, /socks5:\/\/127\.0\.0\.1:9 is a SOCKS proxy.*HTTPS_PROXY.*NO_PROXY/)
  assert.ok(!socks.includes('S3CRET'))
  const free = createServer()
  const port = await listen(free)
  await new Promise((resolve) => free.close(resolve))
  const gone = await begun('https://id.acme.example', { https_proxy: `http://127.0.0.1:${port}` })
  assert.match(gone, /the proxy http:\/\/127\.0\.0\.1:\d+ cannot be reached/)
})

test('a machine without certificates is told how to get some', { skip: process.platform !== 'linux' }, async () => {
  const pem = readFileSync(new URL('../crates/broker/src/host/http/mcp.example.pem', import.meta.url))
  const port = await listen(createTlsServer({ key: pem, cert: pem }, (_, response) => response.end('{}')))
  const nothing = { SSL_CERT_FILE: '/dev/null', SSL_CERT_DIR: '/dev/null' }
  const said = await begun(`https://127.0.0.1:${port}`, nothing)
  assert.match(said, /no certificates to know any server by: install the package ca-certificates/)
  // With certificates, an unknown one is what it is.
  assert.match(await begun(`https://127.0.0.1:${port}`), /the certificate is not trusted/)
})

for (const [name, coding, compress] of [
  ['gzip', 'gzip', gzipSync],
  ['deflate', 'deflate', deflateSync],
  ['deflate without its frame', 'deflate', deflateRawSync],
  ['br', 'br', brotliCompressSync],
]) {
  test(`an answer that is compressed (${name}) is read by its header`, async () => {
    const server = createServer((_, response) => {
      const origin = `http://127.0.0.1:${server.address().port}`
      const document = {
        issuer: origin,
        authorization_endpoint: `${origin}/authorize`,
        token_endpoint: `${origin}/token`,
      }
      const headers = { 'content-type': 'application/json', 'content-encoding': coding }
      response.writeHead(200, headers).end(compress(`\ufeff${JSON.stringify(document)}`))
    })
    const port = await listen(server)
    assert.match(await begun(`http://127.0.0.1:${port}`), /^http:\/\/127\.0\.0\.1:\d+\/authorize\?/)
  })
}
