// Bundles the library and the plugins into npm/dist, each into as few files as there are ways in: Node reads one file
// in a fraction of the time that it needs for forty.

import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { OLDEST_NODE, ownFacts } from './bundle-parts.mjs'
import { root } from './steps.mjs'

const FOLDER = 'npm/dist'
/** What `register.ts` uses of the library. */
const SHARED = ['index', 'addon', 'library']
/** The plugins of OpenCode. */
const PLUGINS = ['server', 'server-v2', 'tui']

/**
 * Writes `library.cjs`, which `require`, `import` and `register` use, so that they have one library with one state;
 * `index.cjs` and `index.js`, its public names for either, and `bundled.js` for bundlers; and the plugins.
 */
export async function bundleLibrary() {
  rmSync(join(root, FOLDER), { recursive: true, force: true })
  await build({
    ...common,
    stdin: library,
    outfile: `${FOLDER}/library.cjs`,
    format: 'cjs',
    ...ownFacts(),
  })
  const names = await exportsOf({ entryPoints: ['npm/src/index.ts'] })
  const list = names.join(', ')
  writeFileSync(join(root, FOLDER, 'index.js'), imported(list))
  writeFileSync(join(root, FOLDER, 'bundled.js'), `export { ${list} } from './library.cjs'\n`)
  writeFileSync(
    join(root, FOLDER, 'index.cjs'),
    `'use strict'\nconst { ${list} } = require('./library.cjs')\nmodule.exports = { ${list} }\n`,
  )
  for (const format of ['esm', 'cjs']) {
    await build({
      ...common,
      entryPoints: ['npm/src/register.ts'],
      outfile: join(FOLDER, format === 'esm' ? 'register.js' : 'register.cjs'),
      format,
      plugins: [{ name: 'library', setup: leaveLibrary }],
    })
  }
  for (const types of ['index', 'register']) {
    copyFileSync(join(root, `${types}.d.ts`), join(root, FOLDER, `${types}.d.cts`))
  }
  // OpenCode's own Bun does not `require` what is beside a plugin: the plugins have the library in them.
  await build({
    ...common,
    entryPoints: PLUGINS.map((name) => `npm/src/${name}.ts`),
    outdir: FOLDER,
    chunkNames: 'part-[hash]',
    format: 'esm',
    splitting: true,
    packages: 'external',
    define: { __VERSION__: ownFacts().define.__VERSION__ },
  })
}

/**
 * The source of `index.js`. Node.js reads a CommonJS module that is imported once more, for its names, which takes longer than all
 * the rest; and Node.js 20 ends a process over one that throws meanwhile. So the library is required. Bundlers do not follow that:
 * most take `bundled.js`, and Bun, which follows a `require` in a module, the second one. What bundles often begin with declares `createRequire`.
 */
function imported(names) {
  return `import nodeModule from 'node:module'

let library
try {
  library = nodeModule.createRequire(import.meta.url)('./library.cjs')
} catch (error) {
  if (error.code !== 'MODULE_NOT_FOUND') throw error
  library = require('./library.cjs')
}
export const { ${names} } = library
`
}

const common = {
  absWorkingDir: root,
  bundle: true,
  metafile: true,
  logLevel: 'warning',
  platform: 'node',
  target: OLDEST_NODE,
}

/** The source of `library.cjs`. */
const library = {
  contents: SHARED.map((name) => `export * from './${name}.js'`).join('\n'),
  resolveDir: join(root, 'npm/src'),
}

/** Has `register` use the library that is beside it. */
function leaveLibrary({ onResolve }) {
  const files = new Set(SHARED.map((name) => join(root, 'npm/src', `${name}.js`)))
  onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) =>
    files.has(join(resolveDir, path)) ? { path: './library.cjs', external: true } : undefined,
  )
}

/** The names that a source exports. */
async function exportsOf(entry) {
  const { metafile } = await build({ ...common, ...entry, format: 'esm', write: false, outfile: 'names.js' })
  return Object.values(metafile.outputs)[0].exports
}
