/**
 * A store for many machines, in a real PostgreSQL: it is made by a command, logins move in and back, and a kill on the way
 * loses none and leaves none in two places.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { answer, command, failure } from './support/cli.mjs'
import { postgresSkip, startPostgres } from './support/postgres.mjs'
import { openStage } from './support/stage.mjs'

/** A move that is not killed takes less. */
const KILLED_WITHIN_MS = 600
const KILLS = 8
const skip = postgresSkip
// First: its folder is not one of the sandbox, which only its own user may enter.
const postgres = skip ? undefined : await startPostgres()
postgres?.sql('create role pa_ci login; create role pa_other login')
after(() => postgres?.stop())
const { oidc, sandbox, library, openPool, inChild } = await openStage({
  name: 'store',
  providers: ({ upstream: { origin } }) => ({ desk: { origins: [origin] } }),
})
const owner = (vault = 'team') => ({ PROVIDER_AUTH_STORE: postgres.address('postgres', vault) })
const host = (vault = 'team', role = 'pa_ci') => ({ PROVIDER_AUTH_STORE: postgres.address(role, vault) })

test('store init makes tables, vault and rights; again, it changes nothing', { skip }, async () => {
  const none = await failure(sandbox, ['store'])
  assert.deepEqual([none.code, none.exit], ['INVALID_ARGUMENT', 1])
  assert.match(none.next, /PROVIDER_AUTH_STORE/)
  const early = await failure(sandbox, ['store', 'migrate'], { env: owner() })
  assert.equal(early.code, 'STORE_REFUSED')
  assert.match(early.message, /store init/)
  const empty = await answer(sandbox, 'store-status', ['store'], { env: owner() })
  assert.deepEqual([empty.schema, empty.vault, empty.admin], [undefined, false, false])

  const init = ['store', 'init', '--role', 'pa_ci']
  const made = await answer(sandbox, 'store-init', init, { env: owner() })
  assert.equal(made.where, `127.0.0.1:${postgres.port}/postgres, vault team`)
  assert.deepEqual(
    [made.schema, made.vault, made.admin, made.installed, made.made, made.admitted],
    [1, true, true, true, true, ['pa_ci']],
  )
  const again = await answer(sandbox, 'store-init', init, { env: owner() })
  assert.deepEqual([again.installed, again.made, again.admitted], [false, false, []])
  const { stderr } = await command(sandbox, init, { env: owner() })
  assert.match(stderr, /nothing was changed/)
  const current = await answer(sandbox, 'store-migrate', ['store', 'migrate'], { env: owner() })
  assert.equal(current.schema, 1)

  // A host uses it, and makes nothing.
  const known = await answer(sandbox, 'store-status', ['store'], { env: host() })
  assert.deepEqual([known.vault, known.admin], [true, false])
  assert.equal((await failure(sandbox, ['store', 'init'], { env: host('another') })).code, 'STORE_REFUSED')
  assert.equal((await failure(sandbox, [...init.slice(0, -1), 'nobody'], { env: owner() })).code, 'STORE_REFUSED')
  const hidden = await answer(sandbox, 'store-status', ['store'], { env: host('team', 'pa_other') })
  assert.deepEqual([hidden.schema, hidden.vault], [1, false])

  postgres.sql("update pa.vault set schema = 2 where name = 'team'")
  assert.equal((await failure(sandbox, ['store', 'migrate'], { env: owner() })).code, 'STORE_SCHEMA')
  postgres.sql("update pa.vault set schema = 1 where name = 'team'")
})

test('store init --print needs no store that answers, and psql takes what it prints', { skip }, async () => {
  const nowhere = { PROVIDER_AUTH_STORE: 'postgres://ann@127.0.0.1:1/nothing?vault=te%27am&sslmode=disable' }
  const args = ['store', 'init', '--print', '--role', 'pa_other']
  const { stdout, code } = await command(sandbox, args, { env: nowhere })
  assert.equal(code, 0)
  assert.match(stdout, /grant pa_host to "pa_other";/)
  assert.match(stdout, /select pa\.admit\('te''am', 'pa_other'\);/)
  postgres.sql(stdout)
  assert.equal(postgres.sql("select pg_has_role('pa_other', 'pa_host', 'member')"), 't')
  const { sql } = await answer(sandbox, 'store-migrate', ['store', 'migrate', '--print'], { env: nowhere })
  assert.ok(stdout.startsWith(sql.trimEnd()))
})

test('vault move takes logins to a store and back, once each', { skip }, async () => {
  const { ids, namespace } = await openPool(['ada', 'bob'])
  await library.addApiKey({ provider: 'desk', apiKey: 'sk-S3CRET', label: 'work' })
  const unasked = await failure(sandbox, ['vault', 'move', postgres.address('pa_ci', 'team')])
  assert.deepEqual([unasked.code, unasked.exit], ['USAGE', 2])
  assert.match(unasked.next ?? unasked.message, /2 logins move/)

  const moved = await answer(sandbox, 'vault-move', ['vault', 'move', postgres.address('pa_ci', 'team'), '--yes'])
  assert.deepEqual([moved.added, moved.updated, moved.skipped], [3, 0, 0])
  assert.ok(!existsSync(join(sandbox.vaultDir, 'moved.age')) || !(await library.movedBundle()))
  const here = await library.listAccounts({ namespace })
  assert.deepEqual(
    here.map(({ state, movedAt }) => [state, movedAt > 0]),
    [
      ['needs_login', true],
      ['needs_login', true],
    ],
  )
  const { movedTo } = await library.vaultStatus()
  assert.deepEqual(movedTo, { where: moved.to, underWay: false })
  const { stdout } = await command(sandbox, ['key', 'status'])
  assert.match(stdout, /moved to +127\.0\.0\.1:\d+\/postgres, vault team/)
  await renewedAt(host(), ids)
  assert.equal((await library.listAccounts()).filter(({ kind }) => kind === 'api').length, 1, 'API keys are copied')

  const there = await answer(sandbox, 'vault-move', ['vault', 'move', sandbox.vaultDir, '--yes'], { env: host() })
  assert.deepEqual([there.added, there.updated, there.skipped], [0, 2, 1])
  await renewedAt({}, ids)
  assert.equal((await library.vaultStatus()).movedTo, undefined)

  const same = await failure(sandbox, ['vault', 'move', sandbox.vaultDir, '--yes'])
  assert.deepEqual([same.code, same.exit], ['INVALID_ARGUMENT', 1])
  const absent = await failure(sandbox, ['vault', 'move', postgres.address('pa_ci', 'nobody'), '--yes'])
  assert.equal(absent.code, 'STORE_REFUSED')
  await renewedAt({}, ids)
})

test('a kill anywhere on the way loses no login and leaves none in two places', { skip }, async () => {
  const { ids } = await openPool(['eve', 'fay'])
  const invalid = oidc.counters.invalidGrants
  let [from, to] = [
    { env: {}, place: sandbox.vaultDir },
    { env: host(), place: postgres.address('pa_ci', 'team') },
  ]
  for (let kill = 0; kill < KILLS; kill += 1) {
    const moving = sandbox.start(`console.log('go'); await auth.moveVault(${JSON.stringify(to.place)})`, {
      env: from.env,
    })
    await moving.line(/go/)
    await sleep((KILLED_WITHIN_MS * kill) / KILLS)
    moving.child.kill('SIGKILL')
    await moving.ended
    const places = await Promise.all([from, to].map(({ env }) => loginsAt(env, ids)))
    for (const id of ids) assert.ok(places.filter((there) => there.has(id)).length <= 1, `${id} serves in two places`)
    await answer(sandbox, 'vault-move', ['vault', 'move', to.place, '--yes'], { env: from.env })
    await renewedAt(to.env, ids)
    assert.equal((await loginsAt(from.env, ids)).size, 0)
    ;[from, to] = [to, from]
  }
  assert.equal(oidc.counters.invalidGrants, invalid)
})

/** The logins that a vault has tokens of. */
async function loginsAt(env, ids) {
  const accounts = await inChild('console.log(JSON.stringify(await auth.listAccounts()))', { env })
  const here = accounts.filter(({ id, state }) => ids.includes(id) && state !== 'needs_login')
  return new Set(here.map(({ id }) => id))
}

/** Holds that the logins of a vault can be renewed. */
async function renewedAt(env, ids) {
  const renew = `Promise.all(${JSON.stringify(ids)}.map((id) => auth.refreshAccount(id, { force: true })))`
  const states = await inChild(`console.log(JSON.stringify((await ${renew}).map(({ state }) => state)))`, { env })
  assert.deepEqual(
    states,
    ids.map(() => 'ready'),
  )
}
