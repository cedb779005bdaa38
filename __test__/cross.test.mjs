/** What the cross builds say of a file, without building one. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { chooseTargets, targets } from '../scripts/lib/cross/targets.mjs'

test('there is a cross build for each platform that has a package', () => {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  assert.deepEqual(Object.keys(targets).sort(), [...manifest.napi.targets].sort())
})

test('a target is either run or says why it is not', () => {
  for (const [name, { runs, notRun }] of Object.entries(targets))
    assert.notEqual(runs === undefined, notRun === undefined, name)
})

test('targets are chosen by a part of their names, and a name that fits none is refused', () => {
  assert.deepEqual(chooseTargets([]), Object.keys(targets))
  assert.deepEqual(chooseTargets(['musl']), ['x86_64-unknown-linux-musl', 'aarch64-unknown-linux-musl'])
  assert.deepEqual(chooseTargets(['linux-arm64-gnu']), ['aarch64-unknown-linux-gnu'])
  assert.throws(() => chooseTargets(['solaris']), /no target is named solaris/)
})
