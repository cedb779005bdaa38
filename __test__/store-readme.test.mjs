/** The README's commands for a vault of many machines, as they stand, on two hosts: a home each, and a real PostgreSQL. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { after, test } from 'node:test'
import { answer, COMMAND } from './support/cli.mjs'
import { readPage } from './support/pages.mjs'
import { postgresSkip, startPostgres } from './support/postgres.mjs'
import { createSandbox } from './support/sandbox.mjs'

const skip = postgresSkip
const postgres = skip ? undefined : await startPostgres()
const hosts = ['one', 'two'].map((name) => ({ name, sandbox: createSandbox({ name: `readme-${name}` }) }))
after(async () => {
  for (const { sandbox } of hosts) sandbox.cleanup()
  await postgres?.stop()
})
const example = (page, name) => readPage(page).blocks.find((block) => block.name === `${page}#${name}`).code

test('from nothing to two hosts that share a pool', { skip }, async () => {
  const [once, onEach] = ['', ':2'].map((part) => example('README.md', `share-a-pool-between-machines${part}`))
  const [first] = hosts
  const { stdout } = await shell(first, `${once}\nprintf 'KEY=%s' "$PROVIDER_AUTH_KEY"`)
  const key = /KEY=(.+)/.exec(stdout)[1]
  for (const host of hosts) {
    const env = { PROVIDER_AUTH_KEY: key, HOST_NAME: host.name, OPENAI_KEY_A: `sk-of-host-${host.name}-00000001` }
    await shell(host, onEach, env)
  }
  for (const { sandbox } of hosts) {
    const env = { PROVIDER_AUTH_KEY: key, PROVIDER_AUTH_STORE: postgres.address('pa_ci', 'team-a') }
    const { accounts } = await answer(sandbox, 'accounts', ['accounts'], { env })
    assert.deepEqual(accounts.map(({ label }) => label).sort(), ['one', 'two'])
    const { state, store } = await answer(sandbox, 'vault-status', ['vault'], { env })
    assert.deepEqual([state, store.state, store.direct, store.outbox], ['open', 'listening', true, 0])
  }
})

test('the SQL of the page on fleets runs', { skip }, () => {
  const sql = example('docs/fleet.md', 'set-it-up').replaceAll('pa_ci', 'pa_page')
  postgres.sql(sql)
  assert.equal(postgres.sql("select rolconnlimit from pg_roles where rolname = 'pa_page'"), '50')
})

/** Runs commands of a page on a host: `npx` is the command as built, and the database is the one of the test. */
async function shell({ sandbox }, commands, env = {}) {
  const bin = join(sandbox.dir, 'bin')
  mkdirSync(bin, { recursive: true })
  const npx = join(bin, 'npx')
  writeFileSync(npx, `#!/bin/sh\nshift\nexec "${process.execPath}" "${COMMAND}" "$@"\n`)
  chmodSync(npx, 0o755)
  const script = join(sandbox.work, 'page.sh')
  const here = commands.replaceAll('db.example/auth?', `127.0.0.1:${postgres.port}/postgres?sslmode=disable&`)
  writeFileSync(script, `set -e\n${here}\n`)
  const { PROVIDER_AUTH_KEY: _, ...own } = sandbox.env
  const { code, stdout, stderr } = await sandbox.spawn(script, {
    command: 'sh',
    env: { ...own, PROVIDER_AUTH_KEY: '', PATH: `${bin}${delimiter}${process.env.PATH}`, ...env },
  }).ended
  assert.equal(code, 0, stdout + stderr)
  return { stdout }
}
