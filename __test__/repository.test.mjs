// What must hold for every file of the repository, whatever it is about.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { arrowsOf, circlesOf, pathAround } from '../scripts/lib/arrows.mjs'

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
  // Not the end of a longer path, as of `/proc/self/root`.
  if (homedir().length > 1) nowhere(new RegExp(`(?<![\\w.~>*}-])${literally(homedir()).source}(?!\\w)`))
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
  noFile((file) => holdsKnownId(text(file)))
})

test('no client id, user agent or header of another product is in what is packaged', () => {
  const { files: packaged } = JSON.parse(text('package.json'))
  const built = readdirSync(root).filter((name) => name.endsWith('.node'))
  const all = [...packaged, ...built].flatMap((name) => {
    const path = join(root, name)
    if (!existsSync(path)) return []
    return statSync(path).isDirectory()
      ? readdirSync(path, { recursive: true }).map((inner) => join(name, inner))
      : name
  })
  assert.ok(all.length > packaged.length, 'build the addon and npm/dist first')
  const foreign = [
    /\d{9,}-[0-9a-z]{32}\.apps\.googleusercontent\.com/,
    /GOCSPX-[\w-]{20}/,
    /Iv1\.[0-9a-f]{16}|Iv23[0-9A-Za-z]{16}|Ov23[0-9A-Za-z]{16}/,
    /\bapp_E[0-9A-Za-z]{23}/,
    // The beginning of Cursor's.
    /KbZUR41c/,
    /claude-code-\d{8}|claude-cli\/|codex_cli_rs|GeminiCLI\/|GitHubCopilotChat\/|QwenCode\/|vscode-chat/i,
    /editor-plugin-version|copilot-integration-id|x-cursor-(checksum|client-version)|x-dashscope-useragent/i,
  ]
  const found = all.flatMap((file) => {
    if (statSync(join(root, file)).isDirectory()) return []
    const content = readFileSync(join(root, file), 'latin1')
    const matched = foreign.filter((pattern) => pattern.test(content)).map((pattern) => `${file}: ${pattern}`)
    return holdsKnownId(content) ? [...matched, `${file}: a known client id`] : matched
  })
  assert.deepEqual(found, [])
})

/** Whether a text holds the client id of a known command-line tool. They are compared by SHA-256, so that none is here either. */
function holdsKnownId(content) {
  const known = new Set([
    '473668f2b13c71009d028ff0ef74c2cf76e71cbdd33b76e69fcc42d7e59aca4b',
    '4d04f832d33f948ff4546c81924379506a862f1621adbecea30c28b673e836d1',
    '61a78c7973731798b0a57ea32dfdf330dc5f2274df5a85e6798f0c38d66f24ee',
  ])
  // Looked for at every place: in a binary, texts follow one another without a gap.
  const ids = /(?=([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}))/g
  for (const [, id] of content.matchAll(ids)) if (known.has(createHash('sha256').update(id).digest('hex'))) return true
  return false
}

test('no request is dressed up as that of another product', () => {
  nowhere(/\b(claude-cli|claude-code|codex_cli_rs|codex-cli|GeminiCLI|GitHubCopilotChat|QwenCode|antigravity)\/[\d$%{]/)
})

test('every specification is listed', () => {
  const pages = files.filter((file) => /^specs\/(?!README)[^/]+\.md$/.test(file))
  assert.notEqual(pages.length, 0)
  const lists = text('specs/README.md') + text('ARCHITECTURE.md')
  noFile((file) => pages.includes(file) && !lists.includes(file.replace('specs/', '')))
})

test('every source file that a page names is there', () => {
  const made = ['npm/addon.d.ts']
  const gone = texts
    .filter(([file]) => /^(specs\/|docs\/|[A-Z]+)[^/]*\.md$/.test(file) && file !== 'CHANGELOG.md')
    .flatMap(([page, content]) =>
      [...content.matchAll(/`([\w./-]+\.(?:rs|ts|mjs))`/g)].map(([, named]) => [page, named]),
    )
    .filter(([, named]) => !made.includes(named) && !files.some((file) => `/${file}`.endsWith(`/${named}`)))
  assert.deepEqual(gone, [])
})

test('the library depends on nothing at run time', () => {
  const manifest = JSON.parse(text('package.json'))
  assert.deepEqual(Object.keys(manifest.dependencies ?? {}), [])
  const ofPackages = /\bfrom '(?!\.|node:)[^']+'|\b(import|require)\('(?!\.|node:)[^']+'/
  const isScreen = (file) => file.startsWith('npm/src/opencode/tui/')
  nowhere(ofPackages, (file) => file.startsWith('npm/src/') && !isScreen(file))
  // Those of OpenCode's TUI are its own.
  nowhere(/(\bfrom |\b(import|require)\()'(?!\.|node:|@opentui\/solid'|solid-js')[^']+'/, isScreen)
})

test('a test makes key pairs with newKeyPair, over which Node 20 does not stand still', () => {
  nowhere(/\bgenerateKeyPair(Sync)?\(/, (file) => file.startsWith('__test__/') && !file.endsWith('/key-pair.mjs'))
})

test('no test is switched off', () => {
  nowhere(/#\[ignore\b/, (file) => file.endsWith('.rs'))
})

for (const crate of readdirSync(join(root, 'crates'))) {
  test(`no files of ${crate} use each other in a circle`, () => {
    const files = arrowsOf(join(root, 'crates', crate, 'src'))
    assert.ok(files.length > 0)
    const circles = circlesOf(files).map((circle) => `${circle.length} files, such as ${pathAround(files, circle)}`)
    assert.deepEqual(circles, [])
  })
}

test('no source file has more than 400 lines, but for tables', () => {
  /** Nothing but data, one entry after the other, which is looked up and not read; each with what it lists. */
  const tables = {}
  const isSource = (file) => /^(crates\/[^/]+\/src|npm\/src|cli\/src)\/.*\.(rs|ts)$/.test(file)
  noFile((file) => isSource(file) && !(file in tables) && text(file).split('\n').length - 1 > 400)
  assert.deepEqual(
    Object.keys(tables).filter((file) => !files.includes(file)),
    [],
    'a table that is gone',
  )
})
