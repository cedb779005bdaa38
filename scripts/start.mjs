// `npm start`: looks for the tools, installs, builds what is stale, and plays the story of `demo.mjs`.
// `npm start -- --keep` leaves the story's provider and chat endpoint running, for code of your own.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { addonName, buildAddon, buildTypeScript, isTypeScriptBuilt } from './lib/build.mjs'
import { isFresh } from './lib/freshness.mjs'
import { root, step } from './lib/steps.mjs'
import { installPackages, missingTools, packagesAreInstalled } from './lib/toolchain.mjs'

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } })

await prepare('Tools', checkTools)
await prepare('Packages of npm, and the native addon (its first build takes some minutes)', packagesAndAddon)
await prepare('The TypeScript', typeScript)
process.exitCode = await play()

/** Runs one step; the reason for a failure is on the screen when it ends the script. */
async function prepare(title, action) {
  const { ok } = await step(title, action)
  if (!ok) process.exit(1)
}

async function checkTools() {
  const missing = await missingTools({ compiles: !addonIsBuilt() })
  for (const tool of missing) console.log(`   missing: ${tool}`)
  return { ok: missing.length === 0 }
}

/** Side by side: one waits for the network, the other for the compiler. */
async function packagesAndAddon() {
  const isBuilt = addonIsBuilt()
  if (packagesAreInstalled() && isBuilt) return upToDate()
  const results = await Promise.all([installPackages(), isBuilt ? { ok: true } : buildAddon()])
  return results.find(({ ok }) => !ok) ?? { ok: true }
}

function addonIsBuilt() {
  return isFresh({ sources: ['crates', 'Cargo.toml', 'Cargo.lock'], outputs: [addonName()] })
}

async function typeScript() {
  return isTypeScriptBuilt() ? upToDate() : buildTypeScript()
}

function upToDate() {
  console.log('   up to date')
  return { ok: true }
}

/** Plays the story in a process of its own, whose environment it may change. Ctrl-C is the story's to answer. */
function play() {
  process.on('SIGINT', () => {})
  const args = [join(root, 'scripts/demo.mjs'), ...(values.keep ? ['--keep'] : [])]
  const child = spawn(process.execPath, args, { stdio: 'inherit' })
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)))
}
