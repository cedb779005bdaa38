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
/** What its parts use of it besides; each has something that a process has once. */
const STATEFUL = ['again', 'facts', 'lent', 'requests', 'served', 'stack']
/** What the library and a part may both have in them. */
const STATELESS = [
  'headers',
  'limits',
  'options',
  'own',
  'loader/binary',
  'loader/home',
  'loader/platform',
  'loader/tried',
]
/** What is read when it is first used: the module, the one that stands for it until then, and where it is. */
const LATER = [
  ['auth-fetch', 'later', 'auth-fetch.cjs'],
  ['login', 'later', 'login.cjs'],
  ['loader/fault', 'loader/later', 'fault.cjs'],
]
/** The forms of `register`, by the library that each uses. */
const REGISTERS = {
  'register.js': './library.cjs',
  'register.cjs': './library.cjs',
  'register-bundled.js': './bundled.js',
}
/** The plugins of OpenCode. */
const PLUGINS = ['server', 'server-v2', 'tui']

/**
 * Writes `library.cjs`, which `require`, `import` and `register` use, so that they have one library with one state, and beside
 * it what not every process needs; `index.cjs` and `index.js`, its public names for either; `bundled.js` and `register-bundled.js` for bundlers, which make no
 * program that works of modules with CommonJS in it unless they are told how to `require`; and the plugins.
 */
export async function bundleLibrary() {
  rmSync(join(root, FOLDER), { recursive: true, force: true })
  await libraryInParts()
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
      plugins: [leaveLibrary(library, SHARED)],
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

/** Writes `library.cjs`, and what it reads later. */
async function libraryInParts() {
  const into = (file) => ({ ...common, format: 'cjs', outfile: join(FOLDER, file) })
  const library = await asOneObject([...SHARED, ...STATEFUL])
  const { metafile } = await build({ ...into('library.cjs'), ...ownFacts(), stdin: library, plugins: [leaveLater()] })
  const { define } = ownFacts()
  const known = ['<stdin>', ...STATELESS.map((name) => `npm/src/${name}.ts`)]
  const plugins = [leaveLibrary('./library.cjs', [...SHARED, ...STATEFUL])]
  for (const [name, , file] of LATER) {
    const contents = `export * from './${name}.js'\nexport const version = __VERSION__`
    const its = await build({ ...into(file), define, stdin: { ...library, contents }, plugins })
    const twice = Object.keys(its.metafile.inputs).filter((input) => input in metafile.inputs && !known.includes(input))
    if (twice.length > 0) throw new Error(`these would have their state twice: ${twice.join(', ')}`)
  }
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
 * The source of `bundled.js`: the library in one file of CommonJS, in a function whose `require` knows what the library needs of Node.js, imported under names
 * that what bundles often begin with does not declare.
 */
async function forBundlers() {
  const whole = { ...common, ...ownFacts(), format: 'cjs', stdin: source(SHARED), write: false, outfile: 'whole.cjs' }
  const { outputFiles } = await build(whole)
  const [{ text }] = outputFiles
  const parts = [...new Set([...text.matchAll(/\brequire\(["']([^"']+)["']\)/g)].map(([, name]) => name))]
  const local = (name) => `provider_auth_${name.replace(/\W/g, '_')}`
  const names = await exportsOf({ stdin: source(SHARED) })
  return `${parts.map((name) => `import ${local(name)} from '${name}'\n`).join('')}
const provider_auth_parts = { ${parts.map((name) => `'${name}': ${local(name)}`).join(', ')} }
const provider_auth_module = { exports: {} };
((require, module) => {
${text}
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

/** A source that exports what these modules do. */
function source(names) {
  return {
    contents: names.map((name) => `export * from './${name}.js'`).join('\n'),
    resolveDir: join(root, 'npm/src'),
  }
}

/** The same as one object: of what is exported esbuild makes a getter for each name, which takes a process most of a millisecond. */
async function asOneObject(modules) {
  const homes = new Map()
  for (const module of modules) {
    for (const name of await exportsOf({ stdin: source([module]) })) if (!homes.has(name)) homes.set(name, module)
  }
  const imports = [...homes].map(([name, module]) => `import { ${name} } from './${module}.js'\n`)
  const contents = `${imports.join('')}module.exports = { ${[...homes.keys()].join(', ')} }`
  return { ...source([]), contents }
}

const moduleOf = (name) => join(root, 'npm/src', `${name}.js`)

/** Has a bundle use these modules of a library that is beside it. */
function leaveLibrary(library, names) {
  const files = new Set(names.map(moduleOf))
  return resolving((path) => (files.has(path) ? { path: library, external: true } : undefined))
}

/** Has the library read later what not every process needs. */
function leaveLater() {
  return resolving((path, kind) => {
    const [, standIn, file] = LATER.find(([name]) => moduleOf(name) === path) ?? []
    if (file === undefined) return undefined
    if (kind === 'require-call') return { path: `./${file}`, external: true }
    return { path: join(root, 'npm/src', `${standIn}.ts`) }
  })
}

/** A plugin that says where a module of ours is. */
function resolving(place) {
  const setup = ({ onResolve }) =>
    onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir, kind }) => place(join(resolveDir, path), kind))
  return { name: 'ours', setup }
}

/** The names that a source exports. */
async function exportsOf(entry) {
  const { metafile } = await build({ ...common, ...entry, format: 'esm', write: false, outfile: 'names.js' })
  return Object.values(metafile.outputs)[0].exports
}
