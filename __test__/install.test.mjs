/**
 * The package as each package manager installs it: from a registry on this machine, into an empty project, with no Rust
 * and no compiler on PATH. For the platforms that are not built here, the registry has packages with a text for an addon.
 */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { addonName } from '../scripts/lib/build.mjs'
import { pack } from '../scripts/lib/pack.mjs'
import {
  AT_ONCE,
  addonsIn,
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
const modules = join(root, 'node_modules')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const own = /^provider-auth\.(.+)\.node$/.exec(addonName())[1]
const packageOf = (platform) => `provider-auth-${platform.join('-')}`

const TYPED = `import { createAuthFetch } from 'provider-auth'
export const fetch: (input: string | URL | Request) => Promise<Response> = createAuthFetch({ provider: 'openai' })
// @ts-expect-error: an option of the wrong type
createAuthFetch({ provider: 7 })`

const registry = skip ? undefined : await startRegistry()
const sandbox = createSandbox({ name: 'installs' })
const { projectOf, sh, succeeds, works, fault } = skip ? {} : createProjects(sandbox, registry)
/** One of each package manager, as it was installed. */
const projects = {}

before(async () => {
  if (skip) return
  const packed = await pack(join(sandbox.dir, 'packed'), { addons: addonsOf(sandbox.dir), hasNotices: false })
  assert.equal(packed.platforms.length, PLATFORMS.length)
  await publish(registry, packed)
})

after(async () => {
  await registry?.close()
  sandbox.cleanup()
})

test('installing runs nothing, and the package names every platform', { skip }, async () => {
  for (const name of ['provider-auth', ...EVERY]) {
    const { versions } = await (await fetch(`${registry.url}${name}`)).json()
    const { scripts, hasInstallScript, dependencies, gypfile } = versions[version]
    const unwanted = { scripts, hasInstallScript, dependencies, gypfile }
    assert.deepEqual(JSON.stringify(unwanted), '{}', name)
    if (name === 'provider-auth') assert.deepEqual(Object.keys(versions[version].optionalDependencies).sort(), EVERY)
  }
  for (const tool of ['cargo', 'rustc', 'cc', 'gcc', 'clang', 'make', 'python3'])
    assert.equal((await sh(projectOf('npm'), `command -v ${tool}`)).stdout, '', tool)
})

describe('a project', { skip, concurrency: AT_ONCE }, () => {
  for (const [name, manager] of Object.entries(MANAGERS)) {
    test(`of ${name} has the package, its command and this platform's addon`, async (t) => {
      const project = projectOf(name)
      const startedAt = Date.now()
      await succeeds(project, manager.install)
      t.diagnostic(`${manager.install}: ${Date.now() - startedAt} ms`)
      assert.deepEqual(locked(project, manager.lockfile), EVERY)
      assert.deepEqual(platformsIn(project), manager.picks ?? [`provider-auth-${own}`])
      await works(project)
      const { stdout } = await succeeds(project, `${manager.runs} accounts --json`)
      assert.deepEqual(JSON.parse(stdout).accounts, [])
      projects[name] = project
    })
  }
})

/** Until the package is on npm; the registry is not asked for anything. */
describe('the file with all in it', { skip, concurrency: AT_ONCE }, () => {
  let file
  before(async () => {
    const own = { [addonName()]: addonsOf(sandbox.dir)[addonName()] }
    const { whole } = await pack(join(sandbox.dir, 'whole'), { addons: own, hasWhole: true, hasNotices: false })
    ;[file] = whole
  })
  for (const [name, again] of [
    ['npm', 'npm ci'],
    // With --frozen-lockfile it finds no file in a lockfile of its own making.
    ['yarn 1', 'yarn install'],
    ['yarn 4', 'yarn install --immutable'],
  ])
    test(`is installed by ${name}, and once more from the lockfile`, async () => {
      const project = projectOf(name)
      const id = name.startsWith('yarn') ? `provider-auth@file:${file}` : file
      await succeeds(project, MANAGERS[name].install.replace('provider-auth', `'${id}'`))
      await works(project)
      await succeeds(project, `rm -rf node_modules && ${again}`)
      await works(project)
      assert.deepEqual(locked(project, MANAGERS[name].lockfile), [])
    })
})

/** What the fault proposes first is done by the letter. */
describe('a project without optional dependencies', { skip, concurrency: AT_ONCE }, () => {
  for (const [name, manager] of Object.entries(MANAGERS)) {
    if (manager.without === undefined) continue
    test(`of ${name} is told what to do, and that helps`, async (t) => {
      const project = projectOf(name)
      await succeeds(project, manager.without)
      assert.deepEqual(platformsIn(project), [])
      const { why, remedies } = await fault(project)
      assert.match(why, /is not installed\. It is an optional dependency/)
      t.diagnostic(remedies[0])
      await succeeds(project, remedies[0])
      await works(project)
    })
  }
})

describe('npm picks', { skip, concurrency: AT_ONCE }, () => {
  for (const platform of PLATFORMS) {
    const [os, cpu, libc] = platform
    const options = [
      `--os=${os}`,
      `--cpu=${cpu}`,
      ...(os === 'linux' ? [`--libc=${libc === 'gnu' ? 'glibc' : libc}`] : []),
    ].join(' ')
    test(`the addon of ${options}, and no other`, async () => {
      const project = projectOf('npm')
      await succeeds(project, `npm install ${options} provider-auth`)
      assert.deepEqual(platformsIn(project), [packageOf(platform)])
      if (own === platform.join('-')) await works(project)
      else assert.match((await fault(project)).why, new RegExp(`Installed is ${packageOf(platform)}, `))
    })
  }
})

describe('the installed package conforms', { skip, concurrency: AT_ONCE }, () => {
  const deno = `deno run --node-modules-dir=manual --allow-ffi --allow-read --allow-write --allow-env --allow-net=127.0.0.1 --allow-sys`
  const text = readFileSync(join(root, '__test__/conformance/expected.txt'), 'utf8')
  const expected = process.platform === 'linux' ? text : text.replace(/^keychain: .*$/m, 'keychain: not asked')
  for (const [name, command] of [
    ['npm', 'node program.mjs'],
    ['npm', 'node program.cjs'],
    ['npm', `${deno} program.mjs`],
    ['bun', 'bun program.mjs'],
    ['pnpm', `${deno} program.mjs`],
    ["yarn 4 with Plug'n'Play", 'yarn node program.mjs'],
  ])
    test(`as ${name} installs it, with ${command.replace(/ run .* /, ' ')}`, async () => {
      const { stdout } = await succeeds(projects[name], command)
      assert.equal(stdout, expected)
    })
})

test('the types are found, however the package is installed', { skip }, async () => {
  const files = Object.entries(projects).flatMap(([name, { folder }]) => {
    if (MANAGERS[name].node !== undefined) return []
    writeFileSync(join(folder, 'typed.mts'), TYPED)
    return [join(folder, 'typed.mts')]
  })
  assert.ok(files.length > 0)
  const args = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', ...files]
  const { code, stdout } = await sandbox.spawn(join(modules, 'typescript/bin/tsc'), { args }).ended
  assert.equal(code, 0, stdout)
})

describe('an installation that was interrupted', { skip, concurrency: AT_ONCE }, () => {
  for (const name of Object.keys(MANAGERS))
    test(`by ${name} is named, and what the fault says helps`, async (t) => {
      halve(projects[name])
      const { why, remedies } = await fault(projects[name])
      assert.match(why, /is incomplete: its installation was interrupted/)
      t.diagnostic(remedies[0])
      await succeeds(projects[name], remedies[0])
      await works(projects[name])
    })
})

/** The platforms' packages that a lockfile names. */
function locked({ folder }, lockfile) {
  const text = readFileSync(join(folder, lockfile), 'utf8')
  return [...new Set(text.match(/provider-auth-(linux|darwin|win32)-(x64|arm64)(-(gnu|musl|msvc))?/g))].sort()
}

/** Leaves half of the addon, in a file of its own: a package manager may have linked it from its cache. */
function halve(project) {
  for (const file of addonsIn(project)) {
    const whole = readFileSync(file)
    rmSync(file)
    writeFileSync(file, whole.subarray(0, whole.length / 2))
  }
}
