// What the proxy of the command adds to a request and to an event, beside a plain reverse proxy.

import { startProxy } from '../../__test__/support/proxy.mjs'
import { createSandbox } from '../../__test__/support/sandbox.mjs'
import { p50 } from '../lib/measure.mjs'
import { measureIn, startServer } from '../lib/process.mjs'

const STREAMS = 100
const EVENTS = 500
const NAMES = { direct: 'no proxy', relay: 'a plain reverse proxy of node:http', ours: '`provider-auth proxy`' }

export const proxies = {
  name: 'proxy',
  title: 'The proxy',
  what:
    'A POST of 8 KB to its last byte, one after the other; the time from the moment at which the provider sends an event to that ' +
    `at which the client has it, 1 ms apart; and ${STREAMS} streams of ${EVENTS} events at a time, by event. Provider, proxy ` +
    'and client are processes of their own, on loopback.',
  async run({ sandbox: { env }, rounds }) {
    const server = await startServer('api')
    const config = { providers: { openai: { origins: [server.origin] } } }
    const sandbox = createSandbox({ name: 'bench-proxy', config })
    sandbox.env.NAPI_RS_NATIVE_LIBRARY_PATH = env.NAPI_RS_NATIVE_LIBRARY_PATH
    const relay = await startServer('relay', { BENCH_TARGET: server.origin })
    try {
      await sandbox.output(`await auth.addApiKey({ provider: 'openai', apiKey: 'sk-bench' })`)
      const { address, token, pid } = await startProxy(sandbox)
      const ways = {
        direct: { url: `${server.origin}/v1`, token: 'sk-bench' },
        relay: { url: `${relay.origin}/v1`, token: 'none', pid: relay.pid },
        ours: { url: `${address}/openai/v1`, token, pid },
      }
      const options = {
        ways,
        streams: STREAMS,
        events: EVENTS,
        crowds: rounds(9, 2),
        rounds: { requests: rounds(2_000, 50), streams: rounds(30, 3) },
      }
      const { requests, delays, crowd } = await measureIn(sandbox, 'proxy', { options })
      const added = (figures, id) => (id === 'direct' ? undefined : p50(figures[id]) - p50(figures.direct))
      const row = (id) => ({
        name: NAMES[id],
        isOurs: id === 'ours',
        values: [
          p50(requests[id]),
          added(requests, id),
          p50(delays[id]),
          added(delays, id),
          p50(crowd[id].times),
          p50(crowd[id].cpu) || undefined,
        ],
      })
      const table = {
        id: 'proxy',
        title: 'through the proxy, p50',
        columns: [
          { title: 'request', unit: 'us', chart: 'a request' },
          { title: 'added', unit: 'us' },
          { title: 'event', unit: 'us', chart: 'an event' },
          { title: 'added', unit: 'us' },
          { title: `event of ${STREAMS} streams`, unit: 'us' },
          { title: 'processor of the proxy', unit: 'us' },
        ],
        rows: Object.keys(NAMES).map(row),
      }
      return { tables: [table], promises: [] }
    } finally {
      server.stop()
      relay.stop()
      sandbox.cleanup()
    }
  },
}
