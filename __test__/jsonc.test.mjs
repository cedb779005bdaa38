/** JSON with comments, as our own TypeScript reads the files of a host. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addon } from '../npm/build/addon.js'

const { parseJsonc } = addon

/** Texts that are JSON, and what makes them more than that. */
const VALUES = [
  '{}',
  '[]',
  'null',
  'true',
  '-0.5e-3',
  '1e999',
  '"\\u00e9 \\n \\ud83d\\ude00 \\u0000"',
  '{"b":1,"a":{"x":[1,[],{}]},"":null,"7":false,"é\\u0000":"é"}',
]

test('JSON is read as JSON.parse reads it', () => {
  for (const text of VALUES) {
    assert.deepEqual(parseJsonc(text), JSON.parse(text), text)
    assert.equal(JSON.stringify(parseJsonc(text)), JSON.stringify(JSON.parse(text)))
  }
  const long = JSON.stringify(Array.from({ length: 60_000 }, (_, number) => ({ n: number })))
  assert.deepEqual(parseJsonc(long), JSON.parse(long))
})

test('comments, trailing commas and a byte order mark are taken, and an empty text is an empty object', () => {
  const text = '\ufeff// one\n{ /* two */ "a": [1, 2,], "b": "// no comment", } // end'
  assert.deepEqual(parseJsonc(text), { a: [1, 2], b: '// no comment' })
  for (const empty of ['', '\n', '// nothing']) assert.deepEqual(parseJsonc(empty), {})
})

test('no key reaches a prototype', () => {
  const parsed = parseJsonc('{ "__proto__": { "apiKey": "x" }, "constructor": 1 }')
  assert.equal(Object.getPrototypeOf(parsed), Object.prototype)
  assert.deepEqual(Object.keys(parsed), ['__proto__', 'constructor'])
  assert.equal(parsed.apiKey, undefined)
})

test('what is wrong is told with line and column, and never with what stands there', () => {
  for (const [text, where] of [
    ['{\n  "a": S3CRET }', 'line 2, column 8: '],
    ['{ "a": 1, "a": 2 }', 'line 1, column 11: '],
    ["{ 'a': 1 }", 'line 1, column 3: '],
    ['{ "a": NaN }', 'line 1, column 8: '],
    ['{} {}', 'line 1, column 4: '],
    ['{ "a": "S3CRET', 'line 1, column 8: '],
    ['['.repeat(100_000), 'line 1, column 51'],
    [' '.repeat(1024 * 1024 + 1), 'the text is longer'],
  ]) {
    assert.throws(
      () => parseJsonc(text),
      ({ code, message }) => {
        assert.equal(code, 'INVALID_CONFIG')
        assert.ok(message.startsWith(where), message)
        assert.ok(!message.includes('S3CRET'), message)
        return true
      },
    )
  }
  assert.throws(() => parseJsonc(7), { code: 'INVALID_ARGUMENT' })
})
