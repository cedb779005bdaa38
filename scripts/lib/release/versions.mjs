// The version of a release, in every file that names it, and the changelog's entry for it.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, run } from '../steps.mjs'

const VERSION = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/
const HEADING = /^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?$/

/** Where the version stands in each file: all that `place` finds is replaced. */
const FILES = {
  'package.json': /^( {2}"version": ")([^"]+)(?=",?$)/gm,
  // The head of the lock, and its first package, which is this one.
  'package-lock.json': /^( {2}"version": "| {6}"name": "provider-auth",\n {6}"version": ")([^"]+)(?=",?$)/gm,
  'Cargo.toml': /^(\[workspace\.package\]\nversion = ")([^"]+)(?="$)/gm,
  'Cargo.lock': /^(name = "provider-auth-[\w-]+"\nversion = ")([^"]+)(?="$)/gm,
}

/**
 * Returns what keeps `folder` from being released, one sentence each: versions that differ, a changelog without an entry or
 * with an empty one. `tag` is the name of the tag that is released, if there is one; then the entry must be dated.
 */
export function problems({ folder = root, tag } = {}) {
  const texts = readAll(folder)
  const { version } = JSON.parse(texts['package.json'])
  const told = []
  for (const [file, place] of Object.entries(FILES)) {
    const found = [...texts[file].matchAll(place)].map((match) => match.at(-1))
    if (found.length === 0) told.push(`${file} names no version`)
    for (const other of new Set(found.filter((one) => one !== version)))
      told.push(`${file} has the version ${other}, and package.json has ${version}`)
  }
  if (!VERSION.test(version)) told.push(`${version} is not a version of three numbers`)
  if (tag !== undefined && tag !== `v${version}`) told.push(`the tag is ${tag}, and the version is ${version}`)
  const entries = changelogEntries(texts['CHANGELOG.md'])
  const entry = entries.find(({ name }) => name === version)
  // Between two releases, what is unreleased is the entry of the next one.
  const current = entry ?? (tag === undefined ? entries.find(({ name }) => name === 'Unreleased') : undefined)
  if (current === undefined) told.push(`CHANGELOG.md has no entry for ${version}`)
  else if (current.isEmpty) told.push(`the entry ${current.name} of CHANGELOG.md says nothing`)
  if (entry !== undefined && entry.date === undefined) told.push(`the entry ${version} of CHANGELOG.md has no date`)
  return told
}

/** Returns the changelog's entry for the version of `folder`, without its heading: the notes of the release. */
export function releaseNotes(folder = root) {
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const entries = changelogEntries(readFileSync(join(folder, 'CHANGELOG.md'), 'utf8'))
  return entries.find(({ name }) => name === version)?.text ?? ''
}

/**
 * Gives the repository the next version, in all files or, where one cannot be written, in none; returns `{ ok, version }` or
 * `{ ok: false, output }`. `wanted` is `patch`, `minor`, `major` or a version; `date` is that of the changelog's entry.
 */
export async function bump(wanted, { folder = root, date = new Date().toISOString().slice(0, 10) } = {}) {
  const refuse = (output) => ({ ok: false, output: `${output}\n` })
  const status = await run('git', ['status', '--porcelain'], { cwd: folder, show: 'nothing' })
  if (!status.ok) return refuse(`git does not know this folder: ${status.output.trim()}`)
  if (status.output.trim() !== '') return refuse(`commit or put aside first:\n${status.output.trimEnd()}`)
  const texts = readAll(folder)
  const before = JSON.parse(texts['package.json']).version
  const differing = problems({ folder })
  if (differing.length > 0) return refuse(differing.join('\n'))
  const entries = changelogEntries(texts['CHANGELOG.md'])
  const isFirst = !entries.some(({ name }) => name === before)
  const version = nextVersion(before, wanted)
  if (version === undefined) return refuse(`${wanted} is neither patch, minor, major nor a version such as 1.2.3`)
  // Before the first release, the version that the files have is free.
  const order = compare(version, before)
  if (order < 0 || (order === 0 && !isFirst)) return refuse(`${version} is not newer than ${before}`)
  if (entries.some(({ name }) => name === version)) return refuse(`CHANGELOG.md has an entry for ${version} already`)
  if (entries.find(({ name }) => name === 'Unreleased')?.isEmpty !== false)
    return refuse('CHANGELOG.md names no change under [Unreleased]')
  const changed = Object.fromEntries(
    Object.entries(FILES).map(([file, place]) => [file, texts[file].replace(place, `$1${version}`)]),
  )
  changed['CHANGELOG.md'] = texts['CHANGELOG.md'].replace(
    /^## \[Unreleased\]$/m,
    `## [Unreleased]\n\n## [${version}] - ${date}`,
  )
  writeAll(folder, changed, texts)
  return { ok: true, version }
}

function readAll(folder) {
  const names = [...Object.keys(FILES), 'CHANGELOG.md']
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
}

/** Writes all files beside those that are there and then renames; what was renamed is put back when one cannot be. */
function writeAll(folder, texts, before) {
  const temporary = (name) => join(folder, `${name}.new`)
  const renamed = []
  try {
    for (const [name, text] of Object.entries(texts)) writeFileSync(temporary(name), text)
    for (const name of Object.keys(texts)) {
      renameSync(temporary(name), join(folder, name))
      renamed.push(name)
    }
  } catch (error) {
    for (const name of renamed) writeFileSync(join(folder, name), before[name])
    throw error
  } finally {
    for (const name of Object.keys(texts)) rmSync(temporary(name), { force: true, recursive: true })
  }
}

/** The entries of a changelog: name, date, text, and whether there is no line of a list in it. */
function changelogEntries(text) {
  const sections = text.split(/^(?=## )/m).filter((section) => HEADING.test(section.split('\n')[0]))
  return sections.map((section) => {
    const [heading, ...lines] = section.split('\n')
    const [, name, date] = HEADING.exec(heading)
    return { name, date, text: lines.join('\n').trim(), isEmpty: !lines.some((line) => /^[-*] \S/.test(line)) }
  })
}

function nextVersion(version, wanted) {
  if (VERSION.test(wanted)) return wanted
  const [major, minor, patch] = version.split('.').map(Number)
  return { major: `${major + 1}.0.0`, minor: `${major}.${minor + 1}.0`, patch: `${major}.${minor}.${patch + 1}` }[
    wanted
  ]
}

function compare(one, other) {
  const [left, right] = [one, other].map((version) => version.split('.').map(Number))
  const at = left.findIndex((part, index) => part !== right[index])
  return at === -1 ? 0 : left[at] - right[at]
}
