// The provider of a fleet: the certified `oidc-provider` library of the tests, which revokes the whole grant when a spent
// refresh token comes again, behind TLS at an address that every machine reaches. Knobs: how long it forgives such a token,
// how long an access token lives, how long its answers take.

import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { createServer } from 'node:tls'
import { signIn } from '../../../__test__/support/agent.mjs'
import { startOidcProvider } from '../../../__test__/support/oidc.mjs'
import { PROVIDER } from './network.mjs'

const PORT = 8443

export async function openProvider({ key, certificate }) {
  const oidc = await startOidcProvider()
  const { port } = new URL(oidc.issuer)
  const front = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (socket) => {
    const behind = connect(port, '127.0.0.1')
    socket.pipe(behind).pipe(socket)
    // A cut ends either side; the other follows.
    socket.on('error', () => behind.destroy()).on('close', () => behind.end())
    behind.on('error', () => socket.destroy())
  })
  await new Promise((resolve) => front.listen(PORT, PROVIDER, resolve))
  const at = (path) => `https://${PROVIDER}:${PORT}${path}`
  return {
    /** What a process is configured with. */
    config: {
      providers: {
        local: {
          authorizationEndpoint: `${oidc.issuer}/auth`,
          tokenEndpoint: at('/token'),
          clientId: oidc.clients.public.clientId,
          scopes: ['openid', 'email', 'offline_access'],
          params: { authorize: { prompt: 'consent' } },
          origins: ['https://api.local.test'],
        },
      },
    },
    /** Forgives a spent refresh token for so long. */
    forgive: (ms) => oidc.setReuseGraceMs(ms),
    setLife: (seconds) => oidc.setAccessTokenSeconds(seconds),
    /** Tokens rotate at once; their answer leaves so much later. */
    answerAfter: (ms) => oidc.setLatencyMs(0, ms),
    /** Answers a login's prompt as a user, and returns where the browser would end. */
    async signIn(url, user) {
      const target = new URL(url).searchParams.get('redirect_uri')
      return (await signIn(url, { user, unreachable: target })).url
    },
    /** What became of the refresh tokens of a user, or of all. */
    count(user) {
      const all = oidc.requests.filter(({ grant }) => grant === 'refresh_token')
      const of = user === undefined ? all : all.filter((request) => request.user === user)
      return {
        sent: of.length,
        twice: of.length - new Set(of.map(({ spent }) => spent)).size,
        renewed: of.filter(({ status }) => status === 200).length,
        refused: of.filter(({ error }) => error === 'invalid_grant').length,
      }
    },
    /** The requests with refresh tokens of a user, in their order: what was `spent`, when it came (`at`), when its answer
     * left (`leftAt`), and with which token (`issued`) or `error`. */
    requests: (user) => oidc.requests.filter((request) => request.grant === 'refresh_token' && request.user === user),
    owner: (token) => oidc.owner(token),
    issuedTokens: () => oidc.issuedTokens(),
    async close() {
      front.close()
      await oidc.close()
    },
  }
}
