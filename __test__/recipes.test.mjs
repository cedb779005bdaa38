/** `docs/recipes.md`: each example is run as it stands on the page, with the real client, against servers on loopback. */
import assert from 'node:assert/strict'
import { createServer, request as httpRequest } from 'node:http'
import { after, beforeEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { errorOf } from './support/dialects.mjs'
import { examplesOf, openProject } from './support/examples.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { until } from './support/until.mjs'
import { startUpstream } from './support/upstream.mjs'

const examples = examplesOf('docs/recipes.md')
const upstream = await startUpstream()
const gateway = await startGateway()
const { origin } = upstream
const providers = Object.fromEntries(
  ['openai', 'anthropic', 'google'].map((id) => [id, { origins: [origin], rotation: { maxWaitMs: 0 } }]),
)
const sandbox = createSandbox({ name: 'recipes', config: { providers } })
const { local, start, printed } = openProject(sandbox, {
  addresses: { 'https://api.openai.com': origin, 'https://gateway.acme.example': gateway.origin },
  // Where the SDKs look for theirs.
  env: { OPENAI_BASE_URL: `${origin}/v1`, ANTHROPIC_BASE_URL: origin, GOOGLE_GEMINI_BASE_URL: origin },
})
after(async () => {
  sandbox.cleanup()
  await upstream.close()
  await gateway.close()
})

/** Makes two accounts of a provider, of which the first meets a limit. */
let pools = 0
async function openPool(provider, { dialect = 'openai' } = {}) {
  pools += 1
  const accounts = [`ada${pools}`, `bob${pools}`]
  for (const account of accounts) upstream.admit(`key-of-${account}`, account)
  await sandbox.output(`
    for (const { id } of await auth.listAccounts()) await auth.removeAccount(id)
    for (const [priority, label] of ${JSON.stringify(accounts)}.entries())
      await auth.addApiKey({ provider: '${provider}', label, apiKey: 'key-of-' + label, priority })`)
  const body = errorOf(dialect, { type: 'rate_limit_error', code: 'rate_limit_exceeded', message: 'slow down' })
  upstream.plan(accounts[0], { status: 429, headers: { 'retry-after': '600' }, body, times: Infinity })
  return accounts
}

beforeEach(() => {
  upstream.behave()
  upstream.forget()
})

/** What left for the provider has a credential of the vault, and nothing of the placeholder. */
function assertClean(accounts) {
  assert.deepEqual(new Set(upstream.accounts()), new Set(accounts))
  for (const { headers, path, body } of upstream.requests)
    assert.ok(!JSON.stringify([headers, path, body]).includes('unused'), 'a placeholder left the process')
}

/** Code that waits until it is told to go on, and then aborts a call in the middle of a request: `call` takes `signal`. */
const aborting = (call) => `
  const controller = new AbortController()
  const { signal } = controller
  console.log('\\nready')
  await new Promise((go) => process.stdin.once('data', go))
  const outcome = (async () => ${call})().catch((error) => error)
  await new Promise((sent) => process.stdin.once('data', sent))
  process.stdin.destroy()
  controller.abort()
  console.log('aborted', (await outcome) instanceof Error)`

/**
 * The clients: which example, which provider, and code below it that asks for a stream and for a call that is aborted. What
 * such code prints begins with a line break.
 */
const CLIENTS = {
  'The SDKs of the providers': [
    {
      name: 'openai',
      aborts: `openai.chat.completions.create({ model: 'gpt-5', messages: [] }, { signal })`,
    },
    {
      name: 'anthropic',
      provider: 'anthropic',
      streams: `const events = await anthropic.messages.create({ model: 'm', max_tokens: 9, messages: [], stream: true })
        for await (const event of events) process.stdout.write(event.delta?.text ?? '')`,
      aborts: `anthropic.messages.create({ model: 'claude-opus-4-1', max_tokens: 9, messages: [] }, { signal })`,
    },
    {
      name: 'google',
      provider: 'google',
      streams: `const chunks = await google.models.generateContentStream({ model: 'm', contents: 'hello' })
        for await (const chunk of chunks) process.stdout.write(chunk.text)`,
      aborts: `google.models.generateContent({ model: 'gemini-2.5-pro', contents: 'x', config: { abortSignal: signal } })`,
    },
  ],
  'AI SDK': [
    {
      name: 'ai',
      provider: 'anthropic',
      env: { ANTHROPIC_BASE_URL: `${origin}/v1` },
      aborts: `{ const { generateText } = await import('ai')
        await generateText({ model: anthropic('claude-opus-4-1'), prompt: 'x', maxRetries: 0, abortSignal: signal }) }`,
    },
  ],
  LangChain: [
    {
      name: 'langchain',
      streams: `for await (const { content } of await model.stream('hello')) process.stdout.write(content)`,
      aborts: `model.invoke('hello', { signal })`,
    },
  ],
  ky: [
    {
      name: 'ky',
      streams: `const answer = await api.post('chat/completions', { json: { ...json, stream: true } })
        for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) process.stdout.write(contents(chunk))`,
      aborts: `api.post('chat/completions', { json, signal })`,
    },
  ],
  ofetch: [
    {
      name: 'ofetch',
      streams: `const answer = await api('/chat/completions', { method: 'POST', body: { ...body, stream: true }, responseType: 'stream' })
        for await (const chunk of answer.pipeThrough(new TextDecoderStream())) process.stdout.write(contents(chunk))`,
      aborts: `api('/chat/completions', { method: 'POST', body, signal })`,
    },
  ],
  axios: [
    {
      name: 'axios',
      streams: `const answer = await api.post('/chat/completions', { model: 'gpt-5', stream: true }, { responseType: 'stream' })
        for await (const chunk of answer.data.pipeThrough(new TextDecoderStream())) process.stdout.write(contents(chunk))`,
      aborts: `api.post('/chat/completions', { model: 'gpt-5' }, { signal })`,
    },
  ],
  'axios with interceptors': [
    {
      name: 'axios-interceptors',
      streams: `const answer = await api.post('/chat/completions', { model: 'gpt-5', stream: true }, { responseType: 'stream' })
        for await (const chunk of answer.data) process.stdout.write(contents(String(chunk)))`,
      aborts: `api.post('/chat/completions', { model: 'gpt-5' }, { signal })`,
    },
  ],
}

/** Reads the texts out of the events of a chat. */
const CONTENTS = `
  function contents(text) {
    return [...text.matchAll(/"content":"([^"]*)"/g)].map(([, word]) => word).join('')
  }`

for (const [heading, clients] of Object.entries(CLIENTS))
  describe(heading, () => {
    for (const [nth, { name, provider = 'openai', streams, aborts, env }] of clients.entries()) {
      test(`${name}: another account answers within the call`, async () => {
        const accounts = await openPool(provider, { dialect: provider })
        const said = await printed(examples(heading, 'js')[nth], { env })
        assert.equal(said.trim(), `served by ${accounts[1]}`)
        assertClean(accounts)
        assert.equal(upstream.requests.length, 2)
      })
      if (streams !== undefined)
        test(`${name}: a stream is whole`, async () => {
          const [, bob] = await openPool(provider, { dialect: provider })
          const said = await printed(examples(heading, 'js')[nth], {
            env,
            more: `console.log('--')\n${streams}${CONTENTS}`,
          })
          assert.equal(said.trim().split(/\n*--\n/)[1], `served by ${bob}`)
        })
      test(`${name}: an abort ends the call`, async () => {
        const [, bob] = await openPool(provider, { dialect: provider })
        const example = examples(heading, 'js')[nth]
        const { child, line, ended } = start(example, { env, more: aborting(aborts), input: null })
        await line(/^ready/)
        upstream.plan(bob, { hang: true, times: Infinity })
        upstream.forget()
        child.stdin.write('go')
        await until('the request is at the server', () => upstream.accounts().includes(bob))
        child.stdin.write('sent')
        const { code, stdout, stderr } = await ended
        assert.equal(code, 0, stderr)
        assert.match(stdout, /^aborted true$/m)
        assert.equal(upstream.requests.length, 1, 'an abort is not tried again')
      })
    }
  })

describe('A program as it is', () => {
  const [first] = examples('A program as it is', 'js')
  const app = first.slice(first.indexOf('\n'))
  const bin = (name) => fileURLToPath(new URL(`../node_modules/.bin/${name}`, import.meta.url))
  const commands = examples('A program as it is', 'sh').join('').trim().split('\n')

  test('the first import of a program registers', async () => {
    const accounts = await openPool('openai')
    assert.equal(await printed(first), '200\n')
    assertClean(accounts)
  })

  for (const command of commands)
    test(command, async () => {
      const accounts = await openPool('openai')
      const words = command.split(' ')
      const assigned = words[0].includes('=') ? [words.shift().split('=')] : []
      const [program, ...nodeArgs] = words.slice(0, -1)
      const env = { ...Object.fromEntries(assigned), DENO_NO_UPDATE_CHECK: '1' }
      const runtime = program === 'node' ? process.execPath : bin(program)
      if (program === 'deno') nodeArgs.splice(1, 0, '-A', '--node-modules-dir=manual')
      assert.equal(await printed(app, { command: runtime, nodeArgs, env }), '200\n')
      assertClean(accounts)
    })
})

describe('A company gateway', () => {
  const [extra, own] = examples('A company gateway', 'jsonc').map((text) => parse(local(text)))
  const [anthropic, openai] = examples('A company gateway', 'js')
  after(() => sandbox.writeConfig({ providers }))

  test('one that takes the keys of the provider', async () => {
    sandbox.writeConfig({
      providers: { ...providers, anthropic: { ...providers.anthropic, ...extra.providers.anthropic } },
    })
    const accounts = await openPool('anthropic', { dialect: 'anthropic' })
    assert.equal(await printed(anthropic), `served by ${accounts[1]}\n`)
    assertClean(accounts)
    assert.deepEqual(
      gateway.seen.splice(0).map(({ place, headers }) => [place, headers['x-acme-team']]),
      [
        ['anthropic', 'search'],
        ['anthropic', 'search'],
      ],
    )
  })

  test('a key that was added before the gateway does not go there', async () => {
    sandbox.writeConfig({ providers })
    await openPool('anthropic', { dialect: 'anthropic' })
    sandbox.writeConfig({
      providers: { ...providers, anthropic: { ...providers.anthropic, ...extra.providers.anthropic } },
    })
    const { code, stderr } = await start(anthropic).ended
    assert.equal(code, 1)
    assert.match(stderr, /ORIGIN_NOT_ALLOWED/)
    assert.deepEqual(gateway.seen, [])
  })

  test('one with keys of its own', async () => {
    sandbox.writeConfig({ providers: { ...providers, ...own.providers } })
    const accounts = await openPool('gateway')
    assert.equal(await printed(openai), `served by ${accounts[1]}\n`)
    assertClean(accounts)
    for (const { place, headers } of gateway.seen.splice(0)) {
      assert.match(headers['x-gateway-key'], /^key-of-/)
      assert.deepEqual([place, headers.authorization], ['openai', undefined])
    }
  })
})

test('axios with interceptors: a stream that is refused comes from another account', async () => {
  const [ada, bob] = await openPool('openai')
  const more = `
    const answer = await api.post('/chat/completions', { model: 'gpt-5', stream: true }, { responseType: 'stream' })
    for await (const chunk of answer.data) process.stdout.write(contents(String(chunk)))${CONTENTS}`
  const example = examples('axios with interceptors', 'js')[0]
  // Without the call of the example, after which it is known that the first account rests.
  const said = await printed(example.slice(0, example.indexOf('const { data }')), { more })
  assert.equal(said, `served by ${bob}`)
  assert.deepEqual(upstream.accounts(), [ada, bob])
})

test('an error of the library has its code, through axios and through the SDKs', async () => {
  await openPool('openai')
  await sandbox.output(`for (const { id } of await auth.listAccounts()) await auth.removeAccount(id)`)
  for (const [heading, nth, code] of [
    ['axios', 0, 'NO_ACCOUNT'],
    ['axios with interceptors', 0, 'NO_ACCOUNT'],
    ['ky', 0, 'NO_ACCOUNT'],
    ['LangChain', 0, undefined],
    ['The SDKs of the providers', 0, undefined],
  ]) {
    const { stderr } = await start(examples(heading, 'js')[nth]).ended
    assert.match(stderr, /NO_ACCOUNT/, heading)
    if (code !== undefined) assert.match(stderr, new RegExp(`code: '${code}'`), heading)
  }
  assert.deepEqual(upstream.accounts(), [])
})

/** A gateway of a company: it takes requests of one team only, and hands them on by the first part of their path. */
async function startGateway() {
  const seen = []
  const server = createServer((request, response) => {
    const [, place, path] = /^\/(anthropic|openai)(\/.*)$/.exec(request.url) ?? []
    seen.push({ place, headers: { ...request.headers } })
    if (place === undefined || request.headers['x-acme-team'] !== 'search') return response.writeHead(403).end('{}')
    const headers = { ...request.headers }
    // The gateway's own key becomes the provider's.
    if (headers['x-gateway-key'] !== undefined) headers.authorization = `Bearer ${headers['x-gateway-key']}`
    const onward = httpRequest(`${origin}${path}`, { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
    })
    return request.pipe(onward)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    seen,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Reads JSON with trailing commas. */
function parse(text) {
  return JSON.parse(text.replace(/,(?=\s*[}\]])/g, ''))
}
