/** OpenCode 2's stand-in with what takes a process of its own: a plugin that cannot start, no vault, other files, Bun. */
import assert from 'node:assert/strict'
import { copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { createSandbox } from './support/sandbox.mjs'
import { startUpstream, throttle } from './support/upstream.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const KEYS = { A: 'sk-a-3d90e7f122', own: 'sk-own-58a1c4b7e0' }
const PLUGIN = new URL('../npm/dist/server-v2.js', import.meta.url).href
const HOST = new URL('./support/opencode-v2.mjs', import.meta.url).href

let upstream, sandbox

before(async () => {
  upstream = await startUpstream({ keys: { [KEYS.A]: 'A', [KEYS.own]: 'own' } })
  sandbox = createSandbox({
    name: 'opencode-v2-faults',
    config: { providers: { pool: { origins: [upstream.origin] } } },
  })
  // What an instance that worked leaves behind: an account, and what OpenCode was told of it.
  const left = await talk(`
    await auth.addApiKey({ provider: 'pool', apiKey: '${KEYS.A}', label: 'A' })
    const opencode = await load()
    say(await ask(opencode, 'pool/small-1'))`)
  assert.match(left.text, /served by A/)
})

after(async () => {
  sandbox?.cleanup()
  await upstream?.close()
})

/** Runs a script that has the host as \`load\`, and returns what it says. */
async function talk(script, { plugin = PLUGIN, plan, ...options } = {}) {
  upstream.forget()
  upstream.behave()
  plan?.()
  const { code, stdout, stderr } = await sandbox.run(
    `import { loadPlugin } from ${JSON.stringify(HOST)}
     const provider = (settings) => ({ settings: { baseURL: '${upstream.baseURL}', ...settings }, models: { 'small-1': {} } })
     const providers = { pool: provider(), own: provider({ apiKey: '${KEYS.own}' }) }
     const load = async (options) => loadPlugin(await import('${plugin}'), { providers, ...options })
     const ask = async (opencode, model) => {
       const { response, text, message, delays } = await opencode.ask(model, { url: '${upstream.chatUrl}' })
       return { status: response.status, text, message, delays }
     }
     const say = (value) => console.log(JSON.stringify(value))
     ${script}
     process.exit()`,
    options,
  )
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout.trim().split('\n').at(-1))
}

const BOTH = `
  const startedAt = Date.now()
  const opencode = await load()
  say({
    ms: Date.now() - startedAt,
    ours: await ask(opencode, 'pool/small-1'),
    own: await ask(opencode, 'own/small-1'),
    available: opencode.available(),
  })`

/** Ours is refused with the reason, and what OpenCode has itself goes on. */
function assertRefused({ ours, own, available }, reason) {
  assert.match(ours.message, reason)
  assert.deepEqual(ours.delays, [])
  assert.match(own.text, /served by own/)
  assert.ok(available.includes('pool'))
  assert.deepEqual(upstream.accounts(), ['own'])
}

test('where the addon does not load, requests of ours say so and none goes out bare', async () => {
  const copy = join(sandbox.dir, 'without-addon')
  mkdirSync(join(copy, 'npm'), { recursive: true })
  cpSync(join(root, 'npm/dist'), join(copy, 'npm/dist'), { recursive: true })
  copyFileSync(join(root, 'package.json'), join(copy, 'package.json'))
  const plugin = pathToFileURL(join(copy, 'npm/dist/server-v2.js')).href
  assertRefused(await talk(BOTH, { plugin }), /^provider-auth: it could not start, so nothing was sent: /)
})

test('a mistake in the configuration stops the requests of ours alone, and is named', async () => {
  const { configFile } = sandbox
  const file = join(sandbox.dir, 'broken.jsonc')
  copyFileSync(configFile, file)
  sandbox.writeConfig({ providers: { pool: { origins: 'everywhere' } } })
  try {
    assertRefused(await talk(BOTH), /^provider-auth: .*nothing was sent.*origins/)
  } finally {
    copyFileSync(file, configFile)
  }
})

test('where the vault does not open, requests of ours say why, and the start does not wait', async () => {
  const env = { PROVIDER_AUTH_KEY: Buffer.alloc(32).toString('base64') }
  assertRefused(await talk(BOTH, { env }), /^provider-auth: .*key/)
})

test('oci-auth.config.jsonc makes its provider, with the models that are found', async () => {
  const folder = join(sandbox.env.XDG_CONFIG_HOME, 'opencode')
  const file = join(folder, 'oci-auth.config.jsonc')
  mkdirSync(folder, { recursive: true })
  const oci = {
    client_id: 'mobile',
    auth_method: 'mobile_app',
    domain_url: upstream.origin,
    llm_base_url: upstream.baseURL,
  }
  writeFileSync(file, JSON.stringify(oci))
  try {
    const { provider, models, methods, text } = await talk(`
      await auth.addApiKey({ provider: 'oci-oidc', apiKey: '${KEYS.A}' })
      const opencode = await load()
      const { text } = await ask(opencode, 'oci-oidc/small-1')
      while (opencode.models('oci-oidc').length === 0) await new Promise((resolve) => setTimeout(resolve, 50))
      const { methods } = opencode.integration('oci-oidc')
      say({ provider: opencode.provider('oci-oidc'), models: opencode.models('oci-oidc'), methods, text })`)
    assert.match(text, /served by A/)
    assert.equal(provider.name, 'Oracle Cloud')
    assert.equal(provider.settings.baseURL, upstream.baseURL)
    assert.deepEqual(
      models.map(({ id }) => id),
      ['small-1', 'large-1'],
    )
    assert.deepEqual(
      methods.map(({ id }) => id),
      ['provider-auth-device', 'provider-auth-api-key'],
    )
  } finally {
    rmSync(file)
  }
})

test('on Bun, on which OpenCode itself runs, a request moves to the other account as well', async () => {
  const [first, second] = await talk(
    `await auth.addApiKey({ provider: 'pool', apiKey: '${KEYS.own}', label: 'B', priority: 1 })
     const opencode = await load()
     say([await ask(opencode, 'pool/small-1'), await ask(opencode, 'pool/small-1')])`,
    { command: join(root, 'node_modules/.bin/bun'), plan: () => upstream.plan('A', throttle(3_600)) },
  )
  for (const { text } of [first, second]) assert.match(text, /served by own/)
  assert.deepEqual(upstream.accounts(), ['A', 'own', 'own'])
})
