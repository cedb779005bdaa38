/**
 * Migration from OpenCode: generated files of every kind, as OpenCode writes them, each in a home of its own. What comes out
 * are accounts that serve; what is not understood stays in the file; nothing is lost or doubled, whatever goes wrong.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { command } from './support/cli.mjs'
import { openStage } from './support/stage.mjs'
import { inParallel } from './support/torture.mjs'

const HOUR = 3_600_000
/** The user who owns nothing. */
const NOBODY = 65_534
const { sandbox, upstream, inChild } = await openStage({ name: 'migrate' })
const { origin } = upstream

/** One entry of `auth.json` for each kind, and how its account is then lent: provider, URL, header, value. */
const KINDS = {
  'an API key': [
    { anthropic: { type: 'api', key: 'sk-S3CRET-a' } },
    ['anthropic', 'https://api.anthropic.com/v1/messages', 'x-api-key', 'sk-S3CRET-a', 'api'],
  ],
  'an API key with metadata': [
    { openai: { type: 'api', key: 'sk-S3CRET-o', metadata: { organization: 'x' } } },
    ['openai', 'https://api.openai.com/v1/responses', 'authorization', 'Bearer sk-S3CRET-o', 'api'],
  ],
  'an API key under another id': [
    { 'alibaba-cn': { type: 'api', key: 'sk-S3CRET-q' } },
    ['qwen', 'https://dashscope.aliyuncs.com/v1', 'authorization', 'Bearer sk-S3CRET-q', 'api'],
  ],
  'a login': [
    { local: { type: 'oauth', access: 'S3CRET-at', refresh: 'S3CRET-rt', expires: Date.now() + HOUR, accountId: 'x' } },
    ['local', origin, 'authorization', 'Bearer S3CRET-at', 'oauth'],
  ],
  'a login whose end is unknown': [
    { 'github-copilot': { type: 'oauth', access: 'gho_S3CRET', refresh: 'gho_S3CRET', expires: 0 } },
    ['github-copilot', 'https://api.githubcopilot.com', 'authorization', 'Bearer gho_S3CRET', 'oauth'],
  ],
  "a host's token": [
    { 'https://corp.example': { type: 'wellknown', key: 'CORP_TOKEN', token: 'S3CRET-corp' } },
    ['https://corp.example', 'https://corp.example/v1', 'authorization', 'Bearer S3CRET-corp', 'wellknown'],
  ],
}

for (const [kind, [auth, [provider, url, header, value, accountKind]]] of Object.entries(KINDS)) {
  test(`${kind} is taken over and serves`, async () => {
    const home = newHome({ auth })
    const { report, headers } = await home.ask(`{
      report: await auth.migrate(),
      headers: (await auth.getAuthHeaders({ provider: ${JSON.stringify(provider)}, url: ${JSON.stringify(url)} })).headers,
    }`)
    assert.deepEqual(report.files, [home.auth])
    const [{ accountId, ...imported }] = report.imported
    assert.deepEqual(imported, { provider, kind: accountKind, action: 'added' })
    assert.equal(accountId.length, 26)
    assert.deepEqual([report.skipped, report.sources], [[], [{ file: home.auth, state: 'kept' }]])
    assert.equal(headers[header], value)
    home.holdsNoSecret()
  })
}

test('the login of an MCP server is taken over and serves that server', async () => {
  const home = newHome({ mcp: { notes: mcpLogin('https://mcp.example/sse') } })
  const url = 'https://mcp.example/sse'
  const { report, headers, other } = await home.ask(`{
    report: await auth.migrate({ source: 'remove' }),
    headers: (await auth.getAuthHeaders({ provider: 'notes', url: '${url}' })).headers,
    other: await auth.getAuthHeaders({ provider: 'notes', url: 'https://evil.example' }).catch(({ code }) => code),
  }`)
  assert.deepEqual([report.imported[0].kind, other], ['mcp', 'ORIGIN_NOT_ALLOWED'])
  assert.equal(headers.authorization, 'Bearer S3CRET-mcp')
  assert.ok(!existsSync(home.mcp))
  home.holdsNoSecret()
})

/** Files that cannot be taken over whole: what is in them, and why it is skipped. */
const LEFT = {
  'a provider of an unknown place': [{ groq: { type: 'api', key: 'S3CRET' } }, 'groq', /configure the origins/],
  'an unknown type': [{ openai: { type: 'passkey', key: 'S3CRET' } }, 'openai', /type that is not known/],
  'a wrong type of field': [{ openai: { type: 'api', key: 7 } }, 'openai', /key is no text/],
  'a name of JavaScript': [JSON.parse('{"__proto__":{"type":"api","key":"S3CRET"}}'), '__proto__', /origins/],
  'a list for an object': [[1], '', /no JSON object/],
  'broken JSON': ['{"openai":{"type":"api","key":"S3CRET"', '', /no JSON object/],
  'an empty file': ['', '', /no JSON object/],
  'bytes that are no text': [Buffer.from([0x7b, 0xff, 0x7d]), '', /UTF-8/],
  'a file that is too long': [`{"x":"${'x'.repeat(10 * 1024 * 1024)}"}`, '', /10 MiB/],
}

for (const [what, [auth, key, why]] of Object.entries(LEFT)) {
  test(`${what} is left where it is, with its reason`, async () => {
    const home = newHome({ auth })
    const before = readFileSync(home.auth)
    const report = await home.migrate({ source: 'remove' })
    assert.deepEqual([report.imported, report.skipped.length], [[], 1])
    assert.deepEqual([report.skipped[0].file, report.skipped[0].key], [home.auth, key])
    assert.match(report.skipped[0].why, why)
    assert.doesNotMatch(JSON.stringify(report), /S3CRET/)
    assert.deepEqual(readFileSync(home.auth), before)
    assert.ok(!existsSync(home.vault), 'a vault was made for nothing')
  })
}

test('the command ends with 1 where a whole file is left, and names it', async () => {
  const { auth } = newHome({ auth: LEFT['broken JSON'][0] })
  for (const options of [['--dry-run'], ['--source', 'remove', '--yes']]) {
    const args = ['migrate', '--json', '--dir', dirname(auth), ...options]
    const { code, stdout, stderr } = await command(sandbox, args)
    assert.equal(code, 1, stderr)
    assert.equal(JSON.parse(stdout).skipped[0].file, auth)
    const { error } = JSON.parse(stderr)
    assert.ok(error.message.includes(auth), error.message)
    assert.match(error.message, /no JSON object/)
    assert.doesNotMatch(stdout + stderr, /S3CRET/)
  }
})

test('without files there is nothing to do, and a placeholder of the plugin is no account', async () => {
  const home = newHome({})
  const nothing = { files: [], imported: [], skipped: [], sources: [], terms: {} }
  assert.deepEqual(await home.migrate(), nothing)
  assert.deepEqual(await home.migrate({ undo: true }), nothing)
  const ours = newHome({ auth: { openai: { type: 'api', key: 'kept-by-provider-auth' } } })
  const report = await ours.migrate({ source: 'remove' })
  assert.deepEqual([report.imported, report.skipped], [[], []])
  assert.ok(existsSync(ours.auth))
})

test('200 entries are taken over once, and by five processes at once no more than once', async () => {
  const mcp = Object.fromEntries(
    Array.from({ length: 200 }, (_, number) => [`s${number}`, mcpLogin(`https://s${number}.example`)]),
  )
  const home = newHome({ auth: KINDS['an API key'][0], mcp })
  const sources = ['keep', 'remove', 'backup', 'keep', 'remove']
  const reports = await inParallel(5, sources, (source) => home.migrate({ source }))
  const actions = reports.flatMap(({ imported }) => imported.map(({ action }) => action))
  assert.equal(actions.filter((action) => action === 'added').length, 201)
  assert.equal(actions.filter((action) => action === 'updated').length, 0)
  const accounts = await home.ask('await auth.listAccounts()')
  assert.equal(new Set(accounts.map(({ provider }) => provider)).size, 201)
  assert.equal(accounts.length, 201)
  assert.deepEqual([existsSync(home.auth), existsSync(home.mcp)], [false, false])
  home.holdsNoSecret()
})

test('a dry run writes nothing at all', async () => {
  const home = newHome({ auth: everything() })
  const before = readFileSync(home.auth)
  const report = await home.migrate({ dryRun: true, source: 'backup' })
  assert.deepEqual(new Set(report.imported.map(({ action }) => action)), new Set(['added']))
  assert.ok(report.imported.every((entry) => !('accountId' in entry)))
  assert.equal(report.sources[0].backup, `${home.auth}.backup`)
  assert.deepEqual([existsSync(home.vault), readdirSync(home.folder)], [false, ['auth.json']])
  assert.deepEqual(readFileSync(home.auth), before)
})

for (const source of ['keep', 'backup', 'remove']) {
  test(`source ${source}: a second run changes nothing, and undo puts back every byte`, async () => {
    const auth = { ...everything(), groq: { type: 'api', key: 'S3CRET-groq', more: [1.0, 'ü'] } }
    const home = newHome({ auth, mcp: { notes: mcpLogin('https://mcp.example') } })
    const files = [home.auth, home.mcp]
    const before = files.map((file) => readFileSync(file))
    const first = await home.migrate({ source })
    assert.deepEqual(new Set(first.imported.map(({ action }) => action)), new Set(['added']))
    const states = source === 'keep' ? ['kept', 'kept'] : ['rewritten', 'removed']
    assert.deepEqual(
      first.sources.map(({ state }) => state),
      states,
    )
    if (source === 'keep') assert.deepEqual(readFileSync(home.auth), before[0])
    else assert.deepEqual(JSON.parse(readFileSync(home.auth)), { groq: auth.groq })
    if (source === 'backup') {
      const backup = first.sources[0].backup
      assert.deepEqual(readFileSync(backup), before[0])
      assert.equal(statSync(backup).mode & 0o777, 0o600)
    }
    const vault = home.vaultFiles()
    const second = await home.migrate({ source })
    const rest = source === 'keep' ? first.imported.map((entry) => ({ ...entry, action: 'unchanged' })) : []
    assert.deepEqual(second.imported, rest)
    assert.deepEqual(home.vaultFiles(), vault)
    home.holdsNoSecret()

    const undone = await home.migrate({ undo: true })
    assert.deepEqual(undone.skipped, [])
    assert.equal(undone.imported.length, first.imported.length)
    assert.deepEqual(
      files.map((file) => readFileSync(file)),
      before,
    )
    assert.deepEqual(readdirSync(home.folder).sort(), ['auth.json', 'mcp-auth.json'])
    assert.deepEqual(await home.ask('await auth.listAccounts()'), [])
    assert.deepEqual((await home.migrate({ undo: true })).imported, [])
  })
}

test('OPENCODE_AUTH_CONTENT and keys of variables are taken over, the latter when asked for', async () => {
  const env = {
    OPENCODE_AUTH_CONTENT: JSON.stringify(KINDS['an API key'][0]),
    OPENAI_API_KEY: 'sk-S3CRET-env',
    MY_OWN: 'S3CRET',
  }
  const home = newHome({}, env)
  const providers = async (options) => (await home.migrate(options)).imported.map(({ provider }) => provider)
  assert.deepEqual(await providers({}), ['anthropic'])
  assert.deepEqual(await providers({ env: false }), ['anthropic'])
  assert.deepEqual(await providers({ env: true }), ['anthropic', 'openai'])
  const named = await home.migrate({ env: ['MY_OWN'] })
  assert.deepEqual([named.skipped[0].file, named.skipped[0].key], ['MY_OWN', ''])
  assert.deepEqual(await providers({ dir: home.folder }), [])
  home.holdsNoSecret()
})

test('entries that are named are taken out of auth.json, and all else stays', async () => {
  const auth = everything()
  const home = newHome({ auth, mcp: { notes: mcpLogin('https://mcp.example') } })
  const names = ['openai', 'https://corp.example', 'not-there']
  const dry = await home.migrate({ entries: names, source: 'remove', dryRun: true })
  assert.deepEqual([dry.imported.length, existsSync(home.vault)], [2, false])
  const report = await home.migrate({ entries: names, source: 'remove' })
  assert.deepEqual(
    report.imported.map(({ provider, action }) => [provider, action]),
    [
      ['openai', 'added'],
      ['https://corp.example', 'added'],
    ],
  )
  assert.deepEqual([report.skipped.length, report.skipped[0].key], [1, 'not-there'])
  assert.deepEqual([report.files, report.sources.map(({ state }) => state)], [[home.auth], ['rewritten']])
  const { openai, 'https://corp.example': corp, ...rest } = auth
  assert.deepEqual(JSON.parse(readFileSync(home.auth)), rest)
  assert.equal((await home.ask('await auth.listAccounts()')).length, 2)
  home.holdsNoSecret()
})

test('arguments that cannot be are refused by name', async () => {
  const home = newHome({ auth: everything() })
  for (const [options, name] of [
    [{ from: 'elsewhere' }, 'from'],
    [{ source: 'burn' }, 'source'],
    [{ dryRun: 'yes' }, 'dryRun'],
    [{ undo: 1 }, 'undo'],
    [{ dir: 5 }, 'dir'],
    [{ env: 'ALL' }, 'env'],
    [{ env: [7] }, 'env'],
    [{ entries: 'local' }, 'entries'],
    [{ entries: [7] }, 'entries'],
    [{ entries: ['local'], undo: true }, 'entries'],
    [7, 'options'],
  ]) {
    const refusal = await home.refusal(options)
    assert.equal(refusal.code, 'INVALID_ARGUMENT', JSON.stringify(options))
    assert.ok(refusal.message.startsWith(`${name}: `), refusal.message)
  }
  assert.ok(!existsSync(home.vault))
})

test('what is there and cannot be read is an error that names it, and nothing is done', async (t) => {
  const refused = async (home, path) => {
    const refusal = await home.refusal({ source: 'remove' })
    assert.equal(refusal.code, 'VAULT_IO')
    assert.ok(refusal.message.includes(path), refusal.message)
    assert.ok(!existsSync(home.vault))
  }
  await t.test('a folder', async () => {
    const home = newHome({ auth: everything() })
    mkdirSync(home.mcp)
    await refused(home, home.mcp)
  })
  const hasPipes = process.platform !== 'win32'
  await t.test('a pipe', { skip: !hasPipes }, async () => {
    const home = newHome({ auth: everything() })
    assert.equal(spawnSync('mkfifo', [home.mcp]).status, 0)
    await refused(home, home.mcp)
  })
  await t.test('a link to itself', { skip: !hasPipes }, async () => {
    const home = newHome({})
    assert.equal(spawnSync('ln', ['-s', 'auth.json', home.auth]).status, 0)
    await refused(home, home.auth)
  })
  const isRoot = process.getuid?.() === 0
  await t.test("another user's file", { skip: !isRoot && 'only root can give a file away' }, async () => {
    const home = newHome({ auth: everything() })
    assert.equal(spawnSync('chown', [`${NOBODY}`, home.auth]).status, 0)
    await refused(home, home.auth)
  })
  await t.test('a file without permission', { skip: !hasPipes }, async () => {
    const home = newHome({ auth: everything() })
    chmodSync(home.auth, 0o000)
    // Root reads everything, so a child of root becomes somebody else, whose folders these are.
    if (isRoot) assert.equal(spawnSync('chown', ['-R', `${NOBODY}:${NOBODY}`, sandbox.dir]).status, 0)
    const before = isRoot ? `process.setgid(${NOBODY}), process.setuid(${NOBODY})` : 'undefined'
    await refused({ ...home, refusal: (options) => home.refusal(options, before) }, home.auth)
  })
})

let homes = 0

/** A home with OpenCode's files and no vault yet. */
function newHome({ auth, mcp }, env = {}) {
  homes += 1
  const data = join(sandbox.dir, `home-${homes}`)
  const folder = join(data, 'opencode')
  const vault = join(data, 'vault')
  mkdirSync(folder, { recursive: true })
  const files = { auth: join(folder, 'auth.json'), mcp: join(folder, 'mcp-auth.json') }
  if (auth !== undefined) write(files.auth, auth)
  if (mcp !== undefined) write(files.mcp, mcp)
  const variables = { XDG_DATA_HOME: data, PROVIDER_AUTH_DIR: vault, ...env }
  const ask = (expression) =>
    inChild(`const asked = async () => (${expression})\nconsole.log(JSON.stringify(await asked()))`, { env: variables })
  const migrate = (options) => ask(`await auth.migrate(${JSON.stringify(options)})`)
  const vaultFiles = () =>
    readdirSync(vault, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== 'state.json')
      .map((entry) => [entry.name, readFileSync(join(entry.parentPath ?? entry.path, entry.name), 'latin1')])
  return {
    ...files,
    folder,
    vault,
    ask,
    migrate,
    vaultFiles,
    refusal: (options, before = 'undefined') =>
      ask(`(${before}, await auth.migrate(${JSON.stringify(options)}).then(
        () => ({ code: 'none' }), ({ code, message }) => ({ code, message })))`),
    holdsNoSecret() {
      for (const [name, content] of vaultFiles()) assert.ok(!content.includes('S3CRET'), name)
    },
  }
}

function write(file, content) {
  const isRaw = typeof content === 'string' || Buffer.isBuffer(content)
  rmSync(file, { force: true })
  writeFileSync(file, isRaw ? content : JSON.stringify(content, undefined, 2), { mode: 0o600 })
}

/** A file with an entry of each kind. */
function everything() {
  return Object.assign({}, ...Object.values(KINDS).map(([auth]) => auth))
}

function mcpLogin(serverUrl) {
  return {
    tokens: {
      accessToken: 'S3CRET-mcp',
      refreshToken: 'S3CRET-again',
      expiresAt: Date.now() / 1000 + 3600,
      scope: 'read write',
    },
    clientInfo: { clientId: 'registered', clientSecret: 'S3CRET-client', clientIdIssuedAt: 1 },
    codeVerifier: 'S3CRET-verifier',
    serverUrl,
  }
}
