/** An `oci-auth.config.jsonc` with a mistake in it, in the real OpenCode. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { FILE, startTenancy } from './support/oci-desk.mjs'

const { server, confidential, mobile, openDesk, close } = await startTenancy()
after(close)

const BROKEN = [
  [
    'a template that was not filled in',
    { ...confidential, client_id: '<your-client-id>' },
    /client_id: still a placeholder/,
  ],
  ['no secret', { ...confidential, client_secret: undefined }, /client_secret: missing/],
  ['a secret where there is none', { ...mobile, client_secret: 'x' }, /a mobile_app has no secret/],
  [
    'an unknown method',
    { ...mobile, auth_method: 'password' },
    /auth_method: expected one of confidential_app, mobile_app/,
  ],
  ['no address', { ...mobile, llm_base_url: '' }, /llm_base_url: missing/],
  ['a level that there is not', { ...mobile, log_level: 'LOUD' }, /log_level: expected one of/],
  ['no JSON', '{ "domain_url": ', /not valid JSON/],
]

test('each mistake in the file is said with its place, and stops that provider only', async () => {
  const desk = openDesk()
  const asked = server.calls.length
  for (const [what, content, message] of BROKEN) {
    desk.write(content)
    const told = await desk.refusal('oci-oidc/not-known-yet')
    assert.match(told, message, what)
    assert.match(told, new RegExp(`${FILE}:\\d+:\\d+: `), what)
  }
  assert.match(await desk.says('other/small-1'), /served by other/)
  assert.deepEqual(server.calls.slice(asked), [])
  const login = desk.opencode.start('auth', 'login', '--provider', 'oci-oidc', '--method', 'Sign in with the browser')
  const { code, stdout, stderr } = await login.ended
  assert.equal(code, 1)
  assert.match(stdout + stderr, /not valid JSON/)
})
