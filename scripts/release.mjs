// `npm run release -- <part>`: what the release workflow does, part by part, here as there.

import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { addonName, buildRelease } from './lib/build.mjs'
import { FAMILIES, PLAIN, STORE } from './lib/families.mjs'
import { pack } from './lib/pack.mjs'
import { machinePaths, writeChecksums, writeSboms, wrongChecksums } from './lib/release/artifacts.mjs'
import { dryRun, publish, tarballs } from './lib/release/publish.mjs'
import { reproduce } from './lib/release/reproduce.mjs'
import { bump, problems, releaseNotes } from './lib/release/versions.mjs'
import { rustVersion } from './lib/rust-flags.mjs'
import { root, run, step } from './lib/steps.mjs'
import { CARGO_DENY, cargoTool } from './lib/toolchain.mjs'

/** A release has one tarball for each target, and the package's; and as many with the store. */
const { napi, scripts, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const parts = {
  version: { text: '<patch|minor|major|x.y.z>  gives all files the next version', run: giveVersion },
  check: { text: '[--tag vX.Y.Z]  one version everywhere, and a changelog that says something', run: check },
  toolchain: { text: 'installs the Rust that releases are built with', run: toolchain },
  build: {
    text: '[--target TRIPLE] [--exact]  builds the addon as it ships; for a target also the one with the store, and no other Rust',
    run: build,
  },
  'check-addon': { text: '[FILE…]  no path of this machine is in it', run: () => checkAddon() },
  reproduce: {
    text: '[--store]  builds twice in two folders and compares the bytes; or so the addon with the store',
    run: () => reproduce({ family: options.store ? STORE : PLAIN }),
  },
  sbom: { text: '[--out FOLDER]  the bills of materials', run: () => writeSboms(out) },
  pack: { text: '[--addons FOLDER] [--out FOLDER] [--all]  tarballs, bills of materials, checksums', run: packAll },
  checksums: { text: '[--out FOLDER]  checks SHA256SUMS', run: () => told(wrongChecksums(out)) },
  'dry-run': {
    text: '[--out FOLDER]  publishes to a registry of this machine and installs from it',
    run: () => dryRun(out),
  },
  notes: { text: 'prints the entry of the changelog', run: printNotes },
  files: { text: '[--out FOLDER]  makes the release of GitHub with these files', run: files },
  advisories: { text: 'known vulnerabilities of crates and of npm packages; needs a network', run: advisories },
  publish: { text: '[--out FOLDER]  publishes to npm; only the release workflow can', run: () => publish(out) },
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string', default: 'packed' },
    addons: { type: 'string' },
    tag: { type: 'string' },
    target: { type: 'string' },
    all: { type: 'boolean' },
    exact: { type: 'boolean' },
    store: { type: 'boolean' },
  },
})
const [name, ...operands] = positionals
const out = resolve(options.out)
const part = Object.hasOwn(parts, name ?? '') ? parts[name] : undefined
if (part === undefined) {
  console.error(
    `npm run release -- <part>, of\n${Object.entries(parts)
      .map(([key, { text }]) => `  ${key.padEnd(12)} ${text}`)
      .join('\n')}`,
  )
  process.exit(2)
}
const { ok } = name === 'notes' ? part.run() : await step(`release: ${name}`, part.run)
process.exit(ok ? 0 : 1)

async function giveVersion() {
  const result = await bump(operands[0] ?? '')
  if (result.ok) console.log(`   ${result.version}: read CHANGELOG.md, commit, and tag it v${result.version}`)
  return result
}

function check() {
  return told(
    problems({ tag: options.tag ?? (process.env.GITHUB_REF_TYPE === 'tag' ? process.env.GITHUB_REF_NAME : undefined) }),
  )
}

/**
 * Installs it where it is missing; on a runner of GitHub, all that follows runs with it. One that is there is left alone: rustup would
 * exchange it under whatever compiles with it, and its name may be a link to another one.
 */
async function toolchain() {
  const stated = rustVersion()
  const version = stated.split('.').length === 2 ? `${stated}.0` : stated
  const rustup = (...args) => run('rustup', args, { name: 'rustup' })
  const compiler = await run('rustc', [`+${version}`, '--version'], { show: 'nothing' })
  const isThere = compiler.ok && compiler.output.includes(`rustc ${version} `)
  const components = ['--component', 'clippy', '--component', 'rustfmt']
  let done = isThere ? compiler : await rustup('toolchain', 'install', version, '--profile', 'minimal', ...components)
  if (done.ok && options.target !== undefined)
    done = await rustup('target', 'add', options.target, '--toolchain', version)
  return done.ok && process.env.GITHUB_ACTIONS === 'true' ? rustup('default', version) : done
}

/**
 * Builds for this machine, into the root; or for a target, both addons into `target/release-addons`. Those of Linux are left to
 * `build:cross` where it is, since it links against an old glibc.
 */
async function build() {
  const { target, exact } = options
  if (target === undefined) {
    const built = await buildRelease({ exact })
    return built.ok ? checkAddon() : built
  }
  const files = FAMILIES.map((family) => join(root, 'target/release-addons', addonName(target, family)))
  if (target.includes('linux') && scripts['build:cross'] !== undefined) {
    const built = await run('npm', ['run', '--silent', 'build:cross', '--', target], { timeoutMs: 240 * 60_000 })
    if (!built.ok) return built
    mkdirSync(join(root, 'target/release-addons'), { recursive: true })
    for (const file of files) copyFileSync(join(root, 'target/cross', target, basename(file)), file)
    return checkAddon(files)
  }
  for (const [index, file] of files.entries()) {
    const built = await buildRelease({ family: FAMILIES[index], target, file, exact: true })
    if (!built.ok) return built
  }
  return checkAddon(files)
}

function checkAddon(files = operands.length > 0 ? operands : [join(root, addonName())]) {
  return told(files.flatMap((file) => machinePaths(file).map((path) => `${file} has the path ${path}`)))
}

/** Packs the addons of a folder and below it, or else those that lie in the root. */
async function packAll() {
  const wrong = problems()
  if (wrong.length > 0) return told(wrong)
  const addons = options.addons === undefined ? {} : addonsBelow(resolve(options.addons))
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const { platforms, store } = await pack(out, { addons, hasWhole: true })
  const missing = FAMILIES.flatMap((family) => {
    const count = (family === STORE ? store?.platforms : platforms)?.length ?? 0
    console.log(`   ${family}: ${count} of ${napi.targets.length} platforms`)
    const isWanted = options.all || (family === PLAIN && count === 0)
    const lacking = napi.targets.length - count
    return isWanted && lacking > 0 ? [`${family}: the addons of ${lacking} platforms are missing`] : []
  })
  if (missing.length > 0) return told(missing)
  const named = await unpackedPaths()
  if (named.length > 0) return told([...named, AS_IT_SHIPS])
  const sboms = await writeSboms(out)
  if (sboms.ok) writeChecksums(out)
  return sboms
}

/** What helps where `npm start` or `npm run build:debug` has made the addon, which has such paths. */
const AS_IT_SHIPS = 'npm run release -- build makes the addon as it ships; then pack again'

/** What the tarballs have of this machine's paths, file by file. */
async function unpackedPaths() {
  const found = []
  for (const file of tarballs(out)) {
    const folder = mkdtempSync(join(tmpdir(), 'provider-auth-unpacked-'))
    try {
      // Named from within: to GNU tar, a colon in a Windows path is a host.
      const unpacked = await run('tar', ['-xzf', file], { cwd: folder, show: 'nothing' })
      if (!unpacked.ok) found.push(`${file} cannot be unpacked: ${unpacked.output.trim()}`)
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        // A page may show such a path as an example.
        if (!entry.isFile() || entry.name.endsWith('.md')) continue
        const inner = join(entry.parentPath ?? entry.path, entry.name)
        for (const path of machinePaths(inner)) found.push(`${file}: ${entry.name} has the path ${path}`)
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  return found
}

function addonsBelow(folder) {
  const entries = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith('.node'))
  return Object.fromEntries(entries.map((file) => [file.split(/[\\/]/).at(-1), join(folder, file)]))
}

async function advisories() {
  const npm = await run('npm', ['audit'], { show: 'output' })
  const tool = await cargoTool('cargo-deny', CARGO_DENY)
  const deny = tool.ok ? await run(tool.command, ['check', 'advisories'], { show: 'output' }) : tool
  return { ok: npm.ok && deny.ok }
}

/** Needs `gh` and a tag; files that are there are replaced, so that it can be run again. */
async function files() {
  const names = readdirSync(out).map((file) => join(out, file))
  const repository = ['--repo', process.env.GITHUB_REPOSITORY ?? '']
  const gh = (...args) => run('gh', ['release', ...args, ...repository], { name: 'gh release' })
  const there = await gh('view', `v${version}`)
  if (there.ok) return gh('upload', `v${version}`, '--clobber', ...names)
  return gh('create', `v${version}`, '--verify-tag', '--title', version, '--notes', releaseNotes(), ...names)
}

function printNotes() {
  console.log(releaseNotes())
  return { ok: true }
}

function told(sentences) {
  return { ok: sentences.length === 0, output: sentences.map((sentence) => `   ${sentence}\n`).join('') }
}
