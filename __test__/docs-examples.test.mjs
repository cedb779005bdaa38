/**
 * Every example of the README and of `docs/`, taken from the page and run as it stands. What cannot run here (a browser, a
 * keychain, an installation) is named with the suite that covers it; an example that no test has claimed fails.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import ts from 'typescript'
import { signIn } from './support/agent.mjs'
import { startOidcProvider } from './support/oidc.mjs'
import { PAGES, readPage, root } from './support/pages.mjs'
import { freePort } from './support/ports.mjs'
import { openReader } from './support/reader.mjs'
import { faultOf } from './support/schema.mjs'
import { within } from './support/until.mjs'
import { startUpstream, throttle } from './support/upstream.mjs'

const blocks = new Map(PAGES.flatMap((path) => readPage(path).blocks.map((block) => [block.name, block])))

/** Examples that take what a test of examples has not, each with the suite that runs the same. */
const COVERED = {
  'README.md#install': 'release-files.test.mjs',
  'README.md#share-a-pool-between-machines': 'store-readme.test.mjs',
  'README.md#share-a-pool-between-machines:2': 'store-readme.test.mjs',
  'docs/fleet.md#set-it-up': 'store-readme.test.mjs',
  'docs/fleet.md#move-a-vault-in-and-back': 'store.test.mjs',
  'docs/getting-started.md#install': 'release-files.test.mjs',
  'docs/getting-started.md#install:2': 'install.test.mjs',
  'docs/getting-started.md#install:3': 'install-store.test.mjs',
  'docs/getting-started.md#add-accounts': 'cli-login-terminal.test.mjs',
  'docs/keys-and-recovery.md#several-hosts': 'fleet.test.mjs',
  'docs/keys-and-recovery.md#to-another-machine': 'cli-vault.test.mjs',
  'docs/providers.md#mcp-servers': 'mcp.test.mjs',
  'docs/opencode.md#install': 'opencode-install.test.mjs',
  'docs/opencode.md#sign-in-and-out': 'opencode-login.test.mjs',
  'docs/configuration.md#the-log': 'cli-logs.test.mjs',
}

const suites = readdirSync(join(root, '__test__')).filter(
  (name) => name.endsWith('.test.mjs') && !name.startsWith('docs'),
)
const sources = suites.map((name) => readFileSync(join(root, '__test__', name), 'utf8'))
/** Whether another suite takes the examples of the page: a page about one tool has one of its own, which names it. */
const hasSuite = ({ name }) => name.startsWith('docs/') && sources.some((text) => text.includes(name.split('#')[0]))

const ADDRESSES = [
  'https://api.openai.com',
  'https://api.anthropic.com',
  'https://generativelanguage.googleapis.com',
  'https://api.acme.example',
]
const KEYS = { OPENAI_KEY_A: 'sk-of-the-first-account-0001', OPENAI_KEY_B: 'sk-of-the-spare-account-0002' }

const oidc = await startOidcProvider()
const upstream = await startUpstream({ providers: [oidc] })
upstream.admit(KEYS.OPENAI_KEY_A, 'first')
upstream.admit(KEYS.OPENAI_KEY_B, 'spare')
for (const provider of ['anthropic', 'google', 'acme']) upstream.admit(`key-of-${provider}-0000000000`, provider)

const config = {
  providers: {
    acme: oidc.config({ origins: ['https://api.acme.example'] }),
    anthropic: { extraOrigins: [upstream.origin], modelsUrl: `${upstream.baseURL}/models` },
  },
}
const readers = []
const newReader = (options = {}) => {
  const reader = openReader({ endpoint: upstream.origin, addresses: ADDRESSES, config, ...options })
  readers.push(reader)
  return reader
}
after(async () => {
  for (const { sandbox } of readers) sandbox.cleanup()
  await Promise.all([upstream.close(), oidc.close()])
})

const ran = new Set()
/** The code of an example, which counts as run from now on. */
function example(name) {
  assert.ok(blocks.has(name), `no page has ${name}`)
  ran.add(name)
  return blocks.get(name).code
}

/** The accounts that were asked since the last look. */
function asked() {
  const accounts = upstream.accounts()
  upstream.forget()
  return accounts
}

const addKeys = (reader) =>
  reader.module(
    `
    import { addApiKey } from 'provider-auth'
    await addApiKey({ provider: 'openai', apiKey: process.env.OPENAI_KEY_A, label: 'first' })
    await addApiKey({ provider: 'openai', apiKey: process.env.OPENAI_KEY_B, label: 'spare', priority: 1 })
    for (const provider of ['anthropic', 'google', 'acme'])
      await addApiKey({ provider, apiKey: \`key-of-\${provider}-0000000000\`, label: provider })`,
    { env: KEYS },
  )

/* ── README.md ── */

test('README: two keys on a server, from the key of the vault to the removal of an account', async () => {
  const reader = newReader({ hasKey: false })
  await reader.shell(example('README.md#two-keys-on-a-server'))
  const said = await reader.shell(example('README.md#two-keys-on-a-server:2'), { env: KEYS })
  assert.match(said, /openai +1 +first +ready\n *openai +2 +spare +ready|1 +first[\s\S]*2 +spare/)
  assert.ok(!said.includes('sk-of-the'), 'nothing of a key is printed')

  const port = await freePort()
  reader.place(example('README.md#two-keys-on-a-server:3').replaceAll('3000', String(port)), 'server.mjs')
  const server = reader.startShell(`exec ${example('README.md#two-keys-on-a-server:4')}`)
  await server.line(/http:\/\/localhost/)
  const ask = async () => (await (await fetch(`http://127.0.0.1:${port}`)).json()).choices[0].message.content
  assert.equal(await ask(), 'served by first')
  upstream.plan('first', throttle(3600, 1))
  assert.equal(await ask(), 'served by spare')
  await server.line(/^cooldown /)
  await server.line(/^rotated /)
  assert.equal(await ask(), 'served by spare')
  assert.deepEqual(asked(), ['first', 'first', 'spare', 'spare'])
  server.child.kill()
  await server.ended
  upstream.behave()

  const end = await reader.shell(example('README.md#two-keys-on-a-server:5'))
  for (const wanted of [/spare/, /the order of openai now: spare, first/, /spare of openai was removed/])
    assert.match(end, wanted)
  assert.deepEqual(
    (await reader.sandbox.accountsOf('openai')).map(({ label }) => label),
    ['first'],
  )
  assert.equal(await reader.module(`${example('README.md#provider-auth')}console.log(typeof fetch)`), 'function\n')
})

/* ── getting-started.md ── */

test('getting started: the key of the vault, in a file or kept by you', async () => {
  const file = newReader({ hasKey: false })
  await file.shell(example('docs/getting-started.md#the-vaults-key'))
  assert.match(await file.shell('provider-auth key status'), /opens\nkey +keyfile/)
  const own = newReader({ hasKey: false })
  const status = `${example('docs/getting-started.md#the-vaults-key:2')}provider-auth key status`
  assert.match(await own.shell(status), /opens\nkey +env/)
})

test('getting started: accounts by the command and by a program', async () => {
  const reader = newReader()
  const said = await reader.shell(example('docs/getting-started.md#add-accounts:2'), { env: KEYS })
  assert.match(said, /the order of openai now: spare, first/)
  const told = await newReader().module(example('docs/getting-started.md#add-accounts:3'), { env: KEYS })
  assert.equal(told, 'first ready 0\nspare ready 0\n')
})

test('getting started: requests by fetch, by SDKs, with sessions and pins, by a client of your own', async () => {
  const reader = newReader()
  await addKeys(reader)
  const of = (anchor) => reader.module(example(`docs/getting-started.md#${anchor}`))
  assert.match(await of('send-requests'), /^200 [\s\S]*gpt-5/)
  assert.deepEqual(asked(), ['first'])
  const texts = await of('with-an-sdk')
  assert.deepEqual(asked(), ['first', 'anthropic', 'google', 'anthropic', 'acme'])
  assert.equal(texts.match(/served by/g).length, 5, texts)
  await of('sessions-and-pins')
  assert.deepEqual(asked(), ['first', 'spare'])
  upstream.plan('first', throttle(3600, 1))
  assert.match(await of('a-client-of-your-own'), /^200 [\s\S]*small-1/)
  assert.deepEqual(asked(), ['first', 'spare'])
  assert.equal(await of('see-what-happens'), '1 serve open env\n')
  upstream.behave()
})

test('getting started: the commands of development are there', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const lines =
    example('docs/getting-started.md#a-demonstration-without-an-account') +
    blocks.get('docs/getting-started.md#install:2').code
  const named = [...lines.matchAll(/\bnpm (?:run )?(start|test|build[\w:]*)/g)].map(([, name]) => name)
  assert.deepEqual([...new Set(named)], ['start', 'test', 'build', 'build:debug'])
  for (const name of named) assert.ok(name in scripts, name)
  assert.match(readFileSync(join(root, 'scripts/demo.mjs'), 'utf8'), /\bkeep\b/)
})

/* ── keys-and-recovery.md, moving-in.md ── */

test('keys: each source makes a vault, or says that it is not there', async () => {
  const lines = example('docs/keys-and-recovery.md#where-the-key-lives').trim().split('\n')
  const states = []
  for (const line of lines) {
    const { ended } = newReader({ hasKey: false }).startShell(`${line}\nprovider-auth key status`)
    const { code, stdout, stderr } = await ended
    states.push(code === 0 ? /key +(\w+)/.exec(stdout)[1] : /KEYCHAIN|keychain/.exec(stderr)[0].toLowerCase())
  }
  assert.deepEqual(states, ['keyfile', 'env', 'keychain'])
})

test('keys: a second way in, by the command and by a program', async () => {
  const reader = newReader({ hasKey: false })
  const env = { RECOVERY_PASSPHRASE: 'four words of a safe' }
  await reader.shell('provider-auth key init --source keyfile')
  // A terminal would ask.
  const lines = example('docs/keys-and-recovery.md#a-second-way-in').replace(
    'slot add passphrase',
    '$& --passphrase-stdin',
  )
  assert.match(
    await reader.shell(lines, { input: `${env.RECOVERY_PASSPHRASE}\n` }),
    /slots +\w+ keyfile, +\w+ passphrase|passphrase/,
  )
  const told = await newReader({ hasKey: false }).module(example('docs/keys-and-recovery.md#a-second-way-in:2'), {
    env,
  })
  assert.equal(told, "[ 'keyfile', 'passphrase' ] 0\n")
})

test('keys: accounts go into a bundle and come back', async () => {
  const reader = newReader()
  await addKeys(reader)
  const env = { BUNDLE_PASSPHRASE: 'correct horse battery staple' }
  const told = await reader.module(example('docs/keys-and-recovery.md#to-another-machine:2'), { env })
  assert.match(told, /^0 0 5 5\n$/)
})

test('moving in: by the command and by a program, and back', async () => {
  for (const run of [
    (reader) =>
      reader.shell(example('docs/moving-in.md#moving-in-from-opencode').replace(/(backup|--undo)\b/g, '$1 --yes')),
    (reader) => reader.module(example('docs/moving-in.md#moving-in-from-opencode:2')),
  ]) {
    const reader = newReader()
    const folder = join(reader.sandbox.env.XDG_DATA_HOME, 'opencode')
    mkdirSync(folder, { recursive: true })
    const text = JSON.stringify({ openai: { type: 'api', key: KEYS.OPENAI_KEY_A } })
    writeFileSync(join(folder, 'auth.json'), text, { mode: 0o600 })
    await run(reader)
    assert.equal(readFileSync(join(folder, 'auth.json'), 'utf8'), text, 'undone')
    assert.deepEqual(await reader.sandbox.accountsOf('openai'), [])
  }
})

/* ── providers.md, configuration.md ── */

for (const [name, isDone] of [
  ['docs/providers.md#log-in-from-a-program', true],
  ['docs/providers.md#log-in-from-a-program:2', false],
]) {
  test(`a login from a program: ${name}`, async () => {
    const reader = newReader()
    const source = isDone ? `${example(name)}console.log(account.label)` : `${example(name)}console.log(account.id)`
    const login = reader.start(source, { env: { DISPLAY: '', WAYLAND_DISPLAY: '' } })
    const shown = new Promise((resolve) => {
      let seen = ''
      const look = (chunk) => {
        seen += chunk
        if (/http\S+[\s\S]*\b[A-Z0-9]{4}-[A-Z0-9]{4}\b/.test(seen)) resolve(seen)
      }
      login.child.stdout.on('data', look)
      login.child.stderr.on('data', look)
    })
    const text = await within('what a person is shown', shown)
    const [url] = /http:\S+/.exec(text)
    const [userCode] = /\b[A-Z0-9]{4}-[A-Z0-9]{4}\b/.exec(text)
    await signIn({ url, userCode }, { user: 'ann' })
    const { code, stderr } = await login.ended
    assert.equal(code, 0, stderr)
    assert.equal((await reader.sandbox.accountsOf('acme')).length, 1)
  })
}

test('providers: the list of models', async () => {
  const reader = newReader()
  await addKeys(reader)
  assert.match(
    await reader.module(`${example('docs/providers.md#models')}console.log(models, stale)`),
    /small-1[\s\S]*false/,
  )
  upstream.forget()
})

test("configuration: a project's file is shown and trusted", async () => {
  const reader = newReader()
  reader.place('{ "providers": { "ours": { "origins": ["https://ours.example"] } } }', 'provider-auth.jsonc')
  const trust = example('docs/configuration.md#a-projects-file')
  assert.match(await reader.module(trust, { args: ['--yes'] }), /ours\.example/)
  assert.equal(await reader.module(trust), '')
})

/* ── other-tools.md, troubleshooting.md ── */

test('other tools: a credential for one program', async () => {
  const reader = newReader()
  await addKeys(reader)
  reader.program('curl', 'cat')
  reader.program('some-agent', 'echo "agent $ANTHROPIC_API_KEY"')
  const said = await reader.shell(example('docs/other-tools.md#one-credential-for-one-program'))
  for (const wanted of [
    /^key-of-anthropic-0+$/m,
    /header = "authorization: Bearer sk-of/i,
    /^agent key-of-anthropic-0+$/m,
  ])
    assert.match(said, wanted)
})

test('other tools: a program that is not changed', async () => {
  const reader = newReader()
  await addKeys(reader)
  reader.place(
    `const body = JSON.stringify({ model: 'gpt-5', messages: [] })
    const { status } = await fetch('https://api.openai.com/v1/chat/completions', { method: 'POST', body })
    console.log(status)`,
    'app.mjs',
  )
  const lines = example('docs/other-tools.md#a-program-that-you-do-not-want-to-change').replaceAll('app.js', 'app.mjs')
  assert.equal(await reader.shell(lines), '200\n200\n')
  assert.deepEqual(asked(), ['first', 'first'])
})

test('troubleshooting: three commands, and the cause of an error of an SDK', async () => {
  const reader = newReader()
  await addKeys(reader)
  const said = await reader.shell(example('docs/troubleshooting.md#troubleshooting'))
  assert.match(said, /first serves openai/)
  assert.equal(await reader.module(example('docs/troubleshooting.md#by-code')), 'NO_ACCOUNT\n')
})

/* ── all pages ── */

const schemas = Object.fromEntries(
  ['config', 'oci-auth.config'].map((name) => [
    name,
    JSON.parse(readFileSync(join(root, `schemas/${name}.schema.json`))),
  ]),
)
const ofProvider = Object.keys(schemas.config.definitions.provider.properties)
const { rotation } = schemas.config.definitions

/** Configuration as a page shows it, whole or a part, as the whole that it is part of. */
function configOf(code) {
  const { config: whole, error } = ts.parseConfigFileTextToJson(
    'page.jsonc',
    /^\s*(\/\/.*\n\s*)*\{/.test(code) ? code : `{${code}}`,
  )
  assert.equal(error, undefined, error?.messageText)
  const keys = Object.keys(whole)
  if (keys.some((key) => key === 'domain_url' || key in schemas.config.properties)) return whole
  const provider = keys.every((key) => ofProvider.includes(key))
  return { providers: provider ? { acme: whole } : whole }
}

for (const { name, code } of [...blocks.values()].filter((block) => /^jsonc?$/.test(block.lang) && !hasSuite(block))) {
  test(`configuration as shown has no fault: ${name}`, () => {
    ran.add(name)
    if (!name.startsWith('docs/opencode.md')) {
      const value = configOf(code)
      assert.equal(faultOf(value.domain_url ? schemas['oci-auth.config'] : schemas.config, value), undefined)
      return
    }
    // Several files, each after a comment with its name.
    for (const part of code.split(/^\/\/ .*$/m).filter((text) => text.trim() !== '')) {
      const { config: value, error } = ts.parseConfigFileTextToJson('opencode.json', part)
      assert.equal(error, undefined)
      assert.ok(value.plugin.length > 0)
      for (const { options } of Object.values(value.provider ?? {}))
        for (const key of Object.keys(options.auth))
          assert.ok(['account', 'namespace', ...Object.keys(rotation.properties)].includes(key), key)
    }
  })
}

test('the examples are as the types of the library want them', () => {
  const files = new Map(
    [...blocks.values()]
      .filter(({ lang }) => /^(js|ts)$/.test(lang))
      .map(({ name, lang, code }) => [
        join(root, `${name.replace(/[^\w]/g, '-')}.${lang === 'ts' ? 'mts' : 'mjs'}`),
        code,
      ]),
  )
  const options = {
    allowJs: true,
    checkJs: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
  }
  const host = ts.createCompilerHost(options)
  const { readFile, fileExists } = host
  host.fileExists = (file) => files.has(file) || fileExists(file)
  host.readFile = (file) => files.get(file) ?? readFile(file)
  const program = ts.createProgram([...files.keys()], options, host)
  const faults = [...files.keys()].flatMap((file) => {
    const source = program.getSourceFile(file)
    return [...program.getSemanticDiagnostics(source), ...program.getSyntacticDiagnostics(source)].map(
      ({ messageText }) => `${file.slice(root.length)}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    )
  })
  assert.deepEqual(faults, [])
})

test('every example has a test that runs it, here or in the suite that is named', () => {
  for (const [name, suite] of Object.entries(COVERED)) {
    assert.ok(blocks.has(name), `${name} is gone`)
    assert.ok(suites.includes(suite), `${suite} is gone`)
    assert.ok(!ran.has(name), `${name} runs here`)
  }
  const unclaimed = [...blocks.values()].filter(
    (block) => !ran.has(block.name) && !(block.name in COVERED) && !hasSuite(block),
  )
  assert.deepEqual(
    unclaimed.map(({ name, line }) => `${name} (line ${line})`),
    [],
  )
})
