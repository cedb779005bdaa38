// Bundles the command, with the packages that it uses, into npm/dist/cli, so that installing the package installs no other. esbuild, since it
// splits what is loaded lazily, lists what went in, and is one program without dependencies.

import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './steps.mjs'

const FOLDER = 'npm/dist/cli'
/** Whose terms let a package be bundled, named with their text beside it. */
const LICENCES = ['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', 'BlueOak-1.0.0']

/** Writes `npm/dist/cli` and `THIRD-PARTY-NOTICES`. */
export async function bundleCommand() {
  const { build } = await import('esbuild')
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  rmSync(join(root, FOLDER), { recursive: true, force: true })
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['cli/src/main.ts'],
    outdir: FOLDER,
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    minify: true,
    metafile: true,
    logLevel: 'warning',
    platform: 'node',
    format: 'esm',
    // The oldest that `engines` names.
    target: 'node20.19',
    define: { __VERSION__: JSON.stringify(version) },
    banner: {
      // Packages written in CommonJS ask for node's own modules with it.
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    plugins: [{ name: 'addon', setup: keepAddonOut }],
  })
  chmodSync(join(root, FOLDER, 'main.js'), 0o755)
  const packages = bundledPackages(metafile)
  writeFileSync(join(root, 'THIRD-PARTY-NOTICES'), notices(packages))
}

/** The loader of the addon stays the package's own; and this is the one bundle that has an addon. */
function keepAddonOut({ onResolve, onLoad }) {
  onResolve({ filter: /^\.\.\/\.\.\/index\.js$/ }, () => ({ path: '../../../index.js', external: true }))
  onLoad({ filter: /npm\/src\/bundled\.ts$/ }, () => ({ contents: '' }))
}

function bundledPackages({ inputs }) {
  const folders = Object.keys(inputs).map((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0])
  return [...new Set(folders.filter(Boolean))].sort()
}

function notices(folders) {
  const texts = folders.map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
    if (!LICENCES.includes(license))
      throw new Error(`${name} has the licence ${license}, which is not one of those that may be bundled`)
    const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e/i.test(entry))
    if (file === undefined) throw new Error(`${name} comes without the text of its licence`)
    return `${name} ${version} (${license})\n\n${readFileSync(join(root, folder, file), 'utf8').trim()}\n`
  })
  const line = '─'.repeat(78)
  return `The provider-auth command contains these packages.\n\n${texts.map((text) => `${line}\n${text}`).join('\n')}`
}
