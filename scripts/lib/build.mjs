// Builds what the library is made of, in the profile of every test and of `npm start`.

import { copyFileSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { root, run } from './steps.mjs'

/**
 * Builds the addon and puts it in the root, under the name that `index.js` looks for; returns as `run` does.
 * Cargo is asked directly: `napi build` names a target, for which cargo would compile every dependency a second time.
 */
export async function buildAddon() {
  const built = await run('cargo', ['build', '--package', 'provider-auth-node'], {
    name: 'cargo build',
    timeoutMs: 30 * 60_000,
  })
  if (!built.ok) return built
  const metadata = await run('cargo', ['metadata', '--no-deps', '--format-version=1'], { show: 'nothing' })
  if (!metadata.ok) return metadata
  const { target_directory: target } = JSON.parse(metadata.output)
  const [before, after] = { darwin: ['lib', '.dylib'], win32: ['', '.dll'] }[process.platform] ?? ['lib', '.so']
  const file = join(root, addonName())
  // A process that has the old one loaded keeps it: a file is replaced, not written over.
  copyFileSync(join(target, 'debug', `${before}provider_auth_node${after}`), `${file}.new`)
  renameSync(`${file}.new`, file)
  return (await isLoaderCurrent(file))
    ? built
    : run('npm', ['run', '--silent', 'build:addon'], { timeoutMs: 30 * 60_000 })
}

/** Builds `npm/dist`; returns as `run` does. */
export function buildTypeScript() {
  return run('npm', ['run', '--silent', 'build:ts'])
}

/** What `napi build --platform` calls the addon of this machine. */
export function addonName() {
  const isGnu = process.report.getReport().header.glibcVersionRuntime !== undefined
  const abi = { linux: isGnu ? '-gnu' : '-musl', win32: '-msvc' }[process.platform] ?? ''
  return `provider-auth.${process.platform}-${process.arch}${abi}.node`
}

/** Whether the committed loader, which napi writes, names exactly what the addon exports. */
async function isLoaderCurrent(file) {
  const list = `console.log(Object.keys(require(${JSON.stringify(file)})).sort().join())`
  const { output } = await run(process.execPath, ['--eval', list], { show: 'nothing' })
  const exported = readFileSync(join(root, 'index.js'), 'utf8').matchAll(/^export \{ (\w+) \}$/gm)
  return (
    output.trim() ===
    [...exported]
      .map(([, name]) => name)
      .sort()
      .join()
  )
}
