/** A PostgreSQL of its own for a test: on a free port of loopback, in a folder of its own, without a password. */
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, openSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './ports.mjs'
import { removeFolder } from './remove-folder.mjs'
import { until } from './until.mjs'

const HOME = '/usr/lib/postgresql'
const SETTINGS = ['listen_addresses=127.0.0.1', 'fsync=off', 'shared_buffers=16MB', 'max_connections=60']
/** It refuses to run as root: user and group `nobody` of Debian. */
const NOBODY = 65534
const asNobody = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}

/** Why a test that needs it is skipped; `false` where it is installed. CI skips none. */
export const postgresSkip =
  existsSync(HOME) || process.env.CI === 'true' ? false : 'PostgreSQL is not installed: apt-get install postgresql'

/**
 * Starts one, whose role `postgres` may do everything. `address(role, vault)` is the address of a vault; `sql(text)` runs
 * statements as `postgres` and returns their rows, fields divided by `|`; `stop()` ends it.
 */
export async function startPostgres() {
  const [version] = readdirSync(HOME).sort((one, other) => other - one)
  const program = (name) => join(HOME, version, 'bin', name)
  const dir = mkdtempSync(join(tmpdir(), 'provider-auth-postgres-'))
  chmodSync(dir, 0o700)
  if (asNobody.uid !== undefined) chownSync(dir, NOBODY, NOBODY)
  const data = join(dir, 'data')
  const made = ['--no-sync', '--auth=trust', '--username=postgres', '--encoding=UTF8', '--no-locale', '-D', data]
  runs(program('initdb'), made, { cwd: dir, ...asNobody })
  const port = String(await freePort())
  const log = openSync(join(dir, 'log'), 'a')
  const settings = SETTINGS.flatMap((setting) => ['-c', setting])
  const server = spawn(program('postgres'), ['-D', data, '-k', dir, '-p', port, ...settings], {
    cwd: dir,
    stdio: ['ignore', log, log],
    ...asNobody,
  })
  const ended = new Promise((resolve) => server.once('exit', resolve))
  const kill = () => server.kill('SIGKILL')
  process.once('exit', kill)
  const psql = [
    '-X',
    '-q',
    '-A',
    '-t',
    '-v',
    'ON_ERROR_STOP=1',
    '-h',
    '127.0.0.1',
    '-p',
    port,
    '-U',
    'postgres',
    '-d',
    'postgres',
  ]
  const isUp = () => spawnSync(program('psql'), [...psql, '-c', 'select 1']).status === 0
  await until('PostgreSQL to answer', isUp)
  return {
    port,
    sql: (text) => runs(program('psql'), psql, { input: text }),
    address: (role, vault) => `postgres://${role}@127.0.0.1:${port}/postgres?vault=${vault}&sslmode=disable`,
    async stop() {
      // A fast shutdown: it waits for no client.
      server.kill('SIGINT')
      await ended
      process.off('exit', kill)
      removeFolder(dir)
    },
  }
}

function runs(file, args, options) {
  const { status, stdout, stderr, error } = spawnSync(file, args, { encoding: 'utf8', ...options })
  if (status !== 0) throw new Error(`${file} failed: ${error ?? stderr}`)
  return stdout.trimEnd()
}
