/** What a host is told of providers: which are configured, and which variables hold their keys. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { openStage } from './support/stage.mjs'

const { sandbox, library, inChild } = await openStage({
  name: 'configured',
  providers: () => ({ anthropic: {}, keys: { origins: ['https://keys.example'] } }),
})
const projectFile = join(sandbox.work, 'provider-auth.jsonc')
afterEach(() => rmSync(projectFile, { force: true }))

const writeProject = (providers) => writeFileSync(projectFile, JSON.stringify({ providers }))
const acme = { origins: ['https://api.acme.example'] }

test('what the user configured is told from what is only built in', async () => {
  const known = await providers()
  const configured = Object.keys(known).filter((id) => known[id].configured)
  assert.deepEqual(configured, ['anthropic', 'keys', 'local'])
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

test('where something is wrong, each claim is told by where it comes from', async () => {
  await library.addApiKey({ provider: 'keys', apiKey: 'key-of-a-test' })
  const { withAccounts, configured, builtIn, mayLack } = await claims()
  assert.deepEqual([withAccounts, configured, mayLack], [['keys'], ['anthropic', 'keys', 'local'], false])
  assert.ok(builtIn.includes('openai') && !builtIn.includes('keys'))

  writeProject({ openai: { rotation: { mode: 'bad' } } })
  const faulty = await claims()
  assert.deepEqual([faulty.withAccounts, faulty.configured], [['keys'], ['anthropic', 'keys', 'local', 'openai']])

  writeProject({ acme })
  assert.deepEqual((await claims()).configured, ['anthropic', 'keys', 'local'])
})

test("a fault in the user's own file still tells whom it means, and the accounts", async () => {
  const file = join(sandbox.dir, 'faulty.jsonc')
  writeFileSync(file, '{ "providers": { "acme": { "origins": 7 }, "tools": { "resource": 7 }, "qwen": {} } }')
  const env = { PROVIDER_AUTH_CONFIG: file }
  const { withAccounts, configured, mayLack } = await claims(env)
  assert.deepEqual([withAccounts, configured, mayLack], [['keys'], ['acme', 'qwen'], false])
  writeFileSync(file, '{ "providers": ')
  const unread = await claims(env)
  assert.deepEqual([unread.withAccounts, unread.configured, unread.mayLack], [['keys'], [], true])
})

test('where the vault does not open, what is configured is told all the same', async () => {
  const key = { PROVIDER_AUTH_KEY: Buffer.alloc(32, 7).toString('base64') }
  const { withAccounts, configured, mayLack } = await claims(key)
  assert.deepEqual([withAccounts, configured, mayLack], [[], ['anthropic', 'keys', 'local'], true])
})

function claims(env = {}) {
  return inChild(
    `const { addon } = await import('${new URL('../npm/build/addon.js', import.meta.url)}')
     console.log(JSON.stringify(await addon.claimedProviders()))`,
    { env },
  )
}
