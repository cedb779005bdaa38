// Makes what is published: the package, the one that adds the store, and for both of them one for each platform, which holds the
// addon. It works on copies, since the package.json of the repository must not name packages that the registry does not have yet.

import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NapiCli } from '@napi-rs/cli'
import { addonName } from './build.mjs'
import { PLAIN, STORE } from './families.mjs'
import { noticesOfCrates } from './notices.mjs'
import { packedReadme } from './readme.mjs'
import { root, run } from './steps.mjs'

/** What npm packs whatever `files` says. */
const ALWAYS = ['README.md', 'LICENSE']
const NOTICES = 'THIRD-PARTY-NOTICES'
/** In a file with all in it, the other name is that of the command's. */
const NOTICES_OF_ADDON = 'THIRD-PARTY-NOTICES-ADDON'

/**
 * Packs the built tree into `folder`: the package, and the platforms whose addon lies in the root, or is named by `addons`
 * (file name to file); and the same of the package that adds the store, where there is an addon for it. With `isMainOnly`, no
 * platform. With `hasWhole`, also one package per platform that has all in it, to be installed from its file. Without
 * `hasNotices`, cargo is not asked for the licences of the crates.
 *
 * Returns `{ main, platforms, whole, store }`: the files that `npm publish` takes, the platforms first, and `whole`, those for
 * people. `store` has the same for the other package, and is absent without an addon for it.
 */
export async function pack(folder, options = {}) {
  // Installing it needs neither, and no script would run: OpenCode installs without scripts.
  const { scripts, devDependencies, overrides, napi, ...its } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  )
  const manifest = { ...its, ...repository() }
  mkdirSync(folder, { recursive: true })
  const packed = await packFamily(folder, { manifest, napi, fill }, options)
  const store = await packFamily(folder, { manifest: storeManifest(manifest), napi, fill: fillStore }, options)
  return store.platforms.length === 0 ? packed : { ...packed, store }
}

/** Packs a package and those of its platforms; without any of them the one with the store is left out. */
async function packFamily(folder, { manifest, napi, fill }, options) {
  const { addons = {}, isMainOnly = false, hasWhole = false, hasNotices = true } = options
  const { name: family, version } = manifest
  const stage = mkdtempSync(join(tmpdir(), 'provider-auth-pack-'))
  try {
    fill(stage, manifest)
    const write = (more) =>
      writeFileSync(join(stage, 'package.json'), JSON.stringify({ ...manifest, ...more }, null, 2))
    // The platforms are made from `napi`, which says nothing to who installs the package.
    write({ napi: { ...napi, binaryName: family, packageName: family } })
    const platforms = await platformFolders(stage)
    // Exactly this version: an addon of another one speaks another language.
    const optionalDependencies = Object.fromEntries(platforms.map(({ name }) => [name, version]))
    write({ optionalDependencies })
    const packed = []
    const whole = []
    for (const platform of isMainOnly ? [] : platforms) {
      const addon = addons[platform.main] ?? join(root, platform.main)
      if (!existsSync(addon)) continue
      copyFileSync(addon, join(platform.folder, platform.main))
      describe(platform, { family, hasNotices, napi })
      packed.push(await npmPack(platform.folder, folder))
      if (!hasWhole) continue
      const { os, cpu, libc } = platform
      const added = [platform.main, ...(hasNotices ? [NOTICES_OF_ADDON] : [])]
      write({ os, cpu, libc, files: [...manifest.files, ...added] })
      copyFileSync(addon, join(stage, platform.main))
      if (hasNotices) copyFileSync(join(platform.folder, NOTICES), join(stage, NOTICES_OF_ADDON))
      const file = join(folder, `${family}-for-${platform.main.split('.')[1]}-${version}.tgz`)
      renameSync(await npmPack(stage, folder), file)
      for (const name of added) rmSync(join(stage, name))
      write({ optionalDependencies })
      whole.push(file)
    }
    if (family === STORE && packed.length === 0) return { platforms: [] }
    return { platforms: packed, whole, main: await npmPack(stage, folder) }
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

/** The package that adds the store has no code of its own. */
function storeManifest({ version, license, engines, publishConfig, repository }) {
  const description =
    'The native addon of provider-auth with the store in it: one vault for many machines, in PostgreSQL.'
  const { node } = engines
  // The package managers tell of two versions that differ, and most of them install what is missing.
  const peerDependencies = { [PLAIN]: version }
  return {
    name: STORE,
    version,
    description,
    license,
    repository,
    engines: { node },
    files: [],
    peerDependencies,
    publishConfig,
  }
}

function fill(stage, { files, version }) {
  for (const name of [...files, ...ALWAYS]) cpSync(join(root, name), join(stage, name), { recursive: true })
  writeReadme(stage, version)
}

function fillStore(stage, { description }) {
  copyFileSync(join(root, 'LICENSE'), join(stage, 'LICENSE'))
  writeFileSync(
    join(stage, 'README.md'),
    `# ${STORE}\n\n${description} It is installed beside \`${PLAIN}\`, in the same version, which then loads it in place of its ` +
      'own; it does nothing by itself.\n',
  )
}

/** The folders of the platforms of `napi.targets`, as napi makes them. */
async function platformFolders(stage) {
  await new NapiCli().createNpmDirs({ cwd: stage, npmDir: 'platforms' })
  const folders = readdirSync(join(stage, 'platforms')).map((name) => join(stage, 'platforms', name))
  return folders.map((folder) => ({ folder, ...JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) }))
}

/** Says where the sources are, which npm compares with the statement of provenance. */
function repository() {
  const address = addressOfRepository()
  return address === undefined ? {} : { repository: { type: 'git', url: `git+${address}.git` } }
}

/** In a workflow, GitHub knows. */
function addressOfRepository({ GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env) {
  return server && name ? `${server}/${name}` : undefined
}

function writeReadme(stage, version) {
  const text = packedReadme(readFileSync(join(root, 'README.md'), 'utf8'), {
    isPacked: (path) => existsSync(join(stage, path)),
    repository: addressOfRepository(),
    tag: `v${version}`,
  })
  writeFileSync(join(stage, 'README.md'), text)
}

/** Says what a platform's package is, under which licences, and how large its addon. */
function describe(platform, { family, hasNotices, napi }) {
  const { folder, name, main } = platform
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  writeFileSync(
    join(folder, 'README.md'),
    `# ${name}\n\nThe native addon of ${family} for ${name.slice(family.length + 1)}. Installing \`${family}\` installs it, ` +
      'where it fits; it does nothing by itself.\n',
  )
  const files = ['LICENSE']
  if (hasNotices) {
    files.push(NOTICES)
    const target = napi.targets.find((one) => addonName(one, family) === main)
    writeFileSync(join(folder, NOTICES), noticesOfCrates(target, family))
  }
  guardLoading({ ...platform, ...repository(), files: [...platform.files, ...files] })
}

/**
 * Notes the size of a platform's addon in its package.json, where our loader looks before it loads one; and has `require` of the
 * package alone do the same. OpenCode installs a plugin a second time behind its user's back; when it ends meanwhile, half a file
 * stays, and to load that would end every OpenCode from then on.
 */
function guardLoading({ folder, main, files, ...manifest }) {
  const { size } = statSync(join(folder, main))
  const script = `const { statSync } = require('node:fs')
const { join } = require('node:path')

const addon = join(__dirname, '${main}')
if (statSync(addon).size !== require('./package.json').addonBytes) {
  throw new Error(\`\${addon} is incomplete: its installation was interrupted. Remove \${__dirname} and install again\`)
}
module.exports = require('./${main}')
`
  writeFileSync(join(folder, 'load.cjs'), script)
  const guarded = { ...manifest, main: 'load.cjs', addonBytes: size, files: [...files, 'load.cjs'] }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(guarded, null, 2))
}

/** Runs `npm pack` on a folder; returns the file. Its bytes depend on the files alone, and not on the umask they were made under. */
async function npmPack(source, folder) {
  for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath ?? entry.path, entry.name)
    if (entry.isFile()) chmodSync(file, statSync(file).mode & 0o100 ? 0o755 : 0o644)
  }
  const packed = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: source, show: 'nothing' })
  if (!packed.ok) throw new Error(`npm pack failed: ${packed.output}`)
  return join(folder, JSON.parse(packed.output.slice(packed.output.indexOf('[')))[0].filename)
}
