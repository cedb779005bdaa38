// How long a fresh process takes to the first headers, from before the import on; and what it then weighs.

import { readdirSync } from 'node:fs'
import { options, tell } from '../lib/process.mjs'
import { fillKeyring, ours, peers } from '../peers.mjs'

const { id, places, fill = false } = options()
const peer = [ours, ...peers].find((one) => one.id === id)
if (fill && peer?.needsKeyring) await fillKeyring()
const weights = [weigh()]
const start = performance.now()
const library = await peer?.load()
const imported = performance.now()
if (peer) weights.push(weigh())
const begun = performance.now()
if (peer) await (await peer.open(library, places))()
const first = performance.now()
weights.push(weigh())
tell({ imported: imported - start, first: first - begun + (imported - start), weights })

function weigh() {
  const threads = process.platform === 'linux' ? readdirSync('/proc/self/task').length : undefined
  return { rss: process.memoryUsage.rss(), threads }
}
