/** What a host is told of providers: which are configured, and which variables hold their keys. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { openStage } from './support/stage.mjs'

const { sandbox, inChild } = await openStage({ name: 'configured', providers: () => ({ anthropic: {} }) })
const projectFile = join(sandbox.work, 'provider-auth.jsonc')
afterEach(() => rmSync(projectFile, { force: true }))

const writeProject = (providers) => writeFileSync(projectFile, JSON.stringify({ providers }))
const acme = { origins: ['https://api.acme.example'] }

test('what the user configured is told from what is only built in', async () => {
  const known = await providers()
  const configured = Object.keys(known).filter((id) => known[id].configured)
  assert.deepEqual(configured, ['anthropic', 'local'])
  assert.deepEqual(known.anthropic.keyVariables, ['ANTHROPIC_API_KEY'])
  assert.deepEqual(known.azure, { configured: false, keyVariables: ['AZURE_OPENAI_API_KEY', 'AZURE_API_KEY'] })
  assert.deepEqual(known.local.keyVariables, [])
})

test('configure names providers too', async () => {
  const known = await providers(`auth.configure({ config: ${JSON.stringify({ providers: { acme, qwen: {} } })} })`)
  assert.deepEqual([known.acme.configured, known.qwen.configured, known.openai.configured], [true, true, false])
})

test('a project file counts once it is trusted, or where it wants nothing that needs trust', async () => {
  writeProject({ openai: { rotation: { mode: 'api' } } })
  assert.equal((await providers()).openai.configured, true)
  writeProject({ openai: { rotation: { mode: 'api' } }, acme })
  const before = await providers()
  assert.deepEqual([before.openai.configured, before.acme], [false, undefined])
  const after = await providers('await auth.trustProject()')
  assert.deepEqual([after.openai.configured, after.acme.configured], [true, true])
})

function providers(first = '') {
  return inChild(`${first}
    const found = await auth.configuredProviders()
    const told = found.map(({ id, configured, keyVariables }) => [id, { configured, keyVariables }])
    console.log(JSON.stringify(Object.fromEntries(told)))`)
}
