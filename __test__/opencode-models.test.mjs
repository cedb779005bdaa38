/** Models that a provider's own list has, in the real OpenCode's list. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startServer } from './support/dialects/strict.mjs'
import { createOpenCode, PLUGIN } from './support/opencode.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { until } from './support/until.mjs'
import { startUpstream } from './support/upstream.mjs'

const KEY = 'sk-models-8f21c07b'
const upstream = await startUpstream({ keys: { [KEY]: 'A' } })
/** What lists of models say: by provider, or nothing at all for as long as it hangs. */
const lists = {}
const hanging = []
const answer = (name) => async () => {
  if (lists[name] === undefined) await new Promise((resolve) => hanging.push(resolve))
  return [200, { object: 'list', data: lists[name] ?? [] }]
}
const catalogue = await startServer({ 'GET /lab/models': answer('lab'), 'GET /openai/models': answer('openai') })
const origins = [upstream.origin, catalogue.origin]
const listed = (name) => ({ origins, modelsUrl: `${catalogue.origin}/${name}/models` })
const sandbox = createSandbox({
  name: 'opencode-models',
  config: { providers: { lab: listed('lab'), openai: listed('openai') } },
})
const kept = join(sandbox.env.XDG_STATE_HOME, 'provider-auth/opencode-models.json')
const custom = {
  name: 'lab',
  npm: '@ai-sdk/openai-compatible',
  options: { baseURL: upstream.baseURL },
  models: { 'small-1': { name: 'by hand', limit: { context: 5, output: 4 } } },
}
const opencode = createOpenCode(sandbox, {
  providers: { lab: custom, openai: { options: { baseURL: upstream.baseURL, auth: {} } } },
  plugin: [PLUGIN, { discoverModels: true }],
  config: { model: 'lab/small-1', small_model: 'lab/small-1' },
})

before(async () => {
  for (const provider of ['lab', 'openai']) {
    const { code, stderr } = await sandbox.run(`await auth.addApiKey({ provider: '${provider}', apiKey: '${KEY}' })`)
    assert.equal(code, 0, stderr)
  }
})

after(async () => {
  for (const go of hanging) go()
  await opencode.close()
  await Promise.all([upstream.close(), catalogue.close()])
  sandbox.cleanup()
})

test('a list that never comes holds no start up, and what is written by hand is there', async () => {
  const { providers } = await configured()
  assert.deepEqual(Object.keys(providers.lab.models), ['small-1'])
  assert.equal(await asked('/lab/models'), true)
  assert.equal(existsSync(kept), false)
  // It was still under way when OpenCode answered: what it brings is kept for the next start.
  release({ lab: [{ id: 'late-1' }] })
  await until('the late list is kept', () => existsSync(kept) && readFileSync(kept, 'utf8').includes('late-1'))
})

test('found models join the list, what is written by hand wins, and a message to a found one is answered', async () => {
  release({
    lab: [
      { id: 'small-1', name: 'theirs' },
      { id: 'large-1', name: 'Large One', context_length: 64_000 },
      { id: 'embed-1' },
    ],
    openai: [{ id: 'gpt-4o' }, { id: 'gpt-77-own', name: 'Own 77', context_length: 8_000 }],
  })
  await forget()
  const { providers } = await configured()
  const { 'small-1': small, 'large-1': large, ...others } = providers.lab.models
  assert.deepEqual(others, {})
  assert.deepEqual([small.name, small.limit], ['by hand', { context: 5, output: 4 }])
  assert.deepEqual([large.name, large.limit], ['Large One', { context: 64_000, output: 16_000 }])
  assert.equal(large.api.npm, '@ai-sdk/openai-compatible')
  const { code, stdout, stderr } = await opencode.run('lab/large-1')
  assert.equal(code, 0, stderr)
  assert.match(stdout, /served by A/)
  assert.equal(upstream.requests.at(-1).model, 'large-1')

  // Of a provider of models.dev, what is known of a model stays, and a new one is usable.
  const { 'gpt-4o': known, 'gpt-77-own': added } = providers.openai.models
  assert.equal(known.name, 'GPT-4o')
  assert.ok(known.limit.context > 0)
  assert.deepEqual(
    [added.name, added.limit, added.capabilities.toolcall],
    ['Own 77', { context: 8_000, output: 2_000 }, true],
  )
  assert.equal(added.api.npm, known.api.npm)
})

test('a kept list is there at once while the provider hangs, and is renewed behind', async () => {
  assert.ok(!readFileSync(kept, 'utf8').includes(KEY))
  lists.lab = undefined
  await forget({ keeping: true })
  const before = await configured()
  assert.deepEqual(Object.keys(before.providers.lab.models).sort(), ['large-1', 'small-1'])
  assert.equal(await asked('/lab/models'), true)
  release({ lab: [{ id: 'large-2' }] })
  await until('the new list is kept', () => readFileSync(kept, 'utf8').includes('large-2'))
  const next = await configured()
  assert.deepEqual(Object.keys(next.providers.lab.models).sort(), ['large-2', 'small-1'])
})

test('a file of kept lists that is no such thing is of no effect', async () => {
  for (const text of ['{"lab":{"default":[null,7,{"id":""},{"id":4},{"id":"odd-1","name":{}}]}}', '[', '{"lab":3}']) {
    mkdirSync(join(kept, '..'), { recursive: true })
    writeFileSync(kept, text)
    const { providers } = await configured()
    assert.deepEqual(Object.keys(providers.lab.models).sort(), ['large-2', 'small-1'])
  }
})

test('without the option no list is asked for', async () => {
  opencode.writeConfig({ plugin: [PLUGIN] })
  await forget()
  const { providers } = await configured()
  assert.deepEqual(Object.keys(providers.lab.models), ['small-1'])
  assert.deepEqual(catalogue.calls, [])
})

/** What a fresh server of OpenCode says of its providers. */
async function configured() {
  const server = await opencode.serve()
  try {
    const { providers } = await server.call('GET', '/config/providers')
    return { server, providers: Object.fromEntries(providers.map((provider) => [provider.id, provider])) }
  } finally {
    if (hanging.length === 0) server.child.kill('SIGKILL')
  }
}

async function asked(path) {
  await until(`a request for ${path}`, () => catalogue.calls.some((call) => call.path === path))
  return true
}

/** Has the lists that hang come, and all later ones. */
function release(now) {
  Object.assign(lists, now)
  for (const go of hanging.splice(0)) go()
}

/** Empties what is kept: the library's lists, and unless it is told otherwise the plugin's. */
async function forget({ keeping = false } = {}) {
  rmSync(join(sandbox.vaultDir, 'cache'), { recursive: true, force: true })
  if (!keeping) rmSync(kept, { force: true })
  catalogue.calls.length = 0
}
