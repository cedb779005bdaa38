/** The pictures of the README and of docs/ show what the library and the command do today; `npm run pictures` draws them. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { drawArchitecture } from '../scripts/lib/pictures/architecture.mjs'
import { drawRotation, runRotation } from '../scripts/lib/pictures/rotation.mjs'
import { drawScreen, runScreen } from '../scripts/lib/pictures/screen.mjs'
import { textsOf } from '../scripts/lib/pictures/svg.mjs'
import { PAGES, readPage, root } from './support/pages.mjs'
import { hasTmux } from './support/tmux.mjs'

const folder = join(root, 'docs/pictures')
const kept = (name) => readFileSync(join(folder, `${name}.svg`), 'utf8')

test('the architecture is what the script draws', () => {
  assert.equal(drawArchitecture(), kept('architecture'))
})

test('the rotation is what happens in a run', async () => {
  const requests = await runRotation()
  assert.deepEqual(
    requests.map(({ status }) => status),
    [200, 200, 200, 200, 200],
  )
  assert.equal(drawRotation(requests), kept('rotation'))
})

test('the accounts screen says what the command says, but for the time', { skip: !hasTmux && 'no tmux' }, async () => {
  /** Times, and the day of the week, differ from run to run. */
  const said = (svg) =>
    textsOf(svg)
      .join('\n')
      .replace(/\d+:\d\d/g, 'TIME')
      .replace(/\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b/g, 'DAY')
  assert.equal(said(drawScreen(await runScreen())), said(kept('accounts')))
})

test('a picture needs nothing else, says what it is about, and is on a page', () => {
  const shown = PAGES.flatMap((path) => readPage(path).links.map(({ target }) => target.split('/').at(-1)))
  for (const name of readdirSync(folder)) {
    const svg = readFileSync(join(folder, name), 'utf8')
    assert.match(svg, /<title>[^<]{40,}<\/title>/, name)
    assert.doesNotMatch(svg.replace('http://www.w3.org/2000/svg', ''), /<script|href|https?:|@import|url\((?!#)/, name)
    assert.ok(shown.includes(name), `${name} is on no page`)
  }
})
