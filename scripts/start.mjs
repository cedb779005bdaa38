// `npm start`: looks for the tools, installs, builds what is stale, and plays the story of `demo.mjs`.
// `npm start -- --keep` leaves the story's provider and chat endpoint running, for code of your own.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { addonFile, isFresh } from './lib/freshness.mjs'
import { root, run, step } from './lib/steps.mjs'
import { installPackages, missingTools, packagesAreInstalled } from './lib/toolchain.mjs'

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } })

await prepare('Tools', checkTools)
await prepare('Packages of npm', install)
await prepare('The native addon (the first build takes some minutes)', buildAddon)
await prepare('The TypeScript', buildTypeScript)
process.exitCode = await play()

/** Runs one step; the reason for a failure is on the screen when it ends the script. */
async function prepare(title, action) {
  const { ok } = await step(title, action)
  if (!ok) process.exit(1)
}

async function checkTools() {
  const missing = await missingTools()
  for (const tool of missing) console.log(`   missing: ${tool}`)
  return { ok: missing.length === 0 }
}

async function install() {
  return packagesAreInstalled() ? upToDate() : installPackages()
}

async function buildAddon() {
  const sources = ['crates', 'Cargo.toml', 'Cargo.lock']
  const file = addonFile()
  if (file !== undefined && isFresh({ sources, outputs: [file, 'index.js'] })) return upToDate()
  return run('npm', ['run', '--silent', 'build:addon'], { timeoutMs: 30 * 60_000 })
}

async function buildTypeScript() {
  if (
    isFresh({
      sources: ['npm/src', 'index.d.ts', 'tsconfig.json', 'npm/tsconfig.json'],
      outputs: ['npm/dist/index.js'],
    })
  )
    return upToDate()
  return run('npm', ['run', '--silent', 'build:ts'])
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
