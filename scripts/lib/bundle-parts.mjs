// What the bundles have in common.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './steps.mjs'

const { engines, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** The oldest Node that `engines` of package.json names, as esbuild calls it. */
export const OLDEST_NODE = `node${engines.node.match(/\d+\.\d+/)[0]}`

/**
 * Gives a bundle of CommonJS what a module knows of itself: its address, and the package's version. In a bundle of somebody
 * else's, `__filename` may be the file that it was made of, on the machine where it was made: Bun writes that down. There the
 * address is asked of the call's own place.
 */
export function ownFacts() {
  return {
    define: { __VERSION__: JSON.stringify(version), 'import.meta.url': '__url' },
    banner: { js: `'use strict'; const __url = (${ownAddress})();` },
  }
}

const ownAddress = `() => {
  if (typeof __filename === 'string' && module.filename === __filename) return require('node:url').pathToFileURL(__filename).href;
  const before = Error.prepareStackTrace;
  try {
    Error.prepareStackTrace = (_, [place]) => place.getFileName();
    const file = new Error().stack;
    return file.startsWith('file:') ? file : require('node:url').pathToFileURL(file).href;
  } catch {
    return '';
  } finally {
    Error.prepareStackTrace = before;
  }
}`.replace(/\n\s*/g, ' ')
