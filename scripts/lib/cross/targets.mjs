// The targets of the cross builds: how each is linked, and where what was built for it can be run.

/**
 * One for each target of `napi.targets`, under the same name:
 *
 * - `file`: the platform, architecture and ABI in the addon's name
 * - `rust`: what cargo is asked for. Windows is built for GNU, since Microsoft's libraries are not free to hand on; what
 *   Node loads is the same: a DLL over the C interface of Node-API
 * - `glibc`: the oldest version that it must load with
 * - `runs`: the environment of `execute.mjs`; without one, `notRun` says why it is not run
 */
export const targets = {
  'x86_64-unknown-linux-gnu': { file: 'linux-x64-gnu', glibc: '2.17', runs: 'host' },
  'aarch64-unknown-linux-gnu': { file: 'linux-arm64-gnu', glibc: '2.17', runs: 'arm64-gnu' },
  'x86_64-unknown-linux-musl': { file: 'linux-x64-musl', runs: 'x64-musl' },
  'aarch64-unknown-linux-musl': { file: 'linux-arm64-musl', runs: 'arm64-musl' },
  'x86_64-apple-darwin': { file: 'darwin-x64', notRun: 'nothing here runs programs of macOS' },
  'aarch64-apple-darwin': { file: 'darwin-arm64', notRun: 'nothing here runs programs of macOS' },
  'x86_64-pc-windows-msvc': { file: 'win32-x64-msvc', rust: 'x86_64-pc-windows-gnu', runs: 'wine' },
  'aarch64-pc-windows-msvc': {
    file: 'win32-arm64-msvc',
    rust: 'aarch64-pc-windows-gnullvm',
    notRun: 'Wine of an x64 machine runs no programs for arm64',
  },
}

/** Returns the targets that are meant by `names`: their own, or part of one such as `musl` or `linux-arm64`. All without names. */
export function chooseTargets(names) {
  if (names.length === 0) return Object.keys(targets)
  return names.flatMap((name) => {
    const found = Object.keys(targets).filter((target) => target.includes(name) || targets[target].file.includes(name))
    if (found.length === 0) throw new Error(`no target is named ${name}; there are: ${Object.keys(targets).join(', ')}`)
    return found
  })
}
