// Bundles the library and the plugins into npm/dist, each into as few files as there are ways in: Node reads one file
// in a fraction of the time that it needs for forty.

import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { OLDEST_NODE, ownFacts } from './bundle-parts.mjs'
import { root } from './steps.mjs'

const FOLDER = 'npm/dist'
/** What `register.ts` uses of the library. */
const SHARED = ['index', 'addon', 'library']
/** The forms of `register`, by the library that each uses. */
const REGISTERS = {
  'register.js': './library.cjs',
  'register.cjs': './library.cjs',
  'register-bundled.js': './bundled.js',
}
/** The plugins of OpenCode. */
const PLUGINS = ['server', 'server-v2', 'tui']

/**
 * Writes `library.cjs`, which `require`, `import` and `register` use, so that they have one library with one state;
 * `index.cjs` and `index.js`, its public names for either; `bundled.js` and `register-bundled.js` for bundlers, which make no
 * program that works of modules with CommonJS in it unless they are told how to `require`; and the plugins.
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
  writeFileSync(join(root, FOLDER, 'bundled.js'), await forBundlers())
  writeFileSync(
    join(root, FOLDER, 'index.cjs'),
    `'use strict'\nconst { ${list} } = require('./library.cjs')\nmodule.exports = { ${list} }\n`,
  )
  for (const [file, library] of Object.entries(REGISTERS)) {
    await build({
      ...common,
      entryPoints: ['npm/src/register.ts'],
      outfile: join(FOLDER, file),
      format: file.endsWith('.cjs') ? 'cjs' : 'esm',
      plugins: [{ name: 'library', setup: leaveLibrary(library) }],
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

/**
 * The source of `bundled.js`: `library.cjs` in a function whose `require` knows what the library needs of Node.js, imported under names
 * that what bundles often begin with does not declare.
 */
async function forBundlers() {
  const source = readFileSync(join(root, FOLDER, 'library.cjs'), 'utf8')
  const parts = [...new Set([...source.matchAll(/\brequire\(["']([^"']+)["']\)/g)].map(([, name]) => name))]
  const local = (name) => `provider_auth_${name.replace(/\W/g, '_')}`
  const names = await exportsOf({ stdin: library })
  return `${parts.map((name) => `import ${local(name)} from '${name}'\n`).join('')}
const provider_auth_parts = { ${parts.map((name) => `'${name}': ${local(name)}`).join(', ')} }
const provider_auth_module = { exports: {} };
((require, module) => {
${source}
})((name) => provider_auth_parts[name], provider_auth_module)
export const { ${names.join(', ')} } = provider_auth_module.exports
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

/** Has `register` use a library that is beside it. */
function leaveLibrary(library) {
  const files = new Set(SHARED.map((name) => join(root, 'npm/src', `${name}.js`)))
  return ({ onResolve }) =>
    onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) =>
      files.has(join(resolveDir, path)) ? { path: library, external: true } : undefined,
    )
}

/** The names that a source exports. */
async function exportsOf(entry) {
  const { metafile } = await build({ ...common, ...entry, format: 'esm', write: false, outfile: 'names.js' })
  return Object.values(metafile.outputs)[0].exports
}
