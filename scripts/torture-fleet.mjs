// `npm run torture:fleet`: several machines share one vault in PostgreSQL while processes, machines, lines and the database
// fail. `--runs 4` (default 20) for each row of the table, `--only part,part` runs what has one of these in its name, `--json`
// prints results for programs. Machines are network namespaces, so that it needs root; it leaves nothing behind.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { killAll } from './lib/fleet/commands.mjs'
import { buildProgram } from './lib/fleet/process.mjs'
import { rows } from './lib/fleet/rows.mjs'
import { openStage } from './lib/fleet/stage.mjs'
import { runRow } from './lib/fleet/table.mjs'
import { elapsed } from './lib/steps.mjs'

const INSIDE = 'TORTURE_FLEET_INSIDE'

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '20' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
})
const runs = Number(options.runs)
const only = options.only.split(',').map((part) => part.trim())
const isWanted = (name) => only.some((part) => name.includes(part))
const say = (line) => (options.json ? undefined : console.log(line))

if (process.env[INSIDE] === undefined) process.exitCode = await goInside()
else process.exitCode = await torture()

/** Runs this script in namespaces of its own: whatever it makes and starts there ends with it. */
async function goInside() {
  const missing = lacking()
  if (missing !== undefined) {
    console.error(`torture:fleet: ${missing}`)
    return 2
  }
  const program = await buildProgram()
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
  const { status } = spawnSync('unshare', [...namespaces, process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: program },
  })
  return status ?? 1
}

/** What this machine lacks, or nothing. */
function lacking() {
  if (process.platform !== 'linux' || process.getuid() !== 0) return 'network namespaces need root on Linux'
  const programs = {
    '/usr/lib/postgresql': 'postgresql',
    '/usr/sbin/pgbouncer': 'pgbouncer',
    '/usr/sbin/ip': 'iproute2',
    '/usr/bin/openssl': 'openssl',
  }
  const packages = Object.entries(programs).filter(([path]) => !existsSync(path))
  if (packages.length > 0) return `apt-get install ${packages.map(([, name]) => name).join(' ')}`
}

async function torture() {
  const startedAt = Date.now()
  const stage = await openStage(process.env[INSIDE], ['a', 'b', 'c'])
  const results = []
  try {
    for (const row of rows.filter(({ name, way }) => isWanted(`${name}, ${way}`))) {
      const begun = Date.now()
      const result = await runRow(stage, row, runs)
      results.push(result)
      say(line(result, begun))
    }
  } finally {
    killAll()
    await stage.close()
  }
  const wrong = results.filter((result) => result.wrong.length > 0)
  if (options.json) console.log(JSON.stringify(results, undefined, 2))
  say(`${results.length - wrong.length} of ${results.length} as expected, in ${elapsed(startedAt)}`)
  return wrong.length > 0 ? 1 : 0
}

function line({ name, way, runs, twice, refused, lost, medianMs, longestMs, wrong }, begun) {
  const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`
  const counts = `twice ${twice}  refused ${refused}  lost ${lost}/${runs}`
  const mark = wrong.length > 0 ? `✖ ${wrong.join('; ')}` : '✔'
  const title = `${name} (${way})`.padEnd(52)
  return `${title} ${counts.padEnd(36)} recovery ${seconds(medianMs)}, at most ${seconds(longestMs)}  ${mark}  [${elapsed(begun)}]`
}
