/** A host is revoked while the provider is away: what could not be renewed is told, and the same command goes on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answer, command } from './support/cli.mjs'
import { openStage } from './support/stage.mjs'

const { oidc, sandbox, logIn } = await openStage({ name: 'revocation' })

test('a revocation goes on where a login could not be renewed', async () => {
  await logIn('ada')
  const there = { env: { PROVIDER_AUTH_KEY: '', PROVIDER_AUTH_KEY_SOURCE: '', PROVIDER_AUTH_PASSPHRASE: '' } }
  const { key } = await answer(sandbox, 'fleet-join', ['fleet', 'join', '--source', 'keyfile'], there)
  const { host } = await answer(sandbox, 'fleet-admit', ['fleet', 'admit', key, '--name', 'ci-7'])
  const revoke = ['fleet', 'revoke', 'ci-7', '--yes']

  oidc.setFault('unavailable')
  const tried = await command(sandbox, revoke)
  assert.equal(tried.code, 1, tried.stderr)
  assert.match(tried.stderr, /Not all logins could be renewed now\. .+ provider-auth fleet revoke ci-7/)
  const { hosts } = await answer(sandbox, 'fleet-hosts', ['fleet', 'hosts'])
  assert.deepEqual(hosts, [{ ...host, revoked: true }])
  const listed = await command(sandbox, ['fleet', 'hosts'])
  assert.match(listed.stdout, /ci-7 .+ ago +revoked, but not all logins are renewed\n/)
  assert.match(listed.stderr, /To go on: provider-auth fleet revoke ci-7/)

  oidc.setFault(undefined)
  const { accounts } = await answer(sandbox, 'fleet-revoke', revoke)
  assert.deepEqual([accounts.length, accounts[0].refreshed], [1, true])
  assert.deepEqual((await answer(sandbox, 'fleet-hosts', ['fleet', 'hosts'])).hosts, [])
})
