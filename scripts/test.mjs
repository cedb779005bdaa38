// `npm test`: installs what the tests need, builds, and runs every check and suite. A failure does not stop the
// others; the exit code and the closing list tell. `npm test -- --only rust,node` runs those steps alone, without
// what they build on. With CI=true nothing may be skipped, and some fuzz targets run for a minute each, every hour
// others; `--fuzz-seconds 3600` takes an hour for each target.

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildAddon, buildPlainAddon, buildTypeScript } from './lib/build.mjs'
import { canInstallPython } from './lib/python.mjs'
import { elapsed, print, root, run } from './lib/steps.mjs'
import { CARGO_DENY, cargoTool, hasCommand, installPackages, missingTools, toolsFolder } from './lib/toolchain.mjs'

const minutes = 60_000
/** Most of a test's time is waiting: for a child, a timer, the disk. */
const NODE_FILES_AT_ONCE = 3
/** With the store, as the addon of the Node tests has it: cargo compiles each crate once. */
const WORKSPACE = ['--workspace', '--all-features']
const inCi = process.env.CI === 'true'
const scratch = mkdtempSync(join(tmpdir(), 'provider-auth-test-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))
const testEnv = hermeticEnvironment()

/**
 * The steps of a lane run one after the other, the lanes side by side: cargo has one build folder, which one command
 * at a time may use, and most Node tests wait for something. `needs` names the steps without which one cannot run;
 * `suite` marks those whose output is always shown, and whose summary closes the output.
 */
const steps = [
  { lane: 'cargo', name: 'tools', title: 'Tools of this machine', run: checkTools },
  { lane: 'cargo', name: 'addon', title: 'Build the addon', needs: ['tools'], run: buildAddon },
  {
    lane: 'cargo',
    name: 'plain',
    title: 'Build and lint the addon without the store',
    needs: ['tools'],
    run: plainAddon,
  },
  { lane: 'cargo', name: 'rust', title: 'Rust tests', needs: ['install'], suite: true, run: rustTests },
  { lane: 'cargo', name: 'clippy', title: 'Rust lints', run: clippy },
  { lane: 'cargo', name: 'docs', title: 'Rust docs', run: docs },
  { lane: 'cargo', name: 'deny', title: 'Crates: who may use which, licences, sources', run: deny },
  { lane: 'cargo', name: 'fuzz', title: 'Fuzzing', suite: true, run: fuzz },
  { lane: 'node', name: 'install', title: 'Packages of npm and of the system', run: install },
  { lane: 'node', name: 'format', title: 'Rust format', run: () => cargo(['fmt', '--all', '--check']) },
  { lane: 'node', name: 'lint', title: 'TypeScript format and lints', needs: ['install'], run: lint },
  { lane: 'node', name: 'typescript', title: 'Build the TypeScript', needs: ['install'], run: buildTypeScript },
  { lane: 'node', name: 'types', title: 'Types of the public API', needs: ['install'], run: types },
  {
    lane: 'node',
    name: 'node',
    title: 'Node tests',
    needs: ['addon', 'plain', 'typescript'],
    suite: true,
    run: nodeTests,
  },
  {
    lane: 'node',
    name: 'secret-service',
    title: 'Tests with a keyring',
    needs: ['addon', 'typescript'],
    suite: true,
    run: secretService,
  },
]

const { values: options } = parseArgs({ options: { only: { type: 'string' }, 'fuzz-seconds': { type: 'string' } } })

const startedAt = Date.now()
const wanted = chosenSteps()
const results = new Map()
await Promise.all(['cargo', 'node'].map(runLane))
conclude()

/** Runs the steps of a lane, each once those that it needs have ended. */
async function runLane(lane) {
  for (const wantedStep of wanted.filter((candidate) => candidate.lane === lane)) await wantedStep.ended()
}

/** Runs a step, prints how it went, and keeps that for the end. */
async function perform({ name, title, needs = [], suite = false, run: action }) {
  const before = await Promise.all(wanted.filter((other) => needs.includes(other.name)).map(({ ended }) => ended()))
  const broken = before.find(({ ok }) => !ok)
  const begunAt = Date.now()
  if (!broken) print(`\n▶ ${name}: ${title}`)
  const result = broken ? { ok: false, note: `not run: ${broken.name} failed` } : await outcomeOf(action)
  const ok = result.ok && !(result.skipped && inCi)
  const { note = result.skipped && `skipped: ${result.skipped}` } = result
  const outcome = { name, suite, output: '', ...result, ok, note, took: elapsed(begunAt) }
  results.set(name, outcome)
  print(`\n━━ ${name}: ${title}`)
  if (outcome.output !== '' && (suite || !ok)) print(outcome.output.trimEnd())
  print(`   ${ok ? 'done' : 'failed'} after ${outcome.took}${note ? ` (${note})` : ''}`)
  return outcome
}

/** What an action returns; an error is a failure of this step, and the others go on. */
async function outcomeOf(action) {
  try {
    return await action()
  } catch (error) {
    return { ok: false, note: error.message, output: error.stack }
  }
}

/* ───────────────────────────── the steps ───────────────────────────── */

async function checkTools() {
  const missing = await missingTools()
  return missing.length === 0 ? { ok: true } : fail(`this machine lacks ${missing.join('; ')}`)
}

async function install() {
  const packages = await installPackages()
  return packages.ok ? installSystemPackages() : packages
}

/** Installs Debian packages where that is possible without asking; elsewhere the step that needs them says so. */
async function installSystemPackages() {
  const packageOf = {
    'gnome-keyring-daemon': 'gnome-keyring',
    'dbus-run-session': 'dbus',
    'dbus-send': 'dbus-bin',
    strace: 'strace',
    age: 'age',
    script: 'bsdutils',
    ps: 'procps',
    chromium: 'chromium',
    tmux: 'tmux',
    zsh: 'zsh',
    fish: 'fish',
    curl: 'curl',
    python3: 'python3-venv',
    pgbouncer: 'pgbouncer',
    initdb: 'postgresql',
  }
  const canInstall = await canInstallPython()
  const isMissing = (command) => {
    if (command === 'python3') return !canInstall
    // Debian keeps each version's own programs out of the PATH.
    if (command === 'initdb') return !existsSync('/usr/lib/postgresql')
    return !hasCommand(command)
  }
  const names = Object.keys(packageOf).filter(isMissing)
  const possible = process.platform === 'linux' && process.getuid() === 0 && hasCommand('apt-get')
  if (names.length === 0 || !possible) return { ok: true }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const update = await run('apt-get', ['update'], { env, timeoutMs: 5 * minutes })
  if (!update.ok) return update
  const packages = names.map((command) => packageOf[command])
  return run('apt-get', ['install', '-y', '--no-install-recommends', ...packages], { env, timeoutMs: 5 * minutes })
}

async function plainAddon() {
  const built = await buildPlainAddon()
  return built.ok ? cargo(['clippy', '--package', 'provider-auth-node', '--', '-D', 'warnings']) : built
}

function clippy() {
  return cargo(['clippy', ...WORKSPACE, '--all-targets', '--', '-D', 'warnings'])
}

async function docs() {
  const env = { ...process.env, RUSTDOCFLAGS: '-D warnings' }
  const pages = await cargo(['doc', ...WORKSPACE, '--no-deps', '--document-private-items'], { env })
  return pages.ok ? cargo(['test', ...WORKSPACE, '--doc'], { env: testEnv }) : pages
}

/** The advisory database is left out: it needs a network of its own (`cargo deny check advisories`). */
async function deny() {
  const tool = await cargoTool('cargo-deny', CARGO_DENY)
  if (!tool.ok) return tool
  return run(tool.command, ['check', 'bans', 'licenses', 'sources'], { timeoutMs: 5 * minutes })
}

function lint() {
  return node([join(root, 'node_modules/@biomejs/biome/bin/biome'), 'ci', '--colors=off', '--error-on-warnings'])
}

function types() {
  return node([join(root, 'node_modules/typescript/bin/tsc')])
}

function rustTests() {
  return cargo(rustRunner(), { env: testEnv, timeoutMs: 15 * minutes })
}

/**
 * Runs every fuzz target: those whose turn it is for a minute in CI and 5 s elsewhere, the others for 2 s. With
 * `--fuzz-seconds` all take that long. The seed is a fresh one, which a failure prints.
 */
function fuzz() {
  const all = readdirSync(join(root, 'fuzz/seeds')).sort()
  // Each hour the next two, one for each of two cores.
  const hour = Math.floor(Date.now() / (60 * minutes))
  const due = [2 * hour, 2 * hour + 1].map((turn) => all[turn % all.length])
  const [targets, seconds] = options['fuzz-seconds'] ? [all, Number(options['fuzz-seconds'])] : [due, inCi ? 60 : 5]
  const plan = `for ${seconds} s each: ${targets.join(', ')}${targets === due ? `, as hour ${hour} since 1970 has it` : ''}`
  print(`   fuzz: ${plan}`)
  const env = {
    ...testEnv,
    PROVIDER_AUTH_FUZZ_SECONDS: `${seconds}`,
    PROVIDER_AUTH_FUZZ_TARGETS: targets.join(),
    PROVIDER_AUTH_FUZZ_SEED: `${Date.now()}`,
  }
  const args = hasCommand('cargo-nextest')
    ? ['nextest', 'run', ...WORKSPACE, '--no-fail-fast', '-j2', '--success-output=immediate', 'fuzz::']
    : ['test', ...WORKSPACE, '--tests', '--no-fail-fast', 'fuzz::', '--', '--test-threads=2', '--nocapture']
  return cargo(args, { env, timeoutMs: 10 * minutes + (all.length + 1) * seconds * 1000 })
}

/** Each suite runs in a session bus and with a keyring of its own, so that the developer's is never touched. */
async function secretService() {
  if (process.platform !== 'linux') return skip('the Secret Service is of Linux')
  const lacking = ['gnome-keyring-daemon', 'dbus-run-session', 'dbus-send'].filter((command) => !hasCommand(command))
  if (lacking.length > 0) return skip(`${lacking.join(', ')} not found: apt-get install gnome-keyring dbus dbus-bin`)
  const env = { ...testEnv, PROVIDER_AUTH_TEST_SECRET_SERVICE: '1' }
  const session = join(root, 'scripts/secret-service-session.sh')
  const inSession = (...command) =>
    run('bash', [session, ...command], { env, name: 'keyring', timeoutMs: 10 * minutes })
  const rust = await inSession('cargo', ...rustRunner(), '--test', 'secret_service')
  const files = testFiles((file) => file.startsWith('secret-service'))
  if (files.length === 0) return rust
  const js = await inSession(process.execPath, ...nodeRunner(1), ...files)
  return { ok: rust.ok && js.ok, output: rust.output + js.output }
}

async function nodeTests() {
  const files = testFiles((file) => !file.startsWith('secret-service'))
  const options = { env: testEnv, timeoutMs: 40 * minutes }
  const result = await node([...nodeRunner(NODE_FILES_AT_ONCE), ...files], options)
  const skipped = Number(result.output.match(/^ℹ skipped (\d+)$/m)?.[1] ?? 0)
  return result.ok && skipped > 0 ? skip(`${skipped} of the Node tests`, result.output) : result
}

/* ───────────────────────────── their parts ───────────────────────────── */

function cargo(args, options) {
  return run('cargo', args, { name: `cargo ${args[0]}`, ...options })
}

function node(args, options) {
  return run(process.execPath, args, { name: 'node', ...options })
}

function rustRunner() {
  const scope = [...WORKSPACE, '--no-fail-fast']
  return hasCommand('cargo-nextest') ? ['nextest', 'run', ...scope] : ['test', '--tests', ...scope]
}

function nodeRunner(filesAtOnce) {
  return ['--test', '--test-reporter=spec', `--test-concurrency=${filesAtOnce}`, `--test-timeout=${6 * minutes}`]
}

function testFiles(isWanted) {
  const folder = join(root, '__test__')
  return readdirSync(folder)
    .filter((file) => file.endsWith('.test.mjs') && isWanted(file))
    .sort()
    .map((file) => join(folder, file))
}

/** Hides the developer's own vault, keychain, configuration and proxies from the tests. */
function hermeticEnvironment() {
  const hidden = /^(PROVIDER_AUTH_.*|OPENCODE_.*|DBUS_SESSION_BUS_ADDRESS|(http|https|all|no)_proxy)$/i
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !hidden.test(name)))
  for (const kind of ['CONFIG', 'DATA', 'STATE', 'CACHE']) env[`XDG_${kind}_HOME`] = join(scratch, kind.toLowerCase())
  // What the tests fetch is kept: it is checked by its hash.
  return { ...env, TEST_TOOLS_FOLDER: toolsFolder(''), RUST_BACKTRACE: '1' }
}

function fail(note) {
  return { ok: false, note }
}

function skip(reason, output = '') {
  return { ok: true, skipped: reason, output }
}

function chosenSteps() {
  const names = options.only?.split(',') ?? steps.map(({ name }) => name)
  const unknown = names.find((name) => !steps.some((candidate) => candidate.name === name))
  if (unknown !== undefined) {
    console.error(`no step is named ${unknown}; there are: ${steps.map(({ name }) => name).join(', ')}`)
    process.exit(2)
  }
  const chosen = steps.filter(({ name }) => names.includes(name))
  // A step begins when its end is first asked for: by its lane, or by a step that needs it.
  return chosen.map((one) => {
    let ending
    return { ...one, ended: () => (ending ??= perform(one)) }
  })
}

/** Lists how every step ended and closes with the suites' own summaries, which tools read from the last lines. */
function conclude() {
  const outcomes = steps.flatMap(({ name }) => results.get(name) ?? [])
  const failed = outcomes.filter(({ ok }) => !ok)
  console.log(`\n━━ ${outcomes.length - failed.length} of ${outcomes.length} steps passed in ${elapsed(startedAt)}`)
  for (const { name, ok, note, took } of outcomes)
    console.log(
      `   ${ok ? '✔' : '✖'} ${name.padEnd(14)} ${took.padStart(12)}${note ? `  (${note.split('\n')[0]})` : ''}`,
    )
  const closing =
    /^(\s*Summary \[|\s*fuzzed |test result: |ℹ (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ).*$/gm
  for (const { name, suite, output } of outcomes) {
    const lines = suite ? (output.match(closing) ?? []) : []
    if (lines.length > 0) console.log(`\n${name}:\n${lines.join('\n')}`)
  }
  process.exitCode = failed.length > 0 ? 1 : 0
}
