/**
 * What an agent's tools may not touch. Every row of a shell command is also run, in a shell, so
 * that a row that is said to read a secret does read it.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { createGuard } from '../npm/build/opencode/guard/guard.js'

const SECRET = 'top-secret-4711'
const POSIX = process.platform !== 'win32'

const root = realpathSync(mkdtempSync(join(tmpdir(), 'guard-')))
const home = join(root, 'home')
const project = join(home, 'code', 'project')
const data = join(home, '.local', 'share')
test.after(() => rmSync(root, { recursive: true, force: true }))

function write(path, text = `${SECRET}\n`) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

write(join(home, '.secrets', 'oci.key'))
write(join(home, '.secrets', 'deep', 'er.pem'))
write(join(data, 'provider-auth', 'vault.json'))
write(join(data, 'provider-auth.key'))
write(join(data, 'opencode', 'auth.json'))
write(join(data, 'opencode', 'auth.json.backup'))
write(join(data, 'opencode', 'mcp-auth.json'))
write(join(data, 'opencode', 'opencode.db'))
write(join(data, 'opencode', 'log', 'dev.log'), 'a line of a log\n')
write(join(home, 'keys', 'acme.txt'))
write(join(home, 'keys', 'client.pem'))
write(join(home, 'keys', 'pass.txt'))
write(join(home, 'keys', 'store.txt'))
write(join(home, 'notes.md'), 'notes\n')
write(
  join(home, '.config', 'opencode', 'opencode.json'),
  '{ "provider": { "acme": { "options": { "apiKey": "{file:~/keys/acme.txt}" } } },\n' +
    '  "agent": { "build": { "prompt": "{file:./build.txt}" } } }',
)
write(join(home, '.config', 'opencode', 'build.txt'), 'be kind\n')
write(
  join(home, '.config', 'provider-auth', 'config.jsonc'),
  '{ "providers": { "desk": { "privateKey": "{file:~/keys/client.pem}", "clientSecret": "{env:DESK_SECRET}", } } } // x',
)
write(join(project, 'opencode.json'), '{ "provider": { "b": { "options": { "apiKey": "{file:./key.txt}" } } } }')
write(join(project, 'key.txt'))
write(join(project, 'auth.json'), '{}\n')
write(join(project, 'README.md'), 'read me: the keys are in ~/.secrets\n')
write(join(project, 'src', 'main.ts'), 'export const auth = 1\n')
if (POSIX) {
  symlinkSync(join(home, '.secrets'), join(project, 'link'))
  symlinkSync(home, join(root, 'up'))
  linkSync(join(home, '.secrets', 'oci.key'), join(project, 'twin.txt'))
}

const env = {
  HOME: home,
  PATH: process.env.PATH,
  PROVIDER_AUTH_PASSPHRASE_FILE: join(home, 'keys', 'pass.txt'),
  PROVIDER_AUTH_STORE_PASSWORD_FILE: join(home, 'keys', 'store.txt'),
  PROVIDER_AUTH_KEY: 'k',
  DESK_SECRET: 's',
}
const guard = createGuard({ directory: project, worktree: project, home, env })

const refusal = (tool, args) =>
  guard.before(tool, args).then(
    () => undefined,
    (error) => error.message,
  )

/** Rows of a table that are not as they should be. */
async function wrong(rows, isAsItShould) {
  const found = []
  for (const row of rows) if (!(await isAsItShould(row))) found.push(row)
  return found
}

async function stops(tool, args) {
  const message = await refusal(tool, args)
  assert.match(message ?? 'it passed', /^provider-auth: .+ was not run/, `${tool} ${JSON.stringify(args)}`)
}

async function passes(tool, args) {
  assert.equal(await refusal(tool, args), undefined, `${tool} ${JSON.stringify(args)}`)
}

function printed(command) {
  try {
    return execFileSync('bash', ['-c', command], { cwd: project, env, stdio: ['ignore', 'pipe', 'ignore'] }).toString(
      'latin1',
    )
  } catch (error) {
    return error.stdout?.toString('latin1') ?? ''
  }
}

const secrets = [
  join(home, '.secrets', 'oci.key'),
  join(home, '.secrets', 'deep', 'er.pem'),
  join(home, '.secrets'),
  join(data, 'provider-auth', 'vault.json'),
  join(data, 'provider-auth', 'not-there-yet'),
  join(data, 'provider-auth.key'),
  join(data, 'opencode', 'auth.json'),
  join(data, 'opencode', 'auth.json.backup'),
  join(data, 'opencode', 'mcp-auth.json'),
  join(data, 'opencode', 'opencode.db'),
  join(data, 'opencode', 'opencode.db-wal'),
  join(home, 'keys', 'acme.txt'),
  join(home, 'keys', 'client.pem'),
  join(home, 'keys', 'pass.txt'),
  join(home, 'keys', 'store.txt'),
  join(project, 'key.txt'),
  'key.txt',
  './key.txt',
  'src/../key.txt',
  '../../.secrets/oci.key',
  '~/.secrets/oci.key',
  `${home}/./code//../.secrets/oci.key`,
  `${home}/.secrets/`,
  `file://${home}/.secrets/oci.key`,
  `file://${home}/%2esecrets/oci.key`,
  ...(POSIX
    ? [
        'link/oci.key',
        join(project, 'link'),
        join(root, 'up', '.secrets', 'oci.key'),
        'twin.txt',
        `/proc/self/root${home}/.secrets/oci.key`,
        `/proc/1/root${home}/.secrets/oci.key`,
        '/proc/self/cwd/key.txt',
        '/proc/self/environ',
        '/proc/1/task/1/environ',
      ]
    : []),
]

const ordinary = [
  'README.md',
  'auth.json',
  'src/main.ts',
  'opencode.json',
  '.env',
  'twin',
  'not/there/yet.ts',
  join(home, 'notes.md'),
  join(home, '.secrets-of-nature.md'),
  join(home, '.config', 'opencode', 'opencode.json'),
  join(home, '.config', 'opencode', 'build.txt'),
  join(data, 'opencode', 'log', 'dev.log'),
  join(data, 'opencode'),
  home,
  '/',
  '/proc/cpuinfo',
]

test('no tool that takes a path opens a secret', async () => {
  for (const path of secrets) {
    await stops('read', { filePath: path })
    await stops('write', { filePath: path, content: 'x' })
    await stops('edit', { filePath: path, oldString: 'a', newString: 'b' })
    await stops('grep', { pattern: 'x', path })
    await stops('glob', { pattern: '*', path })
    await stops('bash', { command: 'ls', workdir: path })
    await stops('files_read_file', { path })
    await stops('files_read_many', { files: [{ options: { where: path } }] })
    await stops('task', { prompt: `Look at @${path} and sum it up`, description: 'x', subagent_type: 'general' })
    await stops('task', { prompt: '', command: `/x @${path}` })
  }
})

test('other files are opened', async () => {
  for (const path of ordinary) {
    await passes('read', { filePath: path })
    await passes('write', { filePath: path, content: 'the keys are in ~/.secrets/oci.key' })
    await passes('edit', { filePath: path, oldString: '~/.secrets', newString: join(home, '.secrets') })
    await passes('grep', { pattern: '~/.secrets', path })
    await passes('glob', { pattern: '**/*.ts', path })
    await passes('files_read_file', { path })
    await passes('task', {
      prompt: `Look at @${path}, and at me@example.com`,
      description: 'x',
      subagent_type: 'general',
    })
  }
  await passes('grep', { pattern: 'x' })
  await passes('glob', { pattern: '{src,lib}/**/*' })
  await passes('read_mcp_resource', { server: 's', uri: 'docs://secrets/oci.key' })
  await passes('question', { questions: [{ question: `Is ${home}/.secrets/oci.key right?` }] })
  await passes('todowrite', { todos: [{ content: join(home, '.secrets') }] })
  await passes('webfetch', { url: 'https://example.com/.secrets/oci.key' })
})

test('the refusal says why and what to do', async () => {
  const message = await refusal('read', { filePath: '~/.secrets/oci.key' })
  assert.match(message, /^provider-auth: read was not run, since it would touch the folder of secrets \(~\/\.secrets\)/)
  assert.match(message, /"guard": false/)
  assert.equal(message.includes(SECRET), false)
})

test('a pattern or a resource that leads into a guarded folder is refused', async () => {
  await stops('glob', { pattern: join(home, '.secrets', '*') })
  await stops('glob', { pattern: '../../.secrets/**' })
  await stops('glob', { pattern: '{src,../../.secrets}/*' })
  await stops('read_mcp_resource', { server: 's', uri: `file://${home}/.secrets/oci.key` })
  await stops('read_mcp_resource', { server: 's', uri: `FILE://localhost${home}/.secrets/oci.key` })
  await stops('shell_run', { command: 'cat ~/.secrets/oci.key' })
})

test('every path of a patch counts', async () => {
  const patch = (...lines) => ({ patchText: ['*** Begin Patch', ...lines, '*** End Patch'].join('\n') })
  await stops('apply_patch', patch(`*** Add File: ${home}/.secrets/new`, '+x'))
  await stops('apply_patch', patch('*** Update File: README.md', '*** Move to: link/README.md', '@@', '-a', '+b'))
  await stops('apply_patch', patch('*** Add File: ok.ts', '+x', '*** Delete File: key.txt'))
  await stops(
    'apply_patch',
    patch('*** Update File: ../../.secrets/oci.key', '@@', '-a', '+b').patchText.replaceAll('\n', '\r\n') && {
      patchText: patch('*** Update File: ../../.secrets/oci.key', '@@', '-a', '+b').patchText.replaceAll('\n', '\r\n'),
    },
  )
  await passes(
    'apply_patch',
    patch(
      '*** Add File: docs.md',
      '+*** the keys are in ~/.secrets/oci.key',
      '*** Update File: auth.json',
      '@@',
      '-a',
      '+b',
    ),
  )
})

/** Commands of a file in `fixtures/guard`, one in each line. */
function commands(name) {
  const text = readFileSync(new URL(`./fixtures/guard/${name}.txt`, import.meta.url), 'utf8')
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('# '))
  return lines.map((line) => line.replaceAll('⏎', '\n').replaceAll('@HOME@', home).replaceAll('@ROOT@', root))
}

const isStopped = async (command) => (await refusal('bash', { command })) !== undefined
const isPassed = async (command) => !(await isStopped(command))
const readsIt = async (command) => printed(command).includes(SECRET)

test('a shell command that reads a secret is stopped', { skip: !POSIX }, async () => {
  assert.deepEqual(await wrong(commands('stopped'), readsIt), [], 'these read nothing')
  assert.deepEqual(await wrong([...commands('stopped'), ...commands('touching')], isStopped), [])
})

test('our own command is stopped where it hands out a secret', async () => {
  assert.deepEqual(await wrong(commands('handed-out'), isStopped), [])
})

test('what the guard cannot see is known', { skip: !POSIX }, async () => {
  assert.deepEqual(await wrong(commands('not-stopped'), readsIt), [], 'these read nothing')
  assert.deepEqual(await wrong(commands('not-stopped'), isPassed), [])
})

test('ordinary work goes on', { skip: !POSIX }, async () => {
  assert.deepEqual(await wrong(commands('ordinary'), isPassed), [])
})

test('a secret is found behind any number of words', { skip: !POSIX }, async () => {
  const padding = Array.from({ length: 20_000 }, (_, index) => `a${index}`).join(' ')
  await stops('bash', { command: `: ${padding}; cat ~/.secrets/oci.key` })
})

test('a folder to work in counts for what is relative', { skip: !POSIX }, async () => {
  await stops('bash', { command: 'cat .secrets/oci.key', workdir: home })
  await stops('bash', { command: 'cat oci.key', workdir: '../../.secrets' })
  await passes('bash', { command: 'cat notes.md', workdir: home })
  await stops('bash', { command: 'grep -r x', workdir: home })
})

test('a search that goes over guarded files answers without them', { skip: !POSIX }, async () => {
  const found = {
    title: 'x',
    output: [
      'Found 3 matches',
      `${join(home, '.secrets', 'oci.key')}:`,
      `  Line 1: ${SECRET}`,
      '',
      `${join(project, 'README.md')}:`,
      '  Line 1: read me',
      '',
      `${join(project, 'key.txt')}:`,
      `  Line 1: ${SECRET}`,
    ].join('\n'),
    metadata: { matches: 3, truncated: false },
  }
  await guard.after('grep', { pattern: 'e' }, found)
  assert.equal(found.output.includes(SECRET), false)
  assert.equal(found.output.includes('Found 3'), false)
  assert.match(found.output, /README\.md:\n {2}Line 1: read me/)
  assert.match(found.output, /provider-auth left out/)

  const listed = { output: [join(home, '.secrets', 'oci.key'), join(home, 'notes.md')].join('\n'), metadata: {} }
  await guard.after('glob', { pattern: '**/*', path: home }, listed)
  assert.equal(listed.output.includes('oci.key'), false)
  assert.match(listed.output, /notes\.md/)

  for (const command of ['grep -rn "" .', 'grep -rc "" .', 'grep -rn -C1 top .', 'cd src; grep -rn "" ..']) {
    const whole = join(root, 'whole.txt')
    write(whole, printed(command))
    const run = { output: printed(command), metadata: { output: printed(command), outputPath: whole } }
    const names = /^(\.\.?\/)*(key|twin)\.txt/m
    assert.match(run.output, names)
    await guard.after('bash', { command }, run)
    for (const text of [run.output, run.metadata.output, readFileSync(whole, 'utf8')]) assert.doesNotMatch(text, names)
  }

  const named = { output: 'README.md\nkey.txt\n', metadata: {} }
  await guard.after('bash', { command: 'ls' }, named)
  assert.equal(named.output, 'README.md\nkey.txt\n')

  const untouched = { output: `a: b\n/x/y:\n  Line 1: z\n${SECRET}`, metadata: undefined }
  await guard.after('read', {}, untouched)
  await guard.after('grep', {}, untouched)
  assert.equal(untouched.output, `a: b\n/x/y:\n  Line 1: z\n${SECRET}`)
})

test('a shell gets no variable that opens the vault', async () => {
  const given = { PATH: '/bin', PROVIDER_AUTH_KEY: 'from another plugin' }
  await guard.shellEnv(given)
  assert.deepEqual(given, {
    PATH: '/bin',
    PROVIDER_AUTH_KEY: '',
    PROVIDER_AUTH_PASSPHRASE: '',
    PROVIDER_AUTH_STORE: '',
    PROVIDER_AUTH_STORE_PASSWORD: '',
    OPENCODE_VAULT_KEY: '',
    OPENCODE_AUTH_CONTENT: '',
    DESK_SECRET: '',
  })
})

test('where the vault is configured to be, and where each platform has it', async () => {
  const rows = [
    [{ env: { PROVIDER_AUTH_DIR: '~/vault' } }, join(home, 'vault', 'x')],
    [{ env: { PROVIDER_AUTH_DIR: '~/vault' } }, join(home, 'vault.key')],
    [{ env: { PROVIDER_AUTH_DIR: 'vault' } }, join(project, 'vault', 'x')],
    [{ env: { XDG_DATA_HOME: '/data' } }, '/data/provider-auth/x'],
    [{ env: { XDG_DATA_HOME: '/data' } }, '/data/opencode/auth.json'],
    [{ env: {}, platform: 'darwin' }, join(home, 'Library', 'Application Support', 'provider-auth', 'x')],
    [{ env: {}, platform: 'darwin' }, join(home, 'Library', 'Application Support', 'Provider-Auth', 'x')],
    [{ env: { OPENCODE_DB: 'other.db' } }, join(data, 'opencode', 'other.db')],
    [{ env: { CREDENTIALS_DIRECTORY: '/run/credentials/x' } }, '/run/credentials/x/key'],
    [{ env: { OPENCODE_CONFIG_CONTENT: '{"a":{"apiKey":"{file:/k/inline.txt}"}}' } }, '/k/inline.txt'],
  ]
  for (const [options, path] of rows) {
    const other = createGuard({ directory: project, worktree: project, home, ...options })
    await assert.rejects(other.before('read', { filePath: path }), /^Error: provider-auth: read was not run/, path)
  }
})

test('odd arguments neither crash nor hang', async () => {
  const many = (text, times = 5_000) => text.repeat(times)
  const texts = [
    ...['$(', `$${'{a:-'}`, '{a,b}', '`', '"', '<<', '(', '@(', 'a=b ', 'cat ', '[', '\\', "bash -c '"].map((text) =>
      many(text),
    ),
    ...[
      many('*', 4_000),
      many('{a,b,c,d,e,f,g}', 250),
      `cat ${many('a/')}`,
      'cat /*/*/*/*/*',
      `X=${many('a')}; cat ${many('$X')}`,
    ],
    '\0',
    '',
  ]
  const deep = JSON.parse(`${many('{"a":', 500)}1${many('}', 500)}`)
  const junk = [undefined, null, 1, 'x', [], {}, { command: 1 }, { filePath: null }, { path: {} }, [[['x']]], deep]
  const keys = {
    bash: 'command',
    glob: 'pattern',
    grep: 'path',
    task: 'prompt',
    apply_patch: 'patchText',
    x_y: 'script',
    __proto__: 'a',
  }
  for (const tool of [...Object.keys(keys), '__proto__']) {
    for (const args of [...junk, ...texts.map((text) => ({ [keys[tool]]: text }))]) {
      const startedAt = performance.now()
      await refusal(tool, args)
      await guard.after(tool, args, { output: args })
      const tookMs = performance.now() - startedAt
      assert.ok(tookMs < 20_000, `${tool} ${JSON.stringify(args)?.slice(0, 40)} took ${tookMs} ms`)
    }
  }
  await guard.after('grep', {}, undefined)
})
