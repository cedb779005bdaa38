/** `doctor`: each trouble is found and told with what to do, `--fix` mends, and the archive tells a stranger nothing. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { unzipSync } from 'fflate'
import { assertFits, COMMAND, command, failure, startCommand } from './support/cli.mjs'
import { createSandbox } from './support/sandbox.mjs'

const MARK = 'S3CRET'
const servers = []
after(() => {
  for (const server of servers) server.close()
})

function made(config = { providers: {} }) {
  const sandbox = createSandbox({ name: 'doctor', config })
  after(sandbox.cleanup)
  return sandbox
}

/** What the doctor says: exit code, findings by id, and the whole answer, which fits its schema. */
async function diagnosed(sandbox, args = [], options) {
  const { code, stdout, stderr } = await command(sandbox, ['doctor', '--json', ...args], options)
  assert.equal(stderr.replaceAll(/^\nwrote .*\n.*\n/gm, ''), '')
  const answer = JSON.parse(stdout)
  assertFits('doctor', answer)
  const found = (id) => answer.findings.find((finding) => finding.id === id)
  return { code, stdout, found, ...answer }
}

async function listen(server) {
  servers.push(server)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server.address().port
}

function addKey(sandbox, provider, label, apiKey = `key-of-${label}-0123456789`) {
  return sandbox.output(`
    const { id } = await auth.addApiKey(${JSON.stringify({ provider, apiKey, label })})
    process.stdout.write(id)`)
}

test('without a vault nothing is wrong, and none is made', async () => {
  const sandbox = made()
  const { code, summary, found } = await diagnosed(sandbox)
  assert.equal(code, 0)
  assert.equal(summary.problems, 0)
  assert.equal(found('vault.empty').state, 'note')
  assert.ok(!existsSync(sandbox.vaultDir))
})

test('per pool it says who would serve and why each other one would not, by name for a person', async () => {
  const sandbox = made()
  const work = await addKey(sandbox, 'openai', 'work')
  const other = await addKey(sandbox, 'openai', 'other')
  await sandbox.output(`await auth.updateAccount('other', { enabled: false })`)
  const { code, found, stdout } = await diagnosed(sandbox)
  assert.equal(code, 0)
  const { details, why } = found('pool.serves')
  assert.equal(details.accountId, work)
  assert.equal(why, `${other} is switched off`)
  assert.ok(!stdout.includes('work'), 'data has ids alone')
  const text = (await command(sandbox, ['doctor'])).stdout
  assert.match(text, /account “work” serves next/)
  assert.match(text, /others: “other” is switched off/)
  for (const line of text.split('\n').filter((line) => !line.includes('/')))
    assert.ok(line.length <= 80, `${line.length}: ${line}`)
  await sandbox.output(`await auth.updateAccount('work', { enabled: false })`)
  assert.equal((await diagnosed(sandbox)).found('pool.no_account').state, 'warning')
})

test('rights of others to the folder are told, and taken away by --fix alone', async () => {
  const sandbox = made()
  await addKey(sandbox, 'openai', 'work')
  const state = join(sandbox.vaultDir, 'vault.hdr')
  chmodSync(sandbox.vaultDir, 0o777)
  chmodSync(state, 0o644)
  const broken = await diagnosed(sandbox)
  assert.equal(broken.code, 1, 'neither locked nor without a key')
  assert.equal(broken.found('files.unsafe').fixable, true)
  assert.equal(broken.found('vault.unsafe').state, 'problem')
  assert.equal(statSync(sandbox.vaultDir).mode & 0o777, 0o777)
  const fixed = await diagnosed(sandbox, ['--fix'])
  assert.equal(fixed.code, 0)
  assert.equal(fixed.found('files.unsafe').fixed, true)
  assert.equal(fixed.found('files.loose').details.file, state)
  assert.equal(fixed.summary.fixed, 2)
  assert.deepEqual([statSync(sandbox.vaultDir).mode & 0o777, statSync(state).mode & 0o777], [0o700, 0o600])
  const after = await diagnosed(sandbox)
  assert.deepEqual([after.code, after.found('files.private').state], [0, 'ok'])
})

const unix = { skip: process.platform === 'win32' && 'a folder in use stays there' }
test('it looks also from a folder that is there no more', unix, async () => {
  const sandbox = made()
  const gone = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
  const args = [gone, 'sh', process.execPath, COMMAND, 'doctor', '--json']
  const { code, stdout, stderr } = await sandbox.spawn('-c', { command: '/bin/sh', args }).ended
  assert.equal(code, 0, stderr)
  assertFits('doctor', JSON.parse(stdout))
})

test('what crashes left is told: a temporary file, and a refresh that was cut short', async () => {
  const sandbox = made()
  const id = await addKey(sandbox, 'openai', 'work')
  const records = join(sandbox.vaultDir, 'rec')
  const leftover = join(records, `${id}.rec.4194304-0.tmp`)
  writeFileSync(leftover, 'x')
  const anHourAgo = Date.now() / 1000 - 3700
  utimesSync(leftover, anHourAgo, anHourAgo)
  const note = {
    generation: 1,
    refresh_hash: '00'.repeat(32),
    started_at: Date.now() - 120_000,
    pid: 4194304,
    boot_id: 'x',
  }
  writeFileSync(join(records, `${id}.pending`), JSON.stringify(note), { mode: 0o600 })
  const { found } = await diagnosed(sandbox, ['--fix'])
  assert.equal(found('files.leftovers').fixed, true)
  assert.match(found('refresh.orphaned').title, /cut short 2 min/)
  assert.equal(found('refresh.orphaned').details.accountId, id)
  assert.deepEqual(readdirSync(records).sort(), [`${id}.pending`, `${id}.rec`])
})

for (const [what, spoil, id, exit] of [
  [
    'a damaged header',
    (dir) => ['vault.hdr', 'vault.hdr.bak'].map((name) => writeFileSync(join(dir, name), 'x')),
    'vault.corrupt',
    1,
  ],
  [
    'the key of another vault',
    () => ({ PROVIDER_AUTH_KEY: Buffer.alloc(32, 7).toString('base64') }),
    'vault.key_mismatch',
    4,
  ],
  ['no key', () => ({ PROVIDER_AUTH_KEY: '' }), 'vault.key_missing', 4],
]) {
  test(`${what} is a finding, with what to do`, async () => {
    const sandbox = made()
    await addKey(sandbox, 'openai', 'work')
    const env = spoil(sandbox.vaultDir)
    const { code, found, findings } = await diagnosed(sandbox, [], Array.isArray(env) ? {} : { env })
    assert.ok(found(id), JSON.stringify(findings.filter(({ state }) => state === 'problem')))
    assert.deepEqual([code, found(id).state], [exit, 'problem'])
    assert.ok(found(id).why && found(id).remedy)
  })
}

test('a record that is damaged is told by its id, and the accounts that serve on are told too', async () => {
  const sandbox = made()
  const id = await addKey(sandbox, 'openai', 'work')
  await addKey(sandbox, 'openai', 'other')
  const file = join(sandbox.vaultDir, 'rec', `${id}.rec`)
  const bytes = readFileSync(file)
  bytes[bytes.length - 1] ^= 1
  writeFileSync(file, bytes)
  await diagnosed(sandbox)
  const { code, found } = await diagnosed(sandbox)
  assert.equal(found('vault.quarantine').details.accountId, id)
  assert.equal(found('pool.serves').state, 'ok')
  assert.equal(code, 0)
})

test('a configuration that cannot be used is a finding, and all else that can be told is told', async () => {
  const sandbox = made()
  writeFileSync(sandbox.configFile, '{ "providers": ')
  const { code, found } = await diagnosed(sandbox)
  assert.equal(code, 1)
  assert.equal(found('config.invalid').details.file, sandbox.configFile)
  assert.equal(found('proxy.none').state, 'ok')
})

test('all faults of all files are told, and which file and variable sets what', async () => {
  const sandbox = made({ providers: { acme: { tokenEndpoint: 5, clientId: 7 } } })
  const project = join(sandbox.work, 'provider-auth.jsonc')
  writeFileSync(project, JSON.stringify({ providers: { openai: { headers: { x: 'y' } } } }))
  const broken = await diagnosed(sandbox, [], { env: { PROVIDER_AUTH_LOG: 'info' } })
  const paths = broken.findings.filter(({ id }) => id === 'config.invalid').map(({ details }) => details.path)
  assert.deepEqual(paths, ['providers.acme.tokenEndpoint', 'providers.acme.clientId'])
  assert.equal(broken.found('config.untrusted').details.file, project)
  assert.ok(!JSON.stringify(broken.findings).includes('projectTrust'))
  writeFileSync(sandbox.configFile, '{ "providers": { "acme": { "origins": ["https://api.acme.example"] } } }')
  const { findings } = await diagnosed(sandbox, [], { env: { PROVIDER_AUTH_LOG: 'info' } })
  const set = findings.filter(({ id }) => id === 'config.values').map(({ title }) => title)
  assert.ok(set.includes('PROVIDER_AUTH_LOG sets log.level'), set.join())
  assert.ok(
    set.some((title) => /config\.jsonc? sets providers\.acme$/.test(title)),
    set.join(),
  )
})

test('what went wrong in the last day is told from the log, and a log that cannot be written', async () => {
  const sandbox = made()
  await addKey(sandbox, 'openai', 'work')
  const line = (ago, level, message) =>
    `${JSON.stringify({ time: new Date(Date.now() - ago).toISOString(), level, message, pid: 1 })}\n`
  const ring = join(sandbox.vaultDir, 'log.jsonl')
  writeFileSync(ring, line(90_000_000, 'error', 'of old') + line(60_000, 'warn', 'the disk was full'), { mode: 0o600 })
  const env = { PROVIDER_AUTH_LOG_FILE: join(sandbox.work, 'none', 'auth.log') }
  const { code, found } = await diagnosed(sandbox, [], { env })
  assert.equal(code, 0)
  assert.match(found('log.recent').title, /1 warning of the last 24 h; the last one: the disk was full$/)
  assert.equal(found('log.recent').remedy, 'provider-auth logs --since 24h')
  assert.equal(found('log.unwritable').details.file, env.PROVIDER_AUTH_LOG_FILE)
})

test('an empty vault whose key would have no place is a problem, with the way out', async () => {
  const sandbox = made()
  delete sandbox.env.PROVIDER_AUTH_KEY
  const env = { PROVIDER_AUTH_KEY_SOURCE: 'auto', DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere' }
  const { code, found } = await diagnosed(sandbox, [], { env })
  const { state, remedy, details } = found('keychain.no_place_for_key')
  assert.deepEqual([code, state, details.code], [4, 'problem', 'KEYCHAIN_UNAVAILABLE'])
  assert.match(remedy, /provider-auth key init --source keyfile/)
  assert.ok(!existsSync(sandbox.vaultDir))
})

test('a secret in clear in a file that others can read is a problem that --fix mends', async () => {
  const acme = {
    tokenEndpoint: 'https://id.acme.example/token',
    clientId: 'c',
    clientSecret: MARK,
    origins: ['https://api.acme.example'],
  }
  const sandbox = made({ providers: { acme: { ...acme, scopess: [] } } })
  chmodSync(sandbox.configFile, 0o644)
  const { code, found, findings, stdout } = await diagnosed(sandbox)
  assert.deepEqual([code, found('config.readable').fixable], [1, true])
  assert.ok(findings.some(({ id, title }) => id === 'config.warning' && /mean scopes/.test(title)))
  assert.ok(!stdout.includes(MARK))
  assert.equal((await diagnosed(sandbox, ['--fix'])).found('config.readable').fixed, true)
  assert.equal(statSync(sandbox.configFile).mode & 0o777, 0o600)
  assert.equal((await diagnosed(sandbox)).found('config.clear_secret').state, 'note')
})

test('proxies and certificates are told by their variables, without a password', async () => {
  const sandbox = made()
  const env = {
    HTTPS_PROXY: `http://ann:${MARK}@proxy.acme.example:3128`,
    ALL_PROXY: `socks5://ann:${MARK}@proxy.acme.example:1080`,
    NODE_EXTRA_CA_CERTS: sandbox.configFile,
  }
  const { code, found, stdout } = await diagnosed(sandbox, [], { env })
  assert.equal(code, 1)
  assert.equal(found('proxy.used').title, 'HTTPS_PROXY names the proxy http://proxy.acme.example:3128')
  assert.equal(found('proxy.socks').details.variable, 'ALL_PROXY')
  assert.equal(found('ca.extra').state, 'problem')
  assert.ok(!stdout.includes(MARK))
})

test('--online asks each host without a credential, and tells at which step it fails', async () => {
  const asked = []
  const late = createServer((request, response) => {
    asked.push(request)
    response.writeHead(404, { date: new Date(Date.now() + 3_600_000).toUTCString() }).end()
  })
  const latePort = await listen(late)
  const pem = readFileSync(new URL('../crates/broker/src/host/http/mcp.example.pem', import.meta.url))
  const tlsPort = await listen(createTlsServer({ key: pem, cert: pem }, (_, response) => response.end()))
  const free = createServer()
  const freePort = await listen(free)
  await new Promise((resolve) => free.close(resolve))
  const sandbox = made({
    providers: {
      late: { origins: [`http://127.0.0.1:${latePort}`] },
      foreign: { origins: [`https://127.0.0.1:${tlsPort}`] },
      closed: { origins: [`http://127.0.0.1:${freePort}`] },
      nowhere: { origins: ['https://api.acme.invalid'] },
    },
  })
  await addKey(sandbox, 'late', 'work', `sk-${MARK}-0123456789`)
  const { code, found, findings } = await diagnosed(sandbox, ['--online'])
  assert.equal(code, 1)
  const at = (id) => findings.filter((finding) => finding.id === id).map(({ details }) => details.host)
  assert.deepEqual(at('host.reached'), [`http://127.0.0.1:${latePort}`])
  assert.deepEqual(at('host.tls'), [`https://127.0.0.1:${tlsPort}`])
  assert.match(found('host.tls').remedy, /NODE_EXTRA_CA_CERTS/)
  assert.deepEqual(at('host.refused'), [`http://127.0.0.1:${freePort}`])
  assert.deepEqual(at('host.dns'), ['https://api.acme.invalid'])
  assert.match(found('clock.hosts').title, /clock is (3599|36\d\d) s behind/)
  assert.equal(found('clock.hosts').state, 'problem')
  assert.deepEqual(
    asked.map(({ method, headers }) => [method, headers.authorization]),
    [['HEAD', undefined]],
  )
  assert.ok(!JSON.stringify(asked.map(({ rawHeaders, url }) => [rawHeaders, url])).includes(MARK))
})

test('without --online no host is asked', async () => {
  let asked = 0
  const port = await listen(
    createServer((_, response) => {
      asked += 1
      response.end()
    }),
  )
  const sandbox = made({ providers: { desk: { origins: [`http://127.0.0.1:${port}`] } } })
  await addKey(sandbox, 'desk', 'work')
  const { findings } = await diagnosed(sandbox)
  assert.equal(asked, 0)
  assert.ok(!findings.some(({ id }) => id.startsWith('host.')))
})

test('a proxy that wants a password is told', async () => {
  const proxy = createServer()
  proxy.on('connect', (_, socket) =>
    socket.on('error', () => {}).end('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n'),
  )
  const env = { HTTPS_PROXY: `http://ann:${MARK}@127.0.0.1:${await listen(proxy)}` }
  const sandbox = made({ providers: { acme: { origins: ['https://api.acme.example'] } } })
  const { found, stdout } = await diagnosed(sandbox, ['--online'], { env })
  assert.match(found('host.proxy').remedy, /requires a user name and password \(407\)/)
  assert.ok(!stdout.includes(MARK))
})

test('other programs that sign in to the same providers are told', async () => {
  const sandbox = made()
  await addKey(sandbox, 'openai', 'work')
  const config = join(sandbox.env.XDG_CONFIG_HOME, 'opencode', 'opencode.jsonc')
  mkdirSync(dirname(config))
  const plugins = [
    'provider-auth',
    ['provider-auth@0.0.1', {}],
    'opencode-oci-oidc',
    '@me/opencode-gemini-auth@2.1.0',
    'opencode-themes',
  ]
  writeFileSync(config, `// mine\n${JSON.stringify({ plugin: plugins })}`)
  const auth = join(sandbox.env.XDG_DATA_HOME, 'opencode', 'auth.json')
  mkdirSync(dirname(auth))
  const entries = {
    anthropic: { type: 'oauth', refresh: MARK, access: MARK, expires: 1 },
    openai: { type: 'api', key: 'kept-by-provider-auth' },
  }
  writeFileSync(auth, JSON.stringify(entries))
  const { code, found, findings, stdout } = await diagnosed(sandbox, [], { env: { OPENAI_API_KEY: MARK } })
  assert.equal(code, 0, 'warnings are no problems')
  assert.equal(found('opencode.twice').state, 'warning')
  assert.match(found('opencode.version').title, /0\.0\.1/)
  const conflicts = findings.filter(({ id }) => id === 'opencode.conflict').map(({ title }) => title)
  assert.equal(conflicts.length, 2)
  assert.match(conflicts[0], /opencode-oci-oidc, which signs in to oci-oidc/)
  assert.match(conflicts[1], /gemini-auth@2\.1\.0, which signs in to google/)
  assert.match(found('opencode.clear').title, /of anthropic$/)
  assert.match(found('opencode.clear').remedy, /provider-auth migrate/)
  assert.match(found('env.keys').title, /^OPENAI_API_KEY/)
  assert.ok(!stdout.includes(MARK))
})

test('another version of the package on PATH is told', async () => {
  const sandbox = made()
  const folder = join(sandbox.dir, 'lib/node_modules/provider-auth')
  mkdirSync(join(folder, 'npm/dist/cli'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "name": "provider-auth", "version": "0.0.1" }')
  writeFileSync(join(folder, 'npm/dist/cli/provider-auth'), '#!/bin/sh\n', { mode: 0o755 })
  const env = { PATH: `${join(folder, 'npm/dist/cli')}:${sandbox.env.PATH}` }
  assert.match((await diagnosed(sandbox, [], { env })).found('runtime.copies').title, /is 0\.0\.1: /)
})

test('on a terminal it says that it is at work, and what it prints is whole', async () => {
  const sandbox = made()
  const terminal = await startCommand(sandbox, ['doctor'], { height: 60 })
  try {
    assert.doesNotMatch(await terminal.shows(/no problems/), /looking for/)
  } finally {
    await terminal.close()
  }
})

/** Puts secrets and names wherever the doctor looks. */
async function seeded() {
  const secret = (name) => `${name}-${MARK}-xyz`
  const acme = {
    tokenEndpoint: `https://login.mycorp.example/tenant-${MARK}/token?key=${MARK}`,
    clientId: secret('client-id'),
    clientSecret: secret('client-secret'),
    headers: { 'x-project': secret('header') },
    params: { token: { audience: secret('param') } },
    origins: ['https://gateway.mycorp.example'],
    namespace: 'default',
    account: 'ada.lovelace@mycorp.example',
  }
  const sandbox = made({
    providers: {
      acme,
      typo: { scopess: secret('typo'), key: secret('wrong-place'), origins: ['https://x.mycorp.example'] },
    },
    unknown: secret('unknown'),
    'sk-live-0123456789abcdef': 1,
  })
  const auth = join(sandbox.env.XDG_DATA_HOME, 'opencode', 'auth.json')
  mkdirSync(dirname(auth))
  writeFileSync(auth, JSON.stringify({ anthropic: { type: 'oauth', refresh: secret('rt'), access: secret('at') } }))
  writeFileSync(
    join(dirname(auth), 'mcp-auth.json'),
    JSON.stringify({ notes: { tokens: { accessToken: secret('mcp') } } }),
  )
  const proxy = `http://ann%40mycorp:${secret('proxy')}@proxy.mycorp.example:3128`
  const log = join(sandbox.dir, 'home', 'auth.log')
  const lines = [
    `WARN request to https://user:${MARK}@gateway.mycorp.example/v1?token=${MARK} failed`,
    `WARN account of ada.lovelace@mycorp.example: Secret Project refused; ${secret('client-secret')}; ${secret('at')}`,
    `WARN bearer eyJhbGciOiJIUzI1NiJ9.${MARK}.abc sk-ant-api03-abcdefgh at 10.20.30.40, 2001:db8::77 and db.mycorp.example`,
    `WARN ${sandbox.env.HOME}/clients/x in /home/lovelace/y on ${hostname()}`,
    'WARN account 01K8ZQ3V5N0000000000000000 rests',
  ]
  writeFileSync(log, `${lines.join('\n')}\n`)
  const env = {
    HTTPS_PROXY: proxy,
    NO_PROXY: 'internal.mycorp.example,127.0.0.1',
    OPENAI_API_KEY: secret('sk-proj'),
    MY_ACCESS_TOKEN: secret('env'),
    PROVIDER_AUTH_LOG_FILE: log,
    PROVIDER_AUTH_LOG: 'warn',
  }
  await sandbox.output(
    `
    await auth.addApiKey({ provider: 'acme', apiKey: ${JSON.stringify(secret('vault'))}, label: 'ada.lovelace@mycorp.example' })
    await auth.addApiKey({ provider: 'openai', apiKey: ${JSON.stringify(secret('vault2'))}, label: 'Secret Project' })`,
    { env },
  )
  const line = {
    level: 'warn',
    message: `Authorization: Bearer x${MARK}; password=x${MARK} of ada.lovelace@mycorp.example`,
    token: `x${MARK}`,
  }
  writeFileSync(join(sandbox.vaultDir, 'log.jsonl'), `${JSON.stringify(line)}\n`)
  const opencode = join(sandbox.env.XDG_CONFIG_HOME, 'opencode', 'opencode.json')
  mkdirSync(dirname(opencode))
  writeFileSync(opencode, '{ "plugin": ["opencode-codex-auth@1.2.3"] }')
  return { sandbox, env }
}

test('the archive has the report, and not one of the secrets and names that lie around', async () => {
  const { sandbox, env } = await seeded()
  const file = join(sandbox.work, 'report.zip')
  const { bundle } = await diagnosed(sandbox, ['--bundle', file], { env })
  assert.deepEqual(bundle, {
    file,
    entries: [
      'README.txt',
      'report.txt',
      'report.json',
      'versions.json',
      'config.json',
      'sources.json',
      'environment.json',
      'folder.txt',
      'log.txt',
    ],
  })
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const unpacked = Object.entries(unzipSync(readFileSync(file))).map(([name, bytes]) => [
    name,
    Buffer.from(bytes).toString(),
  ])
  const key = sandbox.env.PROVIDER_AUTH_KEY
  const forbidden = [
    MARK,
    'mycorp',
    'lovelace',
    'Secret Project',
    'ann%40',
    'sk-ant',
    'sk-live',
    'eyJhb',
    '10.20.30.40',
    '2001:db8',
    key,
    sandbox.env.HOME,
  ]
  for (const [name, text] of unpacked)
    for (const word of forbidden)
      assert.ok(!text.toLowerCase().includes(word.toLowerCase()), `${word} is in ${name}:\n${text}`)
  const files = Object.fromEntries(unpacked)
  assert.match(files['report.txt'], /openai: account [0-9A-Z]{26} serves next/)
  assert.match(files['report.txt'], /opencode-codex-auth@1\.2\.3/, 'what helps stays')
  assert.ok(!files['log.txt'].includes(` on ${hostname()}`))
  assert.match(files['log.txt'], /^\{"level":"warn"/m)
  assert.match(files['log.txt'], /01K8ZQ3V5N0000000000000000 rests/, 'ids stay')
  assert.match(files['log.txt'], /https:\/\/host-\d\.private\/v1 failed/)
  const [config] = Object.values(JSON.parse(files['config.json']))
  assert.equal(config.providers.acme.clientSecret, '<redacted>')
  assert.match(config.providers.acme.origins[0], /^https:\/\/host-\d\.private$/)
  assert.equal(JSON.parse(files['environment.json']).OPENAI_API_KEY, '<set>')
  assert.equal(JSON.parse(files['environment.json']).MY_ACCESS_TOKEN, undefined)
  assert.match(files['folder.txt'], /^0600 +\d+ \S+ rec\/[0-9A-Z]{26}\.rec$/m)
})

test('an archive never overwrites a file unasked', async () => {
  const sandbox = made()
  const file = join(sandbox.work, 'mine.zip')
  writeFileSync(file, 'mine')
  const refused = await failure(sandbox, ['doctor', '--bundle', file])
  assert.equal(refused.exit, 2)
  assert.match(refused.next, /--force/)
  assert.equal(readFileSync(file, 'utf8'), 'mine')
  assert.equal((await command(sandbox, ['doctor', '--bundle', file, '--force'])).code, 0)
  assert.ok(unzipSync(readFileSync(file))['report.json'])
  const nowhere = await failure(sandbox, ['doctor', '--bundle', join(sandbox.work, 'none', 'x.zip')])
  assert.equal(nowhere.exit, 1)
})
