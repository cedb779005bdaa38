/** Ports of this machine, for programs that do not take `0`. */
import { createServer } from 'node:net'

/** A port that nothing listens on. */
export async function freePort() {
  const probe = createServer()
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return port
}
