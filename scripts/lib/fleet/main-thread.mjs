// A program in Node asks for headers while its line to the database has 200 ms of latency: its main thread makes no call on a
// socket, and is never held up. Other threads do, or this would prove nothing.

import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { start } from './commands.mjs'
import { DATABASE } from './network.mjs'
import { KEY } from './process.mjs'

const PORT = 7432
const LATENCY_MS = 200
const PROGRAM = fileURLToPath(new URL('asks-in-node.mjs', import.meta.url))
/** By how much longer its main thread may be held up than with a vault in a folder, in ms. */
const BLOCK_MS = 5
const NETWORK = /^(socket|connect|send|recv|accept|getsockopt|setsockopt|shutdown|getpeername|getsockname)/
const ON_SOCKET = /^(read|write|readv|writev)\(\d+<(TCP|UDP|UNIX|socket|NETLINK)/

export async function mainThread(stage) {
  const line = await openSlowLine()
  const env = {
    ...process.env,
    PROVIDER_AUTH_KEY: KEY,
    PROVIDER_AUTH_KEY_SOURCE: 'env',
    PROVIDER_AUTH_DIR: join(stage.folder, 'hosts', 'node'),
    PROVIDER_AUTH_STORE: `postgres://ci@127.0.0.1:${PORT}/postgres?vault=fleet&sslmode=disable`,
  }
  const { PROVIDER_AUTH_STORE: _, ...without } = { ...env, PROVIDER_AUTH_DIR: join(stage.folder, 'folder') }
  const inFolder = await run([process.execPath, PROGRAM], without)
  const timed = await run([process.execPath, PROGRAM], env)
  const trace = join(stage.folder, 'strace')
  const calls = 'trace=%network,read,write,readv,writev,faccessat,faccessat2,access'
  await run(['strace', '-f', '-qq', '-y', '-e', calls, '-o', trace, process.execPath, PROGRAM], env)
  line.close()
  const { main, others } = socketCalls(readFileSync(trace, 'utf8'))
  const wrong = []
  if (main > 0) wrong.push('no call on a socket by the main thread')
  if (others === 0) wrong.push('other threads were not seen either')
  if (timed.blockedMs > inFolder.blockedMs + BLOCK_MS)
    wrong.push(`the event loop was blocked for ${timed.blockedMs} ms, with a folder for ${inFolder.blockedMs}`)
  return { name: 'the main thread', way: 'direct', ...timed, main, others, wrong }
}

/** Counts calls on sockets between the two marks that the program sets; its first thread has its own number. */
function socketCalls(text) {
  const lines = text.split('\n').map((line) => /^(\d+) +(.*)$/.exec(line)?.slice(1) ?? ['', ''])
  const marks = lines.flatMap(([, call], index) => (call.includes('/torture-mark') ? [index] : []))
  const [first] = lines[0]
  const between = lines.slice(marks[0], marks.at(-1))
  const onSocket = between.filter(([, call]) => NETWORK.test(call) || ON_SOCKET.test(call))
  const main = onSocket.filter(([thread]) => thread === first).length
  return { main, others: onSocket.length - main }
}

/** Passes on what comes to `PORT` to the database, and back, each time after half of the latency. */
async function openSlowLine() {
  const late = (from, to) => {
    from.on('data', (bytes) => setTimeout(() => to.writable && to.write(bytes), LATENCY_MS / 2))
    from.on('close', () => setTimeout(() => to.destroy(), LATENCY_MS / 2))
    from.on('error', () => {})
  }
  const server = createServer((near) => {
    const far = connect(5432, DATABASE)
    late(near, far)
    late(far, near)
  })
  await new Promise((resolve) => server.listen(PORT, '127.0.0.1', resolve))
  return server
}

/** Runs the program to its end and returns what it says of itself. */
async function run([command, ...args], env) {
  const child = start(command, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) said += chunk
  return JSON.parse(said)
}
