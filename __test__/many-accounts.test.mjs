// Lists that are longer than a page, and a pool of many accounts that all rest.

import assert from 'node:assert/strict'
import test from 'node:test'
import { createSandbox } from './support/sandbox.mjs'

test('many accounts are listed whole, and an exhausted pool of them names those that can serve soonest', async (t) => {
  const sandbox = createSandbox()
  t.after(sandbox.cleanup)
  const told = JSON.parse(
    await sandbox.output(`
      const provider = 'anthropic'
      const ids = []
      for (let number = 0; number < 150; number += 1) {
        const namespace = number % 50 === 49 ? 'apart' : 'default'
        ids.push((await auth.addApiKey({ provider, apiKey: 'sk-key-' + number, label: 'key ' + number, namespace })).id)
      }
      const accounts = await auth.listAccounts()
      const pools = await auth.poolStatus({ provider })
      const url = 'https://api.anthropic.com/v1/messages'
      const ask = (options) => auth.getAuthHeaders({ provider, url, model: 'm', ...options })
      // The first rests longest.
      for (let left = 147; left > 0; left -= 1) {
        const { attempt } = await ask({ session: 'rests ' + left })
        const headers = { 'retry-after': String(3_000 + left) }
        await auth.reportResponse({ attempt, status: 429, headers })
      }
      const refusals = []
      for (let round = 0; round < 2; round += 1) refusals.push(await ask().catch((error) => error))
      const [{ code, message, retryAt, answer }] = refusals
      const same = refusals[0].message === refusals[1].message && refusals[0] !== refusals[1]
      // What is told is as of now.
      await auth.updateAccount(ids[0], { enabled: false })
      const changed = (await ask().catch((error) => error)).message
      // One that is added serves at once.
      const added = await auth.addApiKey({ provider, apiKey: 'sk-key-more' })
      const { accountId } = await ask()
      console.log(JSON.stringify({
        inOrder: JSON.stringify(accounts.map(({ id }) => id)) === JSON.stringify(ids),
        first: accounts[0], label: accounts[149].label,
        pools: pools.map(({ namespace, accounts }) => [namespace, new Set(accounts.map(({ id }) => id)).size]),
        code, message, changed, same, retryAt: typeof retryAt, named: JSON.parse(answer.body).error.accounts.length,
        serves: accountId === added.id,
      }))
    `),
  )
  const { first, message, changed, ...rest } = told
  assert.deepEqual(rest, {
    inOrder: true,
    label: 'key 149',
    pools: [
      ['apart', 3],
      ['default', 147],
    ],
    code: 'EXHAUSTED',
    same: true,
    retryAt: 'number',
    named: 64,
    serves: true,
  })
  assert.equal(first.label, 'key 0')
  assert.deepEqual(first.cooldowns, [])
  assert.equal('expiresAt' in first, false)
  assert.match(message, /147 quota_exhausted/)
  assert.match(changed, /146 quota_exhausted/)
  assert.match(changed, /1 disabled/)
})
