// How long a run of the command takes from its start to its end, beside a Node that does nothing.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { p50 } from '../lib/measure.mjs'

const COMMAND = fileURLToPath(new URL('../../npm/dist/cli/main.js', import.meta.url))
const ACCOUNTS = 100

/** The calls, in which vault, and how many times an empty process they may take. */
const CALLS = [
  { id: 'nothing', name: 'node -e 0', args: ['-e', '0'] },
  { id: 'version', name: 'provider-auth --version', args: [COMMAND, '--version'], most: 1.5 },
  { id: 'token', name: 'provider-auth token, of 1 account', args: [COMMAND, 'token', 'anthropic'], most: 2 },
  { id: 'token-of-many', name: `… of ${ACCOUNTS}`, args: [COMMAND, 'token', 'anthropic'], accounts: ACCOUNTS },
  {
    id: 'accounts',
    name: `provider-auth accounts, ${ACCOUNTS} accounts`,
    args: [COMMAND, 'accounts'],
    accounts: ACCOUNTS,
    most: 2.5,
  },
]

export const startUp = {
  name: 'start-up',
  title: 'The command',
  what: 'One run of the command on Node, from its start to its end.',
  async run({ sandbox, vault, rounds }) {
    const spans = CALLS.map(() => [])
    const times = rounds(40, 2)
    // The first of each fills the caches of the disk.
    for (let round = -1; round < times; round += 1)
      for (const [index, { args, accounts = 1 }] of CALLS.entries()) {
        const env = { ...sandbox.env, NAPI_RS_NATIVE_LIBRARY_PATH: process.env.NAPI_RS_NATIVE_LIBRARY_PATH }
        const span = time(args, { ...env, PROVIDER_AUTH_DIR: await vault(accounts) })
        if (round >= 0) spans[index].push(span)
      }
    const [nothing] = spans.map(p50)
    const rows = CALLS.map(({ id, name }, index) => {
      const ns = p50(spans[index])
      return { id, name, isOurs: index > 0, values: [ns, ns / nothing] }
    })
    const columns = [
      { title: 'time', unit: 'ms' },
      { title: 'ratio', unit: 'ratio', chart: 'to an empty process' },
    ]
    const promises = CALLS.flatMap(({ name, most }, index) => {
      if (most === undefined) return []
      const text = `${name}: at most ${most} times an empty process`
      return [{ text, value: rows[index].values[1], most, unit: 'ratio' }]
    })
    return { tables: [{ id: 'start-up', title: 'a whole run, p50', columns, rows }], promises }
  },
}

function time(args, env) {
  const startedAt = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`)
  return (performance.now() - startedAt) * 1e6
}
