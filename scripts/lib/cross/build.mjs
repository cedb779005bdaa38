// Builds the addon for one target, with zig as the linker and as the compiler of the parts in C.

import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { addonName } from '../build.mjs'
import { featuresOf } from '../families.mjs'
import { isFresh } from '../freshness.mjs'
import { releaseEnvironment } from '../rust-flags.mjs'
import { root } from '../steps.mjs'
import { writeAppleStubs, writeWindowsStubs } from './stubs.mjs'
import { targets } from './targets.mjs'
import { must, tools, toolsFolder, zigEnvironment } from './tools.mjs'

const OUTPUT = 'target/cross'
const RECIPE = ['cross/build', 'cross/stubs', 'cross/targets', 'rust-flags'].map((name) => `scripts/lib/${name}.mjs`)
/** What makes another file of the same sources. */
const SETTINGS = /^(CARGO_PROFILE_|CARGO_BUILD_RUSTFLAGS$|RUSTFLAGS$|CARGO_ENCODED_RUSTFLAGS$)/
const HOURS = 60 * 60_000
/** Of what cargo says about all crates: some megabytes in one line. */
const MOST_METADATA = 64 * 1024 * 1024

/** Where an addon of a target is put, from the root. */
export function addonPath(target, family) {
  return join(OUTPUT, target, addonName(target, family))
}

/** Builds an addon for a target, unless what is there is newer than its sources and was made with the same settings. Throws where it fails. */
export async function buildTarget(target, family) {
  const settings = JSON.stringify(
    Object.entries(process.env)
      .filter(([name]) => SETTINGS.test(name))
      .sort(),
  )
  const noted = join(root, OUTPUT, target, `${family}.settings.json`)
  const sources = ['crates', 'Cargo.toml', 'Cargo.lock', ...RECIPE]
  const isSame = existsSync(noted) && readFileSync(noted, 'utf8') === settings
  if (isSame && isFresh({ sources, outputs: [addonPath(target, family)] })) return { built: false }
  const { rust = target, glibc } = targets[target]
  const place = join(root, OUTPUT, 'build')
  const { args, env } = await surroundings(target, rust, place)
  const what = [
    '--package',
    'provider-auth-node',
    '--release',
    '--locked',
    '--target',
    glibc ? `${rust}.${glibc}` : rust,
    ...featuresOf(family),
  ]
  const command = join(await tools.python(), 'bin/cargo-zigbuild')
  const { output } = await must(command, ['zigbuild', ...args, ...what], { name: target, env, timeoutMs: 2 * HOURS })
  // What is unused on one platform alone, no other build tells.
  const warnings = [...output.matchAll(/^warning: (.+)\n\s+--> (crates\S+)/gm)].map(
    ([, text, place]) => `${place}: ${text}`,
  )
  if (warnings.length > 0) throw new Error(`the compiler warns of ${warnings.join('; ')}`)
  const [before, after] = /apple/.test(rust) ? ['lib', 'dylib'] : /windows/.test(rust) ? ['', 'dll'] : ['lib', 'so']
  mkdirSync(join(root, OUTPUT, target), { recursive: true })
  copyFileSync(
    join(place, rust, 'release', `${before}provider_auth_node.${after}`),
    join(root, addonPath(target, family)),
  )
  writeFileSync(noted, settings)
  return { built: true }
}

/** The arguments and the environment of cargo for a target. */
async function surroundings(target, rust, place) {
  const python = await tools.python()
  const env = {
    ...process.env,
    PATH: [join(python, 'bin'), process.env.PATH].join(delimiter),
    ...zigEnvironment(python),
    CARGO_TARGET_DIR: place,
    XDG_CACHE_HOME: join(toolsFolder, 'cache'),
  }
  const flags = process.env.RUSTFLAGS ? [process.env.RUSTFLAGS] : []
  if (rust.includes('windows')) {
    const stubs = writeWindowsStubs(join(place, 'stubs-windows'))
    Object.assign(env, stubs.env)
    flags.push(...stubs.flags)
  }
  if (rust.includes('apple')) {
    flags.push(...writeAppleStubs(join(place, 'stubs-apple'), cratesOf(rust)))
    // Its name is else the path under which it was linked; and std names libraries of which it uses nothing.
    flags.push(`-Clink-arg=-Wl,-install_name,@rpath/${addonName(target)}`, '-Clink-arg=-Wl,-dead_strip_dylibs')
    env.PATH = [await shimOfObjcopy(place), env.PATH].join(delimiter)
  }
  const args = []
  if (!(await hasLibrary(rust))) {
    const folder = await tools.rust()
    const command = (name) => join(folder, 'usr/bin', name)
    // Debian's compiler is a stable one; the sources of the standard library are compiled with it as with a nightly.
    Object.assign(env, {
      RUSTC: command('rustc'),
      CARGO: command('cargo'),
      RUSTDOC: command('rustdoc'),
      RUSTC_BOOTSTRAP: '1',
    })
    env.PATH = [join(folder, 'usr/bin'), env.PATH].join(delimiter)
    env.LD_LIBRARY_PATH = join(folder, 'usr/lib/x86_64-linux-gnu')
    args.push('-Z', 'build-std=std,panic_unwind')
    // Under the name that it has in a standard library as it is handed out.
    flags.push(`--remap-path-prefix=${join(folder, 'usr/lib/rustlib/src/rust')}=/rustc`)
  }
  const release = releaseEnvironment({ target: rust, env: { ...env, RUSTFLAGS: flags.join(' ') }, targetFolder: place })
  const { RUSTFLAGS, ...rest } = { ...env, ...release }
  return { args, env: rest }
}

/** Whether the compiler at hand has a standard library for the target. */
async function hasLibrary(rust) {
  const { output } = await must('rustc', ['--print', 'target-libdir', '--target', rust], { show: 'nothing' })
  return existsSync(output.trim())
}

/** The folders of the crates that speak to Apple's frameworks. */
function cratesOf(rust) {
  const args = ['metadata', '--format-version=1', '--locked', '--filter-platform', rust]
  const output = execFileSync('cargo', args, { cwd: root, encoding: 'utf8', maxBuffer: MOST_METADATA })
  const { packages } = JSON.parse(output)
  const speaks =
    /^(core-foundation|security-framework|system-configuration|objc|iana-time-zone|rustls-platform-verifier)/
  return packages.filter(({ name }) => speaks.test(name)).map(({ manifest_path: file }) => dirname(file))
}

/**
 * A folder with the program by which rustc strips a file for macOS, which Debian's lacks: that of the compiler at hand. It signs the
 * file anew.
 */
async function shimOfObjcopy(place) {
  const { output } = await must('rustc', ['--print', 'sysroot'], { show: 'nothing' })
  const sysroot = output.trim()
  const program = join(sysroot, 'lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-objcopy')
  if (!existsSync(program)) throw new Error(`to strip a file for macOS, Rust's own objcopy is needed: ${program}`)
  const folder = join(place, 'shims')
  mkdirSync(folder, { recursive: true })
  const script = `#!/bin/sh\nLD_LIBRARY_PATH='${join(sysroot, 'lib')}' exec '${program}' "$@"\n`
  writeFileSync(join(folder, 'rust-objcopy'), script, { mode: 0o755 })
  return folder
}
