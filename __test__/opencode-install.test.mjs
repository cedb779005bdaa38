/**
 * The package as people get it: packed, published to a registry on this machine, and installed by the real OpenCode, which then
 * goes on without the registry.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { addonName } from '../scripts/lib/build.mjs'
import { pack } from '../scripts/lib/pack.mjs'
import { hasCommand } from '../scripts/lib/toolchain.mjs'
import { createOpenCode, PLUGIN } from './support/opencode.mjs'
import { startRegistry } from './support/registry.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { hasTmux, startTerminal } from './support/tmux.mjs'
import { startUpstream } from './support/upstream.mjs'

const KEY = 'sk-installed-5d0c7a91'
const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const upstream = await startUpstream({ keys: { [KEY]: 'A' } })
const registry = await startRegistry()
const sandbox = createSandbox({ name: 'install', config: { providers: { pool: { origins: [upstream.origin] } } } })
const providers = { pool: upstream.baseURL }
const opencode = createOpenCode(sandbox, { providers, plugin: null })
/** Where OpenCode puts what it installs by name. */
const installed = join(sandbox.env.XDG_CACHE_HOME, 'opencode/packages/provider-auth@latest')
const onScreen = { skip: hasTmux ? false : 'tmux is not installed' }
let packed
let registryIsUp = true

before(async () => {
  packed = await pack(join(sandbox.dir, 'packed'), { addons: lighterAddon(), hasNotices: false })
  const { code, stderr } = await sandbox.run(`await auth.addApiKey({ provider: 'pool', apiKey: '${KEY}' })`)
  assert.equal(code, 0, stderr)
})

after(async () => {
  await opencode.close()
  if (registryIsUp) await registry.close()
  await upstream.close()
  sandbox.cleanup()
})

test('the package holds what it is made of and nothing else', () => {
  const files = filesOf(packed.main)
  const allowed =
    /^(package\.json|README\.md|LICENSE|THIRD-PARTY-NOTICES|[\w-]+\.d\.ts|npm\/dist\/.+\.(c?js|d\.cts)|npm\/dist\/cli\/package\.json|schemas\/(cli\/)?[\w.-]+\.json)$/
  assert.deepEqual(
    files.filter((file) => !allowed.test(file)),
    [],
  )
  // What is published says so of every platform that is built for, and runs no script.
  const published = packageJsonOf(packed.main)
  const entries = JSON.stringify(published.exports).match(/(?<=\.\/)[^"*]+\.(c?js|d\.c?ts)(?=")/g)
  assert.deepEqual(
    ['THIRD-PARTY-NOTICES', 'npm/dist/cli/main.js', 'schemas/cli/error.schema.json', ...entries].filter(
      (file) => !files.includes(file),
    ),
    [],
  )
  assert.equal(Object.keys(published.optionalDependencies).length, manifest.napi.targets.length)
  assert.deepEqual(new Set(Object.values(published.optionalDependencies)), new Set([manifest.version]))
  assert.equal(published.scripts, undefined)
  assert.equal(published.dependencies, undefined)
  for (const file of packed.platforms) {
    const { name, scripts } = packageJsonOf(file)
    assert.ok(Object.hasOwn(published.optionalDependencies, name), name)
    assert.deepEqual(filesOf(file).sort(), ['LICENSE', 'README.md', 'load.cjs', 'package.json', addonName()])
    assert.equal(scripts, undefined)
  }
})

test('OpenCode installs it from a registry by its name, for its server and for its screen', async () => {
  writeFileSync(join(sandbox.env.HOME, '.npmrc'), registry.npmrc)
  for (const file of [...packed.platforms, packed.main]) {
    const published = await registry.publish(file)
    assert.ok(published.ok, published.output)
  }
  const { code, stdout, stderr } = await opencode.start('plugin', 'provider-auth', '-g').ended
  assert.equal(code, 0, stderr)
  assert.match(stdout + stderr, /Detected server \+ tui targets/)
  for (const name of ['opencode.json', 'tui.json']) {
    const config = JSON.parse(readFileSync(join(opencode.configFolder, name), 'utf8'))
    assert.deepEqual(config.plugin, ['provider-auth'], name)
  }
  // Of the addons, that of this platform alone is there to be had, and no other was missed.
  const tarballs = registry.requests().filter((request) => request.endsWith('.tgz'))
  assert.equal(tarballs.length, packed.platforms.length + 1, tarballs.join())
  await serves()
})

test('npx runs the command from the registry, and npm links it in a project', async () => {
  const npm = (tool, ...args) =>
    sandbox.spawn(args[0], {
      command: tool,
      args: args.slice(1),
      env: { npm_config_cache: join(sandbox.dir, 'user'), npm_config_update_notifier: 'false' },
    }).ended
  const shown = await npm('npx', '--yes', 'provider-auth', '--version')
  assert.equal(shown.code, 0, shown.stderr)
  assert.equal(shown.stdout, `${manifest.version}\n`)
  writeFileSync(join(sandbox.work, 'package.json'), '{ "private": true }')
  const project = await npm('npm', 'install', 'provider-auth')
  assert.equal(project.code, 0, project.stderr)
  const linked = await sandbox.spawn('accounts', {
    command: join(sandbox.work, 'node_modules/.bin/provider-auth'),
    args: ['--json'],
  }).ended
  assert.equal(linked.code, 0, linked.stderr)
  assert.equal(JSON.parse(linked.stdout).accounts.length, 1)
})

test('its login works', signsIn)

test('its screen starts', onScreen, starts)

test('the registry may go', async () => {
  await registry.close()
  registryIsUp = false
  await serves()
  await signsIn()
})

test('its screen starts without the registry', onScreen, starts)

test('two lines by hand do the same', async () => {
  for (const name of ['opencode.json', 'tui.json']) {
    const file = join(opencode.configFolder, name)
    const { plugin, ...rest } = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
    writeFileSync(file, JSON.stringify({ ...rest, plugin: ['provider-auth'] }))
  }
  await serves()
})

test('an addon that was installed by half is named, and OpenCode stays', async () => {
  const addon = join(installed, 'node_modules/provider-auth-linux-x64-gnu', addonName())
  const whole = readFileSync(addon)
  truncateSync(addon, whole.length / 2)
  upstream.forget()
  const { code, stderr } = await opencode.run('pool/small-1')
  assert.equal(code, 1, stderr)
  assert.match(stderr, /incomplete: its installation was interrupted/)
  assert.deepEqual(upstream.requests, [])
  writeFileSync(addon, whole)
  await serves()
})

test("a clone's folder does the same", async () => {
  rmSync(join(sandbox.env.XDG_CACHE_HOME, 'opencode/packages'), { recursive: true })
  opencode.writeConfig({ plugin: [PLUGIN] })
  writeFileSync(join(opencode.configFolder, 'tui.json'), JSON.stringify({ plugin: [PLUGIN] }))
  await serves()
})

test("a clone's screen starts", onScreen, starts)

/** One message is answered with the key of the vault. */
async function serves() {
  upstream.forget()
  const { code, stdout, stderr } = await opencode.run('pool/small-1')
  assert.equal(code, 0, stderr)
  assert.match(stdout, /served by A/, stderr)
  assert.deepEqual(upstream.accounts(), ['A'])
}

/** A key that is typed at OpenCode's login goes to the vault. */
async function signsIn() {
  const login = ['auth', 'login', '--provider', 'pool', '--method', 'API key']
  const before = await accounts()
  const key = `sk-typed-${before}`
  upstream.admit(key, 'A')
  const { code, stdout, stderr } = await opencode.startWith({ input: `${key}\r\n` }, ...login).ended
  assert.equal(code, 0, stdout + stderr)
  assert.equal(await accounts(), before + 1, stdout + stderr)
}

async function accounts() {
  const { stdout } = await sandbox.run(`console.log((await auth.listAccounts({ provider: 'pool' })).length)`)
  return Number(stdout)
}

/** OpenCode's screen is drawn, with the plugin's part of it. */
async function starts() {
  const { project: cwd, env } = opencode
  const terminal = await startTerminal(opencode.binary, [], { cwd, env })
  try {
    await terminal.shows((text) => /Ask anything/.test(text) && /\d accounts?\b/.test(text))
  } finally {
    terminal.close()
  }
}

/** The addon without what a debugger needs, where `strip` is there: a fifth of the bytes to pack. */
function lighterAddon() {
  if (!hasCommand('strip')) return {}
  const file = join(sandbox.dir, addonName())
  execFileSync('strip', ['--strip-debug', '-o', file, join(root, addonName())])
  return { [addonName()]: file }
}

function filesOf(tarball) {
  const listed = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' })
  return listed
    .trim()
    .split('\n')
    .map((file) => file.replace(/^package\//, ''))
}

function packageJsonOf(tarball) {
  return JSON.parse(execFileSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' }))
}
