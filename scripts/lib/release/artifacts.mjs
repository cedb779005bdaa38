// What lies beside the tarballs of a release: checksums and bills of materials; and what may not be in an addon.

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { FAMILIES, featuresOf } from '../families.mjs'
import { releaseEnvironment } from '../rust-flags.mjs'
import { root, run } from '../steps.mjs'
import { cargoTool } from '../toolchain.mjs'

export const CHECKSUMS = 'SHA256SUMS'
const CYCLONEDX = '0.5.9'
/** Where a person's files lie on the systems that build. */
const HOMES = [
  /\/(?:home|Users)\/[\w.-]+\//,
  /[/]root[/]/,
  /[A-Za-z]:\\Users\\/,
  /\/registry\/src\/[\w.-]+-[0-9a-f]{16}\//,
]

/** Returns the machine's paths that are in a file: of this machine, or by their form of any. */
export function machinePaths(file) {
  const text = readFileSync(file, 'latin1')
  const own = [root, homedir(), process.env.CARGO_HOME].filter(Boolean).map((path) => resolve(path))
  // The root folder and its own home alone are parts of many words.
  const named = own.filter((path) => path.length > 5 && text.includes(path))
  return [...new Set([...named, ...HOMES.flatMap((form) => form.exec(text)?.[0] ?? [])])]
}

/** Writes `SHA256SUMS` of all files of `folder`, as `sha256sum --check` reads it. */
export function writeChecksums(folder) {
  const names = readdirSync(folder).filter((name) => name !== CHECKSUMS)
  const lines = names.sort().map((name) => `${hash(join(folder, name))}  ${name}\n`)
  writeFileSync(join(folder, CHECKSUMS), lines.join(''))
}

/** Returns what differs from `SHA256SUMS` in a folder, one sentence each. */
export function wrongChecksums(folder) {
  const lines = readFileSync(join(folder, CHECKSUMS), 'utf8').trim().split('\n')
  const listed = new Map(lines.map((line) => line.split('  ').reverse()))
  const there = readdirSync(folder).filter((name) => name !== CHECKSUMS)
  return [
    ...there.filter((name) => !listed.has(name)).map((name) => `${name} is not in ${CHECKSUMS}`),
    ...[...listed].flatMap(([name, sum]) => {
      if (!there.includes(name)) return [`${name} is missing`]
      return hash(join(folder, name)) === sum ? [] : [`${name} has another checksum`]
    }),
  ]
}

/** Writes the bills of materials, in CycloneDX, of the package and of each addon into `folder`; returns as `run` does. */
export async function writeSboms(folder) {
  mkdirSync(folder, { recursive: true })
  const npm = await run('npm', ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx'], { show: 'nothing' })
  if (!npm.ok) return npm
  writeBom(
    join(folder, 'provider-auth.npm.cdx.json'),
    onlyBundled(JSON.parse(npm.output.slice(npm.output.indexOf('{')))),
  )
  const tool = await cargoTool('cargo-cyclonedx', CYCLONEDX)
  if (!tool.ok) return tool
  for (const family of FAMILIES) {
    const rust = await writeBomOfCrates(tool.command, family, join(folder, `${family}.rust.cdx.json`))
    if (!rust.ok) return rust
  }
  return { ok: true }
}

async function writeBomOfCrates(command, family, file) {
  const name = 'provider-auth-sbom'
  const made = () => readdirSync(join(root, 'crates')).map((crate) => join(root, 'crates', crate, `${name}.json`))
  const args = [
    'cyclonedx',
    '--manifest-path',
    join(root, 'crates/node/Cargo.toml'),
    '--format',
    'json',
    '--target',
    'all',
  ]
  try {
    const options = ['--spec-version', '1.5', '--override-filename', name, ...featuresOf(family)]
    const rust = await run(command, [...args, ...options], { name: 'cargo cyclonedx' })
    if (!rust.ok) return rust
    const text = readFileSync(join(root, 'crates/node', `${name}.json`), 'utf8')
    writeBom(file, JSON.parse(text.replaceAll(resolve(root), '/provider-auth')))
    return rust
  } finally {
    // It writes one beside each crate of the workspace.
    for (const left of [...made(), join(root, 'fuzz', `${name}.json`)]) rmSync(left, { force: true })
  }
}

/** The packages of npm that are in the bundles. The package depends on none; what else the lock names is for development. */
function onlyBundled({ components, dependencies, ...bom }) {
  const notices = readFileSync(join(root, 'THIRD-PARTY-NOTICES'), 'utf8')
  const bundled = new Set(
    [...notices.matchAll(/^(\S+) (\d\S*) \(.+\)$/gm)].map(([, name, version]) => `${name}@${version}`),
  )
  const kept = components.filter((component) => bundled.delete(component['bom-ref'].replace(/^.*\|/, '')))
  if (bundled.size > 0) throw new Error(`package-lock.json does not name ${[...bundled].join(', ')}`)
  const refs = kept.map((component) => component['bom-ref'])
  const main = bom.metadata.component['bom-ref']
  const known = dependencies.filter(({ ref }) => refs.includes(ref))
  const inside = known.map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((one) => refs.includes(one)) }))
  // That it is for development is what the lock says.
  const inBundles = kept.map(({ properties, ...component }) => ({ ...component, scope: 'required' }))
  return { ...bom, components: inBundles, dependencies: [{ ref: main, dependsOn: refs }, ...inside] }
}

/** Writes a bill with the commit's time and without a random number, so that the same sources give the same file. */
function writeBom(file, { serialNumber, ...bom }) {
  const timestamp = new Date(Number(releaseEnvironment().SOURCE_DATE_EPOCH) * 1000).toISOString()
  if (bom.metadata.component.purl?.startsWith('pkg:npm')) bom.metadata.component.name = 'provider-auth'
  writeFileSync(file, `${JSON.stringify({ ...bom, metadata: { ...bom.metadata, timestamp } }, null, 2)}\n`)
}

function hash(file) {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}
