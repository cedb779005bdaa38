// What the bundles have in common.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './steps.mjs'

const { engines, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** The oldest Node that `engines` of package.json names, as esbuild calls it. */
export const OLDEST_NODE = `node${engines.node.match(/\d+\.\d+/)[0]}`

/**
 * Gives a bundle of CommonJS what a module knows of itself: where it is, and the package's version. In a bundle of somebody
 * else's, `__filename` may be the file that it was made of, on the machine where it was made: Bun writes that down. There the
 * call's own place is asked, which is a path or an address.
 */
export function ownFacts() {
  return {
    define: { __VERSION__: JSON.stringify(version), 'import.meta.url': '__place' },
    banner: { js: `'use strict'; const __place = (${ownPlace})();` },
  }
}

const ownPlace = `() => {
  if (typeof __filename === 'string' && module.filename === __filename) return __filename;
  const before = Error.prepareStackTrace;
  try {
    Error.prepareStackTrace = (_, [place]) => place.getFileName();
    return new Error().stack;
  } catch {
    return '';
  } finally {
    Error.prepareStackTrace = before;
  }
}`.replace(/\n\s*/g, ' ')
