/** What a body says is found in one walk over it: the same as in what the runtime parses. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { saidIn } from '../npm/build/said.js'
import { chat, openDesk } from './support/desk.mjs'

const { upstream, openPool } = await openDesk()

const OPAQUE = ['arguments', 'args', 'input_schema', 'parameters', 'schema', 'functionResponse']
const FIELDS = new Map([
  ['file_id', ['']],
  ['id', ['conv_', 'rs_']],
  ['container', ['container_']],
])
const NAMES = [
  ...FIELDS.keys(),
  ...OPAQUE,
  'model',
  'prompt_cache_key',
  'cache_control',
  'ttl',
  'type',
  'input',
  'text',
]
const TEXTS = [
  'conv_1',
  'rs_2',
  'container_3',
  '',
  'tool_use',
  '1h',
  '5m',
  'a b',
  'say "file_id":"no"',
  '\\',
  '\\"',
  '"\\\\"',
  '{"model":"no"}',
  'grüße 世界 😀',
  '\n\t\u0001\u2028',
  `${'x'.repeat(200)}"${'"'.repeat(1_200)}`,
]

/** The same, from the parsed body. */
function parsed(body) {
  const textOf = (value) => (typeof value === 'string' ? value : undefined)
  const ttlIn = (value, under) => {
    if (typeof value !== 'object' || value === null) return undefined
    for (const [name, inner] of Object.entries(value)) {
      if (isOpaque(value, name)) continue
      if (under === 'cache_control' && name === 'ttl' && /^\w+$/.test(textOf(inner) ?? '')) return inner
      const found = ttlIn(inner, Array.isArray(value) ? undefined : name)
      if (found !== undefined) return found
    }
    return undefined
  }
  const itemIn = (value) => {
    if (typeof value !== 'object' || value === null) return undefined
    for (const [name, inner] of Object.entries(value)) {
      if (isOpaque(value, name)) continue
      const text = textOf(Array.isArray(inner) ? inner[0] : inner)
      if (text && FIELDS.get(name)?.some((beginning) => text.startsWith(beginning))) return text
      const found = itemIn(inner)
      if (found !== undefined) return found
    }
    return undefined
  }
  const isOpaque = (value, name) => OPAQUE.includes(name) || (value.type === 'tool_use' && name === 'input')
  const item = itemIn(body)?.slice(-128)
  return { model: textOf(body.model), session: textOf(body.prompt_cache_key), cacheTtl: ttlIn(body), item }
}

/** The same numbers on every machine. */
function createRandom(seed) {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state >>> 8) % below
  }
}

function randomValue(random, depth) {
  const kind = random(depth > 4 ? 3 : 7)
  if (kind === 0) return [null, true, -1.5e3, 0][random(4)]
  if (kind < 3) return TEXTS[random(TEXTS.length)]
  const length = random(4)
  if (kind === 3) return { ttl: TEXTS[random(TEXTS.length)] }
  if (kind < 5) return Array.from({ length }, () => randomValue(random, depth + 1))
  return randomObject(random, depth, length)
}

function randomObject(random, depth, length) {
  return Object.fromEntries(Array.from({ length }, () => [NAMES[random(NAMES.length)], randomValue(random, depth + 1)]))
}

test('a_walk_finds_what_is_in_the_parsed_body', () => {
  const found = { model: 0, session: 0, cacheTtl: 0, item: 0 }
  for (let seed = 1; seed <= 4_000; seed += 1) {
    const body = randomObject(createRandom(seed), 0, 1 + (seed % 7))
    const expected = parsed(body)
    for (const text of [JSON.stringify(body), ` ${JSON.stringify(body, undefined, 2)}\r\n`]) {
      const said = saidIn(text, FIELDS)
      // A `ttl` in what a tool takes is not looked for; one in its `input` may be, where the type comes later.
      const cacheTtl = text.includes('tool_use') ? said.cacheTtl : expected.cacheTtl
      assert.deepEqual(said, { ...expected, cacheTtl }, text)
    }
    for (const name of Object.keys(found)) if (expected[name] !== undefined) found[name] += 1
  }
  for (const [name, count] of Object.entries(found)) assert.ok(count > 50, `${name}: ${count}`)
})

test('a_body_that_breaks_off_says_nothing', () => {
  const body = { model: 'm\\"', input: [{ type: 'item', id: 'rs_1' }], args: { a: ['"'] }, prompt_cache_key: 'p' }
  const text = JSON.stringify(body)
  assert.equal(saidIn(text, FIELDS).item, 'rs_1')
  for (let end = 0; end < text.length; end += 1) {
    const { model, session, item } = saidIn(text.slice(0, end), FIELDS)
    assert.deepEqual([model, session, item], [undefined, undefined, undefined], text.slice(0, end))
  }
  for (const wrong of [`${text}}`, `${text} x`, text.replace(']', '}'), `x${text}`]) {
    assert.equal(saidIn(wrong, FIELDS).model, undefined, wrong)
  }
})

test('a_long_body_is_never_parsed', async (t) => {
  const { fetch } = await openPool(['ada'], { fetch: async () => new Response('{}') })
  const content = 'He said "no", and then "yes".\n'.repeat(4_000)
  const call = chat({ prompt_cache_key: 'talk', messages: [{ role: 'user', content, cache_control: { ttl: '1h' } }] })
  const parse = t.mock.method(JSON, 'parse')
  for (const body of [call.body, new TextEncoder().encode(call.body), new Blob([call.body])]) {
    assert.equal((await fetch(upstream.chatUrl, { ...call, body })).status, 200)
  }
  const long = parse.mock.calls.filter(({ arguments: [text] }) => text.length > content.length)
  parse.mock.restore()
  assert.equal(long.length, 0)
})
