/** `proxy env`: the variables by which clients of a provider use the proxy that runs. */
import { keepOffScreen } from '../asked.js'
import { fault } from '../faults.js'
import { configuredProviders } from '../library.js'
import { runningProxy } from '../proxy/running.js'
import { linesFor, type Shell, variablesFor } from '../proxy/variables.js'
import type { Call } from '../run.js'

interface Options {
  port?: number
  namespace?: string
  shell: Shell
  show?: boolean
}

export async function run({ args: [provider = ''], options, out }: Call<Options>): Promise<void> {
  keepOffScreen(options.show)
  const summary = (await configuredProviders()).find(({ id }) => id === provider)
  const { port, token, providers } = await runningProxy(options.port)
  if (summary === undefined || summary.origins.length === 0 || providers?.includes(provider) === false)
    throw fault({
      code: 'UNKNOWN_PROVIDER',
      message: `the proxy on port ${port} does not serve ${provider}`,
      next: 'provider-auth config show --all lists the providers and their origins; the proxy serves those that it was started for',
    })
  const pool = options.namespace === undefined ? '' : `@${encodeURIComponent(options.namespace)}`
  const url = `http://127.0.0.1:${port}/${provider}${pool}`
  const variables = variablesFor(summary, url, token)
  out.answer({ provider, url, token, variables }, () => linesFor(variables, options.shell))
}
