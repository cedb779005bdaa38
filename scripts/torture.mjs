// `npm run torture`: the tests that kill processes, fail system calls and damage files, in their long form, about half an
// hour of it. `npm test` runs the same code with smaller numbers. A number that is set in the environment wins:
// `TORTURE_KILLS=50000 npm run torture`. Run it alone, on a quiet machine.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { elapsed, root, run, step } from './lib/steps.mjs'

const minutes = 60_000
const env = {
  TORTURE_KILLS: '10000',
  TORTURE_EVERY: '1',
  TORTURE_EVERY_OF_SLOW: '1',
  TORTURE_HERD_SECONDS: '120',
  TORTURE_SAMPLES: '100',
  ...process.env,
  RUST_BACKTRACE: '1',
}
const startedAt = Date.now()
const results = []

if (await perform('Build', () => run('npm', ['run', '--silent', 'build:debug']))) {
  const rust = [
    'test',
    '--tests',
    '--package',
    'provider-auth-vault',
    '--package',
    'provider-auth-broker',
    '--all-features',
  ]
  await perform('Every step of the vault, every bit of its files', () =>
    run('cargo', rust, { timeoutMs: 30 * minutes }),
  )
  for (const file of readdirSync(join(root, '__test__')).filter((name) => name.startsWith('torture-')))
    await perform(file, () => test(join(root, '__test__', file)))
}
conclude()

/** Runs one step and keeps its outcome; returns whether it passed. */
async function perform(title, action) {
  const result = await step(title, action)
  results.push({ title, ...result })
  return result.ok
}

function test(file) {
  const args = ['--test', '--test-reporter=spec', `--test-timeout=${60 * minutes}`, file]
  return run(process.execPath, args, { env, show: 'output', timeoutMs: 90 * minutes })
}

/** Lists every step with the numbers that its tests told. */
function conclude() {
  const failed = results.filter(({ ok }) => !ok)
  console.log(`\n━━ ${results.length - failed.length} of ${results.length} steps passed in ${elapsed(startedAt)}`)
  for (const { title, ok, output = '' } of results) {
    console.log(`   ${ok ? '✔' : '✖'} ${title}`)
    // The runner's own figures go under the same mark.
    const told = [...output.matchAll(/^ℹ (?!(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) )(.*)$/gm)]
    for (const [, numbers] of told) console.log(`       ${numbers}`)
  }
  process.exitCode = failed.length > 0 ? 1 : 0
}
