/**
 * Plays the table with the runtime's own `fetch` and with ours, on whatever runtime runs this, and prints what differed.
 * Arguments: the origin; the vault and its provider `desk` come from the environment.
 */
import { addApiKey, createAuthFetch } from '../../npm/dist/index.js'
import { observe, table } from './fetch-table.mjs'

const runtime = globalThis.Deno ? 'deno' : globalThis.Bun ? 'bun' : 'node'
const origin = process.argv[2]
const differences = {}
let compared = 0
for (const [name, entry] of Object.entries(table)) {
  if (entry.only !== undefined && !entry.only.includes(runtime)) continue
  const namespace = `${runtime}-${compared}`
  await addApiKey({ provider: 'desk', namespace, apiKey: `key-of-${namespace}` })
  const plain = await observe(entry, globalThis.fetch, origin)
  const ours = await observe(entry, createAuthFetch({ provider: 'desk', namespace }), origin)
  compared += 1
  if (JSON.stringify(plain) !== JSON.stringify(ours)) differences[name] = { plain, ours }
}
process.stdout.write(JSON.stringify({ runtime, compared, differences }))
process.exit(0)
