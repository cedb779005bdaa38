/** The version of a release: one in all files, with an entry in the changelog; given in all files or in none. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { bump, problems, releaseNotes } from '../scripts/lib/release/versions.mjs'
import { rustVersion } from '../scripts/lib/rust-flags.mjs'
import { removeFolder } from './support/remove-folder.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (folder, name) => readFileSync(join(folder, name), 'utf8')
const FILES = ['package.json', 'package-lock.json', 'Cargo.toml', 'Cargo.lock', 'CHANGELOG.md']
const scratch = mkdtempSync(join(tmpdir(), 'provider-auth-version-'))
after(() => removeFolder(scratch))

/** A git repository with the files of this one that name the version. */
function repository(name, changes = {}) {
  const folder = join(scratch, name)
  mkdirSync(folder)
  for (const file of FILES) copyFileSync(join(root, file), join(folder, file))
  for (const [file, change] of Object.entries(changes)) edit(folder, file, change)
  git(folder, 'init', '--quiet')
  commit(folder)
  return folder
}

function edit(folder, file, change) {
  const before = read(folder, file)
  const text = change(before)
  assert.notEqual(text, before, `${file} is changed`)
  writeFileSync(join(folder, file), text)
}

function commit(folder) {
  git(folder, 'add', '--all')
  git(folder, '-c', 'user.name=t', '-c', 'user.email=t@test', 'commit', '--quiet', '--message', 'state')
}

function git(folder, ...args) {
  return execFileSync('git', args, { cwd: folder, encoding: 'utf8' })
}

test('this repository has one version, and a changelog that says something', () => {
  assert.deepEqual(problems(), [])
})

test('a bump changes every file that names the version, and nothing else', async () => {
  const folder = repository('bump')
  const { version: before } = JSON.parse(read(folder, 'package.json'))
  const notes = /## \[Unreleased\]\n\n([\s\S]*)/.exec(read(folder, 'CHANGELOG.md'))[1].slice(0, 200)
  assert.deepEqual(await bump('7.8.9', { folder, date: '2031-02-03' }), { ok: true, version: '7.8.9' })
  assert.deepEqual(git(folder, 'diff', '--name-only').trim().split('\n').sort(), [...FILES].sort())
  const lines = git(folder, 'diff', '--unified=0')
    .split('\n')
    .filter((line) => /^[-+](?![-+])/.test(line))
  for (const line of lines) assert.match(line, /^[-+](.*version.*|## \[7\.8\.9\] - 2031-02-03|)$/, line)
  const crates = read(folder, 'Cargo.lock').match(/^name = "provider-auth-.*\nversion = "7\.8\.9"$/gm)
  assert.equal(crates.length, read(folder, 'Cargo.lock').match(/^name = "provider-auth-/gm).length)
  assert.ok(!lines.some((line) => line.startsWith('+') && line.includes(`"${before}"`)))
  const lock = JSON.parse(read(folder, 'package-lock.json'))
  assert.deepEqual([lock.version, lock.packages[''].version], ['7.8.9', '7.8.9'])
  assert.deepEqual(problems({ folder, tag: 'v7.8.9' }), [])
  assert.ok(releaseNotes(folder).startsWith(notes), 'what was unreleased is in the entry')
  // Of the next one nothing is known yet.
  commit(folder)
  assert.match((await bump('patch', { folder })).output, /no change under \[Unreleased\]/)
  edit(folder, 'CHANGELOG.md', (text) => text.replace('## [Unreleased]\n', '## [Unreleased]\n\n- Something.\n'))
  commit(folder)
  assert.equal((await bump('minor', { folder })).version, '7.9.0')
})

test('patch, minor and major count from the version that is there', async () => {
  const at = (version) => ({
    'package.json': (text) => text.replace(/"version": "[^"]+"/, `"version": "${version}"`),
    'package-lock.json': (text) => text.replace(/("name": "provider-auth",\s+"version": )"[^"]+"/g, `$1"${version}"`),
    'Cargo.toml': (text) => text.replace(/^version = ".*"$/m, `version = "${version}"`),
    'Cargo.lock': (text) => text.replace(/(name = "provider-auth-[\w-]+"\nversion = )"[^"]+"/g, `$1"${version}"`),
  })
  for (const [step, next] of Object.entries({ patch: '1.9.10', minor: '1.10.0', major: '2.0.0' })) {
    const folder = repository(step, at('1.9.9'))
    assert.deepEqual(await bump(step, { folder }), { ok: true, version: next })
    assert.deepEqual(problems({ folder }), [])
  }
})

test('what cannot be released is refused, and no file is changed', async () => {
  const refusals = [
    [
      'a file that is not committed',
      '9.0.0',
      {},
      (folder) => writeFileSync(join(folder, 'note'), ''),
      /commit or put aside/,
    ],
    ['an older version', '0.0.9', {}, undefined, /0\.0\.9 is not newer/],
    ['no version', '1.2', {}, undefined, /neither patch/],
    ['a leading zero', '01.2.3', {}, undefined, /neither patch/],
    [
      'an empty section',
      'minor',
      { 'CHANGELOG.md': () => '# Changelog\n\n## [Unreleased]\n\n### Added\n' },
      undefined,
      /says nothing/,
    ],
    ['no section', 'minor', { 'CHANGELOG.md': () => '# Changelog\n' }, undefined, /no entry/],
    [
      'a version of its own',
      'minor',
      { 'Cargo.toml': (text) => text.replace(/^version = ".*"$/m, 'version = "5.5.5"') },
      undefined,
      /Cargo\.toml has the version 5\.5\.5/,
    ],
    [
      'one crate left behind',
      'minor',
      { 'Cargo.lock': (text) => text.replace(/(name = "provider-auth-vault"\nversion = )".*"/, '$1"5.5.5"') },
      undefined,
      /Cargo\.lock has the version 5\.5\.5/,
    ],
    [
      'half a lock file',
      'minor',
      { 'package-lock.json': (text) => text.replace(/^ {2}"version": ".*"/m, '  "version": "5.5.5"') },
      undefined,
      /package-lock\.json has the version 5\.5\.5/,
    ],
  ]
  for (const [name, wanted, changes, disturb, reason] of refusals) {
    const folder = repository(name, changes)
    disturb?.(folder)
    const { ok, output } = await bump(wanted, { folder })
    assert.equal(ok, false, name)
    assert.match(output, reason, name)
    assert.equal(git(folder, 'diff', '--name-only'), '', name)
  }
})

test('a file that cannot be written leaves all as they were', async () => {
  const folder = repository('half')
  // Where the changelog is to be written, a folder is in the way, which git does not show while it is empty.
  mkdirSync(join(folder, 'CHANGELOG.md.new'))
  await assert.rejects(bump('9.0.0', { folder }))
  assert.equal(git(folder, 'status', '--porcelain'), '')
})

test('a release is made of a tag with the same version and a dated entry', async () => {
  const folder = repository('tag')
  assert.match(problems({ folder, tag: 'v9.0.0' }).join('\n'), /the tag is v9\.0\.0/)
  await bump('9.0.0', { folder })
  assert.deepEqual(problems({ folder, tag: 'v9.0.0' }), [])
  edit(folder, 'CHANGELOG.md', (text) => text.replace(/^(## \[9\.0\.0\]) - .*$/m, '$1'))
  assert.match(problems({ folder, tag: 'v9.0.0' }).join('\n'), /has no date/)
})

test('every place that names the oldest Rust names the same', () => {
  const rust = rustVersion()
  // What the pages say in numbers, and what CI installs by its script.
  for (const page of ['README.md', 'CONTRIBUTING.md'])
    for (const [, named] of read(root, page).matchAll(/\bRust (\d+\.\d+)/g)) assert.equal(named, rust, page)
  assert.match(read(root, 'CONTRIBUTING.md'), /Rust as named in `Cargo\.toml` \(`rust-version`\)|Rust \d+\.\d+/)
  const manifests = git(root, 'ls-files', '*Cargo.toml').trim().split('\n')
  for (const manifest of manifests.filter((file) => file !== 'Cargo.toml'))
    assert.match(read(root, manifest), /^rust-version\.workspace = true$/m, manifest)
})
