// Bundles the library and the plugins into npm/dist, each into as few files as there are ways in: Node reads one file
// in a fraction of the time that it needs for forty.

import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { OLDEST_NODE, ownFacts } from './bundle-parts.mjs'
import { root } from './steps.mjs'

const FOLDER = 'npm/dist'
/** What the plugins use of the library: all with the addon, or with what the library remembers. */
const SHARED = ['index', 'addon', 'library', 'trust']
/** Ways into the package beside the library itself. */
const ENTRIES = ['server', 'server-v2', 'tui', 'register']

/**
 * Writes `library.cjs`, which everything else of the package uses, so that `require`, `import` and the plugins have one
 * library with one state; `index.cjs` and `index.js`, its public names for either; and the plugins.
 */
export async function bundleLibrary() {
  rmSync(join(root, FOLDER), { recursive: true, force: true })
  await build({
    ...common,
    stdin: {
      contents: SHARED.map((name) => `export * from './${name}.js'`).join('\n'),
      resolveDir: join(root, 'npm/src'),
    },
    outfile: `${FOLDER}/library.cjs`,
    format: 'cjs',
    ...ownFacts(),
  })
  const names = await publicNames()
  const list = names.join(', ')
  writeFileSync(join(root, FOLDER, 'index.js'), `export { ${list} } from './library.cjs'\n`)
  writeFileSync(
    join(root, FOLDER, 'index.cjs'),
    `'use strict'\nconst { ${list} } = require('./library.cjs')\nmodule.exports = { ${list} }\n`,
  )
  const { metafile } = await build({
    ...common,
    entryPoints: ENTRIES.map((name) => `npm/src/${name}.ts`),
    outdir: FOLDER,
    chunkNames: '[name]-[hash]',
    format: 'esm',
    splitting: true,
    packages: 'external',
    plugins: [{ name: 'library', setup: leaveLibrary }],
  })
  // What `node --require` and `require` take.
  await build({
    ...common,
    entryPoints: ['npm/src/register.ts'],
    outfile: `${FOLDER}/register.cjs`,
    format: 'cjs',
    plugins: [{ name: 'library', setup: leaveLibrary }],
  })
  for (const types of ['index', 'register']) {
    copyFileSync(join(root, `${types}.d.ts`), join(root, FOLDER, `${types}.d.cts`))
  }
  const inside = Object.keys(metafile.inputs).find((file) => file === 'npm/src/addon.ts')
  if (inside !== undefined) throw new Error(`a plugin has ${inside} in it: name what imports it in SHARED`)
}

const common = {
  absWorkingDir: root,
  bundle: true,
  metafile: true,
  logLevel: 'warning',
  platform: 'node',
  target: OLDEST_NODE,
}

/** Has the plugins use `library.cjs`, from wherever in `npm/dist` they are. */
function leaveLibrary({ onResolve }) {
  const files = new Set(SHARED.map((name) => join(root, 'npm/src', `${name}.js`)))
  onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) =>
    files.has(join(resolveDir, path)) ? { path: './library.cjs', external: true } : undefined,
  )
}

/** The names that `npm/src/index.ts` exports, in their order there. */
async function publicNames() {
  const { metafile } = await build({
    ...common,
    entryPoints: ['npm/src/index.ts'],
    format: 'esm',
    write: false,
    outfile: 'index.js',
  })
  return Object.values(metafile.outputs)[0].exports
}
