// What must hold for every file of the repository, whatever it is about.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean)
const read = (file) => readFileSync(join(root, file))

/** What is committed, and what would be with the next `git add`. */
const listed = git('ls-files', '-z', '--cached', '--others', '--exclude-standard')
const contents = new Map(listed.filter((file) => existsSync(join(root, file))).map((file) => [file, read(file)]))
const files = [...contents.keys()]
const texts = [...contents].filter(([, bytes]) => !bytes.includes(0)).map(([file, bytes]) => [file, String(bytes)])
const text = (file) => String(contents.get(file) ?? '')

/** Holds that a pattern is nowhere in the files that `isMeant` picks; a failure lists the places. */
function nowhere(pattern, isMeant = () => true) {
  const places = texts
    .filter(([file]) => isMeant(file))
    .flatMap(([file, content]) => {
      const line = (match) => content.slice(0, match.index).split('\n').length
      return [...content.matchAll(new RegExp(pattern, 'gi'))].map((match) => `${file}:${line(match)}: ${match[0]}`)
    })
  assert.deepEqual(places, [])
}

/** Holds that no file is as `isWrong` says; a failure lists the files. */
function noFile(isWrong) {
  const wrong = files.filter(isWrong)
  assert.deepEqual(wrong, [])
}

const literally = (text) => new RegExp(text.replace(/[^\w]/g, '\\$&'))

test('no file names a path of the machine it was written on', () => {
  nowhere(/(?<![\w.~-])\/(root|work)\//)
  nowhere(literally(resolve(root)))
  if (homedir().length > 1) nowhere(literally(homedir()))
})

test('no file reaches outside the repository', () => {
  nowhere(/(\.\.\/)+shared\//)
})

test('no lock file names a registry', () => {
  nowhere(/"resolved":/, (file) => file === 'package-lock.json')
  nowhere(/\bregistry\.[\w-]+\.\w+/, (file) => file !== 'Cargo.lock')
})

test('nothing that a build makes is committed', () => {
  const built = /\.node$|(^|\/)(target|node_modules)\/|^npm\/dist\/|\.tsbuildinfo$|\.log$/
  noFile((file) => built.test(file))
})

test('no file is larger than 512 KiB', () => {
  noFile((file) => contents.get(file).length > 512 * 1024)
})

test('no client id of another product is shipped', () => {
  nowhere(/\b\d{9,}-[0-9a-z]{32}\.apps\.googleusercontent\.com/)
  nowhere(/\bGOCSPX-[\w-]{20,}/)
  nowhere(/\b(Iv1\.[0-9a-f]{16}|Iv23[0-9A-Za-z]{16}|Ov23[0-9A-Za-z]{16})\b/)
  nowhere(/\bapp_[0-9A-Za-z]{24}\b/)
  // SHA-256, so that the ids of command-line tools are not here either.
  const known = new Set([
    '473668f2b13c71009d028ff0ef74c2cf76e71cbdd33b76e69fcc42d7e59aca4b',
    '4d04f832d33f948ff4546c81924379506a862f1621adbecea30c28b673e836d1',
  ])
  const ids = /\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b/g
  const isKnown = (id) => known.has(createHash('sha256').update(id).digest('hex'))
  noFile((file) => (text(file).match(ids) ?? []).some(isKnown))
})

test('no request is dressed up as that of another product', () => {
  nowhere(/\b(claude-cli|claude-code|codex_cli_rs|codex-cli|GeminiCLI|GitHubCopilotChat|QwenCode|antigravity)\/[\d$%{]/)
})

test('every specification is listed', () => {
  const pages = files.filter((file) => /^specs\/(?!README)[^/]+\.md$/.test(file))
  assert.notEqual(pages.length, 0)
  const lists = text('specs/README.md') + text('ARCHITECTURE.md')
  noFile((file) => pages.includes(file) && !lists.includes(file.replace('specs/', '')))
})

test('the library depends on nothing at run time', () => {
  const manifest = JSON.parse(text('package.json'))
  assert.deepEqual(Object.keys(manifest.dependencies ?? {}), [])
  nowhere(/\bfrom '(?!\.|node:)[^']+'|\b(import|require)\('(?!\.|node:)[^']+'/, (file) => file.startsWith('npm/src/'))
})

test('no test is switched off', () => {
  nowhere(/#\[ignore\b/, (file) => file.endsWith('.rs'))
})
