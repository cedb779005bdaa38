// `npm test`: installs what the tests need, builds, and runs every check and suite. A failure does not stop the
// others; the exit code and the closing list tell. `npm test -- --only rust,node` runs those steps alone, without
// what they build on. With CI=true nothing may be skipped, and each target is fuzzed for a minute instead of
// seconds; `--fuzz-seconds 3600` takes an hour for each.

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { elapsed, root, run, step } from './lib/steps.mjs'
import { hasCommand, installPackages, missingTools } from './lib/toolchain.mjs'

const minutes = 60_000
const inCi = process.env.CI === 'true'
const tools = join(root, 'target/tools')
const scratch = mkdtempSync(join(tmpdir(), 'provider-auth-test-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))
const testEnv = hermeticEnvironment()

/** In order. `needs` names the steps without which one cannot run; `suite` marks those whose summary closes the output. */
const steps = [
  { name: 'install', title: 'Packages of npm and of the system', run: install },
  { name: 'addon', title: 'Build the addon', needs: ['install'], run: () => npm('build:addon') },
  { name: 'typescript', title: 'Build the TypeScript', needs: ['addon'], run: () => npm('build:ts') },
  { name: 'format', title: 'Rust format', run: () => cargo(['fmt', '--all', '--check']) },
  { name: 'clippy', title: 'Rust lints', run: clippy },
  { name: 'docs', title: 'Rust docs', run: docs },
  { name: 'deny', title: 'Crates: who may use which, licences, sources', run: deny },
  { name: 'lint', title: 'TypeScript format and lints', needs: ['install'], run: lint },
  { name: 'types', title: 'Types of the public API', needs: ['install', 'addon'], run: types },
  { name: 'rust', title: 'Rust tests', suite: true, run: rustTests },
  { name: 'fuzz', title: 'Fuzzing', suite: true, run: fuzz },
  { name: 'secret-service', title: 'Tests with a keyring', needs: ['install'], suite: true, run: secretService },
  { name: 'node', title: 'Node tests', needs: ['typescript'], suite: true, run: nodeTests },
]

const { values: options } = parseArgs({ options: { only: { type: 'string' }, 'fuzz-seconds': { type: 'string' } } })

const startedAt = Date.now()
const wanted = chosenSteps()
const results = new Map()
for (const { name, title, needs = [], suite = false, run: action } of wanted) {
  const broken = needs.find((need) => results.has(need) && !results.get(need).ok)
  const result = broken ? { ok: false, note: `not run: ${broken} failed` } : await step(`${name}: ${title}`, action)
  if (result.skipped) console.log(`   skipped: ${result.skipped}`)
  results.set(name, { ...result, suite, ok: result.ok && !(result.skipped && inCi) })
}
conclude()

/* ───────────────────────────── the steps ───────────────────────────── */

async function install() {
  const missing = await missingTools()
  if (missing.length > 0) return fail(`this machine lacks\n${missing.map((tool) => `   - ${tool}`).join('\n')}`)
  const packages = await installPackages()
  if (!packages.ok) return packages
  return installSystemPackages()
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
  }
  const names = Object.keys(packageOf).filter((command) => !hasCommand(command))
  const possible = process.platform === 'linux' && process.getuid() === 0 && hasCommand('apt-get')
  if (names.length === 0 || !possible) return { ok: true }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const update = await run('apt-get', ['update'], { env, timeoutMs: 5 * minutes })
  if (!update.ok) return update
  const packages = names.map((command) => packageOf[command])
  return run('apt-get', ['install', '-y', '--no-install-recommends', ...packages], { env, timeoutMs: 5 * minutes })
}

function clippy() {
  return cargo(['clippy', '--workspace', '--all-targets', '--', '-D', 'warnings'])
}

async function docs() {
  const env = { ...process.env, RUSTDOCFLAGS: '-D warnings' }
  const pages = await cargo(['doc', '--workspace', '--no-deps', '--document-private-items'], { env })
  return pages.ok ? cargo(['test', '--workspace', '--doc'], { env: testEnv }) : pages
}

/** The advisory database is left out: it needs a network of its own (`cargo deny check advisories`). */
async function deny() {
  let command = 'cargo-deny'
  if (!hasCommand(command)) {
    command = join(tools, 'bin/cargo-deny')
    const version = '0.20.2'
    // The dev profile: it is built in a minute and run for a second.
    const args = ['install', 'cargo-deny', '--version', version, '--locked', '--profile', 'dev', '--root', tools]
    if (!existsSync(command)) {
      const installed = await cargo(args)
      if (!installed.ok) return installed
    }
  }
  return run(command, ['check', 'bans', 'licenses', 'sources'], { timeoutMs: 5 * minutes })
}

function lint() {
  return node([join(root, 'node_modules/@biomejs/biome/bin/biome'), 'ci', '--colors=off', '--error-on-warnings'])
}

function types() {
  return node([join(root, 'node_modules/typescript/bin/tsc')])
}

function rustTests() {
  return cargo(rustRunner(), { env: testEnv, show: 'output', timeoutMs: 15 * minutes })
}

/** Two targets at a time, so that eight take four times as long as one; a fresh seed each time, which a failure prints. */
function fuzz() {
  const seconds = Number(options['fuzz-seconds'] ?? (inCi ? 60 : 5))
  const env = { ...testEnv, PROVIDER_AUTH_FUZZ_SECONDS: `${seconds}`, PROVIDER_AUTH_FUZZ_SEED: `${Date.now()}` }
  const args = hasCommand('cargo-nextest')
    ? ['nextest', 'run', '--workspace', '--no-fail-fast', '-j2', '--success-output=immediate', 'fuzz::']
    : ['test', '--workspace', '--tests', '--no-fail-fast', 'fuzz::', '--', '--test-threads=2', '--nocapture']
  return cargo(args, { env, show: 'output', timeoutMs: 10 * minutes + 7 * seconds * 1000 })
}

/** Each suite runs in a session bus and with a keyring of its own, so that the developer's is never touched. */
async function secretService() {
  if (process.platform !== 'linux') return skip('the Secret Service is of Linux')
  const lacking = ['gnome-keyring-daemon', 'dbus-run-session', 'dbus-send'].filter((command) => !hasCommand(command))
  if (lacking.length > 0) return skip(`${lacking.join(', ')} not found: apt-get install gnome-keyring dbus dbus-bin`)
  const env = { ...testEnv, PROVIDER_AUTH_TEST_SECRET_SERVICE: '1' }
  const session = join(root, 'scripts/secret-service-session.sh')
  const options = { env, show: 'output', timeoutMs: 10 * minutes }
  const inSession = (...command) => run('bash', [session, ...command], options)
  const rust = await inSession('cargo', ...rustRunner(), '--test', 'secret_service')
  const files = testFiles((file) => file.startsWith('secret-service'))
  if (files.length === 0) return rust
  const js = await inSession(process.execPath, ...nodeRunner(), ...files)
  return { ok: rust.ok && js.ok, output: rust.output + js.output }
}

async function nodeTests() {
  const files = testFiles((file) => !file.startsWith('secret-service'))
  const result = await node([...nodeRunner(), ...files], { env: testEnv, show: 'output', timeoutMs: 25 * minutes })
  const skipped = Number(result.output.match(/^ℹ skipped (\d+)$/m)?.[1] ?? 0)
  return result.ok && skipped > 0 ? skip(`${skipped} of the Node tests`, result.output) : result
}

/* ───────────────────────────── their parts ───────────────────────────── */

function cargo(args, options) {
  return run('cargo', args, options)
}

function npm(script) {
  return run('npm', ['run', '--silent', script])
}

function node(args, options) {
  return run(process.execPath, args, options)
}

function rustRunner() {
  const scope = ['--workspace', '--no-fail-fast']
  return hasCommand('cargo-nextest') ? ['nextest', 'run', ...scope] : ['test', '--tests', ...scope]
}

/** One file at a time: the suites measure time, and their helpers are processes of their own. */
function nodeRunner() {
  return ['--test', '--test-reporter=spec', '--test-concurrency=1', `--test-timeout=${5 * minutes}`]
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
  return { ...env, RUST_BACKTRACE: '1' }
}

function fail(note) {
  console.log(`   ${note}`)
  return { ok: false, note }
}

function skip(reason, output = '') {
  return { ok: true, skipped: reason, output }
}

function chosenSteps() {
  if (options.only === undefined) return steps
  const names = options.only.split(',')
  const unknown = names.find((name) => !steps.some((candidate) => candidate.name === name))
  if (unknown !== undefined) {
    console.error(`no step is named ${unknown}; there are: ${steps.map(({ name }) => name).join(', ')}`)
    process.exit(2)
  }
  return steps.filter(({ name }) => names.includes(name))
}

/** Lists how every step ended and closes with the suites' own summaries, which tools read from the last lines. */
function conclude() {
  const failed = [...results].filter(([, { ok }]) => !ok)
  console.log(`\n━━ ${results.size - failed.length} of ${results.size} steps passed in ${elapsed(startedAt)}`)
  for (const [name, { ok, skipped, note }] of results) {
    const why = note ?? (skipped ? `skipped: ${skipped}` : undefined)
    console.log(`   ${ok ? '✔' : '✖'} ${name}${why ? ` (${why.split('\n')[0]})` : ''}`)
  }
  const closing =
    /^(\s*Summary \[|\s*fuzzed |test result: |ℹ (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ).*$/gm
  for (const [name, { suite, output = '' }] of results) {
    const lines = suite ? (output.match(closing) ?? []) : []
    if (lines.length > 0) console.log(`\n${name}:\n${lines.join('\n')}`)
  }
  process.exitCode = failed.length > 0 ? 1 : 0
}
