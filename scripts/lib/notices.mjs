// The licences of what is inside of the package: packages of npm in the command, crates in the addons.

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { featuresOf, PLAIN } from './families.mjs'
import { root } from './steps.mjs'

/** What cargo says of all crates is a few megabytes. */
const LARGEST = 64 * 2 ** 20
const LINE = '─'.repeat(78)
/** The names of files with a licence, or with what it asks to be handed on. */
const TEXTS = /^(licen[cs]es?|copying|notice|copyright)([-.]|$)/i

/** Returns the text of `THIRD-PARTY-NOTICES` for the command; `licences` are those that may be bundled. */
export function noticesOfPackages(folders, licences) {
  const parts = folders.map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
    if (!licences.includes(license))
      throw new Error(`${name} has the licence ${license}, which is not one of those that may be bundled`)
    const [text] = textsIn(join(root, folder)).map((one) => one.text)
    if (text === undefined) throw new Error(`${name} comes without the text of its licence`)
    return { title: `${name} ${version} (${license})`, text }
  })
  return notices('The provider-auth command contains these packages.', parts)
}

/**
 * Returns the text of `THIRD-PARTY-NOTICES` for an addon of a target: every crate that is linked into it. Crates with the same
 * text share it. Which licences there may be, `deny.toml` says.
 */
export function noticesOfCrates(target, family = PLAIN) {
  const args = ['metadata', '--format-version', '1', '--locked', '--filter-platform', target, ...featuresOf(family)]
  const told = execFileSync('cargo', [...args, '--manifest-path', join(root, 'crates/node/Cargo.toml')], {
    encoding: 'utf8',
    maxBuffer: LARGEST,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { packages, resolve } = JSON.parse(told)
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]))
  const linked = new Set()
  const visit = (id) => {
    if (linked.has(id)) return
    linked.add(id)
    for (const { pkg, dep_kinds } of nodes.get(id).deps) if (dep_kinds.some(({ kind }) => kind === null)) visit(pkg)
  }
  visit(resolve.root)
  const titles = new Map()
  for (const { id, name, version, license, source, manifest_path } of packages) {
    if (source === null || !linked.has(id)) continue
    const text =
      chosen(textsIn(dirname(manifest_path)), license).join('\n\n') || 'Its package has no text of the licence.'
    titles.set(text, [...(titles.get(text) ?? []), `${name} ${version} (${license})`])
  }
  const parts = [...titles].map(([text, names]) => ({ title: names.sort().join('\n'), text }))
  return notices(
    'The addon contains these crates.',
    parts.sort((a, b) => (a.title < b.title ? -1 : 1)),
  )
}

function textsIn(folder) {
  const files = existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : []
  const named = files.filter((entry) => entry.isFile() && TEXTS.test(entry.name)).map(({ name }) => name)
  const read = (name) => readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n').trim()
  return named.sort().map((name) => ({ name, text: read(name) }))
}

/** Of a crate under either of two licences, MIT is taken, whose text is short. */
function chosen(texts, license) {
  const isOffered = / OR |\//.test(license) && /\bMIT\b/.test(license)
  const mit = texts.filter(({ name }) => /mit/i.test(name))
  const kept = isOffered && mit.length > 0 ? texts.filter(({ name }) => /mit|notice|copyright/i.test(name)) : texts
  return kept.map(({ text }) => text)
}

function notices(head, parts) {
  return `${head}\n\n${parts.map(({ title, text }) => `${LINE}\n${title}\n\n${text}\n`).join('\n')}`
}
