/** A JSON answer was looked at: each way of reading it is as with the runtime's own `fetch`, also the second time. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startMirror } from './support/mirror.mjs'
import { createSandbox, LIBRARY_URL } from './support/sandbox.mjs'

const mirror = await startMirror()
const sandbox = createSandbox({ name: 'reread', config: { providers: { desk: { origins: [mirror.origin] } } } })
sandbox.enter()
const { addApiKey, createAuthFetch } = await import(LIBRARY_URL)
await addApiKey({ provider: 'desk', apiKey: 'key-of-desk' })
after(async () => {
  await mirror.close()
  sandbox.cleanup()
})
const authFetch = createAuthFetch({ provider: 'desk' })

const hex = (bytes) => Buffer.from(bytes).toString('hex')
const ways = {
  text: (response) => response.text(),
  json: (response) => response.json(),
  arrayBuffer: async (response) => hex(await response.arrayBuffer()),
  blob: async (response) => {
    const blob = await response.blob()
    return [blob.type, hex(await blob.arrayBuffer())]
  },
  bytes: async (response) => hex(await response.bytes()),
  formData: (response) => response.formData(),
  body: async (response) => {
    const chunks = []
    for await (const chunk of response.body) chunks.push(chunk)
    return hex(Buffer.concat(chunks))
  },
  'a reader': async (response) => {
    const reader = response.body.getReader()
    // Where a chunk ends says nothing.
    const chunks = []
    for (let next = await reader.read(); !next.done; next = await reader.read()) chunks.push(next.value)
    return [hex(Buffer.concat(chunks)), response.body.locked, response.bodyUsed]
  },
  'a reader with a buffer': async (response) => {
    const reader = response.body.getReader({ mode: 'byob' })
    const chunks = []
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(7))
      if (done) return hex(Buffer.concat(chunks))
      chunks.push(value)
    }
  },
  'the same body': (response) => {
    const { body } = response
    return body === response.body && body instanceof ReadableStream
  },
  cancel: (response) => response.body.cancel(),
  clone: async (response) => {
    const clone = response.clone()
    return [
      clone instanceof Response,
      clone.url,
      clone.status,
      await clone.json(),
      await response.text(),
      clone.bodyUsed,
    ]
  },
  'a clone of a clone': async (response) => [await response.clone().clone().json(), await response.json()],
  'a copy': async (response) => {
    const copy = new Response(response.body, response)
    return [copy.status, copy.headers.get('content-type'), await copy.text(), response.bodyUsed]
  },
  nothing: () => undefined,
}

for (const path of ['/json', '/json/pieces', '/json/gzip', '/json/none', '/json/error', '/redirect/302?to=/json']) {
  for (const [way, read] of Object.entries(ways)) {
    test(`${path} by ${way}`, async () => {
      const [ours, plain] = await Promise.all([observe(authFetch, path, read), observe(fetch, path, read)])
      assert.deepEqual(ours, plain)
    })
  }
}

test('a stream of a fetch of its own keeps its memory', async () => {
  const chunk = Buffer.from('{"choices":[]}')
  const answered = async () => {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(chunk)
        controller.close()
      },
    })
    return new Response(body, { headers: { 'content-type': 'application/json', 'content-length': chunk.length } })
  }
  const ask = createAuthFetch({ provider: 'desk', fetch: answered })
  for (let time = 0; time < 2; time += 1) {
    const response = await ask(mirror.origin)
    const { value } = await response.body.getReader().read()
    assert.equal(Buffer.from(value).toString(), '{"choices":[]}')
  }
})

const bin = (name) => fileURLToPath(new URL(`../node_modules/.bin/${name}`, import.meta.url))

for (const [runtime, how] of Object.entries({
  node: {},
  bun: { command: bin('bun') },
  deno: { command: bin('deno'), nodeArgs: ['run', '--quiet', '--allow-all'] },
})) {
  test(`${runtime} hands on the very answer that fetch made, after one that was only an error`, async () => {
    const printed = await sandbox.output(
      `
        const pool = { provider: 'desk', namespace: ${JSON.stringify(runtime)} }
        for (const name of ['ada', 'bob']) await auth.addApiKey({ ...pool, label: name, apiKey: 'key-of-' + name })
        const [keys, made] = [[], []]
        const answered = async (_url, { headers }) => {
          const answer = keys.length === 0 ? { error: { code: 'rate_limit_exceeded' } } : { choices: [] }
          const body = JSON.stringify(answer)
          keys.push(headers.authorization)
          made.push(new Response(body, { headers: { 'content-type': 'application/json', 'content-length': body.length } }))
          return made.at(-1)
        }
        const response = await auth.createAuthFetch({ ...pool, fetch: answered })(${JSON.stringify(mirror.origin)})
        const isSame = response === made.at(-1)
        console.log(JSON.stringify({ isSame, accounts: new Set(keys).size, text: await response.text() }))
        process.exit(0)
      `,
      how,
    )
    assert.deepEqual(JSON.parse(printed), { isSame: true, accounts: 2, text: '{"choices":[]}' })
  })
}

/** What each way brings after this one. */
async function observe(fetch, path, read) {
  const seen = []
  for (const again of Object.values(ways)) {
    const response = await fetch(mirror.origin + path)
    seen.push(response.bodyUsed)
    const first = attempt(() => read(response))
    seen.push(response.bodyUsed, await first, response.bodyUsed)
    seen.push(await attempt(() => again(response)), response.bodyUsed, Object.prototype.toString.call(response))
  }
  return seen
}

async function attempt(work) {
  try {
    return await work()
  } catch (error) {
    return `${error?.constructor?.name} ${error?.name}`
  }
}
