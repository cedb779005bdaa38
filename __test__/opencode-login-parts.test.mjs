/** Parts of a login under OpenCode: a key by what a terminal sends, the surface, and the texts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instructionsOf } from '../npm/build/opencode/login-words.js'
import { surfaceOf } from '../npm/build/opencode/surface.js'
import { createTypedLine } from '../npm/build/opencode/typed-line.js'

const LINES = [
  ['a text and Enter', ['sk-1', '\r'], 'sk-1'],
  ['a text and a line feed', ['sk-1\n'], 'sk-1'],
  ['a text in pieces', ['s', 'k', '-', '1', '\r'], 'sk-1'],
  ['what comes after Enter', ['sk-1\rrm -r\r'], 'sk-1'],
  ['Enter alone', ['\r'], ''],
  ['Backspace', ['sk-12\u007f\r'], 'sk-1'],
  ['the other Backspace', ['sk-12\b\r'], 'sk-1'],
  ['more Backspaces than characters', ['a\u007f\u007f\u007fsk-1\r'], 'sk-1'],
  ['Backspace behind a character of two units', ['sk-1😀\u007f\r'], 'sk-1'],
  ['Ctrl-U', ['wrong\u0015sk-1\r'], 'sk-1'],
  ['Ctrl-W', ['wrong\u0017sk-1\r'], 'sk-1'],
  ['Ctrl-D behind a text', ['sk-1\u0004'], 'sk-1'],
  ['arrows, Home, Delete and F1', ['\u001b[Dsk\u001b[H-\u001b[3~1\u001bOP\r'], 'sk-1'],
  ['an arrow in two pieces', ['sk-1\u001b', '[', 'D\r'], 'sk-1'],
  ['the escape key', ['\u001b', 'sk-1\r'], 'sk-1'],
  ['a tab and a bell', ['sk\t-\u00071\r'], 'sk-1'],
  ['a bracketed paste', ['\u001b[200~sk-1\u001b[201~', '\r'], 'sk-1'],
  ['a bracketed paste in pieces', ['\u001b[20', '0~sk', '-1\u001b[2', '01~\r'], 'sk-1'],
  ['a bracketed paste with line breaks', ['\u001b[200~sk-\r\n1\n\u001b[201~\r'], 'sk-1'],
  ['a bracketed paste with Ctrl-C and Ctrl-D in it', ['\u001b[200~sk\u0003-\u00041\u001b[201~\r'], 'sk-1'],
  ['two bracketed pastes', ['\u001b[200~sk\u001b[201~-\u001b[200~1\u001b[201~\r'], 'sk-1'],
]

for (const [what, sent, text] of LINES) {
  test(`of ${what} the line is ${JSON.stringify(text)}`, () => {
    const line = createTypedLine(100)
    const ends = sent.map((piece) => line.take(piece))
    assert.equal(ends.at(-1), 'entered')
    assert.deepEqual(ends.slice(0, -1).filter(Boolean), [])
    assert.equal(line.text(), text)
  })
}

for (const [what, sent, end] of [
  ['Ctrl-C', 'sk-1\u0003', 'cancelled'],
  ['Ctrl-D before the first character', '\u0004', 'cancelled'],
  ['Ctrl-D after all were taken back', 'a\u007f\u0004', 'cancelled'],
  ['a text beyond the longest', 'x'.repeat(101), 'too-long'],
  ['a text without an end', 'sk-1', undefined],
]) {
  test(`${what} ends the line as ${end}`, () => {
    assert.equal(createTypedLine(100).take(sent), end)
  })
}

for (const [words, surface] of [
  ['auth login', 'cli'],
  ['auth login --provider acme', 'cli'],
  ['providers login', 'cli'],
  ['--print-logs auth login', 'cli'],
  ['auth --print-logs login', 'cli'],
  ['auth list', 'ui'],
  ['run login', 'ui'],
  ['serve --port 1', 'ui'],
  ['', 'ui'],
  ['login auth', 'ui'],
]) {
  test(`a login in "opencode ${words}" is one of the ${surface}`, () => {
    assert.equal(surfaceOf(['bun', '/$bunfs/opencode', ...words.split(' ')]), surface)
  })
}

const DEVICE = 'Open https://a.test/device on any device and enter the code'
for (const [code, shown] of [
  ['WDJB-MJHT', 'WDJB-MJHT'],
  ['WDJBMJHT', 'WDJB-MJHT (without the dash, if the page wants it so)'],
  ['WDJBMJHTX', 'WDJBMJHTX'],
  ['wdjbmjht', 'wdjbmjht'],
  ['WDJ-BMJ-HT', 'WDJ-BMJ-HT'],
]) {
  test(`the device code ${code} is shown as ${shown}`, () => {
    const text = instructionsOf({ method: 'device', instructions: `${DEVICE} ${code}`, userCode: code })
    assert.equal(text, `provider-auth: ${DEVICE} ${shown}`)
  })
}

for (const [instructions, shown] of [
  [
    'Sign in on the page that opens; it comes back here by itself',
    'Open this page and sign in; it comes back here by itself',
  ],
  ['Open the page, sign in, and paste the code', 'Open this page, sign in, and paste the code'],
  ['Open the page on any device and sign in', 'Open this page on any device and sign in'],
  [
    'The project file "a", which you trusted. Sign in on the page that opens',
    'The project file "a", which you trusted. Open this page and sign in',
  ],
]) {
  test(`"${instructions}" does not claim that a page opens`, () => {
    assert.equal(instructionsOf({ method: 'browser', instructions }), `provider-auth: ${shown}`)
  })
}
