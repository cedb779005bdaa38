// PostgreSQL in a temporary folder: a primary, at wish an asynchronous standby and a pooler, all with TLS.

import { chownSync, mkdirSync, openSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { clockOff, ended, nobody, output, start, until } from './commands.mjs'
import { DATABASE, PROVIDER } from './network.mjs'

const PORTS = { primary: 5432, standby: 5433, pooler: 6432 }

/** Where programs find the database: directly, whichever of the two servers leads, or through the pooler. */
export const urls = {
  direct: (role) =>
    `postgres://${role}@${DATABASE}:${PORTS.primary},${DATABASE}:${PORTS.standby}/postgres?vault=fleet&target_session_attrs=read-write`,
  pooled: (role) => `postgres://${role}@${DATABASE}:${PORTS.pooler}/postgres?vault=fleet`,
}

/** Makes a certificate for both addresses, in files that the servers may read. Returns its own path: it is its own root. */
export async function makeCertificate(folder) {
  const names = `subjectAltName=IP:${DATABASE},IP:${PROVIDER},IP:127.0.0.1`
  const [key, certificate] = [join(folder, 'server.key'), join(folder, 'server.pem')]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '3']
  // A machine whose clock is behind trusts it too.
  const [command, ...args] = [...clockOff('-1d'), 'openssl']
  await output(command, [
    ...[...args, 'req', '-x509', ...kind, '-subj', '/CN=fleet', '-addext', names],
    ...['-addext', 'basicConstraints=critical,CA:FALSE', '-keyout', key, '-out', certificate],
  ])
  for (const file of [key, certificate]) give(file)
  return { key, certificate }
}

/** Starts a primary in a folder of its own. */
export async function openDatabase(folder, tls) {
  const bin = programs()
  let primary = server(bin, join(folder, 'one'), PORTS.primary, tls)
  let standby
  await primary.make()
  await primary.start()
  const database = {
    folder,
    /** Runs statements as the superuser; returns what they print. */
    sql: (statements) => primary.sql(statements),
    dump: () => primary.dump(),
    /** Where its files are. */
    get data() {
      return primary.data
    },
    /** Stops the server as `pg_ctl stop` does, `fast` or `immediate`, and starts it again after a pause. */
    async restart(mode, pauseMs = 0) {
      await primary.stop(mode)
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
      await primary.start()
    },
    stop: (mode) => primary.stop(mode),
    start: () => primary.start(),
    /** Ends every connection of a host at the server's side. */
    dropLines: () =>
      primary.sql(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'ci' and pid <> pg_backend_pid()",
      ),
    /** Makes a standby that follows. */
    async addStandby() {
      const [from, to] = [primary, server(bin, join(folder, `two-${Date.now()}`), other(primary.port), tls)]
      mkdirSync(to.folder)
      give(to.folder)
      await output(
        join(bin, 'pg_basebackup'),
        ['-h', from.folder, '-p', String(from.port), '-U', 'postgres', '-R', '-c', 'fast', '-D', to.data],
        nobody,
      )
      await to.start()
      standby = to
      await until(
        'the standby follows',
        async () => (await from.sql('select count(*) from pg_stat_replication')) === '1',
      )
    },
    /** From now on the standby hears of no write. */
    async deafenStandby() {
      await until('the standby has it all', async () => {
        const behind = 'select count(*) from pg_stat_replication where replay_lsn < pg_current_wal_lsn()'
        return (await primary.sql(behind)) === '0'
      })
      await standby.sql("alter system set primary_conninfo = ''")
      await standby.sql('select pg_reload_conf()')
      await until(
        'the standby is deaf',
        async () => (await primary.sql('select count(*) from pg_stat_replication')) === '0',
      )
    },
    /** The primary is gone for good, and the standby leads. */
    async failOver() {
      await primary.stop('immediate')
      await standby.sql('select pg_promote()')
      primary = standby
      standby = undefined
    },
    async close() {
      await standby?.stop('immediate')
      await primary.stop('immediate')
    },
  }
  return database
}

/** Starts PgBouncer in transaction mode before the primary. */
export function openPooler(folder, { key, certificate }) {
  mkdirSync(folder)
  const settings = join(folder, 'pgbouncer.ini')
  writeFileSync(join(folder, 'users'), '"ci" ""\n')
  writeFileSync(
    settings,
    `[databases]
postgres = host=${DATABASE} port=${PORTS.primary} user=ci
[pgbouncer]
listen_addr = ${DATABASE}
listen_port = ${PORTS.pooler}
unix_socket_dir =
auth_type = any
pool_mode = transaction
server_login_retry = 1
max_client_conn = 500
default_pool_size = 20
client_tls_sslmode = require
client_tls_key_file = ${key}
client_tls_cert_file = ${certificate}
`,
  )
  give(folder)
  return start('/usr/sbin/pgbouncer', [settings], {
    ...nobody,
    cwd: folder,
    stdio: ['ignore', 'ignore', openSync(join(folder, 'log'), 'a')],
  })
}

function server(bin, folder, port, { key, certificate }) {
  const data = join(folder, 'data')
  let child
  const sql = (statements) =>
    output('psql', ['-h', folder, '-p', String(port), '-U', 'postgres', '-XAtqc', statements], { timeout: 20_000 })
  return {
    folder,
    data,
    port,
    sql,
    dump: () => output(join(bin, 'pg_dumpall'), ['-h', folder, '-p', String(port), '-U', 'postgres']),
    async make() {
      mkdirSync(folder)
      give(folder)
      await output(join(bin, 'initdb'), [...INITDB, '-D', data], { ...nobody, cwd: folder })
      writeFileSync(
        join(data, 'pg_hba.conf'),
        'local all all trust\nhost all all all trust\nlocal replication all trust\n',
      )
    },
    async start() {
      const settings = Object.entries({
        ...SETTINGS,
        listen_addresses: DATABASE,
        ssl_key_file: key,
        ssl_cert_file: certificate,
      })
      const args = [
        '-D',
        data,
        '-k',
        folder,
        '-p',
        String(port),
        ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ]
      const log = openSync(join(folder, 'log'), 'a')
      child = start(join(bin, 'postgres'), args, { ...nobody, cwd: folder, stdio: ['ignore', 'ignore', log] })
      await until('the database is up', () => sql('select 1').catch(() => undefined))
    },
    async stop(mode) {
      child.kill(mode === 'immediate' ? 'SIGQUIT' : 'SIGINT')
      await ended(child)
    },
  }
}

const INITDB = ['--no-sync', '--auth=trust', '--username=postgres', '--encoding=UTF8', '--no-locale']
const SETTINGS = {
  ssl: 'on',
  fsync: 'off',
  max_connections: 300,
  log_connections: 'on',
  log_statement: 'all',
  shared_preload_libraries: 'pg_stat_statements',
}

function other(port) {
  return port === PORTS.primary ? PORTS.standby : PORTS.primary
}

function programs() {
  const [version] = readdirSync('/usr/lib/postgresql').sort().reverse()
  return join('/usr/lib/postgresql', version, 'bin')
}

function give(path) {
  chownSync(path, nobody.uid, nobody.gid)
}
