/**
 * What an agent gets from the plugin inside the real OpenCode: tools, a slash command, and a guard.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { startOidcProvider } from './support/oidc.mjs'
import { createOpenCode, PLUGIN } from './support/opencode.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { startUpstream, toolCall } from './support/upstream.mjs'

const KEY = 'sk-a-7c1e93d05b42'
const HOST_KEY = 'sk-host-0f3d8e1b62'
const SECRET = 'top-secret-4711'
const PERMISSION = { '*': 'allow', external_directory: 'allow', read: 'allow' }

let oidc, upstream, sandbox, opencode, server, secretFile

before(async () => {
  oidc = await startOidcProvider()
  upstream = await startUpstream({ providers: [oidc], keys: { [KEY]: 'A', [HOST_KEY]: 'host' } })
  const origins = [upstream.origin]
  sandbox = createSandbox({
    name: 'tools',
    config: { providers: { pool: { origins }, desk: oidc.config({ origins }) } },
  })
  opencode = createOpenCode(sandbox, {
    providers: {
      pool: upstream.baseURL,
      desk: upstream.baseURL,
      theirs: theirs(),
    },
    config: { permission: PERMISSION },
    env: { SHELL: '/bin/bash' },
  })
  await sandbox.output(`
    await auth.addApiKey({ provider: 'pool', apiKey: '${KEY}', label: 'ada@example.com' })
    const { signIn } = await import('${new URL('./support/agent.mjs', import.meta.url)}')
    const onPrompt = (prompt) => void signIn(prompt, { user: 'ada' })
    await auth.login({ provider: 'desk', method: 'browser', label: 'desk of ada@example.com', onPrompt })`)
  secretFile = join(sandbox.env.HOME, '.secrets', 'oci.key')
  mkdirSync(dirname(secretFile))
  writeFileSync(secretFile, `${SECRET}\n`)
  writeFileSync(join(opencode.project, 'key.txt'), `${HOST_KEY}\n`)
  writeFileSync(join(opencode.project, 'README.md'), 'read me\n')
  server = await opencode.serve()
})

after(async () => {
  await opencode?.close()
  sandbox?.cleanup()
  await upstream?.close()
  await oidc?.close()
})

test('OpenCode has the tools and the slash command', async () => {
  const ids = await server.call('GET', '/experimental/tool/ids')
  for (const name of ['auth_status', 'auth_refresh', 'oci_oidc_status', 'oci_oidc_refresh']) {
    assert.ok(ids.includes(name), `${name} is not among ${ids}`)
  }
  const commands = await server.call('GET', '/command')
  assert.match(commands.find(({ name }) => name === 'auth-status').description, /provider-auth/)
})

test('an agent learns how the accounts stand, and no secret or address', async () => {
  const answer = await answerOf('auth_status', { provider: '', emails: false })
  assert.match(answer, /^pool: provider-auth serves \(.+\)$/m)
  assert.match(answer, /^ {2}1\. a…@e….com \[\w{26}\]: API key; ready/m)
  assert.match(answer, /^ {2}1\. desk of a…@e….com \[\w{26}\]: sign-in with the browser; ready; token until \d\d:\d\d/m)
  assert.match(answer, /^theirs: OpenCode serves \(.+\)$/m)
  assert.ok(answer.includes(`endpoint: ${upstream.origin}`))
  for (const hidden of [KEY, HOST_KEY, 'ada@', ...oidc.issuedTokens()])
    assert.equal(answer.includes(hidden), false, hidden)
  assert.match(await answerOf('auth_status', { provider: 'pool', emails: true }), /ada@example\.com/)
  assert.match(await answerOf('oci_oidc_status', {}), /no account of oci-oidc/)
})

test('an agent renews a token and is told how it ended', async () => {
  const before = await sandbox.output(
    `console.log((await auth.getAuthHeaders({ provider: 'desk', url: '${upstream.chatUrl}' })).headers.authorization)`,
  )
  assert.match(
    await answerOf('auth_refresh', { provider: 'desk', account: '', force: false }),
    /still good, and was not renewed/,
  )
  const renewed = await answerOf('auth_refresh', { provider: 'desk', account: 'desk of a…@e….com', force: true })
  assert.match(renewed, /^desk of a…@e….com of desk \[\w{26}\]: the token was renewed; good until \d\d:\d\d/)
  const later = await sandbox.output(
    `console.log((await auth.getAuthHeaders({ provider: 'desk', url: '${upstream.chatUrl}' })).headers.authorization)`,
  )
  assert.notEqual(later, before)
  oidc.revokeGrants('ada')
  assert.match(
    await answerOf('auth_refresh', { provider: 'desk', force: true }),
    /its login has ended; sign in with \/connect/,
  )
  assert.match(await answerOf('auth_refresh', { provider: 'pool' }), /nothing to renew: API keys/)
  assert.match(
    await answerOf('auth_refresh', { account: 'eve@example.com' }),
    /no account "e…@e….com"; auth_status lists/,
  )
})

test('the slash command shows a person how the accounts stand', async () => {
  upstream.forget()
  const { id } = await server.call('POST', '/session', { title: 'test' })
  await server.call('POST', `/session/${id}/command`, { command: 'auth-status', arguments: '' })
  const [{ parts }] = await server.call('GET', `/session/${id}/message`)
  const shown = parts.map(({ text = '' }) => text).join('\n')
  assert.match(shown, /1\. a…@e….com: API key; ready/)
  assert.equal(
    parts.some(({ synthetic }) => synthetic),
    false,
  )
  assert.match(upstream.requests[0].body, /How my accounts stand/)
  assert.equal(shown.includes('ada@'), false)
})

test('what the guard refuses, the model reads; the secret it does not', async () => {
  const key = secretFile
  const rows = [
    ['read', { filePath: key }],
    ['read', { filePath: join(sandbox.vaultDir) }],
    ['edit', { filePath: key, oldString: 'top', newString: 'x' }],
    ['write', { filePath: key, content: 'x' }],
    ['grep', { pattern: 'top', path: dirname(key) }],
    ['glob', { pattern: '*', path: dirname(key) }],
    ['bash', { command: `cat ${key}`, description: 'x' }],
    ['bash', { command: 'cd ~ && cat .sec*/*', description: 'x' }],
    ['bash', { command: 'cat oci.key', workdir: dirname(key), description: 'x' }],
    ['bash', { command: 'cat /proc/$PPID/environ', description: 'x' }],
    ['task', { description: 'x', prompt: 'Sum up @~/.secrets/oci.key', subagent_type: 'general' }],
  ]
  for (const [tool, args] of rows) {
    const answer = await answerOf(tool, args)
    assert.match(answer, /provider-auth: \w+ was not run, since it would touch /, `${tool} ${JSON.stringify(args)}`)
    assert.match(answer, /"guard": false/)
    assert.equal(answer.includes(SECRET), false)
  }
  assert.equal(readFileSync(key, 'utf8'), `${SECRET}\n`)
})

test('ordinary work goes on under the guard', async () => {
  assert.match(await answerOf('read', { filePath: join(opencode.project, 'README.md') }), /read me/)
  assert.match(await answerOf('bash', { command: 'ls ~ && cat README.md', description: 'x' }), /read me/)
})

test('a search in the project leaves out the file with the key', async () => {
  const answer = await answerOf('bash', { command: 'grep -rn "" README.md key.txt .', description: 'x' })
  assert.match(answer, /was not run/)
  const found = await answerOf('bash', { command: 'grep -rn "" . --exclude-dir=.git', description: 'x' })
  assert.match(found, /README\.md:1:read me/)
  assert.match(found, /provider-auth left out/)
  assert.equal(found.includes(HOST_KEY), false)
  // OpenCode keeps the whole of a long output in a file of its own.
  assert.match(await answerOf('bash', { command: 'grep -rn "" .', description: 'x' }), /Full output saved to/)
  assert.deepEqual(
    opencode.filesWith(HOST_KEY).filter((file) => file.includes('tool-output')),
    [],
  )
})

test("the agent's shell has no key", async () => {
  const answer = await answerOf('bash', { command: 'env', description: 'x' })
  assert.match(answer, /^PROVIDER_AUTH_KEY=$/m)
  assert.equal(answer.includes(sandbox.env.PROVIDER_AUTH_KEY), false)
})

test('a tool in front of a vault that does not open says why; and the guard can be switched off', async () => {
  const other = { ...opencode.env, PROVIDER_AUTH_KEY: Buffer.alloc(32, 7).toString('base64') }
  const locked = createOpenCode(
    { ...sandbox, env: { ...sandbox.env, ...other } },
    {
      providers: {
        theirs: theirs(),
      },
      plugin: [PLUGIN, { guard: false }],
      config: { permission: PERMISSION },
    },
  )
  try {
    upstream.forget()
    upstream.plan(
      'host',
      toolCall('auth_status', { provider: '', emails: false }),
      toolCall('bash', { command: 'env; cat ~/.secrets/oci.key', description: 'x' }),
    )
    const { code, stderr } = await locked.run('theirs/small-1')
    assert.equal(code, 0, stderr)
    const [status, shell] = toolAnswers(upstream.requests.at(-1))
    assert.match(status, /^provider-auth: the accounts cannot be read: .*key/)
    assert.match(status, /^theirs: OpenCode serves/m)
    assert.ok(shell.includes(SECRET), shell)
    assert.ok(shell.includes(other.PROVIDER_AUTH_KEY), shell)
  } finally {
    await locked.close()
  }
})

/** Has the model call a tool, and returns what it is answered. */
async function answerOf(tool, args) {
  upstream.behave()
  upstream.forget()
  upstream.plan('A', toolCall(tool, args))
  const { id } = await server.call('POST', '/session', { title: 'test' })
  await server.call('POST', `/session/${id}/message`, { parts: [{ type: 'text', text: 'go on' }] })
  const [answer] = toolAnswers(upstream.requests.at(-1))
  assert.ok(answer !== undefined, upstream.requests.at(-1)?.body)
  return answer
}

function toolAnswers({ body }) {
  const messages = JSON.parse(body).messages.filter(({ role }) => role === 'tool')
  return messages.map(({ content }) =>
    typeof content === 'string' ? content : content.map(({ text }) => text).join(''),
  )
}

/** A provider that OpenCode serves, with a key in a file that opencode.json names. */
function theirs() {
  const options = { baseURL: upstream.baseURL, apiKey: '{file:../../project/key.txt}' }
  return { npm: '@ai-sdk/openai-compatible', options, models: { 'small-1': { name: 'small' } } }
}
