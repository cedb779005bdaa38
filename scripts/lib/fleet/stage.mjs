// What every part of the torture stands on: two machines or more, a database, a provider, and logins.

import { chmodSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { killAll, until } from './commands.mjs'
import { makeCertificate, openDatabase, openPooler, urls } from './database.mjs'
import { addMachine, openNetwork } from './network.mjs'
import { doOnce, startProcess } from './process.mjs'
import { openProvider } from './provider.mjs'

/** Opens a stage with machines of these names. */
export async function openStage(program, names) {
  const folder = mkdtempSync(join(tmpdir(), 'torture-fleet-'))
  // The servers do not run as root.
  chmodSync(folder, 0o755)
  await openNetwork()
  const machines = {}
  for (const [index, name] of names.entries()) machines[name] = await addMachine(name, index + 1)
  const tls = await makeCertificate(folder)
  const database = await openDatabase(folder, tls)
  const provider = await openProvider(tls)
  const hosts = join(folder, 'hosts')
  mkdirSync(hosts)
  const log = openSync(join(folder, 'processes.log'), 'a')
  const settings = (way, role = 'ci') => ({
    url: urls[way](role),
    folder: hosts,
    roots: tls.certificate,
    config: provider.config,
    member: 'ci',
    log,
  })
  const [first] = Object.values(machines)
  await doOnce(program, first, 'install', settings('direct', 'postgres'))
  await database.sql('create role ann login in role pa_admin; create role ci login in role pa_host')
  await doOnce(program, first, 'found', { ...settings('direct', 'ann'), folder: join(folder, 'ann') })
  await database.sql('create extension pg_stat_statements')
  // As if the vault had been made on this start of the server.
  await database.sql('update pa.vault set incarnation = pa.incarnation()')
  let pooler
  let users = 0
  return {
    folder,
    machines,
    database,
    provider,
    /** Starts a process; `way` is `direct` or `pooled`. */
    process: (machine, way = 'direct', more = {}) =>
      startProcess(program, machines[machine], { ...settings(way), ...more }),
    openPooler: () => (pooler ??= openPooler(join(folder, 'pooler'), tls)),
    /** Logs somebody new in through a process, with an access token of so many seconds. */
    async logIn(process, seconds) {
      users += 1
      const user = `user-${users}`
      provider.setLife(seconds)
      const prompt = await process.ask('login', user)
      if (prompt.error !== undefined) throw new Error(`a login did not begin: ${prompt.error} ${prompt.why}`)
      const back = await provider.signIn(prompt.url, user)
      const done = await process.ask('paste', prompt.login, back)
      if (done.error !== undefined) throw new Error(`a login failed: ${done.error} ${done.why}`)
      return { user, account: done.account, seconds }
    },
    /** Waits until a process sees an account. */
    sees: (process, { account }) =>
      until('the account is seen', async () => {
        const { accounts = [] } = await process.ask('list')
        return accounts.some((one) => one.account === account)
      }),
    async close() {
      killAll()
      await provider.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
