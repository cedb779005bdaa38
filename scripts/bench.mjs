// `npm run bench`: builds the addon as it ships, and measures it in Node and in Bun against what it cannot be faster
// than and against what others do. Prints ratios, and whether the targets hold; time alone never fails it.
// With NAPI_RS_NATIVE_LIBRARY_PATH set, that addon is measured instead. `-- --only start-up` measures the runs of the
// command alone.

import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { measureWith } from '../bench/process.mjs'
import { measureStartUp } from '../bench/start-up.mjs'
import { isFresh } from './lib/freshness.mjs'
import { root, run, step } from './lib/steps.mjs'
import { installPackages } from './lib/toolchain.mjs'

const minutes = 60_000
const folder = 'target/bench'
const baseline = join(root, folder, 'baseline.node')

/** What the project promises of the figures, each as a ratio. */
const targets = [
  { list: 'calls', id: 'headers', most: 1.5, text: 'hot getAuthHeaders at most 1.5 times a native resolved promise' },
  { list: 'fetches', id: 'wrapped', most: 1.05, only: 'node', text: 'createAuthFetch at most 5 % over fetch, on node' },
]

/** The same of runs of the command. */
const startUpTargets = [
  { id: 'version', most: 1.5, text: 'provider-auth --version at most 1.5 times node -e 0' },
  { id: 'token', most: 2, text: 'token at most 2 times' },
  { id: 'accounts', most: 2.5, text: 'accounts, of which there are 100, at most 2.5 times' },
]

const onlyStartUp = process.argv.slice(2).join(' ') === '--only start-up'

await prepare('Packages of npm', installPackages)
await prepare('The TypeScript', () => run('npm', ['run', '--silent', 'build:ts']))
if (!onlyStartUp) await prepare('The baseline', buildBaseline)
const addon = process.env.NAPI_RS_NATIVE_LIBRARY_PATH ?? (await buildAddon())

const choosing = onlyStartUp ? undefined : await measureChoosing()

const [{ model }] = cpus()
console.log(`\n${cpus().length} cores (${model.trim()}), ${process.platform} ${process.arch}`)
reportStartUp(measureStartUp(addon))
if (!onlyStartUp) {
  reportChoosing(choosing)
  for (const command of [process.execPath, bunBinary()]) {
    if (command !== undefined) report(await measureWith(command, { addon, baseline }))
  }
}

/** Runs one step of the preparation; without it there is nothing to measure. */
async function prepare(title, action) {
  const { ok } = await step(title, action)
  if (!ok) process.exit(1)
}

/** Builds the addon of a release into a folder of its own and returns its file. */
async function buildAddon() {
  const find = () =>
    existsSync(join(root, folder)) && readdirSync(join(root, folder)).find((name) => /^provider-auth\./.test(name))
  const sources = ['crates', 'Cargo.toml', 'Cargo.lock']
  await prepare('The addon, as in a release (the first build takes some minutes)', async () => {
    if (find() && isFresh({ sources, outputs: [join(folder, find())] })) return { ok: true }
    const args = ['build', '--platform', '--release', '--manifest-path', 'crates/node/Cargo.toml']
    const output = ['--output-dir', folder, '--no-js', '--dts', 'addon.d.ts']
    const napi = createRequire(import.meta.url).resolve('@napi-rs/cli/package.json')
    return run(process.execPath, [join(dirname(napi), 'dist/cli.js'), ...args, ...output], { timeoutMs: 30 * minutes })
  })
  return join(root, folder, find())
}

/** Builds what `bench/baseline.rs` describes, with the same profile. */
async function buildBaseline() {
  const args = ['build', '--release', '--package', 'provider-auth-node', '--example', 'baseline']
  const built = await run('cargo', [...args, '--message-format', 'json-render-diagnostics'], {
    show: 'nothing',
    timeoutMs: 30 * minutes,
  })
  const file = built.output.match(/"filenames":\["([^"]*baseline[^"]*)"/)?.[1]
  if (!built.ok || file === undefined) {
    console.log(built.output)
    return { ok: false }
  }
  mkdirSync(dirname(baseline), { recursive: true })
  copyFileSync(JSON.parse(`"${file}"`), baseline)
  return built
}

/** Measures choosing an account in pools of different sizes: the pure policy, without JavaScript. */
async function measureChoosing() {
  let rows
  await prepare('Choosing an account', async () => {
    const args = ['run', '--quiet', '--release', '--package', 'provider-auth-policy', '--example', 'selection']
    const measured = await run('cargo', args, { show: 'nothing', timeoutMs: 30 * minutes })
    if (measured.ok) rows = JSON.parse(measured.output.slice(measured.output.indexOf('[')))
    else console.log(measured.output)
    return measured
  })
  return rows
}

/** Bun's own binary, which an install script takes out of the package of its platform to where `.bin` points. */
function bunBinary() {
  const bun = process.platform === 'win32' ? 'bun.exe' : 'bun'
  const packages = join(root, 'node_modules/@oven')
  const names = existsSync(packages) ? readdirSync(packages) : []
  const files = [...names.map((name) => join(packages, name, 'bin', bun)), join(root, 'node_modules/.bin/bun')]
  const found = files.find((file) => existsSync(file))
  if (found === undefined) console.log('\nno Bun in node_modules: only Node is measured')
  return found
}

function report({ runtime, ...lists }) {
  console.log(`\n━━ ${runtime}`)
  table('p50 of one call', lists.calls, (ns) => `${Math.round(ns)} ns`)
  table('p50 of one POST of 8 KB on loopback', lists.fetches, (ns) => `${(ns / 1000).toFixed(0)} µs`)
  for (const { list, id, most, only, text } of targets) {
    if (only !== undefined && !runtime.startsWith(only)) continue
    judge(lists[list], { id, most, text })
  }
}

function reportStartUp(rows) {
  console.log(`\n━━ the command, on node ${process.versions.node}`)
  table('median of a run, from its start to its end', rows, (ns) => `${(ns / 1e6).toFixed(1)} ms`)
  for (const target of startUpTargets) judge(rows, target)
}

function judge(rows, { id, most, text }) {
  const { ratio } = rows.find((row) => row.id === id)
  console.log(`   ${ratio <= most ? '✔ holds' : '✖ does not hold here'}: ${text} (${ratio.toFixed(2)})`)
}

function reportChoosing(rows) {
  const sizes = [...new Set(rows.map(({ accounts }) => accounts))]
  const heads = sizes.map((size) => size.toLocaleString('en').padStart(10)).join('')
  console.log(`\n━━ choosing an account\n   ${'p50, in a pool of'.padEnd(32)}${heads}`)
  for (const name of new Set(rows.map((row) => row.name))) {
    const spans = sizes.map((size) => rows.find((row) => row.name === name && row.accounts === size).ns)
    const cells = spans.map((ns) => `${ns} ns`.padStart(10)).join('')
    console.log(`   ${name.padEnd(32)}${cells}`)
  }
  const slowest = (size) => Math.max(...rows.filter(({ accounts }) => accounts === size).map(({ ns }) => ns))
  const holds = (is) => (is ? '✔ holds' : '✖ does not hold here')
  console.log(`   ${holds(slowest(10_000) < 5_000)}: under 5 µs among 10,000 accounts, whatever the strategy`)
  // From 1,000 to 100,000 the logarithm grows by 5/3.
  const growth = slowest(100_000) / slowest(1_000)
  console.log(`   ${holds(growth < 5 / 3)}: no worse than log n from 1,000 to 100,000 (${growth.toFixed(2)} times)`)
}

function table(title, rows, unit) {
  console.log(`   ${title.padEnd(50)}${'time'.padStart(12)}${'ratio'.padStart(9)}`)
  for (const { name, ns, ratio } of rows) {
    console.log(`   ${name.padEnd(50)}${unit(ns).padStart(12)}${ratio.toFixed(2).padStart(9)}`)
  }
  console.log()
}
