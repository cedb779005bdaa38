/** `provider-auth config`: where values come from, all faults at once, and an editor that loses nothing. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { answer, assertFits, command, failure } from './support/cli.mjs'
import { openShell } from './support/cli-shell.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { hasTmux } from './support/tmux.mjs'

const sandbox = createSandbox({ name: 'cli-config' })
after(sandbox.cleanup)
const file = sandbox.configFile
const project = join(sandbox.work, 'provider-auth.jsonc')
const SECRET = 'S3CRET-in-clear'

beforeEach(() => {
  for (const path of [file, project, join(sandbox.work, 'oci-auth.config.jsonc')]) rmSync(path, { force: true })
})

const lines = (text) => text.trimEnd().split('\n')

test('the path of the own file is printed alone, be it there or not', async () => {
  const { code, stdout, stderr } = await command(sandbox, ['config', 'path'])
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: `${file}\n`, stderr: '' })
  assert.deepEqual(await answer(sandbox, 'config-path', ['config', 'path']), { version: 1, file })
  const named = await command(sandbox, ['config', 'path'], { env: { PROVIDER_AUTH_CONFIG: 'mine.jsonc' } })
  assert.equal(named.stdout, `${join(sandbox.work, 'mine.jsonc')}\n`)
})

test('every place is listed with how it counts', async () => {
  writeFileSync(file, '{}')
  writeFileSync(project, '{ "providers": { "acme": { "origins": ["https://acme.example"] } } }')
  const { files } = await answer(sandbox, 'config-path', ['config', 'path', '--all'])
  assert.deepEqual(
    files.map(({ kind, exists, state }) => [kind, exists, state]),
    [
      ['user', true, 'read'],
      ['project', true, 'untrusted'],
      ['oci-project', false, 'absent'],
      ['oci-user', false, 'absent'],
    ],
  )
  assert.match((await command(sandbox, ['config', 'path', '--all'])).stdout, /provider-auth\.jsonc +not trusted/)
})

test('all faults of all files are told at once, each with its place, and no value', async () => {
  writeFileSync(
    file,
    `{ "providers": {\n  "acme": { "origins": "${SECRET}", "scopes": [1] },\n  "b": { "header": "${SECRET} x" } } }`,
  )
  writeFileSync(project, '{ "providers": {')
  const { code, stdout, stderr } = await command(sandbox, ['config', 'check'])
  assert.equal(code, 1)
  assert.deepEqual(
    lines(stdout).map((line) => line.replace(/: [^:]+$/, '')),
    [
      `${file}:2:24: providers.acme.origins`,
      `${file}:2:54: providers.acme.scopes[0]`,
      `${file}:3:20: providers.b.header`,
      `${project}:1:16: not valid JSON`,
    ],
  )
  assert.match(stderr, /4 faults in 2 files/)
  assert.ok(!`${stdout}${stderr}`.includes(SECRET))

  const json = await command(sandbox, ['config', 'check', '--json'])
  const told = JSON.parse(json.stdout)
  assertFits('config-check', told)
  assert.equal(told.ok, false)
  assert.deepEqual(
    told.files.map(({ kind, faults }) => [kind, faults.length]),
    [
      ['user', 3],
      ['project', 1],
    ],
  )
  const { error } = JSON.parse(json.stderr)
  assert.deepEqual([error.code, error.exitCode, json.code], ['INVALID_CONFIG', 1, 1])
})

test('warnings fail a check only when that is asked for', async () => {
  writeFileSync(file, '{ "providers": { "anthropic": { "rotatoin": {} } } }')
  const { code, stdout } = await command(sandbox, ['config', 'check'])
  assert.equal(code, 0)
  assert.match(stdout, /:1:33: warning: providers\.anthropic\.rotatoin: unknown key; did you mean rotation\?/)
  assert.equal((await command(sandbox, ['config', 'check', '--strict'])).code, 1)
  const fine = await answer(sandbox, 'config-check', ['config', 'check', '--strict'], {
    env: { XDG_CONFIG_HOME: sandbox.work },
  })
  assert.deepEqual([fine.ok, fine.files], [true, []])
})

test('one file is checked as if it were in effect, a project file by its name', async () => {
  writeFileSync(file, '{ "providers": 1 }')
  const other = join(sandbox.work, 'other.jsonc')
  writeFileSync(other, '{ "providers": { "acme": { "origins": [] } } }')
  const checked = await command(sandbox, ['config', 'check', 'other.jsonc'])
  assert.equal(checked.code, 1)
  assert.match(checked.stdout, /^other\.jsonc:1:39: providers\.acme\.origins: /)
  assert.equal(lines(checked.stdout).length, 1, checked.stdout)
  const folder = join(sandbox.work, 'elsewhere')
  mkdirSync(folder)
  writeFileSync(join(folder, 'oci-auth.config.jsonc'), '{ "domain_url": 1 }')
  const oci = await command(sandbox, ['config', 'check', 'elsewhere/oci-auth.config.jsonc'])
  assert.equal(oci.code, 1)
  assert.match(oci.stdout, /^elsewhere\/oci-auth\.config\.jsonc:1:17: domain_url: /m)
  assert.equal((await failure(sandbox, ['config', 'check', 'none.jsonc'])).exit, 2)
})

test('each value is shown with where it comes from, and no secret is', async () => {
  sandbox.writeConfig({
    providers: {
      acme: {
        origins: ['https://api.acme.example'],
        issuer: 'https://id.acme.example',
        clientSecret: SECRET,
        headers: { 'x-team': SECRET },
      },
      openai: { rotation: { strategy: 'balanced' } },
    },
  })
  const { providers, settings, variables } = await answer(sandbox, 'config-show', ['config', 'show'])
  assert.deepEqual(
    providers.map(({ id }) => id),
    ['acme', 'openai'],
  )
  const of = (id, key) => providers.find((known) => known.id === id).values.find((value) => value.key === key)
  assert.equal(of('acme', 'clientSecret').value, undefined)
  assert.deepEqual(of('openai', 'rotation.strategy').source, { kind: 'file', file, line: 15, column: 21 })
  assert.equal(of('openai', 'rotation.mode').source.kind, 'built-in')
  const source = (name) => settings.find((setting) => setting.name === name).source
  assert.deepEqual(source('dir'), { kind: 'variable', name: 'PROVIDER_AUTH_DIR' })
  assert.equal(variables.find(({ name }) => name === 'PROVIDER_AUTH_KEY').value, undefined)

  const all = await command(sandbox, ['config', 'show', '--all'])
  assert.match(all.stdout, /openai[\s\S]*rotation\.strategy +balanced +\S+config\.jsonc:15:21/)
  assert.match(all.stdout, /clientSecret +\(set; not shown\)/)
  assert.match(all.stdout, /^github-copilot$/m)
  const json = await command(sandbox, ['config', 'show', '--all', '--json'])
  for (const { stdout } of [all, json])
    for (const secret of [SECRET, sandbox.env.PROVIDER_AUTH_KEY]) assert.ok(!stdout.includes(secret))

  const lists = await command(sandbox, ['config', 'show', 'openai'])
  assert.match(
    lists.stdout,
    /^ {2}scopes( +)openid +built-in\n {8}\1profile\n {8}\1email$/m,
    'an item a line, below one another',
  )
  const one = await answer(sandbox, 'config-show', ['config', 'show', 'google'])
  assert.deepEqual(
    one.providers.map(({ id }) => id),
    ['google'],
  )
  assert.equal((await failure(sandbox, ['config', 'show', 'nobody'])).code, 'UNKNOWN_PROVIDER')
})

test('the library reports faults instead of rejecting, and leaves the vault closed', async () => {
  writeFileSync(file, '{ "providers": ')
  const report = JSON.parse(
    await sandbox.output(`
      auth.configure({ log: { level: 'error' }, config: { providers: { acme: { origins: ['https://acme.example'] } } } })
      console.log(JSON.stringify(await auth.inspectConfig()))`),
  )
  assert.equal(report.files[0].state, 'faulty')
  assert.deepEqual([report.files[0].faults.length, report.faults], [1, []])
  const acme = report.providers.find(({ id }) => id === 'acme')
  assert.deepEqual(acme.values.find(({ key }) => key === 'origins').source, { kind: 'configure' })
  assert.equal(report.settings.find(({ name }) => name === 'log.level').source.kind, 'configure')
  assert.equal(existsSync(sandbox.vaultDir), false)
})

test('what a file has of text is written out, not acted on', async () => {
  writeFileSync(file, JSON.stringify({ providers: { acme: { origins: ['https://a.example'], '\u001b[2Jx': 1 } } }))
  for (const args of [
    ['config', 'check'],
    ['config', 'show'],
  ]) {
    const { stdout, stderr } = await command(sandbox, args)
    assert.ok(!`${stdout}${stderr}`.includes('\u001b'), args.join(' '))
  }
})

test('the schemas of both files are printed as they are', async () => {
  for (const [args, name] of [
    [[], 'config'],
    [['--oci'], 'oci-auth.config'],
  ]) {
    const text = readFileSync(new URL(`../schemas/${name}.schema.json`, import.meta.url), 'utf8')
    assert.equal((await command(sandbox, ['config', 'schema', ...args])).stdout, text)
    const { schema } = await answer(sandbox, 'config-schema', ['config', 'schema', ...args])
    assert.deepEqual(schema, JSON.parse(text))
  }
})

test('without a terminal, nothing is edited', async () => {
  const { exit, code, next } = await failure(sandbox, ['config', 'edit'], { env: { EDITOR: 'true' } })
  assert.deepEqual([exit, code], [2, 'USAGE'])
  assert.match(next, /config check/)
  assert.equal(existsSync(file), false)
})

/** An editor that writes these texts, one per run; the folders that it was given are noted. */
function editor(name, ...steps) {
  const path = join(sandbox.dir, `editor-${name}.mjs`)
  const runs = join(sandbox.dir, `runs-${name}`)
  writeFileSync(
    path,
    `import { appendFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
const [flag, file] = process.argv.slice(2)
const run = existsSync(${JSON.stringify(runs)}) ? readFileSync(${JSON.stringify(runs)}, 'utf8').trim().split('\\n').length : 0
appendFileSync(${JSON.stringify(runs)}, JSON.stringify([flag, file, statSync(file).mode & 0o777, readFileSync(file, 'utf8')]) + '\\n')
const steps = ${JSON.stringify(steps)}
if (steps[run].text !== undefined) writeFileSync(file, steps[run].text)
if (steps[run].gone) rmSync(file)
if (steps[run].kill) process.kill(process.pid, 'SIGKILL')
process.exit(steps[run].code ?? 0)
`,
  )
  return {
    env: { VISUAL: `"${process.execPath}" ${path} --wait` },
    runs: () => lines(readFileSync(runs, 'utf8')).map((line) => JSON.parse(line)),
  }
}

/** Starts `config edit` in a terminal, which stays as it is after the end. */
async function startEdit(t, env) {
  const terminal = await openShell(sandbox, ['config', 'edit'], { env, width: 200, height: 24 })
  t.after(() => terminal.close())
  return terminal
}

/** The same to the end: the last screen. */
async function edits(t, { env, keys = [] }) {
  const terminal = await startEdit(t, env)
  for (const [shown, ...pressed] of keys) {
    await terminal.shows(shown)
    await terminal.press(...pressed)
  }
  return terminal.shows(/^ended with \d+, echo on$/m)
}

const inTerminal = { skip: !hasTmux && 'tmux is not installed' }
const drafts = () => readdirSync(sandbox.env.TMPDIR).filter((name) => name.startsWith('provider-auth-edit-'))

test('a file that is not there begins with a commented example', inTerminal, async (t) => {
  const { env, runs } = editor('new', {})
  const screen = await edits(t, { env })
  assert.match(screen, /saved/)
  const [[flag, , mode, text]] = runs()
  assert.deepEqual([flag, mode], ['--wait', 0o600])
  assert.match(text, /"\$schema": "file:[^"]+\/schemas\/config\.schema\.json"/)
  assert.equal(readFileSync(file, 'utf8'), text)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.deepEqual(drafts(), [])
  assert.equal((await command(sandbox, ['config', 'check', '--strict'])).code, 0, 'the example is right')
})

test('a change keeps the mode, and goes through a link to its target', inTerminal, async (t) => {
  const target = join(sandbox.work, 'dotfiles.jsonc')
  writeFileSync(target, '{}')
  chmodSync(target, 0o640)
  symlinkSync(target, file)
  const { env } = editor('link', { text: '{ "providers": {} }' })
  await edits(t, { env })
  assert.equal(readFileSync(target, 'utf8'), '{ "providers": {} }')
  assert.equal(statSync(target).mode & 0o777, 0o640)
  assert.ok(lstatSync(file).isSymbolicLink())
  assert.deepEqual(
    readdirSync(sandbox.work).filter((name) => name.endsWith('.tmp')),
    [],
  )
})

test('faults are shown, and it is asked whether to go on', inTerminal, async (t) => {
  writeFileSync(file, '{}')
  const bad = '{ "providers": { "acme": 1 } }'
  const { env, runs } = editor('again', { text: bad }, { text: '{ "providers": {} }' })
  await edits(t, { env, keys: [[/edit again/, 'Enter']] })
  assert.equal(runs()[1][3], bad, 'the second time, the editor has what was written the first time')
  assert.equal(readFileSync(file, 'utf8'), '{ "providers": {} }')

  const kept = await edits(t, { env: editor('keep', { text: bad }).env, keys: [[/edit again/, 'Down', 'Enter']] })
  assert.match(kept, /config\.jsonc:1:26: providers\.acme: /)
  assert.equal(readFileSync(file, 'utf8'), bad)

  writeFileSync(file, '{}')
  await edits(t, { env: editor('discard', { text: bad }).env, keys: [[/edit again/, 'Down', 'Down', 'Enter']] })
  assert.equal(readFileSync(file, 'utf8'), '{}')
  assert.deepEqual(drafts(), [])
})

test(
  'what was written is not lost when the editor fails, at Ctrl-C, or when the file changed meanwhile',
  inTerminal,
  async (t) => {
    writeFileSync(file, '{}')
    const written = '{ "providers": { "acme": 1 } }'
    const kept = async (options, why) => {
      const screen = await edits(t, options)
      assert.match(screen, why)
      const [draft] = drafts()
      assert.ok(screen.includes(join(sandbox.env.TMPDIR, draft, 'config.jsonc')), screen)
      assert.equal(readFileSync(join(sandbox.env.TMPDIR, draft, 'config.jsonc'), 'utf8'), written)
      rmSync(join(sandbox.env.TMPDIR, draft), { recursive: true })
    }
    await kept({ env: editor('killed', { text: written, kill: true }).env }, /the editor ended with/)
    await kept({ env: editor('failed', { text: written, code: 3 }).env }, /exit code 3/)
    await kept({ env: editor('ctrl-c', { text: written }).env, keys: [[/edit again/, 'C-c']] }, /interrupted/)
    assert.equal(readFileSync(file, 'utf8'), '{}')

    const terminal = await startEdit(t, editor('raced', { text: written }).env)
    await terminal.shows(/edit again/)
    writeFileSync(file, '{ "providers": {} }')
    await terminal.press('Down', 'Enter')
    assert.match(await terminal.shows(/^ended with 1, echo on$/m), /changed by another program/)
    assert.equal(readFileSync(file, 'utf8'), '{ "providers": {} }')
    assert.equal(drafts().length, 1)
    rmSync(join(sandbox.env.TMPDIR, drafts()[0]), { recursive: true })
  },
)

test('an editor that is not there, or removes its file, leaves everything as it was', inTerminal, async (t) => {
  writeFileSync(file, '{}')
  assert.match(await edits(t, { env: { VISUAL: '/no/such/editor' } }), /the editor ended with exit code 127/)
  assert.match(await edits(t, { env: editor('removes', { gone: true }).env }), /the editor removed the copy/)
  assert.equal(readFileSync(file, 'utf8'), '{}')
  assert.deepEqual(drafts(), [])
})

test('on a full disk the file stays, and what was written is kept elsewhere', inTerminal, async (t) => {
  if (process.platform !== 'linux' || process.getuid() !== 0) return t.skip('only root can mount a small disk')
  const disk = join(sandbox.dir, 'disk')
  mkdirSync(join(disk, 'provider-auth'), { recursive: true })
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'tmpfs', disk], { encoding: 'utf8' })
  if (mounted.status !== 0) return t.skip(`a small disk cannot be mounted here: ${mounted.stderr.trim()}`)
  after(() => spawnSync('umount', ['-l', disk]))
  const full = join(disk, 'provider-auth/config.jsonc')
  mkdirSync(join(disk, 'provider-auth'), { recursive: true })
  writeFileSync(full, '{}')
  assert.throws(() => writeFileSync(join(disk, 'filler'), Buffer.alloc(1 << 20)), { code: 'ENOSPC' })
  const text = `{ "providers": {} } // ${'x'.repeat(100_000)}`
  const screen = await edits(t, { env: { ...editor('full', { text }).env, XDG_CONFIG_HOME: disk } })
  assert.match(screen, /could not be written, and is as it was/)
  assert.match(screen, /no space left/)
  assert.equal(readFileSync(full, 'utf8'), '{}')
  assert.deepEqual(readdirSync(join(disk, 'provider-auth')), ['config.jsonc'])
  const [draft] = drafts()
  assert.ok(screen.includes(draft))
  assert.equal(readFileSync(join(sandbox.env.TMPDIR, draft, 'config.jsonc'), 'utf8'), text)
})
