/** The login methods that the real OpenCode offers, with the plugin and without it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { HOST_LOGINS } from '../npm/build/opencode/instance.js'
import { createOpenCode, PLUGIN } from './support/opencode.mjs'
import { createSandbox } from './support/sandbox.mjs'

const origins = ['https://models.local.test']

let sandbox, without, withPlugin, withOption

before(async () => {
  sandbox = createSandbox({ name: 'opencode-methods', config: {} })
  without = await methods({ plugin: null })
  // Every provider of which OpenCode has methods of its own could be signed in to with ours as well.
  const ids = [...Object.keys(without), 'acme']
  sandbox.writeConfig({ providers: Object.fromEntries(ids.map((id) => [id, { origins }])) })
  withPlugin = await methods({ plugin: PLUGIN })
  const entry = { options: { baseURL: `${origins[0]}/v1`, auth: {} }, models: { 'small-1': {} } }
  withOption = await methods({ plugin: PLUGIN, config: { provider: { openai: entry } } })
})

after(() => sandbox?.cleanup())

test('no provider has fewer login methods with the plugin', () => {
  assert.ok(Object.keys(without).length > 0)
  for (const [id, labels] of Object.entries(without)) {
    const lost = labels.filter((label) => !withPlugin[id]?.includes(label))
    assert.deepEqual(lost, [], `${id} has lost methods; HOST_LOGINS has to name it`)
  }
})

test('a provider that OpenCode has no methods of gets ours', () => {
  assert.equal(without.acme, undefined)
  assert.deepEqual(withPlugin.acme, ['API key'])
})

test('the providers that are left to OpenCode are those of which it has methods', () => {
  assert.deepEqual([...HOST_LOGINS].sort(), Object.keys(without).sort())
})

test('with options.auth the methods are ours', () => {
  assert.ok(withOption.openai.includes('API key'), withOption.openai.join())
  assert.ok(!withOption.openai.some((label) => without.openai.includes(label) && label !== 'API key'))
  assert.deepEqual(withOption['github-copilot'], without['github-copilot'])
})

/** The labels of the methods by provider, in an OpenCode with these settings. */
async function methods(settings) {
  const opencode = createOpenCode(sandbox, { providers: { local: 'http://127.0.0.1:9/v1' }, ...settings })
  try {
    const { call } = await opencode.serve()
    const all = await call('GET', '/provider/auth')
    return Object.fromEntries(Object.entries(all).map(([id, list]) => [id, list.map(({ label }) => label)]))
  } finally {
    await opencode.close()
  }
}
