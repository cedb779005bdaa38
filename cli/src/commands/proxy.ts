/** `proxy`: an HTTP server of this machine, through which programs of any language use the accounts. */
import type { ProviderSummary } from '../../../index.js'
import { visible } from '../../../npm/src/trust.js'
import { EXIT, fault, usage } from '../faults.js'
import { configuredProviders, listAccounts } from '../library.js'
import { PORT, STOP_MS } from '../proxy/limits.js'
import { type Listening, listen } from '../proxy/listen.js'
import { announce } from '../proxy/running.js'
import { newToken, tokenIn } from '../proxy/token.js'
import type { Call } from '../run.js'
import { counted } from '../sentences.js'
import { firstStep, hasVault } from '../stored.js'
import { table } from '../table.js'
import { span } from '../words.js'

interface Options {
  port?: number
  provider?: string[]
  origin?: string[]
  tokenFile?: string
  ipv6?: boolean
}

/** As `endAtSignals` has them. */
const STOPS = { SIGINT: EXIT.interrupted, SIGTERM: 143, SIGHUP: 129 }

export async function run({ options, out }: Call<Options>): Promise<number> {
  const { port = PORT, tokenFile, ipv6 = false } = options
  const known = new Map((await configuredProviders()).map((one) => [one.id, one]))
  const origins = originsOf(known, options)
  if (!(await hasVault())) throw noAccount(await firstStep(options.provider?.[0]))
  const accounts = await listAccounts()
  const token = tokenFile === undefined ? newToken() : await tokenIn(tokenFile)
  const proxy = await listen({
    port,
    isV6: ipv6,
    token: Buffer.from(token, 'latin1'),
    origins: (provider) => origins.get(provider),
  })
  const only = options.provider
  await announce({ pid: process.pid, port: proxy.port, token, ...(only !== undefined && { providers: only }) })
  const signal = firstSignal()
  const address = `http://127.0.0.1:${proxy.port}`
  const used = new Set(only ?? accounts.map(({ provider }) => provider))
  const providers = [...origins]
    .filter(([id]) => used.has(id))
    .map(([id, origin]) => ({
      id,
      url: `${address}/${id}`,
      origin,
      accounts: accounts.filter(({ provider }) => provider === id).length,
    }))
  out.answer({ address, pid: process.pid, providers }, () => started(address, providers))
  const [first] = providers
  out.say(
    first === undefined
      ? 'there is no account yet, and none needs a new start: provider-auth login'
      : `for a client: eval "$(provider-auth proxy env ${first.id})"; Ctrl-C stops it`,
  )
  return stopped(proxy, signal, out)
}

/** The origin of each provider that is served. */
function originsOf(
  known: Map<string, ProviderSummary>,
  { provider: only, origin: chosen = [] }: Options,
): Map<string, string> {
  const origins = new Map(
    [...known.values()].flatMap(({ id, origins: [first] }) => (first === undefined ? [] : [[id, first]])),
  )
  for (const text of chosen) {
    const [, id = '', origin = ''] = /^([^=]+)=(.+)$/.exec(text) ?? []
    if (!known.get(id)?.origins.includes(origin))
      throw usage(
        `--origin ${text}: expected <provider>=<origin>, one of the origins of that provider`,
        'provider-auth config show --all lists them',
      )
    origins.set(id, origin)
  }
  if (only === undefined) return origins
  for (const id of only) {
    if (!known.has(id))
      throw fault({
        code: 'UNKNOWN_PROVIDER',
        message: `there is no provider ${id}`,
        next: 'provider-auth config show --all lists them',
      })
    if (!origins.has(id))
      throw fault({
        code: 'ORIGIN_NOT_ALLOWED',
        message: `it is not known where the API of ${id} is`,
        next: 'set its origins: provider-auth config edit',
      })
  }
  return new Map([...origins].filter(([id]) => only.includes(id)))
}

function noAccount(step: { why?: string; next: string }): Error {
  return fault({ code: 'NO_ACCOUNT', exit: EXIT.needsLogin, message: 'there is no account yet', ...step })
}

function started(address: string, providers: { id: string; url: string; origin: string; accounts: number }[]): string {
  const rows = providers.map(({ id, url, origin, accounts }) => [
    visible(id),
    url,
    origin,
    accounts === 0 ? 'no account yet' : counted(accounts, 'account'),
  ])
  return [`listening at ${address}`, ...(rows.length === 0 ? [] : [table([], rows)])].join('\n')
}

/** Waits for a signal, and ends in order: what runs may end, and a second signal ends it at once. */
async function stopped(proxy: Listening, signal: Promise<number>, out: Call['out']): Promise<number> {
  const code = await signal
  const running = proxy.running()
  if (running > 0)
    out.say(
      `${counted(running, 'request runs', 'requests run')}, and may take ${span(STOP_MS)} to end; Ctrl-C ends them now`,
    )
  const cutOff = await proxy.stop()
  if (cutOff > 0) out.say(`${counted(cutOff, 'request was', 'requests were')} cut off`)
  return code
}

/** The exit code of the first signal; one that comes later ends the process at once. */
function firstSignal(): Promise<number> {
  return new Promise((resolve) => {
    let isFirst = true
    for (const [signal, code] of Object.entries(STOPS)) {
      const before = process.listeners(signal as NodeJS.Signals)
      process.on(signal, () => {
        if (!isFirst) process.exit(code)
        isFirst = false
        resolve(code)
      })
      // Not before: a signal that comes when there is no listener is lost.
      for (const listener of before) process.off(signal, listener)
    }
  })
}
