/**
 * Where secrets are after 1,000 refreshes, and where they are not: the heap of JavaScript, the memory of the whole process,
 * logs, errors, events, results, files, environments of children. Every secret of the run carries one random mark, and
 * each search first has to find a mark that was planted for it.
 */
import assert from 'node:assert/strict'
import { createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { scanMemory } from './support/memory.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { until } from './support/until.mjs'

const REFRESHES = 1_000
/** That are logged in when the memory is searched. */
const ACCOUNTS = 2
const SKIP = process.platform !== 'linux' && 'the memory of another process is read as Linux shows it'
/** In every secret of this run, and in nothing else. */
const mark = `S3CRET${randomBytes(6).toString('hex')}`
/** In what is planted, so that each search is seen to find. */
const planted = `PLANTED${randomBytes(6).toString('hex')}`
const clientSecret = `${mark}:client:${randomBytes(18).toString('base64url')}`

const server = await startTokenServer()
const sandbox = createSandbox({ name: 'hygiene' })
delete sandbox.env.PROVIDER_AUTH_KEY
const logFile = join(sandbox.dir, 'trace.log')
const secretFile = join(sandbox.dir, 'client-secret')
const snapshotFile = join(sandbox.dir, 'heap.snapshot')
Object.assign(sandbox.env, {
  PROVIDER_AUTH_KEY_SOURCE: 'keyfile',
  PROVIDER_AUTH_LOG: 'trace',
  PROVIDER_AUTH_LOG_FILE: logFile,
})
writeFileSync(secretFile, clientSecret, { mode: 0o600 })
sandbox.writeConfig({
  providers: {
    local: {
      authorizationEndpoint: `${server.origin}/authorize`,
      tokenEndpoint: `${server.origin}/token`,
      clientId: 'desk',
      clientSecret: `{file:${secretFile}}`,
      clientAuth: 'post',
      origins: [server.origin],
    },
  },
})
after(async () => {
  await server.close()
  sandbox.cleanup()
})

/** The process that is searched. It knows of no secret but what the library gives away. */
const SUBJECT = `
  import { execFileSync } from 'node:child_process'
  import { createWriteStream } from 'node:fs'
  import { pipeline } from 'node:stream/promises'
  import { inspect } from 'node:util'
  import { getHeapSnapshot } from 'node:v8'

  const say = (kind, value) => console.log(kind + ' ' + JSON.stringify(value))
  const show = (value) => say('shown', inspect(value, { depth: 9, showHidden: true, getters: true }) + (value?.stack ?? ''))
  const shownOf = (call) => call.then(show, show)
  const [origin, planted] = process.argv.slice(2)
  globalThis.planted = { inTheHeap: Buffer.from(planted + '-heap').toString() }
  const native = Buffer.alloc(4096)
  native.write(planted + '-native')

  auth.subscribe(show)
  const logIn = async (label) => {
    const account = await auth.login({ provider: 'local', method: 'browser', label, onPrompt: (prompt) => say('prompt', prompt) })
    show(account)
    return account.id
  }
  const id = await logIn('ada')
  for (let count = 0; count < ${REFRESHES}; count += 1) await auth.refreshAccount(id, { force: true })

  for (const fault of ['echo', 'html', 'error', 'garbled', 'drop']) {
    await fetch(origin + '/fault/' + fault)
    await shownOf(auth.refreshAccount(id, { force: true }))
  }
  await fetch(origin + '/fault/none')
  const other = await logIn('bob')
  await fetch(origin + '/fault/dead')
  await shownOf(auth.refreshAccount(other, { force: true }))
  await shownOf(auth.login({ provider: 'local', method: 'paste', onPrompt() {}, readCode: async () => 'no-such-code' }))
  await fetch(origin + '/fault/none')
  await shownOf(auth.refreshAccount(id, { force: true }))
  for (const account of await auth.listAccounts()) show(account)
  await shownOf(auth.poolStatus())
  await shownOf(auth.vaultStatus())
  await shownOf(auth.getAuthHeaders({ provider: 'local', url: 'https://elsewhere.test/' }))
  say('environ', execFileSync('cat', ['/proc/self/environ', '/proc/self/cmdline']).toString('latin1'))

  gc()
  await pipeline(getHeapSnapshot(), createWriteStream(${JSON.stringify(snapshotFile)}))
  say('done', native.length)
  setInterval(() => {}, 60_000)`

let subject
let output = ''
before(async () => {
  const signIns = []
  subject = sandbox.start(SUBJECT, { args: [server.origin, planted], nodeArgs: ['--expose-gc'] })
  subject.child.stdout.on('data', (chunk) => {
    output += chunk
    for (const [, json] of output.matchAll(/^prompt (.*)$/gm)) {
      const { url } = JSON.parse(json)
      if (!signIns.includes(url)) signIns.push(url) && server.signIn(url)
    }
  })
  await subject.line(/^done/)
})

test(`${REFRESHES} refreshes went through, and each error was met`, () => {
  assert.ok(server.issued.length > REFRESHES, `${server.issued.length}`)
  for (const code of ['REFRESH_FAILED', 'NEEDS_LOGIN', 'LOGIN_FAILED', 'ORIGIN_NOT_ALLOWED'])
    assert.match(output, new RegExp(`code: '${code}'`), code)
  assert.ok(readFileSync(logFile, 'utf8').length > 0)
})

test('no error, stack, event or result shows a secret', () => {
  assertClean(output)
})

test('no log line, file of the vault or temporary file holds a secret', () => {
  const files = readdirSync(sandbox.dir, { recursive: true })
    .map((file) => join(sandbox.dir, file))
    .filter((file) => statSync(file).isFile() && file !== secretFile && file !== snapshotFile)
  assert.ok(files.includes(logFile) && files.some((file) => file.endsWith('.rec')))
  for (const file of files) assertClean(readFileSync(file, 'latin1'), file)
})

test('a child process is handed no secret', () => {
  const environ = /^environ (.*)$/m.exec(output)?.[1]
  assert.ok(environ.includes('PROVIDER_AUTH_DIR='))
  assertClean(environ)
})

test('no token, client secret or key is in the heap of JavaScript', () => {
  const heap = readFileSync(snapshotFile, 'latin1')
  assert.ok(heap.includes(`${planted}-heap`), 'the search finds what is there')
  assertClean(heap)
  for (const key of Object.values(vaultKeys())) assert.ok(!heap.includes(key.toString('base64')))
})

test('in the whole process no spent token is left, and what is kept is where no core dump has it', {
  skip: SKIP,
}, async (t) => {
  const needles = {
    mark: Buffer.from(mark),
    wide: Buffer.from(mark, 'utf16le'),
    planted: Buffer.from(`${planted}-native`),
  }
  for (const [name, key] of Object.entries(vaultKeys())) {
    needles[name] = key
    needles[`${name} in base64`] = Buffer.from(key.toString('base64'))
  }
  // What a connection or a thread that is just ending still holds is given the time to end.
  let counts
  await until('no spent token is left', () => {
    counts = count(needles)
    return counts.every(({ what }) => !what.startsWith('spent'))
  }).catch(() => {})
  for (const { what, times, dumped } of counts)
    t.diagnostic(`${what}: ${times} ${times === 1 ? 'place' : 'places'}${dumped ? '' : ', in no core dump'}`)
  const dumped = counts.filter(({ dumped }) => dumped).map(({ what }) => what)
  assert.deepEqual(dumped.sort(), ['live access', 'planted'], 'the search finds what is there, and no more')
  const kept = counts.filter(({ dumped }) => !dumped).map(({ what, times }) => [what, times])
  assert.deepEqual(Object.fromEntries(kept), {
    'live access': ACCOUNTS,
    'live refresh': ACCOUNTS,
    'outer key': 1,
    'record key': 1,
  })
})

test('no source gives a panic a text to repeat, or a secret a way into Debug', () => {
  const secretField =
    /^\s*(pub(\(\w+\))? )?\w*(token|secret|passphrase|password|verifier|plaintext|refresh|access|(api|data|outer|record|vault)_key)\w*: (Option<)?(String|Zeroizing|Vec<u8>|\[u8)/m
  const showsItself =
    /#\[derive\([^)]*\bDebug\b[^)]*\)\](\s*#\[[^\]]*\])*\s*(pub(\(\w+\))? )?(struct|enum) \w+[^;]*?\n\}/g
  const repeats = /[^\n]*(\.expect\((?!\s*("|[A-Z_]+\)))|\b(panic|unreachable|todo|unimplemented)!\()[^\n]*/g
  // Those two shapes would be seen.
  assert.match('    pub refresh_token: Option<String>,', secretField)
  assert.match('value.expect(&format!("{token}"))', repeats)
  for (const file of sources()) {
    const source = readFileSync(file, 'utf8').split(/^#\[cfg\(test\)\]$/m)[0]
    const code = source.replaceAll(/^\s*\/\/.*$/gm, '')
    assert.deepEqual(code.match(repeats) ?? [], [], file)
    for (const [type] of code.matchAll(showsItself)) assert.doesNotMatch(type, secretField, file)
  }
})

/* ───────────────────────────── parts ───────────────────────────── */

/** Finds the needles in the whole process and counts: what it is, whether a core dump would have it, how many times. */
function count(needles) {
  const live = new Set(server.live())
  const counts = new Map()
  for (const { name, dumped, text } of scanMemory(subject.child.pid, needles)) {
    const token = /^[\w:-]+(\.[\w-]+)?/.exec(text)?.[0]
    const what = name === 'mark' ? `${live.has(token) ? 'live' : 'spent'} ${token.split(':')[1]}` : name
    const entry = counts.get(`${what} ${dumped}`) ?? { what, dumped, times: 0 }
    entry.times += 1
    counts.set(`${what} ${dumped}`, entry)
  }
  return [...counts.values()]
}

/** Every file of Rust that is in the addon; tests have their own. */
function sources() {
  const crates = fileURLToPath(new URL('../crates/', import.meta.url))
  const files = readdirSync(crates, { recursive: true }).map((file) => join(crates, file))
  return files.filter(
    (file) => /[\\/]src[\\/].*\.rs$/.test(file) && !/[\\/](tests?|fuzz|vectors)([\\/]|\.rs)/.test(file),
  )
}

function assertClean(text, what = '') {
  const at = text.indexOf(mark)
  assert.ok(at === -1, `${what}: …${text.slice(Math.max(0, at - 80), at + 80)}…`)
}

/**
 * The keys of the vault as raw bytes, derived here a second time: that of the key file, the data key that the header's slot
 * wraps under it, and the key of records.
 */
function vaultKeys() {
  const outer = Buffer.from(readFileSync(`${sandbox.vaultDir}.key`, 'utf8').trim(), 'base64')
  const derive = (key, ...info) => Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), Buffer.concat(info), 32))
  const header = JSON.parse(readFileSync(join(sandbox.vaultDir, 'vault.hdr'), 'utf8').split('\n')[0])
  const [{ source, nonce, wrapped }] = header.slots
  const epoch = Buffer.alloc(4)
  epoch.writeUInt32LE(header.epoch)
  const sealed = Buffer.from(wrapped, 'hex')
  const cipher = createDecipheriv('aes-256-gcm', derive(outer, Buffer.from('slot')), Buffer.from(nonce, 'hex'))
  cipher.setAAD(
    Buffer.concat([Buffer.from('provider-auth slot'), Buffer.from(header.vault, 'hex'), epoch, Buffer.from(source)]),
  )
  cipher.setAuthTag(sealed.subarray(32))
  const data = Buffer.concat([cipher.update(sealed.subarray(0, 32)), cipher.final()])
  return { 'outer key': outer, 'data key': data, 'record key': derive(data, Buffer.from('rec'), epoch) }
}

/** A token endpoint that rotates refresh tokens at each use and does little else, and a person who signs in at once. */
async function startTokenServer() {
  const issued = []
  const families = new Map()
  let fault = 'none'
  const token = (kind) => `${mark}:${kind}:${issued.length}.${randomBytes(24).toString('base64url')}`
  const grant = (family) => {
    const tokens = { access_token: token('access'), refresh_token: token('refresh') }
    issued.push(tokens)
    families.set(tokens.refresh_token, family)
    family.live = tokens
    return { ...tokens, token_type: 'Bearer', expires_in: 3600 }
  }
  const http = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://localhost')
    const json = (status, value) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    if (url.pathname.startsWith('/fault/')) {
      fault = url.pathname.slice('/fault/'.length)
      return response.end()
    }
    let body = ''
    for await (const chunk of request) body += chunk
    const form = new URLSearchParams(body)
    const sent = `${form.get('refresh_token')} ${form.get('client_secret')} ${form.get('code')}`
    if (form.get('client_secret') !== clientSecret) return json(401, { error: 'invalid_client' })
    if (fault === 'echo')
      return json(400, { error: 'invalid_request', error_description: `what is ${sent}`, message: sent })
    if (fault === 'html') return response.writeHead(200, { 'content-type': 'text/html' }).end(`<p>${sent}</p>`)
    if (fault === 'error') return response.writeHead(500, { 'retry-after': sent }).end(sent)
    if (fault === 'garbled')
      return response.writeHead(200, { 'content-type': 'application/json' }).end(`{"access_token": "${sent}`)
    if (fault === 'drop') return response.destroy()
    if (fault === 'dead') return json(400, { error: 'invalid_grant', error_description: `${sent} is dead` })
    if (form.get('grant_type') === 'authorization_code') return json(200, grant({}))
    const family = families.get(form.get('refresh_token'))
    if (family?.live.refresh_token !== form.get('refresh_token')) return json(400, { error: 'invalid_grant' })
    return json(200, grant(family))
  })
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${http.address().port}`,
    issued,
    live: () => [clientSecret, ...[...families.values()].flatMap(({ live }) => Object.values(live))],
    async signIn(url) {
      const { searchParams } = new URL(url)
      const callback = new URL(searchParams.get('redirect_uri'))
      callback.searchParams.set('state', searchParams.get('state'))
      callback.searchParams.set('code', `${mark}:code:${randomBytes(12).toString('hex')}`)
      await (await fetch(callback)).text()
    },
    async close() {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
}
