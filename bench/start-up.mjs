// How long a run of the command takes from its start to its end, against a Node that does nothing.

import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const COMMAND = fileURLToPath(new URL('../npm/dist/cli/main.js', import.meta.url))
const LIBRARY = new URL('../npm/dist/index.js', import.meta.url).href

/** Of each call, one after the other in turn, so that what else the machine does falls on all of them. */
const RUNS = 40
const ACCOUNTS = 100

/** The calls: what each is, and in which vault. `id` is how a target names it. */
const CALLS = [
  { id: 'nothing', name: 'node -e 0', args: ['-e', '0'] },
  { id: 'version', name: 'provider-auth --version', args: [COMMAND, '--version'] },
  { id: 'token', name: 'provider-auth token, of 1 account', args: [COMMAND, 'token', 'anthropic'], accounts: 1 },
  { id: 'token-of-many', name: `… of ${ACCOUNTS}`, args: [COMMAND, 'token', 'anthropic'], accounts: ACCOUNTS },
  { id: 'accounts', name: `provider-auth accounts, ${ACCOUNTS}`, args: [COMMAND, 'accounts'], accounts: ACCOUNTS },
]

/** Measures with the addon of a file: `[{ id, name, ns, ratio }]`, medians. */
export function measureStartUp(addon) {
  const home = mkdtempSync(join(tmpdir(), 'provider-auth-bench-'))
  try {
    const env = (accounts) => ({
      PATH: process.env.PATH,
      HOME: home,
      NAPI_RS_NATIVE_LIBRARY_PATH: addon,
      PROVIDER_AUTH_DIR: join(home, `vault-of-${accounts}`),
      PROVIDER_AUTH_KEY: key,
      PROVIDER_AUTH_KEY_SOURCE: 'env',
    })
    const key = randomBytes(32).toString('base64')
    for (const accounts of [1, ACCOUNTS]) run(['--input-type=module', '-e', filling(accounts)], env(accounts))
    const spans = CALLS.map(() => [])
    for (let round = 0; round <= RUNS; round += 1)
      for (const [index, { args, accounts = 1 }] of CALLS.entries()) {
        const startedAt = process.hrtime.bigint()
        run(args, env(accounts))
        // The first of each fills the caches of the disk.
        if (round > 0) spans[index].push(Number(process.hrtime.bigint() - startedAt))
      }
    const medians = spans.map(median)
    return CALLS.map(({ id, name }, index) => ({ id, name, ns: medians[index], ratio: medians[index] / medians[0] }))
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** A script that fills a vault. */
function filling(accounts) {
  return `import { addApiKey } from ${JSON.stringify(LIBRARY)}
  for (let number = 1; number <= ${accounts}; number += 1)
    await addApiKey({ provider: 'anthropic', apiKey: 'sk-bench-' + number, label: 'account ' + number })`
}

function run(args, env) {
  const { status, stderr } = spawnSync(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`)
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]
}
