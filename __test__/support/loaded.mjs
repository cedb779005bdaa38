/** A project with the package's loader in its node_modules, and a small addon that tells a version, for the tests of how it is found. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
export const built = ['npm/build/loader', 'npm/dist/loader']
  .map((path) => join(root, path))
  .find((path) => existsSync(path))
export const tool = (name) => join(root, 'node_modules/.bin', name)
export const { version, napi } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
export const dir = realpathSync(mkdtempSync(join(tmpdir(), 'provider-auth-loader-')))
after(() => rmSync(dir, { recursive: true, force: true }))

export const skip =
  process.platform !== 'linux' || process.arch !== 'x64' || !process.report.getReport().header.glibcVersionRuntime
    ? 'the addons of this test are made for Linux on x64 with glibc'
    : spawnSync('cc', ['--version']).status === 0
      ? false
      : 'there is no C compiler'
export const onLinux = { skip }

export const NAME = 'linux-x64-gnu'
export const FILE = `provider-auth.${NAME}.node`
export const addon = join(dir, FILE)
if (!skip) compile(addon)

export function compile(out, { its = version, args = [] } = {}) {
  const source = join(root, '__test__/fixtures/addon.c')
  execFileSync('cc', ['-shared', '-fPIC', '-s', `-DVERSION="${its}"`, '-o', out, source, ...args])
}

let count = 0
/** A project with the package in its node_modules, and the platform's package if there is an addon for it. */
export function install({ from = addon, name = NAME, bytes, lockfile, above = dir } = {}) {
  count += 1
  const project = join(above, `project-${count}`)
  const own = join(project, 'node_modules/provider-auth')
  cpSync(built, join(own, 'npm/dist/loader'), { recursive: true })
  writeFileSync(join(project, 'package.json'), '{}')
  if (lockfile) writeFileSync(join(project, lockfile), '')
  writeFileSync(join(own, 'package.json'), JSON.stringify({ name: 'provider-auth', version, type: 'module' }))
  const folder = join(project, 'node_modules', `provider-auth-${name}`)
  const file = join(folder, `provider-auth.${name}.node`)
  if (from) {
    mkdirSync(folder)
    copyFileSync(from, file)
    const manifest = { name: `provider-auth-${name}`, version, addonBytes: bytes ?? statSync(from).size }
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  }
  const main = join(own, 'npm/dist/main.mjs')
  writeFileSync(main, SCRIPT)
  return { project, own, folder, file, main }
}

/**
 * Adds the package with the store to a project: for this platform in a package of its own, or `isWhole` with the addon in it. Without an
 * addon, the platform's package is left out. Returns the addon's file.
 */
export function addStore({ project }, { from = addon, its = version, isWhole = false } = {}) {
  const modules = join(project, 'node_modules')
  const write = (name, more) => {
    mkdirSync(join(modules, name), { recursive: true })
    writeFileSync(join(modules, name, 'package.json'), JSON.stringify({ name, version: its, ...more }))
  }
  write('provider-auth-postgres')
  const name = isWhole ? 'provider-auth-postgres' : `provider-auth-postgres-${NAME}`
  const file = join(modules, name, `provider-auth-postgres.${NAME}.node`)
  if (from === null) return file
  write(name, isWhole ? {} : { addonBytes: statSync(from).size })
  copyFileSync(from, file)
  return file
}

const SCRIPT = `
import { loadAddon } from './loader/load.js'
try {
  console.log(JSON.stringify({ version: loadAddon().addonVersion() }))
} catch (error) {
  const { code, message, summary, why, remedies, cause } = error
  console.log(JSON.stringify({ code, message, summary, why, remedies, cause: cause && String(cause[0] ?? cause) }))
}`

export function run({ main, project }, { command = process.execPath, args = [], env = {}, ...options } = {}) {
  const { npm_config_user_agent: _, NAPI_RS_NATIVE_LIBRARY_PATH: __, PROVIDER_AUTH_ADDON: ___, ...own } = process.env
  const ended = spawnSync(command, [...args, main], {
    cwd: project,
    env: { ...own, ...env },
    encoding: 'utf8',
    timeout: 90_000,
    ...options,
  })
  assert.ok(ended.stdout?.startsWith('{'), `${ended.error ?? ''} ${ended.stdout} ${ended.stderr}`)
  return JSON.parse(ended.stdout)
}

export function assertFault(fault, why, remedy = /\S/) {
  assert.equal(fault.code, 'ADDON_NOT_LOADED', JSON.stringify(fault))
  assert.match(fault.why, why)
  assert.match(fault.remedies[0], remedy)
  const unfolded = fault.message.replace(/\s+/g, ' ')
  for (const part of [fault.summary, fault.why, ...fault.remedies]) assert.ok(unfolded.includes(part), fault.message)
}
