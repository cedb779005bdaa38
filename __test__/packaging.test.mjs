/** The package as other programs load it: by `import` and `require`, with types, and in a bundle. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { addonName } from '../scripts/lib/build.mjs'
import { createSandbox } from './support/sandbox.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path) => readFileSync(join(root, path), 'utf8')
const manifest = JSON.parse(read('package.json'))
const tool = (name) => join(root, 'node_modules/.bin', name)
const sandbox = createSandbox({ name: 'packaging' })
after(sandbox.cleanup)
// A project that depends on the clone's folder.
mkdirSync(join(sandbox.work, 'node_modules'))
symlinkSync(root, join(sandbox.work, 'node_modules/provider-auth'))
const write = (name, text) => {
  const file = join(sandbox.work, name)
  writeFileSync(file, text)
  return file
}
const run = (file, options) => sandbox.spawn(file, options).ended

test('the library is imported and required, and is the same both ways', async () => {
  const names = JSON.parse(read('specs/vectors/contract-names.json')).functions ?? []
  const file = write(
    'both.cjs',
    `const required = require('provider-auth')
     import('provider-auth').then((imported) => {
       console.log(JSON.stringify({ names: Object.keys(required), same: required.migrate === imported.migrate }))
     })`,
  )
  const { code, stdout, stderr } = await run(file)
  assert.equal(code, 0, stderr)
  const told = JSON.parse(stdout)
  assert.equal(told.same, true)
  for (const name of [...names, 'createAuthFetch', 'login']) assert.ok(told.names.includes(name), name)
})

test('engines names the oldest version of Node.js that the tests run on', () => {
  assert.equal(manifest.engines.node, '>=20.0.0')
  assert.match(read('scripts/lib/runtimes.mjs'), /'20\.0\.0': 'sha512-/)
  const locked = JSON.parse(read('package-lock.json')).packages[''].engines.node
  assert.equal(locked, manifest.engines.node)
  // Building and testing takes newer ones, as the development packages do.
  for (const page of ['README.md', 'CONTRIBUTING.md']) assert.match(read(page), /Node\.js 20\.19 or 22\.12/)
})

test('every way into the package has its types, and they are in the package', async () => {
  const ways = (entry) => (Object.values(entry).some((file) => typeof file === 'string') ? [entry] : [])
  for (const [name, entry] of Object.entries(manifest.exports)) {
    if (typeof entry === 'string') continue
    const entries = [...ways(entry), ...Object.values(entry).filter((way) => typeof way === 'object' && way !== null)]
    for (const file of entries.flatMap((way) => [way.types, way.default])) {
      assert.ok(existsSync(join(root, file)), `${name}: ${file}`)
      assert.ok(
        manifest.files.some((packed) => file.slice(2).startsWith(packed)),
        `${name}: ${file} is not packed`,
      )
    }
  }
  const plugin = await import('../npm/dist/server.js')
  const declared = [...read('server.d.ts').matchAll(/\b(login\d+): Plugin/g)].map(([, name]) => name)
  assert.deepEqual([...declared, 'default'].sort(), Object.keys(plugin).sort())
  const first = write(
    'plugin.mts',
    `import plugin, { login1 } from 'provider-auth/server'
     const hooks: Promise<object> = plugin({}, { config: {} })
     export const both = [hooks, login1({})]
     // @ts-expect-error: a plugin is called
     plugin.config`,
  )
  const second = write(
    'plugin-v2.mts',
    `import plugin from 'provider-auth/server'
     export const cleanup: Promise<(() => Promise<void>) | undefined> = plugin.setup({})
     // @ts-expect-error: a plugin of OpenCode 2 is an object
     plugin({})`,
  )
  const check = (file, ...options) =>
    run(tool('tsc'), { args: ['--noEmit', '--strict', '--target', 'es2022', ...options, file] })
  // OpenCode 1 looks a plugin up without the conditions of a runtime, as bundlers do.
  for (const { code, stdout } of [
    await check(first, '--module', 'esnext', '--moduleResolution', 'bundler'),
    await check(second, '--module', 'nodenext'),
  ]) {
    assert.equal(code, 0, stdout)
  }
})

for (const [format, name] of [
  ['esm', 'bundle.mjs'],
  ['cjs', 'bundle.cjs'],
]) {
  test(`a bundle (${format}) says that the library stays outside, and works with it outside`, async () => {
    const source = write(
      'app.mjs',
      `import { configuredProviders } from 'provider-auth'
       configuredProviders().then((providers) => console.log(providers.length > 0))`,
    )
    const bundle = async (...args) => {
      const out = join(sandbox.work, name)
      const built = await run('build', {
        command: tool('bun'),
        args: [source, '--target=node', `--format=${format}`, `--outfile=${out}`, ...args],
      })
      assert.equal(built.code, 0, built.stderr)
      // Some bundlers write down where the library lay. On another machine it is not there.
      writeFileSync(out, readFileSync(out, 'utf8').replaceAll(root, '/elsewhere/'))
      return run(out)
    }
    const swallowed = await bundle()
    assert.notEqual(swallowed.code, 0)
    assert.match(swallowed.stderr, /mark provider-auth as external/)
    const { code, stdout, stderr } = await bundle('--external', 'provider-auth')
    assert.equal(code, 0, stderr)
    assert.equal(stdout.trim(), 'true')
  })
}

test('the calls of the addon are those that it is declared with', () => {
  const [, members] = /export interface Addon \{\n(.*?)\n\}/s.exec(read('npm/src/addon.ts'))
  const names = [...members.matchAll(/^ {2}(\w+)(?=\??[(:])/gm)].map(([, name]) => name)
  const addon = createRequire(import.meta.url)(join(root, addonName()))
  assert.deepEqual(names.sort(), Object.keys(addon).sort())
})
