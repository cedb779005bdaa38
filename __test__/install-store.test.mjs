/** The package that adds the store, as each package manager installs it beside the other one, and takes it away again. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { addonName, buildPlainAddon, PLAIN_ADDON } from '../scripts/lib/build.mjs'
import { PLAIN, STORE } from '../scripts/lib/families.mjs'
import { isFresh } from '../scripts/lib/freshness.mjs'
import { pack } from '../scripts/lib/pack.mjs'
import {
  AT_ONCE,
  addonsOf,
  createProjects,
  EVERY,
  MANAGERS,
  PLATFORMS,
  platformsIn,
  publish,
  skip,
} from './support/projects.mjs'
import { startRegistry } from './support/registry.mjs'
import { createSandbox } from './support/sandbox.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const registry = skip ? undefined : await startRegistry()
const sandbox = createSandbox({ name: 'store-installs' })
const { projectOf, sh, succeeds, works } = skip ? {} : createProjects(sandbox, registry)
const OLD = '0.0.1'
let addons

/** Which addon a process has, by the files that are mapped into it. */
const LOADED = `const { existsSync, readFileSync } = require('node:fs')
require('provider-auth')
const maps = '/proc/self/maps'
const files = existsSync(maps) ? readFileSync(maps, 'utf8') : process.report.getReport().sharedObjects.join('\\n')
const names = [...files.matchAll(/(provider-auth[a-z-]*)\\.[a-z0-9-]+\\.node$/gm)].map(([, name]) => name)
console.log([...new Set(names)].join())`

const ADDRESS = 'postgres://host@127.0.0.1:1/auth?vault=team'
/** What the calls about stores reject with, whatever is configured; one that is not settled leaves its line out. */
const OF_STORES = `
const auth = require('provider-auth')
const calls = [auth.storeStatus, auth.initStore, auth.migrateStore, auth.storeSql, () => auth.moveVault('elsewhere')]
Promise.all(calls.map((call) => call().catch(({ code, message }) => console.log(code, message))))
`

const CALLS = `const auth = require('provider-auth')
if (process.argv[2]) auth.configure({ store: process.argv[2] })
auth.listAccounts({}).then(() => console.log('served'), ({ code, message }) => console.log(code, message))`

before(async () => {
  if (skip) return
  const sources = ['crates', 'Cargo.toml', 'Cargo.lock']
  if (!isFresh({ sources, outputs: [`target/plain/${addonName()}`] })) {
    const { ok, output } = await buildPlainAddon()
    assert.ok(ok, output)
  }
  addons = { ...addonsOf(sandbox.dir, PLAIN, PLAIN_ADDON), ...addonsOf(sandbox.dir, STORE) }
  const packed = await pack(join(sandbox.dir, 'packed'), { addons, hasNotices: false })
  assert.deepEqual([packed.platforms.length, packed.store.platforms.length], [PLATFORMS.length, PLATFORMS.length])
  // The one that is published last is what a package manager takes without being told a version.
  await publish(registry, { platforms: [], main: older() })
  await publish(registry, packed)
  await publish(registry, packed.store)
})

after(async () => {
  await registry?.close()
  sandbox.cleanup()
})

/** The package of an earlier version, which has no addon. */
function older() {
  mkdirSync(join(sandbox.dir, 'older/package'), { recursive: true })
  const manifest = { name: STORE, version: OLD, peerDependencies: { [PLAIN]: OLD } }
  writeFileSync(join(sandbox.dir, 'older/package/package.json'), JSON.stringify(manifest))
  const file = join(sandbox.dir, 'older.tgz')
  execFileSync('tar', ['-czf', file, '-C', join(sandbox.dir, 'older'), 'package'])
  return file
}

async function loaded(project, command = project.node) {
  writeFileSync(join(project.folder, 'loaded.cjs'), LOADED)
  return (await succeeds(project, `${command} loaded.cjs`)).stdout.trim()
}

test('it names every platform and runs nothing; the other one does not bring it', { skip }, async () => {
  for (const name of [STORE, ...EVERY.map((name) => name.replace(PLAIN, STORE))]) {
    const { versions } = await (await fetch(`${registry.url}${name}`)).json()
    const { scripts, hasInstallScript, dependencies, optionalDependencies, license } = versions[version]
    assert.equal(JSON.stringify({ scripts, hasInstallScript, dependencies }), '{}', name)
    assert.equal(license, 'MIT')
    if (name === STORE)
      assert.deepEqual(
        optionalDependencies,
        Object.fromEntries(EVERY.map((name) => [name.replace(PLAIN, STORE), version])),
      )
  }
})

describe('a project', { skip, concurrency: AT_ONCE }, () => {
  for (const [name, manager] of Object.entries(MANAGERS))
    test(`of ${name} has the addon with the store while its package is there`, async () => {
      const project = projectOf(name)
      await succeeds(project, manager.install)
      assert.equal(await loaded(project), PLAIN)
      assert.deepEqual(
        platformsIn(project).filter((file) => file.startsWith(STORE)),
        [],
      )
      await succeeds(project, manager.install.replace(PLAIN, STORE))
      assert.equal(await loaded(project), STORE)
      if (name === 'bun') assert.equal(await loaded(project, 'bun'), STORE)
      await works(project)
      await succeeds(project, `${manager.removes} ${STORE}`)
      assert.equal(await loaded(project), PLAIN)
      if (name === 'bun') assert.equal(await loaded(project, 'bun'), PLAIN)
    })
})

describe('a store that is configured', { skip, concurrency: AT_ONCE }, () => {
  for (const [name, command] of [
    ['npm', 'node'],
    ['bun', 'bun'],
  ])
    test(`is refused without it, however it is configured, and asked with it, in ${command}`, async () => {
      const project = projectOf(name)
      const { folder } = project
      await succeeds(project, MANAGERS[name].install)
      writeFileSync(join(folder, 'calls.cjs'), CALLS)
      writeFileSync(join(folder, 'config.jsonc'), JSON.stringify({ store: ADDRESS }))
      const ways = [
        [`PROVIDER_AUTH_STORE='${ADDRESS}'`, ''],
        [`PROVIDER_AUTH_CONFIG='${folder}/config.jsonc'`, ''],
        ['', `'${ADDRESS}'`],
      ]
      const call = async ([variable, argument]) =>
        (await succeeds(project, `PROVIDER_AUTH_DIR="$PWD/vault" ${variable} ${command} calls.cjs ${argument}`)).stdout
      for (const way of ways)
        assert.match(await call(way), /^STORE_REFUSED .*install provider-auth-postgres/, way.join())
      assert.ok(!existsSync(join(folder, 'vault')), 'no folder takes its place')
      writeFileSync(join(folder, 'of-stores.cjs'), OF_STORES)
      const { stdout } = await succeeds(project, `PROVIDER_AUTH_DIR="$PWD/vault" ${command} of-stores.cjs`)
      const refused = stdout.trim().split('\n')
      assert.equal(refused.length, 5, stdout)
      for (const line of refused) assert.match(line, /^STORE_REFUSED .*install provider-auth-postgres/)
      await succeeds(project, MANAGERS[name].install.replace(PLAIN, STORE))
      // Nobody listens there.
      for (const said of await Promise.all(ways.map(call))) assert.match(said, /^STORE_UNAVAILABLE /)
    })
})

test('npm refuses two versions that differ', { skip }, async () => {
  const project = projectOf('npm')
  await succeeds(project, `npm install ${PLAIN}`)
  const { code, stderr } = await sh(project, `npm install ${STORE}@${OLD}`)
  assert.notEqual(code, 0)
  assert.match(stderr, /ERESOLVE/)
  assert.match(stderr, new RegExp(`peer ${PLAIN}@"${OLD}" from ${STORE}@${OLD}`))
})

/** Until the packages are on npm; the registry is not asked for anything. */
test('the two files with all in them are installed beside each other', { skip }, async () => {
  const own = [PLAIN, STORE].map((family) => addonName(undefined, family))
  const of = Object.fromEntries(own.map((name) => [name, addons[name]]))
  const packed = await pack(join(sandbox.dir, 'whole'), { addons: of, hasWhole: true, hasNotices: false })
  const project = projectOf('npm')
  await succeeds(project, `npm install '${packed.whole[0]}'`)
  assert.equal(await loaded(project), PLAIN)
  await succeeds(project, `npm install '${packed.store.whole[0]}'`)
  assert.equal(await loaded(project), STORE)
  await works(project)
})
