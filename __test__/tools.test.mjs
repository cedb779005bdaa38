/** What a build asks of the machine. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { missingTools } from '../scripts/lib/toolchain.mjs'

test('compilers are asked for only where the addon is to be built', async () => {
  const { PATH } = process.env
  process.env.PATH = ''
  try {
    assert.match((await missingTools()).join('\n'), /^Rust /)
    assert.deepEqual(await missingTools({ compiles: false }), [])
  } finally {
    process.env.PATH = PATH
  }
})
