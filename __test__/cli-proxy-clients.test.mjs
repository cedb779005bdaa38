/** Real clients behind `provider-auth proxy`, as docs/proxy.md shows them: Python, curl, and a browser that gets nothing. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { delimiter, join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { canInstallPython, pythonPackages } from '../scripts/lib/python.mjs'
import { hasCommand } from '../scripts/lib/toolchain.mjs'
import { findChromium, startChromium } from './support/chromium.mjs'
import { COMMAND } from './support/cli.mjs'
import { freePort } from './support/ports.mjs'
import { startProxy } from './support/proxy.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { bodies, startUpstream } from './support/upstream.mjs'

const REQUIREMENTS = fileURLToPath(new URL('fixtures/python-clients.txt', import.meta.url))
const page = readFileSync(new URL('../docs/proxy.md', import.meta.url), 'utf8')
const LONGEST_MS = 120_000

const upstream = await startUpstream({
  keys: { 'sk-of-ada': 'ada', 'sk-of-bob': 'bob', 'sk-of-eve': 'eve', 'sk-of-joe': 'joe' },
})
const here = { origins: [upstream.origin], rotation: { maxWaitMs: 0 } }
const sandbox = createSandbox({ name: 'proxy-clients', config: { providers: { openai: here, anthropic: here } } })
after(async () => {
  await upstream.close()
  sandbox.cleanup()
})

const hasPython = await canInstallPython()
const inPython = { skip: !hasPython && 'python3 with venv is not installed' }
const inCurl = { skip: !hasCommand('curl') && 'curl is not installed' }
let proxy
let env
before(async () => {
  const accounts = [
    ['openai', 'sk-of-ada', 'ada', 0],
    ['openai', 'sk-of-bob', 'bob', 1],
    ['anthropic', 'sk-of-eve', 'eve', 0],
    ['anthropic', 'sk-of-joe', 'joe', 1],
  ].map(([provider, apiKey, label, priority]) => ({ provider, apiKey, label, priority }))
  await sandbox.output(`for (const one of ${JSON.stringify(accounts)}) await auth.addApiKey(one)`)
  proxy = await startProxy(sandbox)
  const lines = blocks('Set a client up', 'sh')[0]
  env = { ...sandbox.env, ...(await exported(lines)) }
  if (hasPython) env.PYTHONPATH = await pythonPackages(REQUIREMENTS)
})

beforeEach(async () => {
  upstream.behave()
  await sandbox.output('await auth.clearCooldowns({})')
})

/** The code of a language under a heading of the page. */
function blocks(heading, language) {
  const [, part = ''] = new RegExp(`^#+ ${heading}\n(.*?)(?=^#+ |\\Z(?![^])|$(?![^]))`, 'ms').exec(page) ?? []
  const found = [...part.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(([, kind]) => kind === language)
  assert.ok(found.length > 0, `docs/proxy.md has no ${language} under ${heading}`)
  return found.map(([, , code]) => code)
}

/** Runs a program to its end: what it printed, and its exit code. */
function run(program, args, options = {}) {
  return new Promise((resolve) => {
    const all = { cwd: sandbox.work, timeout: LONGEST_MS, env, ...options }
    execFile(program, args, all, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }))
  })
}

/** The variables that lines of a shell set, which call our command. */
async function exported(lines) {
  const bin = join(sandbox.dir, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'provider-auth'), `#!/bin/sh\nexec "${process.execPath}" "${COMMAND}" "$@"\n`, {
    mode: 0o755,
  })
  const PATH = `${bin}${delimiter}${process.env.PATH}`
  const { code, stdout, stderr } = await run('sh', ['-c', `${lines}\nenv -0`], { env: { ...sandbox.env, PATH } })
  assert.equal(code, 0, stderr)
  const all = stdout.split('\0').map((line) => line.split(/=(.*)/s).slice(0, 2))
  return Object.fromEntries(all.filter(([name]) => /^(OPENAI|ANTHROPIC)_/.test(name ?? '')))
}

async function python(code) {
  const { code: exit, stdout, stderr } = await run('python3', ['-c', code])
  assert.equal(exit, 0, stderr)
  assert.ok(!`${stdout}${stderr}`.includes(proxy.token))
  return stdout
}

test('Python’s openai is served, whole and streamed, as the page shows it', inPython, async () => {
  upstream.forget()
  assert.equal(await python(blocks('Python: openai', 'python')[0]), 'served by ada\nserved by ada\n')
  assert.deepEqual(upstream.accounts(), ['ada', 'ada'])
  assert.ok(!JSON.stringify(upstream.requests).includes(proxy.token))
})

test('Python’s anthropic is served, whole and streamed, as the page shows it', inPython, async () => {
  upstream.forget()
  assert.equal(await python(blocks('Python: anthropic', 'python')[0]), 'served by eve\nserved by eve\n')
  assert.deepEqual(upstream.accounts(), ['eve', 'eve'])
  assert.ok(!JSON.stringify(upstream.requests).includes(proxy.token))
})

test('a limit of one account is met by another, and Python is none the wiser', inPython, async () => {
  const limit = { status: 429, headers: { 'retry-after': '3000' }, body: bodies.spent, times: Infinity }
  for (const [name, heading, first, second] of [
    ['openai', 'Python: openai', 'ada', 'bob'],
    ['anthropic', 'Python: anthropic', 'eve', 'joe'],
  ]) {
    upstream.forget()
    upstream.plan(first, limit)
    // Without tries of its own, so that none hides a 429.
    const code = blocks(heading, 'python')[0].replace(/(OpenAI|Anthropic)\(\)/, '$1(max_retries=0)')
    assert.match(code, /max_retries/)
    assert.equal(await python(code), `served by ${second}\nserved by ${second}\n`, name)
    assert.deepEqual(upstream.accounts(), [first, second, second])
  }
})

test('where no account is left Python gets one error that says why, and does not ask again', inPython, async () => {
  for (const account of ['ada', 'bob', 'eve', 'joe'])
    upstream.plan(account, { status: 429, headers: { 'retry-after': '3000' }, body: bodies.spent, times: Infinity })
  const errors = (call) => `
import json
try:
    ${call}
except Exception as error:
    print(json.dumps([type(error).__name__, error.status_code, str(error)]))
`
  for (const call of [
    'from openai import OpenAI; OpenAI().chat.completions.create(model="gpt-5", messages=[])',
    'from anthropic import Anthropic; Anthropic().messages.create(model="m", max_tokens=9, messages=[])',
  ]) {
    await python(errors(call))
    upstream.forget()
    const [kind, status, message] = JSON.parse(await python(errors(call)))
    assert.deepEqual([kind, status], ['RateLimitError', 429])
    assert.match(message, /cooling down/)
    assert.deepEqual(upstream.accounts(), [])
  }
  const wrong = 'from openai import OpenAI; OpenAI(api_key="sk-wrong").models.list()'
  const [kind, status, message] = JSON.parse(await python(errors(wrong)))
  assert.deepEqual([kind, status], ['AuthenticationError', 401])
  assert.match(message, /not this proxy's token.*provider-auth proxy env/)
})

test('a stream that breaks off is an error in Python', inPython, async () => {
  const event =
    'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"half"}}]}\n\n'
  upstream.plan('*', { sse: [event], gapMs: 300, end: 'drop', times: 1 })
  const printed = await python(`
from openai import OpenAI
try:
    for chunk in OpenAI().chat.completions.create(model="m", messages=[], stream=True):
        print(chunk.choices[0].delta.content)
    print("whole")
except Exception as error:
    print("broken")
`)
  assert.equal(printed, 'half\nbroken\n')
})

test('curl gets a stream, as the page shows it', inCurl, async () => {
  upstream.forget()
  const { code, stdout, stderr } = await run('sh', ['-c', blocks('curl', 'sh')[0]])
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^data: \{.*"chat.completion.chunk"/)
  assert.match(stdout, /data: \[DONE\]\n\n$/)
  assert.equal(upstream.requests.length, 1)
  assert.ok(!JSON.stringify(upstream.requests).includes(proxy.token))
})

test('curl can send a large body, and ask for HTTP/2 and for a compressed answer', inCurl, async () => {
  const script = `head -c 3000000 /dev/zero | tr '\\0' x |
    curl -sS --compressed --http2 -H "x-api-key: $OPENAI_API_KEY" -H 'expect: 100-continue' --data-binary @- \
      "\${OPENAI_BASE_URL%/v1}/echo"`
  const { stdout, stderr } = await run('sh', ['-c', script], { maxBuffer: 10_000_000 })
  assert.equal(stderr, '')
  assert.ok(JSON.parse(stdout).body === 'x'.repeat(3_000_000), stdout.slice(0, 500))
})

test('the service that the page shows starts as it is written', { skip: process.platform === 'win32' }, async () => {
  const [unit] = blocks('As a service', 'ini')
  const [, line] = /^ExecStart=\S+\/provider-auth (.*)$/m.exec(unit)
  const args = line.replaceAll('%h', sandbox.env.HOME).split(' ').slice(1)
  mkdirSync(join(sandbox.env.HOME, '.config/provider-auth'), { recursive: true })
  const service = await startProxy(sandbox, { args: [...args, '--port', '0'] })
  service.child.kill('SIGTERM')
  const { code } = await service.ended
  assert.match(unit, new RegExp(`^SuccessExitStatus=${code}$`, 'm'))
})

test('what the page says of the start is so', async () => {
  assert.equal(blocks('Start it', 'sh')[0], 'provider-auth proxy\n')
  const port = await freePort()
  const started = sandbox.spawn(COMMAND, { args: ['proxy', '--port', String(port)] })
  await started.line(/^openai /)
  started.child.kill('SIGTERM')
  const { stdout } = await started.ended
  const shape = (text) =>
    text
      .replace(/^(anthropic|openai)(.*) (http\S+) /gm, '$1$2 https://api.$1.com ')
      .replaceAll(String(port), '7769')
      .replace(/\d accounts?/g, 'accounts')
      .replace(/ +/g, ' ')
  assert.equal(shape(stdout), shape(blocks('Start it', 'text')[0]))
})

test('a page of another origin cannot use it, even with the token', {
  skip: findChromium() === undefined && 'chromium is not installed',
}, async (t) => {
  const port = String(proxy.port)
  const script = `
    const at = (name) => 'http://' + name + ':${port}/openai/v1/models?key=${proxy.token}'
    const headers = { authorization: 'Bearer ${proxy.token}' }
    const tried = async (name, work) => [name, await work().then(() => 'done', () => 'failed')]
    const loaded = (tag, name) => () => new Promise((resolve, reject) => {
      const node = Object.assign(document.createElement(tag), { onload: resolve, onerror: reject, src: at(name) })
      document.body.append(node)
    })
    const tries = ['127.0.0.1', 'localhost'].flatMap((name) => [
      tried('fetch', () => fetch(at(name), { headers })),
      tried('simple fetch', () => fetch(at(name))),
      tried('img', loaded('img', name)),
      tried('script', loaded('script', name)),
      tried('socket', () => new Promise((resolve, reject) => {
        const socket = new WebSocket(at(name).replace('http', 'ws'))
        Object.assign(socket, { onopen: resolve, onerror: reject })
      })),
      // What these get cannot be read, and must not be sent on.
      fetch(at(name), { mode: 'no-cors' }).then(({ type }) => ['opaque', type], () => ['opaque', 'failed']),
      navigator.sendBeacon(at(name), '{}') && new Promise((resolve) => setTimeout(resolve, 500, ['beacon', 'sent'])),
      new Promise((resolve) => {
        const frame = Object.assign(document.createElement('iframe'), { name: 'f' + name, onload: () => setTimeout(resolve, 300, ['form', 'sent']) })
        document.body.append(frame)
        const form = Object.assign(document.createElement('form'), { method: 'post', action: at(name), target: 'f' + name })
        document.body.append(form)
        form.submit()
      }),
    ])
    Promise.all(tries).then((all) => { document.body.textContent = 'END ' + JSON.stringify(all) })`
  const server = createServer((_, response) =>
    response
      .writeHead(200, { 'content-type': 'text/html' })
      .end(`<!doctype html><body><script>${script}</script></body>`),
  )
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const browser = await startChromium(findChromium())
  t.after(async () => {
    await browser.close()
    server.closeAllConnections()
    server.close()
  })
  upstream.forget()
  const tab = await browser.open(`http://127.0.0.1:${server.address().port}/`)
  const { text } = await tab.pass({}, (seen) => seen.text.startsWith('END '))
  const results = JSON.parse(text.slice('END '.length))
  for (const [name, end] of results) {
    const isBlind = ['opaque', 'beacon', 'form'].includes(name)
    if (!isBlind) assert.equal(end, 'failed', name)
  }
  assert.deepEqual(upstream.requests, [])
  // A page that a person opens by its address, too.
  const typed = await browser.open(`${proxy.address}/openai/v1/models?key=${proxy.token}`)
  const shown = await typed.pass({}, (seen) => seen.text !== '')
  assert.match(shown.text, /BROWSER_REFUSED/)
  assert.deepEqual(upstream.requests, [])
})

test('the page has every code of the proxy', () => {
  const folder = new URL('../cli/src/proxy/', import.meta.url)
  const sources = ['guard', 'listen', 'refusals', 'running', 'serve', 'target', 'token'].map((name) =>
    readFileSync(new URL(`${name}.ts`, folder), 'utf8'),
  )
  const codes = new Set(
    sources.flatMap((text) =>
      [...text.matchAll(/code: '([A-Z_]+)'|^ {2}([A-Z_]{6,}): \d{3}/gm)].map(([, one, other]) => one ?? other),
    ),
  )
  assert.ok(codes.size > 12)
  const said = ['USAGE', 'EXHAUSTED']
  for (const code of codes) if (!said.includes(code)) assert.ok(page.includes(`\`${code}\``), code)
})
