/** `createAuthFetch` against the runtime's own `fetch`, entry by entry, on Node, Bun and Deno. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { rejection } from './support/desk.mjs'
import { startMirror } from './support/mirror.mjs'
import { createSandbox, LIBRARY_URL } from './support/sandbox.mjs'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const mirror = await startMirror()
const sandbox = createSandbox({
  name: 'conformance',
  config: { providers: { desk: { origins: [mirror.origin], rotation: { maxWaitMs: 0 } } } },
})
sandbox.enter()
after(async () => {
  await mirror.close()
  sandbox.cleanup()
})

const runtimes = {
  node: [process.execPath],
  bun: [path('../node_modules/.bin/bun')],
  deno: [path('../node_modules/.bin/deno'), 'run', '--quiet', '--allow-all'],
}

for (const [runtime, [command, ...args]] of Object.entries(runtimes)) {
  test(`on ${runtime} every entry of the table looks as with its own fetch`, { timeout: 60_000 }, async () => {
    const run = promisify(execFile)
    const env = { ...process.env, DENO_NO_UPDATE_CHECK: '1' }
    const { stdout } = await run(command, [...args, path('support/fetch-run.mjs'), mirror.origin], {
      env,
      maxBuffer: 1e8,
    })
    const result = JSON.parse(stdout)
    assert.equal(result.runtime, runtime)
    assert.ok(result.compared >= 130, `${result.compared} entries`)
    assert.deepEqual(result.differences, {})
  })
}

for (const url of ['data:text/plain,hello', 'blob:nodedata:1', 'about:blank', 'file:///etc/hosts']) {
  test(`an address that is no server of the provider is refused: ${url}`, async () => {
    const { createAuthFetch } = await import(LIBRARY_URL)
    const error = await rejection(createAuthFetch({ provider: 'desk' })(url))
    assert.equal(error.code, 'ORIGIN_NOT_ALLOWED')
  })
}
