// `npm run bench`: builds the addon as it ships, and measures it beside what it cannot be faster than and what others do.
// Prints tables, and whether the goals hold, and writes docs/performance.md with its charts; time alone never fails it.
//
//   npm run bench -- --only headers,cold   measures these parts, and writes no page unless told to
//   npm run bench -- --quick               few rounds, to see that every part works; writes no page unless told to
//   npm run bench -- --write <folder>      writes the page there
//
// With NAPI_RS_NATIVE_LIBRARY_PATH set, that addon is measured instead.

import { copyFileSync, mkdirSync, statSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { openContext } from '../bench/lib/context.mjs'
import { tableLines, verdict } from '../bench/lib/format.mjs'
import { writePage } from '../bench/lib/page.mjs'
import { cold, memory } from '../bench/parts/cold.mjs'
import { conversations } from '../bench/parts/conversations.mjs'
import { crowd } from '../bench/parts/crowd.mjs'
import { expiry } from '../bench/parts/expiry.mjs'
import { headers } from '../bench/parts/headers.mjs'
import { accounts, processes } from '../bench/parts/many.mjs'
import { proxies } from '../bench/parts/proxy.mjs'
import { register } from '../bench/parts/register.mjs'
import { bodies, fetches, sdks, streams } from '../bench/parts/requests.mjs'
import { startUp } from '../bench/parts/start-up.mjs'
import { store } from '../bench/parts/store.mjs'
import { addonName, buildRelease, buildTypeScript, isTypeScriptBuilt } from './lib/build.mjs'
import { PLAIN, STORE } from './lib/families.mjs'
import { isFresh } from './lib/freshness.mjs'
import { elapsed, root, run, step } from './lib/steps.mjs'
import { installPackages } from './lib/toolchain.mjs'

const minutes = 60_000
const folder = 'target/bench'
const baseline = join(root, folder, 'baseline.node')

const parts = [
  headers,
  store,
  cold,
  memory,
  expiry,
  fetches,
  sdks,
  bodies,
  streams,
  register,
  proxies,
  startUp,
  conversations,
  processes,
  // Last: they leave cooldowns and conversations in the vaults.
  accounts,
  crowd,
]

const { only, quick: isQuick, write } = readArguments()
const chosen = only === undefined ? parts : parts.filter(({ name }) => only.includes(name))
const needs = new Set(chosen.flatMap((part) => part.needs ?? []))

await prepare('Packages of npm', installPackages)
await prepare('The TypeScript', () => (isTypeScriptBuilt() ? { ok: true } : buildTypeScript()))
if (needs.has('baseline')) await prepare('The baseline', buildBaseline)
const addon = process.env.NAPI_RS_NATIVE_LIBRARY_PATH ?? (await buildAddon())
const storeAddon = needs.has('store') ? await buildAddon(STORE) : undefined
const choosing = needs.has('choosing') ? await measureChoosing() : undefined

const context = openContext({ addon: resolve(addon), built: { baseline, choosing, storeAddon }, isQuick })
const results = []
const startedAt = Date.now()
const machine = describe()
const left = parts.filter((part) => !chosen.includes(part)).map(({ name }) => name)
if (left.length > 0) machine.push(`not in this run: ${left.join(', ')} (\`npm run bench -- --only ${left.join()}\`)`)
try {
  console.log(`\n${machine.join('\n')}`)
  for (const part of chosen) {
    try {
      const measured = await step(part.title, () => part.run(context))
      show(measured)
      results.push({ ...part, ...measured })
    } catch (error) {
      // What the other parts have measured, and will measure, is not lost for it.
      console.error(error)
      machine.push(`failed in this run: ${part.name}`)
      process.exitCode = 1
    }
  }
} finally {
  await context.close()
}
console.log(`\nmeasured in ${elapsed(startedAt)}`)
const place = write ?? (only === undefined && !isQuick ? 'docs' : undefined)
if (place !== undefined) {
  writePage(resolve(root, place), { machine, isQuick, results })
  console.log(`wrote ${join(place, 'performance.md')}`)
}

function readArguments() {
  const options = { only: { type: 'string' }, quick: { type: 'boolean', default: false }, write: { type: 'string' } }
  const { values } = parseArgs({ options })
  const only = values.only?.split(',')
  const names = parts.map(({ name }) => name)
  const unknown = only?.filter((name) => !names.includes(name)) ?? []
  if (unknown.length === 0) return { ...values, only }
  console.error(`no such part: ${unknown.join(', ')}; there are ${names.join(', ')}`)
  process.exit(2)
}

/** Runs one step of the preparation; without it there is nothing to measure. */
async function prepare(title, action) {
  const result = await step(title, action)
  if (!result.ok) process.exit(1)
  return result
}

/** Builds the addon of a release into a folder of its own and returns its file. */
async function buildAddon(family = PLAIN) {
  const file = join(family === PLAIN ? folder : join(folder, family), addonName())
  const sources = ['crates', 'Cargo.toml', 'Cargo.lock']
  const title = `The addon of ${family}, as in a release (the first build takes some minutes)`
  await prepare(title, () =>
    isFresh({ sources, outputs: [file] }) ? { ok: true } : buildRelease({ family, file: join(root, file) }),
  )
  return join(root, file)
}

/** Builds what `bench/baseline.rs` describes, with the same profile. */
async function buildBaseline() {
  const built = await buildExample('provider-auth-node', 'baseline', ['--release'])
  if (!built.ok) return built
  mkdirSync(dirname(baseline), { recursive: true })
  copyFileSync(built.file, baseline)
  return built
}

/** Builds an example of a crate; returns its file, too. */
async function buildExample(crate, name, options = []) {
  const args = ['build', '--package', crate, '--example', name, ...options]
  const built = await run('cargo', [...args, '--message-format', 'json-render-diagnostics'], {
    show: 'nothing',
    timeoutMs: 30 * minutes,
  })
  const file = built.output.match(new RegExp(`"filenames":\\["([^"]*examples[^"]*${name}[^"]*)"`))?.[1]
  return built.ok && file !== undefined ? { ok: true, file: JSON.parse(`"${file}"`) } : { ...built, ok: false }
}

/** Measures choosing an account in pools of different sizes: the pure policy, without JavaScript. */
async function measureChoosing() {
  const { output } = await prepare('Choosing an account', () => {
    const args = ['run', '--quiet', '--release', '--package', 'provider-auth-policy', '--example', 'selection']
    return run('cargo', args, { show: 'nothing', timeoutMs: 30 * minutes })
  })
  return JSON.parse(output.slice(output.indexOf('[{')))
}

/** The machine and the versions, a line each. */
function describe() {
  const [{ model }] = cpus()
  const system = `${process.platform} ${release()} ${process.arch}`
  const runtimes = context.runtimes.map(({ name, version }) => `${name} ${version}`).join(', ')
  return [
    `${cpus().length} cores (${model.trim()}), ${(totalmem() / 1e9).toFixed(0)} GB, ${system}`,
    `${runtimes}; addon of ${statSync(addon).size.toLocaleString('en')} bytes; ${new Date().toISOString().slice(0, 10)}`,
  ]
}

function show({ tables, promises, notes = [] }) {
  for (const table of tables) console.log(`\n${tableLines(table).join('\n')}`)
  console.log()
  for (const promise of promises) console.log(`   ${verdict(promise).sentence}`)
  for (const note of notes) console.log(`   ${note}`)
}
