// What the bundles have in common.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './steps.mjs'

const { engines, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** The oldest Node that `engines` of package.json names, as esbuild calls it. */
export const OLDEST_NODE = `node${engines.node.match(/\d+\.\d+/)[0]}`

/** Gives a bundle of CommonJS what a module knows of itself: its address, and the package's version. */
export function ownFacts() {
  return {
    define: { __VERSION__: JSON.stringify(version), 'import.meta.url': '__url' },
    banner: { js: "'use strict'; const __url = require('node:url').pathToFileURL(__filename).href;" },
  }
}
