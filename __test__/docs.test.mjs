/** The pages of `docs/` and the README against what they describe: links, keys, variables, codes, calls. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import ts from 'typescript'
import { deadLinks, PAGES, readPage, root, rowsUnder } from './support/pages.mjs'

const read = (path) => readFileSync(join(root, path), 'utf8')
const codesIn = (text) => [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code)

const OTHER_PAGES = [
  ...['ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md'],
  ...readdirSync(join(root, 'specs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `specs/${name}`),
]

test('every link to a file or heading of the repository leads somewhere', () => {
  assert.deepEqual([...PAGES, ...OTHER_PAGES].flatMap(deadLinks), [])
})

test('a heading has the anchor that GitHub gives it', () => {
  const anchors = readPage('docs/configuration.md').headings.map(({ anchor }) => anchor)
  for (const anchor of ['files-and-which-wins', 'a-projects-file', 'keys-of-rotation', 'keys-of-oci-authconfigjsonc'])
    assert.ok(anchors.includes(anchor), `${anchor} in ${anchors}`)
})

test('every page is in the index, and the README leads to the index', () => {
  const linked = readPage('docs/README.md').links.map(({ target }) => target)
  const missing = PAGES.filter((path) => path.startsWith('docs/') && path !== 'docs/README.md')
    .map((path) => path.slice('docs/'.length))
    .filter((page) => !linked.includes(page))
  assert.deepEqual(missing, [])
  assert.ok(readPage('README.md').links.some(({ target }) => target === 'docs/README.md'))
})

test('the README stays what a newcomer reads', () => {
  const lines = read('README.md').split('\n')
  assert.ok(lines.length <= 201, `${lines.length} lines`)
  const screen = lines.slice(0, 45).join('\n')
  for (const wanted of [/createAuthFetch/, /It is for you if/, /npm install/, /not published/])
    assert.match(screen, wanted)
  const { blocks } = readPage('README.md')
  const first = (word) => blocks.findIndex(({ code, lang }) => lang === 'sh' && code.includes(word))
  assert.ok(
    first('key init') >= 0 && first('key init') < first('login openai'),
    "the vault's key comes before it is needed",
  )
  for (const command of ['npm start', 'npm test']) assert.ok(read('README.md').includes(`\`${command}\``), command)
})

/* ── configuration.md ── */

const schema = JSON.parse(read('schemas/config.schema.json'))
const { provider, rotation, dialect } = schema.definitions

const KEY_TABLES = {
  'files-and-which-wins': schema,
  'keys-of-a-provider': provider,
  'keys-of-rotation': rotation,
  'keys-of-limits': provider.properties.limits.items,
  'keys-of-modelsshape': provider.properties.modelsShape,
  'keys-of-dialect': dialect,
  'keys-of-oci-authconfigjsonc': JSON.parse(read('schemas/oci-auth.config.schema.json')),
}

for (const [anchor, { properties }] of Object.entries(KEY_TABLES)) {
  test(`the reference has the keys of the schema, with choices and defaults: ${anchor}`, () => {
    const rows = rowsUnder('docs/configuration.md', anchor).filter(([key]) => /^`[$\w]+`$/.test(key))
    const documented = rows.map(([key]) => key.slice(1, -1))
    assert.deepEqual(documented.toSorted(), Object.keys(properties).toSorted())
    for (const [key, ...cells] of rows) {
      const row = cells.join(' | ')
      const words = codesIn(row)
      for (const wanted of wordsOf(properties[key.slice(1, -1)]))
        assert.ok(words.includes(wanted) || row.includes(wanted), `${key} does not say ${wanted}`)
    }
  })
}

/** The choices, the default and the inner keys of a property, as the page writes them. */
function wordsOf(property, isInner = false) {
  if (property.$ref !== undefined) return []
  const { enum: choices = [], default: usual, properties = {}, items, anyOf = [] } = property
  const inner = [...Object.entries(properties)].flatMap(([key, value]) => [key, ...wordsOf(value, true)])
  const below = [items, ...anyOf].filter(Boolean).flatMap((part) => wordsOf(part, true))
  // What has a table of its own is not repeated.
  const own = Object.values(KEY_TABLES).some((table) => table === property || table === items)
  const shown = typeof usual === 'number' ? usual.toLocaleString('en') : usual === undefined ? [] : String(usual)
  return [...choices, ...(own ? [] : [...inner, ...below]), ...(isInner && usual === undefined ? [] : [shown].flat())]
}

test('the reference says which keys a project that is not trusted may set', () => {
  const source = read('crates/broker/src/config/provider_keys.rs')
  const table = source.slice(
    source.indexOf('ProviderKeys('),
    source.indexOf('keys! {', source.indexOf('ProviderKeys(')),
  )
  const free = [...table.matchAll(/^ {8}"(\w+)"[^;]*ChoosesAccounts/gm)].map(([, key]) => key)
  const said = rowsUnder('docs/configuration.md', 'keys-of-a-provider')
    .filter(([, , , where]) => where.startsWith('all'))
    .map(([key]) => key.slice(1, -1))
  assert.deepEqual(said.toSorted(), free.toSorted())
})

test('the reference has every environment variable that the code reads, and no other', () => {
  const listed = execFileSync('git', ['ls-files', 'crates/*/src/*', 'npm/src', 'cli/src'], {
    cwd: root,
    encoding: 'utf8',
  })
  const isSource = (file) => /\.(rs|ts)$/.test(file) && !/\/tests?(\/|\.rs)/.test(file)
  const shipped = (file) => read(file).split('#[cfg(test)]\nmod ')[0]
  const sources = listed.trim().split('\n').filter(isSource).map(shipped)
  const used = new Set(sources.flatMap((text) => text.match(/\bPROVIDER_AUTH_[A-Z_]*[A-Z]\b/g) ?? []))
  const rows = rowsUnder('docs/configuration.md', 'environment-variables')
  const said = rows.flatMap(([names]) => codesIn(names)).filter((name) => name.startsWith('PROVIDER_AUTH_'))
  assert.deepEqual(said.toSorted(), [...used].toSorted())
})

/* ── troubleshooting.md and api.md ── */

const program = ts.createProgram([join(root, 'index.d.ts')], {
  strict: true,
  skipLibCheck: true,
  lib: ['lib.es2023.d.ts'],
})
const checker = program.getTypeChecker()
const declared = program.getSourceFile(join(root, 'index.d.ts'))
const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(declared))
const typeOf = (name) => checker.getDeclaredTypeOfSymbol(exported.find((symbol) => symbol.name === name))
const CODES = typeOf('AuthErrorCode').types.map(({ value }) => value)
const CALLS = exported.filter(({ flags }) => flags & (ts.SymbolFlags.Function | ts.SymbolFlags.Variable))

test('every code of an error has its row, and each row a code', () => {
  const said = rowsUnder('docs/troubleshooting.md', 'by-code').flatMap(([codes]) => codesIn(codes))
  assert.deepEqual(said.toSorted(), CODES.toSorted())
})

test('no page names a code that is none', () => {
  const others = ['OBSERVED_HEADERS', 'NO_COLOR', 'NO_PROXY']
  const isCode = (word) =>
    /^[A-Z]+(_[A-Z]+)+$/.test(word) && CODES.some((code) => code.split('_')[0] === word.split('_')[0])
  const wrong = PAGES.flatMap((path) =>
    codesIn(read(path))
      .filter((word) => isCode(word) && !CODES.includes(word) && !others.includes(word))
      .map((word) => `${path}: ${word}`),
  )
  assert.deepEqual(wrong, [])
})

/** The text of each part of `api.md`, by the name of its call. */
const PARTS = new Map(
  read('docs/api.md')
    .split(/^### /m)
    .slice(1)
    .map((part) => [/^\w+/.exec(part)[0], part.split(/^## /m)[0]]),
)

test('every call of the library has its part in the page, and each part a call', () => {
  const names = CALLS.map(({ name }) => name).filter((name) => name !== 'OBSERVED_HEADERS')
  assert.deepEqual([...PARTS.keys()].toSorted(), names.toSorted())
  assert.ok(PARTS.get('reportResponse').includes('`OBSERVED_HEADERS`'))
})

/** Those whose options are described elsewhere; their parts link to it. */
const SAME_OPTIONS = { getCredential: 'getAuthHeaders', explain: 'getCredential', startLogin: 'login' }
const GIVEN_BACK = new Set(['trustProject'])

for (const call of CALLS.filter(({ name }) => PARTS.has(name))) {
  test(`the part of ${call.name} has its options, and no other`, () => {
    const part = PARTS.get(call.name)
    const other = SAME_OPTIONS[call.name]
    if (other !== undefined) return assert.ok(part.includes(`[\`${other}\`](#${other.toLowerCase()})`))
    if (GIVEN_BACK.has(call.name)) return undefined
    const [signature] = checker.getTypeOfSymbol(call).getCallSignatures()
    const options = signature.parameters.flatMap((parameter) => optionsOf(checker.getTypeOfSymbol(parameter)))
    const words = new Set([...codesIn(part).flatMap((code) => code.match(/\w+/g) ?? [])])
    assert.deepEqual(
      options.filter((option) => !words.has(option)),
      [],
    )
    const rows = rowsUnder('docs/api.md', call.name.toLowerCase()).map(([option]) => option.slice(1, -1))
    assert.deepEqual(
      rows.filter((option) => !options.includes(option)),
      [],
    )
    return undefined
  })
}

/** The names of the options that a parameter takes: those of objects that `index.d.ts` declares. */
function optionsOf(type) {
  const parts = type.isUnion() ? type.types : [type]
  return parts
    .flatMap((part) => part.getProperties())
    .filter((property) => property.declarations?.every((node) => node.getSourceFile() === declared))
    .map(({ name }) => name)
}
