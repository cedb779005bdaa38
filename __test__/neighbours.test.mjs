/** What other programs of this machine get: nothing by a browser's environment, no login held up, no look at the log. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createSandbox } from './support/sandbox.mjs'
import { until } from './support/until.mjs'

const UNIX = process.platform !== 'win32'
const LINUX = process.platform === 'linux'

const server = await startTokenServer()
const sandbox = createSandbox({
  name: 'neighbours',
  config: {
    providers: {
      local: {
        authorizationEndpoint: `${server.origin}/authorize`,
        tokenEndpoint: `${server.origin}/token`,
        clientId: 'desk',
        clientSecret: '{env:LOCAL_CLIENT}',
        clientAuth: 'post',
        origins: [server.origin],
      },
      keys: { origins: [server.origin] },
    },
  },
})
after(async () => {
  await server.close()
  sandbox.cleanup()
})

test("whatever is written is its owner's alone, also by a program that lets others write what it makes", {
  skip: !UNIX,
}, async () => {
  const repository = join(sandbox.dir, 'repository')
  const opencode = join(sandbox.dir, 'opencode')
  const log = join(sandbox.dir, 'log', 'log')
  mkdirSync(join(repository, '.git'), { recursive: true })
  for (const folder of [opencode, join(sandbox.dir, 'log')]) mkdirSync(folder)
  writeFileSync(join(opencode, 'auth.json'), '{"openai":{"type":"api","key":"S3CRET-of-opencode"}}', { mode: 0o600 })
  const theirs = { origins: [server.origin] }
  writeFileSync(join(repository, 'provider-auth.jsonc'), JSON.stringify({ providers: { theirs } }))
  const { code, stdout, stderr } = await sandbox.run(
    `
    process.umask(0)
    const { writeFileSync } = await import('node:fs')
    await auth.trustProject()
    await auth.addApiKey({ provider: 'keys', apiKey: 'S3CRET-a' })
    await auth.addApiKey({ provider: 'theirs', apiKey: 'S3CRET-b' })
    await auth.createAuthFetch({ provider: 'keys' })('${server.origin}/v1')
    await auth.discoverModels({ provider: 'keys' }).catch(() => {})
    const { sources } = await auth.migrate({ dir: ${JSON.stringify(opencode)}, source: 'backup' })
    await auth.exportVault('correct horse battery staple', { includeOAuth: true })
    await auth.rotateVaultKey()
    console.log(sources[0].backup)
    // A file that everybody may write to cannot be trusted, be it in one's own repository.
    writeFileSync('oci-auth.config.jsonc', '{}')
    const { files } = await auth.projectTrust()
    console.log(files.find(({ file }) => file.endsWith('oci-auth.config.jsonc')).state)`,
    { cwd: repository, env: { PROVIDER_AUTH_LOG: 'trace', PROVIDER_AUTH_LOG_FILE: log } },
  )
  assert.equal(code, 0, stderr)
  const [backup, state] = stdout.trim().split('\n')
  assert.equal(state, 'ignored')
  const written = readdirSync(sandbox.vaultDir, { recursive: true }).map((name) => join(sandbox.vaultDir, name))
  assert.ok(written.length > 5)
  for (const path of [sandbox.vaultDir, ...written, log, backup])
    assert.equal((statSync(path).mode & 0o077).toString(8), '0', path)
})

/** Variables that hold secrets, each in its own way; no child of ours gets one. */
const SECRETS = {
  PROVIDER_AUTH_PASSPHRASE: 'S3CRET-passphrase',
  OPENCODE_VAULT_KEY: 'S3CRET-vault-key',
  OPENCODE_AUTH_CONTENT: '{"acme":{"type":"api","key":"S3CRET-content"}}',
  OPENCODE_SERVER_PASSWORD: 'S3CRET-server',
  OPENAI_API_KEY: 'S3CRET-openai',
  ANTHROPIC_API_KEY: 'S3CRET-anthropic',
  GEMINI_API_KEY: 'S3CRET-gemini',
  DASHSCOPE_API_KEY: 'S3CRET-qwen',
  OPENROUTER_API_KEY: 'S3CRET-a-provider-that-is-not-ours',
  GITHUB_TOKEN: 'S3CRET-token',
  LOCAL_CLIENT: 'S3CRET-named-by-the-configuration',
  SOMETHING: 'S3CRET-key-of-an-account',
}
const NEEDED = {
  DISPLAY: ':99',
  XDG_ACTIVATION_TOKEN: 'window-7',
  XDG_RUNTIME_DIR: '/nowhere',
  BROWSER: 'some-browser',
}

test('the browser is handed no secret of this process', {
  skip: !LINUX && 'the launcher is that of Linux',
}, async () => {
  const [bin, dump] = [join(sandbox.dir, 'bin'), join(sandbox.dir, 'environ')]
  mkdirSync(bin)
  const script = `#!/bin/sh\ntr '\\0' '\\n' < /proc/$$/environ > ${dump}.part\necho "page=$1" >> ${dump}.part\nmv ${dump}.part ${dump}\n`
  writeFileSync(join(bin, 'xdg-open'), script, { mode: 0o755 })
  const env = { ...SECRETS, ...NEEDED, PATH: `${bin}:${process.env.PATH}` }
  const login = sandbox.start(
    `
    await auth.addApiKey({ provider: 'keys', apiKey: process.env.SOMETHING })
    const ending = new AbortController()
    const login = auth.login({ provider: 'local', method: 'browser', signal: ending.signal })
    process.stdin.once('data', () => ending.abort())
    await login.catch(({ code }) => console.log(code))
    process.exit()`,
    { env, input: null },
  )
  await until('the browser is started', () => existsSync(dump))
  login.child.stdin.end('enough')
  const { stderr } = await login.ended
  const given = readFileSync(dump, 'utf8')
  const page = /^page=(.*)$/m.exec(given)?.[1]
  assert.ok(page?.startsWith(`${server.origin}/authorize?`), stderr)
  assert.match(stderr, /If no page opened/)
  assert.doesNotMatch(given, /S3CRET/)
  assert.ok(!given.includes(sandbox.env.PROVIDER_AUTH_KEY))
  for (const name of [...Object.keys(SECRETS), 'PROVIDER_AUTH_KEY'])
    assert.doesNotMatch(given, new RegExp(`^${name}=`, 'm'))
  // What a browser needs is still there.
  for (const [name, value] of Object.entries(NEEDED)) assert.ok(given.includes(`${name}=${value}\n`), name)
  assert.ok(given.includes(`HOME=${sandbox.env.HOME}\n`))
})

test('a page is opened even when the first launcher cannot', {
  skip: !LINUX && 'the launchers are those of Linux',
}, async () => {
  const [bin, dump] = [join(sandbox.dir, 'other-bin'), join(sandbox.dir, 'opened')]
  mkdirSync(bin)
  writeFileSync(join(bin, 'xdg-open'), '#!/bin/sh\nexit 3\n', { mode: 0o755 })
  writeFileSync(join(bin, 'gio'), `#!/bin/sh\necho "$2" > ${dump}\n`, { mode: 0o755 })
  const { stdout } = await sandbox.run(
    `
    const { openBrowser } = await import(${JSON.stringify(new URL('../npm/build/library.js', import.meta.url).href)})
    console.log(openBrowser('http://127.0.0.1:1/page'), openBrowser('file:///etc/passwd'), openBrowser('--help'))`,
    { env: { PATH: `${bin}:${process.env.PATH}` } },
  )
  assert.equal(stdout.trim(), 'true false false')
  const opened = await until('the page is opened', () => existsSync(dump) && readFileSync(dump, 'utf8').trim())
  assert.equal(opened, 'http://127.0.0.1:1/page')
})

/** Crowds a port from another process: so many connections that say nothing, and as many that send junk, all coming again. */
const CROWD = `
  import { connect } from 'node:net'
  const [port, count] = process.argv.slice(2).map(Number)
  let open = 0
  const come = (junk) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('connect', () => {
      open += 1
      if (junk) socket.write('\\0 junk junk junk\\r\\n')
    })
    socket.on('error', () => {})
    socket.on('close', () => setImmediate(come, junk))
    socket.resume()
  }
  for (let number = 0; number < count; number += 1) [come(false), come(true)]
  const told = setInterval(() => {
    if (open < count) return
    clearInterval(told)
    console.log('crowded')
  }, 20)`

test('800 silent connections and 800 that send junk do not hold up a login', async (t) => {
  const env = { LOCAL_CLIENT: 'secret' }
  const login = sandbox.start(
    `
    const onPrompt = ({ url }) => console.log('prompt ' + url)
    const { label } = await auth.login({ provider: 'local', method: 'browser', label: 'ada', onPrompt })
    console.log('connected ' + label)`,
    { env },
  )
  const url = new URL((await login.line(/^prompt/)).replace('prompt ', ''))
  const callback = new URL(url.searchParams.get('redirect_uri'))
  const handles = () => (LINUX ? readdirSync(`/proc/${login.child.pid}/fd`).length : 0)
  const before = handles()
  const crowd = sandbox.start(CROWD, { args: [callback.port, '800'] })
  await crowd.line(/^crowded/)
  const open = handles()
  t.diagnostic(`${open - before} connections are open`)
  assert.ok(open - before <= 300, `${open} handles, ${before} before`)
  callback.searchParams.set('state', url.searchParams.get('state'))
  callback.searchParams.set('code', 'code')
  const began = performance.now()
  const page = await fetch(callback)
  assert.equal(page.status, 200)
  await login.line(/^connected ada/)
  const took = performance.now() - began
  t.diagnostic(`answered after ${Math.round(took)} ms`)
  // On a quiet machine it is a few milliseconds, and on a busy one this; without bounds it was half a minute.
  assert.ok(took < 15_000, `${took} ms`)
  crowd.child.kill('SIGKILL')
  assert.equal((await login.ended).code, 0)
})

const logged = (file) =>
  sandbox.run(
    `console.log((await auth.listAccounts().then(() => ({ code: 'none', message: '' }), (error) => error)).message)`,
    {
      env: { PROVIDER_AUTH_LOG: 'trace', PROVIDER_AUTH_LOG_FILE: file },
    },
  )

test('a log file that others could read is theirs no longer', {
  skip: !UNIX && 'modes are those of Unix',
}, async () => {
  const file = join(sandbox.dir, 'auth.log')
  writeFileSync(file, 'before\n')
  chmodSync(file, 0o644)
  await logged(file)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.match(readFileSync(file, 'utf8'), /^before\n/)
})

test('a log file that another user may have put there is refused by name', {
  skip: !UNIX && 'links are those of Unix',
}, async () => {
  const [target, link] = [join(sandbox.dir, 'precious'), join(sandbox.dir, 'link.log')]
  writeFileSync(target, 'precious\n')
  symlinkSync(target, link)
  const { stdout } = await logged(link)
  assert.match(stdout, /log\.file: nothing is logged to .*link\.log, since it is a symbolic link; name the file itself/)
  assert.equal(readFileSync(target, 'utf8'), 'precious\n')
  const open = join(sandbox.dir, 'anybodys')
  mkdirSync(open)
  chmodSync(open, 0o777)
  assert.match((await logged(join(open, 'auth.log'))).stdout, /others can write to its folder/)
  assert.ok(!existsSync(join(open, 'auth.log')))
})

/** A token endpoint that takes every code. */
async function startTokenServer() {
  const http = createServer((request, response) => {
    request.resume()
    const answer = { access_token: 'access', token_type: 'Bearer', expires_in: 3600 }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  })
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${http.address().port}`,
    async close() {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
}
