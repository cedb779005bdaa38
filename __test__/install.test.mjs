/**
 * The package as each package manager installs it: from a registry on this machine, into an empty project, with no Rust
 * and no compiler on PATH. For the platforms that are not built here, the registry has packages with a text for an addon.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, delimiter, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SUPPORTED } from '../npm/build/loader/platform.js'
import { addonName } from '../scripts/lib/build.mjs'
import { pack } from '../scripts/lib/pack.mjs'
import { hasCommand } from '../scripts/lib/toolchain.mjs'
import { startRegistry } from './support/registry.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { within } from './support/until.mjs'

const AT_ONCE = 3
const LONGEST_RUN_MS = 90_000
const root = fileURLToPath(new URL('..', import.meta.url))
const modules = join(root, 'node_modules')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const own = /^provider-auth\.(.+)\.node$/.exec(addonName())[1]
const PLATFORMS = SUPPORTED.map((name) => name.split('-'))
const packageOf = (platform) => `provider-auth-${platform.join('-')}`
const EVERY = PLATFORMS.map(packageOf).sort()

/** It has no option to leave out what is optional; a setting leaves out platforms, here all. */
const NO_ADDON_OF_YARN_4 = `yarn config set supportedArchitectures --json '{"os":["none"],"cpu":["none"]}' && yarn add provider-auth`
const YARN_4 = {
  tools: { yarn: join(modules, '@yarnpkg/cli-dist/bin/yarn.js') },
  install: 'yarn add provider-auth',
  without: NO_ADDON_OF_YARN_4,
  runs: 'yarn provider-auth',
  lockfile: 'yarn.lock',
}

/** `runs` is how a project's command is called; `without`, how one installs without optional dependencies. */
const MANAGERS = {
  npm: {
    // npm comes with Node.js.
    tools: { npm: pathOf('npm'), npx: pathOf('npx') },
    install: 'npm install provider-auth',
    without: 'npm install --omit=optional provider-auth',
    runs: 'npx --no-install provider-auth',
    lockfile: 'package-lock.json',
  },
  pnpm: {
    tools: { pnpm: join(modules, 'pnpm/bin/pnpm.cjs') },
    install: 'pnpm add provider-auth',
    without: 'pnpm add --no-optional provider-auth',
    runs: 'pnpm exec provider-auth',
    lockfile: 'pnpm-lock.yaml',
  },
  'yarn 1': {
    tools: { yarn: join(modules, 'yarn/bin/yarn.js') },
    install: 'yarn add provider-auth',
    without: 'yarn add --ignore-optional provider-auth',
    runs: 'yarn --silent provider-auth',
    // It knows no C libraries.
    picks: EVERY.filter((name) => name.startsWith(`provider-auth-${process.platform}-${process.arch}`)),
    lockfile: 'yarn.lock',
  },
  'yarn 4': { ...YARN_4, settings: { nodeLinker: 'node-modules' } },
  "yarn 4 with Plug'n'Play": { ...YARN_4, settings: { nodeLinker: 'pnp' }, node: 'yarn node' },
  bun: {
    tools: { bun: join(modules, 'bun/bin/bun.exe') },
    install: 'bun add provider-auth',
    without: 'bun add --omit=optional provider-auth',
    runs: 'bun run provider-auth',
    lockfile: 'bun.lock',
  },
}

const BOTH = `const required = require('provider-auth')
import('provider-auth').then(async (imported) => {
  console.log(typeof required.createAuthFetch, required.migrate === imported.migrate, (await imported.listAccounts({})).length)
})`

const FAULT = `import('provider-auth').then(
  () => console.log('{}'),
  ({ code, why, remedies, message }) => console.log(JSON.stringify({ code, why, remedies, message })),
)`

const TYPED = `import { createAuthFetch } from 'provider-auth'
export const fetch: (input: string | URL | Request) => Promise<Response> = createAuthFetch({ provider: 'openai' })
// @ts-expect-error: an option of the wrong type
createAuthFetch({ provider: 7 })`

const skip = process.platform === 'win32' && 'the tools of a PATH of its own are symbolic links'
const registry = skip ? undefined : await startRegistry()
const sandbox = createSandbox({ name: 'installs' })
/** All of PATH but the package managers. */
const bin = join(sandbox.dir, 'bin')
/** One of each package manager, as it was installed. */
const projects = {}
let count = 0

before(async () => {
  if (skip) return
  mkdirSync(bin)
  symlinkSync(process.execPath, join(bin, 'node'))
  for (const name of ['sh', 'env', 'rm', 'sed', 'dirname', 'basename', 'uname', 'readlink', 'cat'])
    symlinkSync(pathOf(name), join(bin, name))
  writeFileSync(join(sandbox.env.HOME, '.npmrc'), `${registry.npmrc}update-notifier=false\naudit=false\nfund=false\n`)
  const { main, platforms } = await pack(join(sandbox.dir, 'packed'), { addons: addons(), hasNotices: false })
  assert.equal(platforms.length, PLATFORMS.length)
  await eachAtOnce([...platforms, main], async (file) => {
    const { ok, output } = await registry.publish(file)
    assert.ok(ok, output)
  })
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
    const own = { [addonName()]: addons()[addonName()] }
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

/** An empty project, and PATH for it. */
function projectOf(name) {
  const { tools, settings, node = 'node' } = MANAGERS[name]
  const folder = join(sandbox.dir, `project-${++count}`)
  const path = join(sandbox.dir, `tools-${count}`)
  for (const made of [folder, path]) mkdirSync(made)
  for (const [tool, file] of Object.entries({ ...tools, deno: join(modules, 'deno/deno') }))
    symlinkSync(file, join(path, tool))
  writeFileSync(join(folder, 'package.json'), '{ "name": "empty", "private": true }\n')
  // Every JSON is YAML. Yarn 4 takes no version that has been published today, unless told.
  const yarn = {
    npmRegistryServer: registry.url,
    unsafeHttpWhitelist: ['127.0.0.1'],
    enableTelemetry: false,
    npmMinimalAgeGate: 0,
  }
  if (settings !== undefined) writeFileSync(join(folder, '.yarnrc.yml'), JSON.stringify({ ...yarn, ...settings }))
  cpSync(join(root, '__test__/conformance'), folder, { recursive: true })
  writeFileSync(join(folder, 'both.cjs'), BOTH)
  writeFileSync(join(folder, 'fault.mjs'), FAULT)
  return { folder, node, env: { PATH: `${path}:${bin}`, DBUS_SESSION_BUS_ADDRESS: 'unix:path=/none' } }
}

function sh({ folder, env }, command) {
  const { child, ended } = sandbox.spawn('-c', { command: join(bin, 'sh'), args: [command], cwd: folder, env })
  return within(`the end of ${command}`, ended, LONGEST_RUN_MS).finally(() => child.kill('SIGKILL'))
}

async function succeeds(project, command) {
  const ended = await sh(project, command)
  assert.equal(ended.code, 0, `${command}\n${ended.stdout}${ended.stderr}`)
  return ended
}

/** The package is required and imported, is the same both ways, and opens a vault. */
async function works(project) {
  const { stdout } = await succeeds(project, `${project.node} both.cjs`)
  assert.equal(stdout, 'function true 0\n')
}

async function fault(project) {
  const { stdout } = await succeeds(project, `${project.node} fault.mjs`)
  const { code, why, remedies } = JSON.parse(stdout)
  assert.equal(code, 'ADDON_NOT_LOADED')
  return { why, remedies }
}

/** The platforms' packages that a lockfile names. */
function locked({ folder }, lockfile) {
  const text = readFileSync(join(folder, lockfile), 'utf8')
  return [...new Set(text.match(/provider-auth-(linux|darwin|win32)-(x64|arm64)(-(gnu|musl|msvc))?/g))].sort()
}

/** The addons that lie in a project, wherever the package manager puts them. */
function addonsIn({ folder }) {
  const files = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith('.node'))
  return files.map((file) => join(folder, file)).sort()
}

function platformsIn(project) {
  const names = addonsIn(project).map((file) =>
    basename(file).replace(/^provider-auth\.(.+)\.node$/, 'provider-auth-$1'),
  )
  return [...new Set(names)]
}

/** Leaves half of the addon, in a file of its own: a package manager may have linked it from its cache. */
function halve(project) {
  for (const file of addonsIn(project)) {
    const whole = readFileSync(file)
    rmSync(file)
    writeFileSync(file, whole.subarray(0, whole.length / 2))
  }
}

/** The addon of this machine, without what a debugger needs where `strip` is there; and a text for each other. */
function addons() {
  const text = join(sandbox.dir, 'text')
  writeFileSync(text, 'No addon, but what a test packs in place of one.\n')
  const files = Object.fromEntries(PLATFORMS.map((platform) => [`provider-auth.${platform.join('-')}.node`, text]))
  const light = join(sandbox.dir, addonName())
  const built = join(root, addonName())
  if (hasCommand('strip')) execFileSync('strip', ['--strip-all', '-o', light, built])
  return { ...files, [addonName()]: hasCommand('strip') ? light : built }
}

function pathOf(command) {
  const folder = process.env.PATH.split(delimiter).find((place) => existsSync(join(place, command)))
  assert.ok(folder, `${command} is not on PATH`)
  return realpathSync(join(folder, command))
}

async function eachAtOnce(values, action) {
  const left = [...values]
  const worker = async () => {
    for (let value = left.shift(); value !== undefined; value = left.shift()) await action(value)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}
