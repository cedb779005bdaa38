// What the bundles have in common.

/** The oldest Node that `engines` of package.json names, as esbuild calls it. */
export const OLDEST_NODE = 'node20.0'

/** Lets a module ask for its own address in a bundle of CommonJS, too. */
export const ownUrl = {
  define: { 'import.meta.url': '__url' },
  banner: { js: "'use strict'; const __url = require('node:url').pathToFileURL(__filename).href;" },
}

/**
 * The addon of the platform is loaded at once where there is just one, and else by the package's loader, which knows
 * what to look for and what to say when it finds none.
 */
const loading = (up) => `
const { existsSync } = require('node:fs')
const { platform, arch } = process
const abis = { linux: ['-gnu', '-musl'], win32: ['-msvc'] }[platform] ?? ['']
const names = abis.map((abi) => platform + '-' + arch + abi)
const files = names.map((name) => __dirname + '/${up}/provider-auth.' + name + '.node').filter(existsSync)
const packages = files.length > 0 ? [] : names.map((name) => 'provider-auth-' + name).filter(isThere)
function isThere(name) {
  try {
    return require.resolve(name) !== ''
  } catch {
    return false
  }
}
function loaded() {
  const named = process.env.NAPI_RS_NATIVE_LIBRARY_PATH
  const [file, ...others] = named ? [named] : [...files, ...packages]
  if (file === undefined || others.length > 0) return undefined
  try {
    return require(file)
  } catch {
    return undefined
  }
}
module.exports = loaded() ?? require('${up}/index.js')`

/** Has a bundle, from which the package's root is at `up`, load the addon by itself. */
export function loadsAddon(up) {
  const setup = ({ onResolve, onLoad }) => {
    onResolve({ filter: /^\.\.\/\.\.\/index\.js$/ }, () => ({ path: 'addon', namespace: 'addon' }))
    onLoad({ filter: /./, namespace: 'addon' }, () => ({ contents: loading(up) }))
    onResolve({ filter: new RegExp(`^${up}/index\\.js$`) }, ({ path }) => ({ path, external: true }))
    onLoad({ filter: /npm\/src\/bundled\.ts$/ }, () => ({ contents: '' }))
  }
  return { name: 'addon', setup }
}
