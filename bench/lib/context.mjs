// What the parts of the bench share: a sandbox, vaults with so many accounts, a server of tokens, a keyring, the runtimes.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSession } from '../../__test__/support/keyring.mjs'
import { createSandbox } from '../../__test__/support/sandbox.mjs'
import { root } from '../../scripts/lib/steps.mjs'
import { measureIn, startServer } from './process.mjs'

/** The package of each peer. */
const PACKAGES = {
  google: 'google-auth-library',
  msal: '@azure/msal-node',
  'msal-file': '@azure/msal-node',
  'octokit-token': '@octokit/auth-token',
  'octokit-device': '@octokit/auth-oauth-device',
  openid: 'openid-client',
  anthropic: '@anthropic-ai/sdk',
  keyring: '@napi-rs/keyring',
}

/** Opens it; `close` ends all that it started. `built` is what was built to be measured beside the addon. */
export function openContext({ addon, built, isQuick }) {
  const sandbox = createSandbox({ name: 'bench' })
  sandbox.env.NAPI_RS_NATIVE_LIBRARY_PATH = addon
  const vaults = new Map()
  let server
  let session
  return {
    sandbox,
    isQuick,
    ...built,
    runtimes: runtimes(),
    /** So many rounds, or fewer for a quick look. */
    rounds: (all, quick) => (isQuick ? quick : all),
    /** The version of a peer's package, to stand behind its name. */
    version: (peer) => (PACKAGES[peer?.id] === undefined ? '' : ` (${versionOf(PACKAGES[peer.id])})`),
    /** The folder of a vault with so many API keys. */
    async vault(accounts) {
      const dir = join(sandbox.dir, `vault-of-${accounts}`)
      const seed = () => measureIn(sandbox, 'seed', { options: { accounts }, env: { PROVIDER_AUTH_DIR: dir } })
      if (!vaults.has(accounts)) vaults.set(accounts, await seed())
      return dir
    },
    /** How long the library took to add them, in nanoseconds. */
    seeding: (accounts) => vaults.get(accounts).took,
    async tokenServer() {
      server ??= await startServer('tokens')
      return server
    },
    /** A session with an unlocked keyring; undefined where none can be started. */
    async keyring() {
      if (session !== undefined) return session
      const tools = ['dbus-daemon', 'dbus-send', 'gnome-keyring-daemon']
      const isThere = (tool) => process.env.PATH.split(':').some((folder) => existsSync(join(folder, tool)))
      if (process.platform !== 'linux' || !tools.every(isThere)) return undefined
      session = createSession()
      await session.startBus()
      await session.startDaemon()
      return session
    },
    async close() {
      server?.stop()
      await session?.close()
      sandbox.cleanup()
    },
  }
}

/** The version of an installed package. */
export function versionOf(name) {
  return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version
}

/** Node, and Bun where it is installed: `{ name, version, command }`. */
function runtimes() {
  const node = { name: 'node', version: process.versions.node, command: process.execPath }
  const bun = bunBinary()
  if (bun === undefined) return [node]
  return [node, { name: 'bun', version: versionOf('bun'), command: bun }]
}

/** Bun's own binary, which an install script takes out of the package of its platform to where `.bin` points. */
function bunBinary() {
  const bun = process.platform === 'win32' ? 'bun.exe' : 'bun'
  const packages = join(root, 'node_modules/@oven')
  const names = existsSync(packages) ? readdirSync(packages) : []
  const files = [...names.map((name) => join(packages, name, 'bin', bun)), join(root, 'node_modules/.bin/bun')]
  return files.find((file) => existsSync(file))
}
