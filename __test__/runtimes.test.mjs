/** The conformance program prints the same lines in every runtime, with `require` and with `import`. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { nodeBinary, nodeVersions } from '../scripts/lib/runtimes.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { within } from './support/until.mjs'

const AT_ONCE = 3
const LONGEST_RUN_MS = 90_000
const inRoot = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))
const programs = {
  import: inRoot('__test__/conformance/program.mjs'),
  require: inRoot('__test__/conformance/program.cjs'),
}
const { exports: entries } = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'))
const DENO = [
  'run',
  '--allow-ffi',
  '--allow-read',
  '--allow-write',
  '--allow-env',
  '--allow-net=127.0.0.1',
  '--allow-sys',
]
/** What the package's `exports` says, for runtimes that do not know a package by its own name. */
const files = {
  import: inRoot('npm/dist/index.js'),
  require: inRoot(entries['.'].require?.default ?? entries['.'].default),
}
const expected = readFileSync(inRoot('__test__/conformance/expected.txt'), 'utf8').replace(/^keychain: .*$/m, (line) =>
  process.platform === 'linux' ? line : 'keychain: not asked',
)
const sandbox = createSandbox({ name: 'runtimes' })
after(() => sandbox.cleanup())

/** Runs a program to its end and holds what it printed against what is expected. */
async function conforms(command, args, library = 'provider-auth') {
  const env = { CONFORMANCE_LIBRARY: library, DBUS_SESSION_BUS_ADDRESS: 'unix:path=/none' }
  const [file, ...rest] = args
  const { child, ended } = sandbox.spawn(file, { command, args: rest, env })
  const { code, signal, stdout, stderr } = await within(`the end of ${command}`, ended, LONGEST_RUN_MS).finally(() =>
    child.kill('SIGKILL'),
  )
  assert.equal(stdout, expected, stderr)
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, stderr)
}

describe('the conformance program', { concurrency: AT_ONCE }, () => {
  test(`Node.js of ${process.platform}-${process.arch} is there in several versions`, { skip: unavailable() }, () => {
    assert.ok(nodeVersions.length >= 3)
  })
  for (const way of ['import', 'require'])
    test(`runs on the Node.js of these tests, with ${way}`, () => conforms(process.execPath, [programs[way]]))
  for (const version of nodeVersions)
    test(`runs on Node.js ${version}`, async () => {
      const node = await nodeBinary(version)
      await conforms(node, [programs.import])
      if (canRequire(version)) await conforms(node, [programs.require])
      const command = sandbox.spawn(inRoot('npm/dist/cli/main.js'), { command: node, args: ['accounts', '--json'] })
      const { code, stdout, stderr } = await within('the end of the command', command.ended, LONGEST_RUN_MS)
      assert.deepEqual({ code, accounts: code === 0 && JSON.parse(stdout).accounts }, { code: 0, accounts: [] }, stderr)
    })
  for (const way of ['import', 'require']) {
    test(`runs on Bun, with ${way}`, () => conforms(inRoot('node_modules/.bin/bun'), [programs[way]]))
    test(`runs on Deno, with ${way}`, () =>
      conforms(inRoot('node_modules/.bin/deno'), [...DENO, programs[way]], files[way]))
  }
  test('runs in a host that Bun compiled, which loads the library by its path', async () => {
    const host = join(sandbox.work, process.platform === 'win32' ? 'host.exe' : 'host')
    const build = ['build', '--compile', programs.import, '--outfile', host]
    const { ended } = sandbox.spawn(build[0], { command: inRoot('node_modules/.bin/bun'), args: build.slice(1) })
    const { code, stderr } = await within('the build of the host', ended, LONGEST_RUN_MS)
    assert.equal(code, 0, stderr)
    await conforms(host, [''], files.import)
  })
})

function unavailable() {
  return nodeVersions.length === 0 && `no package with Node.js for ${process.platform}-${process.arch} is listed`
}

/** Where a version cannot `require` an ES module, the package has to have a CommonJS file. */
function canRequire(version) {
  return JSON.stringify(entries['.']).includes('.cjs') || !/^(20|22)\.0\./.test(version)
}
