/** Which file of the package is the plugin: for OpenCode 1, which looks by hand, and for OpenCode 2, which resolves. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { createOpenCode } from './support/opencode.mjs'
import { createSandbox } from './support/sandbox.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const sandbox = createSandbox({
  name: 'opencode-entries',
  config: { providers: { one: { origins: ['http://127.0.0.1:1'] }, two: { origins: ['http://127.0.0.1:1'] } } },
})
after(sandbox.cleanup)
mkdirSync(join(sandbox.work, 'node_modules'))
symlinkSync(root, join(sandbox.work, 'node_modules/provider-auth'))

/** Prints where a package leads, and what its default export is. */
const RESOLVE = `
  const from = import.meta.resolve('provider-auth/server')
  const folder = process.argv[2]
  const inFolder = typeof Bun === 'undefined' ? undefined : Bun.resolveSync(folder + '/server', folder)
  const { default: plugin } = await import(from)
  let tui
  try {
    tui = import.meta.resolve('provider-auth/tui')
  } catch {}
  console.log(JSON.stringify({ from, inFolder, tui, id: plugin.id, kind: typeof plugin, setup: typeof plugin.setup }))`

for (const [runtime, command] of [
  ['Bun, as its command', join(root, 'node_modules/.bin/bun')],
  ['Node, as its desktop app', process.execPath],
]) {
  test(`OpenCode 2 on ${runtime}, finds an object with an id and a setup`, async () => {
    const file = join(sandbox.work, 'resolve.mjs')
    writeFileSync(file, RESOLVE)
    const { code, stdout, stderr } = await sandbox.spawn(file, { command, args: [root.replace(/\/$/, '')] }).ended
    assert.equal(code, 0, stderr)
    const { from, inFolder, tui, ...plugin } = JSON.parse(stdout)
    assert.equal(tui, undefined, 'the window of OpenCode 2 would load the plugin for that of OpenCode 1')
    assert.equal(from, pathToFileURL(join(root, 'npm/dist/server-v2.js')).href)
    assert.deepEqual(plugin, { id: 'provider-auth', kind: 'object', setup: 'function' })
    // A folder is searched for a file of that name.
    if (inFolder !== undefined) assert.equal(inFolder, join(root, 'server.js'))
  })
}

test('OpenCode 1 takes `import` whatever runtime it runs on, and every login of it', async () => {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  assert.equal(exports['./server'].import, './npm/dist/server.js')
  assert.equal(exports['./server'].default, exports['./server'].import)
  const opencode = createOpenCode(sandbox, { providers: { one: 'http://127.0.0.1:1/v1' } })
  try {
    const { call } = await opencode.serve()
    const methods = await call('GET', '/provider/auth')
    for (const id of ['one', 'two']) assert.ok(methods[id]?.length > 0, `no login of ${id}`)
  } finally {
    await opencode.close()
  }
})
