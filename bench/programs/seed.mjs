// Adds so many API keys to a new vault, one after the other.

import { options, tell } from '../lib/process.mjs'
import { ours } from '../peers.mjs'

const { accounts } = options()
const auth = await ours.load()
const startedAt = performance.now()
for (let number = 1; number <= accounts; number += 1) {
  await auth.addApiKey({ provider: 'anthropic', apiKey: `sk-bench-${number}`, label: `account ${number}` })
}
tell({ took: (performance.now() - startedAt) * 1e6 })
