/**
 * Projects of each package manager: from a registry on this machine, in a sandbox, with no Rust and no compiler on PATH. For the
 * platforms that are not built here, the registry has packages with a text for an addon.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SUPPORTED } from '../../npm/build/loader/platform.js'
import { addonName } from '../../scripts/lib/build.mjs'
import { hasCommand } from '../../scripts/lib/toolchain.mjs'
import { within } from './until.mjs'

export const AT_ONCE = 3
const LONGEST_RUN_MS = 90_000
const root = fileURLToPath(new URL('../..', import.meta.url))
const modules = join(root, 'node_modules')
/** The platforms, as their parts. */
export const PLATFORMS = SUPPORTED.map((name) => name.split('-'))
/** The packages of all platforms. */
export const EVERY = SUPPORTED.map((name) => `provider-auth-${name}`).sort()
export const skip = process.platform === 'win32' && 'the tools of a PATH of its own are symbolic links'

/** It has no option to leave out what is optional; a setting leaves out platforms, here all. */
const NO_ADDON_OF_YARN_4 = `yarn config set supportedArchitectures --json '{"os":["none"],"cpu":["none"]}' && yarn add provider-auth`
const YARN_4 = {
  tools: { yarn: join(modules, '@yarnpkg/cli-dist/bin/yarn.js') },
  install: 'yarn add provider-auth',
  without: NO_ADDON_OF_YARN_4,
  removes: 'yarn remove',
  runs: 'yarn provider-auth',
  lockfile: 'yarn.lock',
}

/**
 * `runs` is how a project's command is called; `without`, how one installs without optional dependencies; `removes`, how one
 * removes a package; `node`, what runs a file, if it is not Node itself.
 */
export const MANAGERS = {
  npm: {
    // npm comes with Node.js.
    tools: { npm: pathOf('npm'), npx: pathOf('npx') },
    install: 'npm install provider-auth',
    without: 'npm install --omit=optional provider-auth',
    removes: 'npm uninstall',
    runs: 'npx --no-install provider-auth',
    lockfile: 'package-lock.json',
  },
  pnpm: {
    tools: { pnpm: join(modules, 'pnpm/bin/pnpm.cjs') },
    install: 'pnpm add provider-auth',
    without: 'pnpm add --no-optional provider-auth',
    removes: 'pnpm remove',
    runs: 'pnpm exec provider-auth',
    lockfile: 'pnpm-lock.yaml',
  },
  'yarn 1': {
    tools: { yarn: join(modules, 'yarn/bin/yarn.js') },
    install: 'yarn add provider-auth',
    without: 'yarn add --ignore-optional provider-auth',
    removes: 'yarn remove',
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
    removes: 'bun remove',
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

/**
 * Prepares the sandbox; `projectOf` makes an empty project of a package manager. In one, `succeeds` runs a command that has to, `works`
 * requires and imports the package, and `fault` returns why it does not load.
 */
export function createProjects(sandbox, registry) {
  /** All of PATH but the package managers. */
  const bin = join(sandbox.dir, 'bin')
  let count = 0
  mkdirSync(bin)
  symlinkSync(process.execPath, join(bin, 'node'))
  for (const name of ['sh', 'env', 'rm', 'sed', 'dirname', 'basename', 'uname', 'readlink', 'cat'])
    symlinkSync(pathOf(name), join(bin, name))
  writeFileSync(join(sandbox.env.HOME, '.npmrc'), `${registry.npmrc}update-notifier=false\naudit=false\nfund=false\n`)
  return { projectOf, sh, succeeds, works, fault }

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
}

/** The addons that lie in a project, wherever the package manager puts them. */
export function addonsIn({ folder }) {
  const files = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith('.node'))
  return files.map((file) => join(folder, file)).sort()
}

/** The platforms' packages that those are of. */
export function platformsIn(project) {
  const names = addonsIn(project).map((file) => basename(file).replace(/^(provider-auth[a-z-]*)\.(.+)\.node$/, '$1-$2'))
  return [...new Set(names)]
}

/** Publishes tarballs, those of platforms first. */
export async function publish(registry, { platforms, main }) {
  await eachAtOnce([...platforms, main], async (file) => {
    const { ok, output } = await registry.publish(file)
    assert.ok(ok, output)
  })
}

/**
 * The addons to pack for all platforms: for this machine the one that is built, without what a debugger needs where `strip` is there;
 * and a text for each other.
 */
export function addonsOf(folder, family = 'provider-auth', built = join(root, addonName())) {
  const text = join(folder, 'text')
  writeFileSync(text, 'No addon, but what a test packs in place of one.\n')
  const files = Object.fromEntries(SUPPORTED.map((name) => [`${family}.${name}.node`, text]))
  const own = join(folder, addonName(undefined, family))
  if (hasCommand('strip')) execFileSync('strip', ['--strip-all', '-o', own, built])
  else copyFileSync(built, own)
  return { ...files, [addonName(undefined, family)]: own }
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
