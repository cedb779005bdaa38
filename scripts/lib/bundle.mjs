// Bundles the command, with the packages that it uses, into npm/dist/cli, so that installing the package installs no other. esbuild, since it
// runs what is loaded lazily only then, lists what went in, and is one program without dependencies.

import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { OLDEST_NODE, ownFacts } from './bundle-parts.mjs'
import { noticesOfPackages } from './notices.mjs'
import { root } from './steps.mjs'

const FOLDER = 'npm/dist/cli'
/** Whose terms let a package be bundled, named with their text beside it. */
const LICENCES = ['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', 'BlueOak-1.0.0']

/**
 * The commands that other programs call, and `accounts`. They come in one file with the command line, the others in a
 * second: a start should neither look for many files nor read what it does not run.
 */
const CALLED_OFTEN = ['token', 'headers', 'exec', 'explain', 'accounts']

/**
 * Writes `npm/dist/cli` and `THIRD-PARTY-NOTICES`. The files are CommonJS: Node loads those at once, and modules over
 * threads that a busy machine lets wait.
 */
export async function bundleCommand() {
  const { build } = await import('esbuild')
  rmSync(join(root, FOLDER), { recursive: true, force: true })
  const bundle = async (file, entry, plugin) => {
    const { metafile } = await build({
      absWorkingDir: root,
      ...(entry === undefined ? { entryPoints: [`cli/src/${file}.ts`] } : { stdin: entry }),
      outfile: `${FOLDER}/${file}.js`,
      bundle: true,
      minify: true,
      metafile: true,
      logLevel: 'warning',
      platform: 'node',
      format: 'cjs',
      target: OLDEST_NODE,
      supported: { 'dynamic-import': false },
      ...ownFacts(),
      plugins: [
        { name: 'replaced', setup: replaceParts },
        { name: 'parts', setup: plugin },
      ],
    })
    return metafile
  }
  const others = new Set()
  const parts = [
    await bundle('main', undefined, ({ onResolve }) => external(onResolve, 'program')),
    await bundle('program', undefined, (plugin) => moveOut(plugin, others)),
  ]
  parts.push(await bundle('commands', { contents: loading(others), resolveDir: join(root, 'cli/src') }, () => {}))
  writeFileSync(join(root, FOLDER, 'package.json'), '{ "type": "commonjs" }\n')
  chmodSync(join(root, FOLDER, 'main.js'), 0o755)
  writeFileSync(join(root, 'THIRD-PARTY-NOTICES'), noticesOfPackages(bundledPackages(parts), LICENCES))
}

/** Of commander, which could start programs, nothing does. */
function replaceParts({ onResolve, onLoad }) {
  onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
    /node_modules.commander./.test(importer) ? { path: 'nothing', namespace: 'nothing' } : undefined,
  )
  onLoad({ filter: /./, namespace: 'nothing' }, () => ({ contents: '' }))
}

/** Leaves a file of the bundle where it is. */
function external(onResolve, file) {
  onResolve({ filter: new RegExp(`^\\./${file}\\.js$`) }, () => ({ path: `./${file}.js`, external: true }))
}

/** Has the commands that are not called often run from the other file, and notes their names. */
function moveOut({ onResolve, onLoad }, others) {
  external(onResolve, 'commands')
  onResolve({ filter: /\/commands\/[\w-]+\.js$/ }, ({ path, kind }) => {
    const [, name] = /([\w-]+)\.js$/.exec(path)
    if (kind !== 'dynamic-import' || CALLED_OFTEN.includes(name)) return undefined
    others.add(name)
    return { path: name, namespace: 'other-command' }
  })
  onLoad({ filter: /./, namespace: 'other-command' }, ({ path }) => ({
    contents: `module.exports = require('./commands.js').load(${JSON.stringify(path)})`,
  }))
}

/** The source of the file that has them. */
function loading(names) {
  const entries = [...names].sort().map((name) => `${JSON.stringify(name)}: () => require('./commands/${name}.js')`)
  return `const commands = { ${entries.join(', ')} }
  exports.load = (name) => commands[name]()`
}

function bundledPackages(parts) {
  const files = parts.flatMap(({ inputs }) => Object.keys(inputs))
  const folders = files.map((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0])
  return [...new Set(folders.filter(Boolean))].sort()
}
