// Builds an addon twice, in two clones with a cargo home of their own each, and compares the bytes.

import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildRelease } from '../build.mjs'
import { PLAIN } from '../families.mjs'
import { root, run, step } from '../steps.mjs'

/** Their lengths differ as well, so that a path that is written down moves what follows it. */
const FOLDERS = ['one', 'another-folder-with-a-longer-name']

/**
 * Returns whether two builds of the last commit are the same byte by byte. Both stay in `folder`; a build that has ended is
 * not made again for the same commit.
 */
export async function reproduce({ family = PLAIN, folder = join(tmpdir(), 'provider-auth-reproduce') } = {}) {
  const { output } = await run('git', ['rev-parse', 'HEAD'], { show: 'nothing' })
  const commit = output.trim()
  const builds = []
  for (const [index, name] of FOLDERS.entries()) {
    const { ok, file } = await step(
      `${family}: build ${index + 1} of ${FOLDERS.length}, of ${commit.slice(0, 12)}`,
      () => buildIn(join(folder, name), { family, commit, ownCargo: index > 0 }),
    )
    if (!ok) return { ok, output: '' }
    const bytes = readFileSync(file)
    builds.push({ file, bytes, hash: createHash('sha256').update(bytes).digest('hex') })
  }
  for (const { hash, file, bytes } of builds) console.log(`   ${hash}  ${bytes.length} bytes  ${file}`)
  const [one, other] = builds.map(({ bytes }) => bytes)
  if (one.equals(other)) return { ok: true }
  const at = one.findIndex((byte, index) => byte !== other[index])
  return { ok: false, output: `the two builds differ, first at byte ${at}\n` }
}

/** Clones the commit, and builds it there; with a cargo home of its own if told, so that this path differs as well. */
async function buildIn(folder, { family, commit, ownCargo }) {
  const clone = join(folder, 'provider-auth')
  const built = join(folder, `built-commit-${family}`)
  const addon = join(clone, 'target', `release-${family}.node`)
  if (existsSync(addon) && existsSync(built) && readFileSync(built, 'utf8') === commit) return { ok: true, file: addon }
  if (!existsSync(join(clone, '.git'))) {
    mkdirSync(folder, { recursive: true })
    const cloned = await run('git', ['clone', '--quiet', '--no-hardlinks', root, clone], { name: 'git clone' })
    if (!cloned.ok) return cloned
  }
  for (const args of [
    ['fetch', '--quiet', root, commit],
    ['checkout', '--quiet', '--detach', commit],
  ]) {
    const done = await run('git', args, { cwd: clone, show: 'nothing' })
    if (!done.ok) return done
  }
  const env = { ...process.env, CARGO_TARGET_DIR: join(clone, 'target') }
  if (ownCargo) env.CARGO_HOME = cargoHome(folder)
  const result = await buildRelease({ family, folder: clone, env, file: addon, exact: true })
  if (result.ok) writeFileSync(built, commit)
  else rmSync(built, { force: true })
  return { ...result, file: addon }
}

/** A cargo home below `folder`, with the configuration of the user's. */
function cargoHome(folder) {
  const home = join(folder, 'cargo-home')
  mkdirSync(home, { recursive: true })
  const users = process.env.CARGO_HOME || join(homedir(), '.cargo')
  for (const name of ['config.toml', 'config']) {
    if (existsSync(join(users, name))) cpSync(join(users, name), join(home, name))
  }
  return home
}
