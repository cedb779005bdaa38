/** `provider-auth logout`: which account is meant, what is asked, and what else has the login still. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { answer, command, failure } from './support/cli.mjs'
import { openShell } from './support/cli-shell.mjs'
import { openStage } from './support/stage.mjs'
import { hasTmux } from './support/tmux.mjs'

const skip = hasTmux ? false : 'tmux is missing'
const { oidc, upstream, sandbox, library, logIn } = await openStage({
  name: 'cli-logout',
  providers: ({ upstream: { origin } }) => ({ keys: { origins: [origin] }, lone: { origins: [origin] } }),
})
let ids
before(async () => {
  const [ann, ben, cat] = [await logIn('ann'), await logIn('ben'), await logIn('cat')]
  const key = await library.addApiKey({ provider: 'keys', apiKey: 'sk-logout-0000000000000001', label: 'ann' })
  const lone = await library.addApiKey({ provider: 'lone', apiKey: 'sk-logout-0000000000000002' })
  ids = { ann: ann.id, ben: ben.id, cat: cat.id, key: key.id, lone: lone.id }
})
const left = async () => (await library.listAccounts()).map(({ id }) => id)
let shell
after(() => shell?.close())

test('a name of several accounts lists them, and removes none', async () => {
  for (const [name, meant] of [
    ['ann', [ids.ann, ids.key]],
    ['local', [ids.ann, ids.ben, ids.cat]],
  ]) {
    const { exit, why, next } = await failure(sandbox, ['logout', name, '--yes'])
    assert.equal(exit, 2)
    for (const id of meant) assert.ok(why.includes(id), why)
    assert.match(next, /name one of them/)
  }
  assert.equal((await left()).length, 5)
})

test('a name of none is an error with what was probably meant', async () => {
  for (const [name, meant] of [
    ['benn', /did you mean ben\?/],
    ['zzzzzz', /there is no account "zzzzzz"$/],
    ['01ARZ3NDEKTSV4RRFFQ69G5FAV', /01ARZ3NDEKTSV4RRFFQ69G5FAV/],
  ]) {
    const { exit, code, message } = await failure(sandbox, ['logout', name, '--yes'])
    assert.deepEqual([exit, code], [1, 'UNKNOWN_ACCOUNT'])
    assert.match(message, meant)
  }
})

test('without a terminal it wants --yes, and removes nothing', async () => {
  const { exit, next } = await failure(sandbox, ['logout', 'ben'])
  assert.equal(exit, 2)
  assert.match(next, /provider-auth logout ben --yes/)
  assert.ok((await left()).includes(ids.ben))
})

test('a person is asked; no and Ctrl-C remove nothing', { skip }, async () => {
  for (const [keys, end] of [
    [['n'], /ended with 130, echo on/],
    [['C-c'], /ended with 130, echo on/],
    [['y'], /ben of local was removed\.[\s\S]*--revoke would have ended[\s\S]*ended with 0, echo on/],
  ]) {
    await shell?.close()
    shell = await openShell(sandbox, ['remove', 'ben'])
    await shell.shows(/Remove ben of local from the vault\?/)
    await shell.press(...keys)
    await shell.shows(end)
    assert.equal((await left()).includes(ids.ben), keys[0] !== 'y')
  }
})

test('--revoke ends the login at the provider first', async () => {
  const { headers } = await library.getAuthHeaders({ provider: 'local', account: ids.cat, url: upstream.chatUrl })
  const token = headers.authorization.replace('Bearer ', '')
  assert.equal(oidc.owner(token), 'cat')
  const { removed, revoked, keptBy } = await answer(sandbox, 'logout', ['logout', ids.cat, '--revoke', '--yes'])
  assert.deepEqual([removed.id, revoked, keptBy], [ids.cat, true, []])
  assert.ok(oidc.counters.revocations > 0)
  assert.ok(!(await left()).includes(ids.cat))
})

test('the one account of a provider goes by its name; what OpenCode has of it is told', async () => {
  const folder = join(sandbox.env.XDG_DATA_HOME, 'opencode')
  mkdirSync(folder, { recursive: true })
  const entry = { type: 'api', key: 'sk-logout-0000000000000002' }
  writeFileSync(join(folder, 'auth.json'), JSON.stringify({ lone: entry }))
  const { code, stdout, stderr } = await command(sandbox, ['logout', 'lone', '--yes'])
  assert.equal(code, 0, stderr)
  assert.match(
    stdout,
    /of lone was removed\.\nStill there: OpenCode's own entry of lone in .*auth\.json: opencode auth logout\n/,
  )
  assert.match(stdout, /the key itself, which is good until you delete it/)
  assert.ok(!stdout.includes('sk-logout'))
  assert.ok(!(await left()).includes(ids.lone))
})
