/**
 * A repository that somebody else wrote, with one folder for each trick (`fixtures/hostile-repository`): without a person's
 * trust nothing leaves, nothing is lost, and each refusal names the file; with it, what the file says takes effect.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startMcp } from './support/dialects/mcp.mjs'
import { createOpenCode, PLUGIN } from './support/opencode.mjs'
import { LIBRARY_URL } from './support/sandbox.mjs'
import { chat, openStage } from './support/stage.mjs'
import { until } from './support/until.mjs'

const FIXTURE = fileURLToPath(new URL('./fixtures/hostile-repository', import.meta.url))
const SECRETS = { file: 'S3CRET-of-the-ssh-key', variable: 'sk-S3CRET-of-the-variable' }

const trap = await startTrap()
const mcp = await startMcp()
const { oidc, upstream, sandbox, inChild, logIn, library } = await openStage({ name: 'hostile' })
const ada = await logIn('ada')
await library.addApiKey({ provider: 'google', apiKey: 'S3CRET-of-google' })
const notes = await inChild(`
  const session = await auth.startLogin({ provider: 'notes', resource: '${mcp.url}', method: 'paste' })
  const { headers } = await fetch(session.url, { redirect: 'manual' })
  console.log(JSON.stringify(await session.finish(headers.get('location'))))`)
const home = sandbox.env.HOME
mkdirSync(join(home, '.ssh'), { mode: 0o700 })
writeFileSync(join(home, '.ssh/id_ed25519'), `${SECRETS.file}\n`, { mode: 0o600 })
after(() => Promise.all([mcp.close(), trap.close()]))
beforeEach(() => trap.requests.splice(0))

/** Names that the files use. */
const WORDS = {
  TRAP: trap.origin,
  ISSUER: oidc.issuer,
  CLIENT: oidc.clients.public.clientId,
  API: upstream.origin,
  MCP: new URL(mcp.url).origin,
  MCP_LOGIN: mcp.issuer,
  HOME: home,
}
const fill = (text) => text.replace(/\{\{(\w+)\}\}/g, (_, name) => WORDS[name])

const folders = readdirSync(FIXTURE, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

for (const folder of folders) {
  const { id, file } = read(folder)
  const hasAccounts = id === 'notes' || id === 'google'

  test(`without trust, the file that ${words(folder)} gets nothing, and is named by what needs it`, async () => {
    const repository = clone(folder)
    const { refusals, migrated, trust } = await attempt(repository, id)
    const path = join(repository, file)
    for (const [call, { code, message, file: named }] of Object.entries(refusals)) {
      // Where there are accounts, or the provider is built in, what the file wants is not needed for everything.
      const codes = hasAccounts
        ? ['ORIGIN_NOT_ALLOWED', 'PROJECT_NOT_TRUSTED', 'INVALID_CONFIG', 'served']
        : ['PROJECT_NOT_TRUSTED']
      assert.ok(codes.includes(code), `${call}: ${code}: ${message}`)
      if (code === 'PROJECT_NOT_TRUSTED') {
        assert.equal(named, path, call)
        assert.ok(message.includes(path) && message.includes('trustProject'), `${call}: ${message}`)
        assert.ok(!message.includes('S3CRET'), message)
      }
    }
    assert.ok(migrated.imported.every(({ provider }) => provider !== 'helper'))
    if (id === 'helper')
      assert.ok(
        migrated.skipped.some(({ key, why }) => key === id && why.includes(path)),
        JSON.stringify(migrated),
      )
    assert.equal(trust.trusted, false)
    assert.deepEqual(
      trust.files.map(({ file: named, state }) => [named, state]),
      [[path, 'untrusted']],
    )
    assert.deepEqual(trap.requests, [])
    await nothingIsLost(repository)
  })
}

test('of each trick a person sees every host and every reading before they trust it', async () => {
  for (const folder of folders) {
    const repository = clone(folder)
    const text = readFileSync(join(repository, read(folder).file), 'utf8')
    const trust = await inChild('console.log(JSON.stringify(await auth.projectTrust()))', { cwd: repository })
    const [{ providers }] = trust.files
    const shown = providers.flatMap(({ hosts, reads }) => [
      ...hosts.map(({ origin }) => origin),
      ...reads.map(({ name }) => name),
    ])
    // What a request names as its target is a parameter, and no host that anything is sent to.
    for (const [host] of text.replace(/"resource": "https:\/\/other.*/, '').matchAll(/https?:\/\/[\w.:]+/g))
      assert.ok(shown.includes(host), `${folder} sends to ${host} unseen: ${shown}`)
    const link = Object.entries(links()).find(([place]) => place.startsWith(folder))
    if (/\{(file|env):/.test(text)) {
      const [{ name, refusal }] = providers.flatMap(({ reads }) => reads)
      const real =
        link === undefined
          ? /\{(?:file|env):(.*)\}/.exec(text)[1].replace('~', home)
          : fill(link[1]).replace(/ssh$/, 'ssh/id_ed25519')
      const place = real.replace('/proc/self/', '/proc/')
      assert.ok(name.replace(/\/proc\/\d+\//, '/proc/') === place, `${folder} shows ${name} for ${real}`)
      assert.equal(
        refusal !== undefined,
        folder !== 'reads-a-file' && /link|environment$|vault-key/.test(folder),
        folder,
      )
    }
  }
})

test('after trust, the file that reads a file of yours signs in with it', async () => {
  const repository = clone('reads-a-file')
  const { prompted, label } = await trustedLogin(repository)
  assert.match(prompted.instructions, /which you trusted/)
  assert.ok(prompted.instructions.includes(repository))
  assert.ok(label.length > 0)
  const sent = trap.requests.find(({ path }) => path === '/token')
  assert.ok(sent.headers.authorization.startsWith('Basic '), 'the secret that was agreed to')
  const served = await inChild(
    `console.log(JSON.stringify((await auth.createAuthFetch({ provider: 'helper' })('${trap.origin}/v1')).status))`,
    { cwd: repository },
  )
  assert.equal(served, 200)
  await nothingIsLost(repository)
})

for (const folder of folders.filter((name) => /^reads-.*(link|environment|vault-key)/.test(name))) {
  test(`even after trust, the file that ${words(folder)} gets nothing`, async () => {
    const repository = clone(folder)
    const refusal = await trustedLogin(repository).catch((error) => error)
    assert.match(refusal.message, /INVALID_CONFIG/)
    assert.ok(refusal.message.includes(join(repository, 'provider-auth.jsonc')), refusal.message)
    assert.deepEqual(
      trap.requests.filter(({ path }) => path === '/token'),
      [],
    )
  })
}

for (const folder of folders.filter((name) => read(name).id === 'notes')) {
  test(`even after trust, the file that ${words(folder)} changes nothing for it`, async () => {
    const repository = clone(folder)
    await inChild('await auth.trustProject()', { cwd: repository })
    await nothingIsLost(repository)
    const { refusals } = await attempt(repository, 'notes')
    assert.equal(refusals.fetch.code, 'ORIGIN_NOT_ALLOWED')
    assert.deepEqual(trap.requests, [])
  })
}

test('a login on a terminal asks before it opens anything, and no is the answer', {
  skip: process.platform === 'win32',
}, async () => {
  for (const [typed, goesOn] of [
    ['\n', false],
    ['n\n', false],
    ['\u0004', false],
    ['\u0003', false],
    ['yes please\n', false],
    ['y\n', true],
  ]) {
    trap.requests.splice(0)
    const repository = clone('reads-a-file')
    const { screen, outcome } = await atTerminal(repository, typed)
    assert.match(screen, /Trust it, and go on\? \[y\/N\]/)
    for (const part of [join(repository, 'provider-auth.jsonc'), trap.origin, '.ssh/id_ed25519', 'tokenEndpoint'])
      assert.ok(screen.includes(part), screen)
    assert.ok(!screen.includes(SECRETS.file))
    if (goesOn) assert.equal(outcome, 'signed in')
    else {
      assert.equal(outcome, 'PROJECT_NOT_TRUSTED', JSON.stringify(typed))
      assert.deepEqual(trap.requests, [], JSON.stringify(typed))
      assert.ok(!screen.includes('Go to'), screen)
    }
  }
})

test('what was typed before the question is no answer to it', { skip: process.platform === 'win32' }, async () => {
  trap.requests.splice(0)
  const { outcome } = await atTerminal(clone('reads-a-file'), '\n', 'y\ny\ny')
  assert.equal(outcome, 'PROJECT_NOT_TRUSTED')
  assert.deepEqual(trap.requests, [])
})

test('what a person is asked about stands beside the question, however long the list', async () => {
  const repository = clone('reads-a-file')
  const file = join(repository, 'provider-auth.jsonc')
  const decoy = { origins: Array.from({ length: 300 }, (_, n) => `https://h${n}.example`) }
  const { providers } = JSON.parse(readFileSync(file, 'utf8').replace(/^\/\/.*\n/, ''))
  writeFileSync(file, JSON.stringify({ providers: { ...providers, zzz: decoy } }))
  const { screen } = await atTerminal(repository, 'n\n')
  const lines = screen.split('\n')
  const question = lines.findIndex((line) => line.includes('[y/N]'))
  assert.match(lines[question - 1], /In all: 301 hosts; reads the file ".*id_ed25519" \(clientSecret\)/)
})

test('trust is given to nothing that is not what was shown', async () => {
  const repository = clone('reads-a-file')
  for (const shown of ['null', '{}', '{ files: 1 }', '{ files: [{}] }', '{ files: [] }', '"x"']) {
    const { code, state } = await inChild(
      `
      const code = await auth.trustProject(${shown}).then(() => 'trusted', ({ code }) => code)
      console.log(JSON.stringify({ code, state: (await auth.projectTrust()).files[0].state }))`,
      { cwd: repository },
    )
    assert.deepEqual({ code, state }, { code: 'INVALID_ARGUMENT', state: 'untrusted' }, shown)
  }
})

test('a host asks in its own way, and what it answers counts only if it is a clear yes', async () => {
  for (const [answer, outcome] of [
    ['false', 'PROJECT_NOT_TRUSTED'],
    ["'no'", 'PROJECT_NOT_TRUSTED'],
    ['undefined', 'PROJECT_NOT_TRUSTED'],
    ['Promise.resolve(true)', 'signed in'],
  ]) {
    const told = await inChild(login(`confirmTrust: (trust) => { asked = trust; return ${answer} }`), {
      cwd: clone('reads-a-file'),
    })
    assert.equal(told.outcome, outcome, answer)
    assert.equal(told.asked.files[0].state, 'untrusted')
  }
})

test('a path with control characters reaches no terminal', async () => {
  const repository = clone('reads-a-file', 'a\u001b[2J\u202eb')
  const { refusals } = await attempt(repository, 'helper')
  for (const { message } of Object.values(refusals)) assert.doesNotMatch(message, /[\p{Cc}\p{Cf}]/u)
  const inside = await inChild(
    `
    const { writeFileSync } = await import('node:fs')
    const how = (call) => call.then(() => '', ({ message }) => message)
    const absent = await how(auth.login({ provider: 'oci-oidc' }))
    writeFileSync('oci-auth.config.jsonc', '{}')
    const { code } = await auth.login({ provider: 'openai', namespace: 'a\u202eb' }).catch((error) => error)
    console.log(JSON.stringify({ absent, code }))`,
    { cwd: repository },
  )
  assert.match(inside.absent, /None of these files is there/)
  assert.doesNotMatch(inside.absent, /[\p{Cc}\p{Cf}]/u)
  assert.equal(inside.code, 'INVALID_ARGUMENT')
  const { screen } = await atTerminal(repository, 'n\n')
  assert.ok(!screen.includes('\u001b[2J') && !screen.includes('\u202e'), JSON.stringify(screen))
  assert.ok(screen.includes('\\u{1b}[2J\\u{202e}'))
})

test('under OpenCode its provider is refused by the name of the file, until a person answers the prompt of its login', async () => {
  const opencode = createOpenCode(sandbox, {
    providers: { helper: `${trap.origin}/v1`, local: upstream.baseURL },
    plugin: PLUGIN,
  })
  after(() => opencode.close())
  const file = join(opencode.project, 'provider-auth.jsonc')
  cpSync(join(clone('reads-a-file'), 'provider-auth.jsonc'), file)
  writeFileSync(join(home, '.ssh/id_ed25519'), 'S3CRET-of-the-ssh-key\n')
  const label = 'Sign in with the browser'

  const run = await opencode.run('helper/small-1')
  assert.equal(run.code, 1)
  assert.ok(run.stderr.includes(`${file} is not trusted`), run.stderr)
  assert.match(run.stderr, /opencode auth login --provider helper/)
  assert.match((await opencode.run('local/small-1')).stdout, /served by ada/)
  // The command has no terminal, so it can ask no person.
  const { code, stdout, stderr } = await opencode.start('auth', 'login', '--provider', 'helper', '--method', label)
    .ended
  assert.equal(code, 1, stdout)
  assert.ok(`${stdout}${stderr}`.includes(`${file} is not trusted`), `${stdout}${stderr}`)

  const { call } = await opencode.serve()
  const { helper } = await call('GET', '/provider/auth')
  const method = helper.findIndex((offered) => offered.label === label)
  const [prompt] = helper[method].prompts
  for (const part of [file, trap.origin, '.ssh/id_ed25519', 'tokenEndpoint'])
    assert.ok(prompt.message.includes(part), prompt.message)
  assert.deepEqual(
    prompt.options.map(({ value }) => value),
    ['no', 'yes'],
  )
  const authorize = (inputs) => call('POST', '/provider/helper/oauth/authorize', { method, inputs })
  const isRefused = async (inputs, why) => {
    const { url, instructions } = await authorize(inputs)
    assert.equal(url, '')
    assert.match(instructions, why)
  }
  for (const inputs of [undefined, {}, { trust: 'no' }]) await isRefused(inputs, /is not trusted/)
  assert.deepEqual(trap.requests, [])
  const changed = readFileSync(file, 'utf8')
  writeFileSync(file, changed.replace('helper"', 'helper" '))
  await isRefused({ trust: 'yes' }, /provider-auth\.jsonc/)
  writeFileSync(file, changed)
  const { url } = await authorize({ trust: 'yes' })
  const done = call('POST', '/provider/helper/oauth/callback', { method })
  await fetch(url)
  await done
  assert.ok(trap.requests.some(({ path }) => path === '/token'))
  await nothingIsLost(opencode.project)
})

/** The provider that a folder's file is about, and the name of the file. */
function read(folder) {
  const [file] = readdirSync(join(FIXTURE, folder)).filter((name) => name.endsWith('.jsonc'))
  if (file === 'oci-auth.config.jsonc') return { id: 'oci-oidc', file }
  const text = readFileSync(join(FIXTURE, folder, file), 'utf8').replace(/^\/\/.*\n/, '')
  return { id: Object.keys(JSON.parse(text).providers)[0], file }
}

function links() {
  return JSON.parse(readFileSync(join(FIXTURE, 'links.json'), 'utf8'))
}

function words(folder) {
  return `"${folder.replaceAll('-', ' ')}"`
}

/** A fresh clone of one folder of the repository, with the places of this test in it. */
function clone(folder, name = 'repository') {
  const repository = join(mkdtempSync(join(sandbox.dir, 'clone-')), name)
  cpSync(join(FIXTURE, folder), repository, { recursive: true })
  mkdirSync(join(repository, '.git'))
  const { file } = read(folder)
  writeFileSync(join(repository, file), fill(readFileSync(join(FIXTURE, folder, file), 'utf8')))
  for (const [place, target] of Object.entries(links()))
    if (place.startsWith(`${folder}/`)) symlinkSync(fill(target), join(repository, place.slice(folder.length + 1)))
  return repository
}

/** Everything that a program does with a provider, in that repository: how each call ends. */
async function attempt(repository, id) {
  const legacy = join(sandbox.dir, 'opencode')
  mkdirSync(legacy, { recursive: true })
  writeFileSync(join(legacy, 'auth.json'), JSON.stringify({ [id]: { type: 'api', key: 'sk-S3CRET-of-opencode' } }))
  return inChild(
    `
    const visit = ({ url }) => void fetch(url).catch(() => {})
    const how = (call) => call().then(() => ({ code: 'served' }), ({ code, message, file }) => ({ code, message, file }))
    const login = (method) => how(() => auth.login({ provider: '${id}', method, onPrompt: visit, timeoutMs: 2000 }))
    const refusals = {
      fetch: await how(() => auth.createAuthFetch({ provider: '${id}' })('${trap.origin}/v1/chat', ${JSON.stringify(chat())})),
      headers: await how(() => auth.getAuthHeaders({ provider: '${id}', url: '${trap.origin}/v1' })),
    }
    ${
      // Of these a login needs nothing of the file, and its page lies elsewhere.
      id === 'notes' || id === 'openai'
        ? ''
        : `Object.assign(refusals, { browser: await login('browser'), paste: await login('paste'), device: await login('device') })
    if ('${id}' === 'helper') Object.assign(refusals, {
      client: await login('client-credentials'),
      assertion: await login('assertion'),
      key: await how(() => auth.addApiKey({ provider: '${id}', apiKey: 'sk-S3CRET-typed' })),
      models: await how(() => auth.discoverModels({ provider: '${id}' })),
    })`
    }
    const migrated = '${id}' === 'helper' ? await auth.migrate({ dir: ${JSON.stringify(legacy)}, dryRun: true }) : { imported: [], skipped: [] }
    console.log(JSON.stringify({ refusals, migrated, trust: await auth.projectTrust() }))
    process.exit()`,
    { cwd: repository, env: { OPENAI_API_KEY: SECRETS.variable } },
  )
}

/** The accounts that were there serve as before, in that repository too. */
async function nothingIsLost(repository) {
  const { statuses, renewed, ids } = await inChild(
    `
    const status = async (provider, url, init) => (await auth.createAuthFetch({ provider })(url, init)).status
    const statuses = [
      await status('local', '${upstream.chatUrl}', ${JSON.stringify(chat())}),
      await status('notes', '${mcp.url}', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }),
    ]
    const renewed = [await auth.refreshAccount('${ada.id}', { force: true }), await auth.refreshAccount('${notes.id}', { force: true })]
    const ids = (await auth.listAccounts()).map(({ id }) => id)
    console.log(JSON.stringify({ statuses, renewed: renewed.map(({ state }) => state), ids }))`,
    { cwd: repository },
  )
  assert.deepEqual(statuses, [200, 200])
  assert.deepEqual(renewed, ['ready', 'ready'])
  for (const id of [ada.id, notes.id]) assert.ok(ids.includes(id))
}

/** Source of a login in the browser that the trap's page answers by itself. */
function login(options = '') {
  return `
    let asked, prompted, account
    const onPrompt = (prompt) => { prompted = prompt; void fetch(prompt.url).catch(() => {}) }
    const outcome = await auth.login({ provider: 'helper', method: 'browser', onPrompt, timeoutMs: 5000, ${options} })
      .then((made) => { account = made; return 'signed in' }, ({ code, message }) => code)
    console.log(JSON.stringify({ outcome, asked, prompted, label: account?.label }))`
}

async function trustedLogin(repository) {
  const told = await inChild(
    `await auth.trustProject(await auth.projectTrust())
    ${login().replace('=> code', '=> [code, message].join()')}`,
    { cwd: repository },
  )
  if (told.outcome !== 'signed in') throw new Error(told.outcome)
  return told
}

/** The same login in a real terminal, where a person types. */
async function atTerminal(repository, typed, ahead = '') {
  const script = join(sandbox.dir, `login-${Math.random().toString(36).slice(2)}.mjs`)
  const said = `${script}.json`
  writeFileSync(
    script,
    `import * as auth from ${JSON.stringify(LIBRARY_URL)}
     import { writeFileSync } from 'node:fs'
     ${login().replace('console.log(', `writeFileSync(${JSON.stringify(said)}, `)}
     process.exit()`,
  )
  // \`script\` of util-linux makes the terminal.
  const terminal = sandbox.spawn('-qefc', {
    command: 'script',
    args: [`${JSON.stringify(process.execPath)} ${JSON.stringify(script)}`, '/dev/null'],
    cwd: repository,
    input: null,
  })
  let screen = ''
  let isOver = false
  terminal.child.stdin.write(ahead)
  terminal.child.stdout.on('data', (chunk) => {
    screen += chunk
  })
  terminal.child.once('close', () => {
    isOver = true
  })
  await until(
    () => `a question or the end, after ${screen}`,
    () => isOver || screen.includes('[y/N]'),
  )
  terminal.child.stdin.write(typed)
  await terminal.ended
  return { screen, outcome: JSON.parse(readFileSync(said, 'utf8')).outcome }
}

/** A server that wants everything: its page answers at once, and it takes whatever comes. */
async function startTrap() {
  const requests = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const url = new URL(request.url, trap.origin)
    requests.push({ path: url.pathname, headers: request.headers, body })
    if (url.pathname === '/authorize') {
      const back = new URL(url.searchParams.get('redirect_uri'))
      back.searchParams.set('code', 'a-code')
      back.searchParams.set('state', url.searchParams.get('state'))
      return response.writeHead(302, { location: back.href }).end()
    }
    response.setHeader('content-type', 'application/json')
    if (url.pathname === '/token')
      return response.end('{"access_token":"theirs","token_type":"Bearer","expires_in":3600}')
    response.end('{}')
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const trap = {
    origin: `http://127.0.0.1:${server.address().port}`,
    requests,
    close: () => new Promise((resolve) => server.close(resolve)),
  }
  return trap
}
