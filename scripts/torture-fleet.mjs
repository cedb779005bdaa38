// `npm run torture:fleet`: several machines share one vault in PostgreSQL while processes, machines, lines and the database
// fail. `--runs 4` (default 20) for each row of the table, `--only part,part` runs what has one of these in its name, `--away
// 600` keeps the database away for so many seconds (default 60), `--records 100000` (default 20,000) are added to see what many
// cost, for `--processes 200` (default 8), `--json` prints results for programs. With fewer than 20 runs the parts that kill
// do so less often. Machines are network namespaces, so that it needs root; it leaves nothing behind.

import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { away } from './lib/fleet/away.mjs'
import { clocks } from './lib/fleet/clocks.mjs'
import { ended, killAll, start } from './lib/fleet/commands.mjs'
import { eyes } from './lib/fleet/eyes.mjs'
import { jumps } from './lib/fleet/jumps.mjs'
import { killStorm } from './lib/fleet/kills.mjs'
import { mainThread } from './lib/fleet/main-thread.mjs'
import { moves } from './lib/fleet/moves.mjs'
import { outbox } from './lib/fleet/outbox.mjs'
import { buildProgram } from './lib/fleet/process.mjs'
import { rows } from './lib/fleet/rows.mjs'
import { scale } from './lib/fleet/scale.mjs'
import { seen } from './lib/fleet/seen.mjs'
import { openStage } from './lib/fleet/stage.mjs'
import { storm } from './lib/fleet/storm.mjs'
import { runRow } from './lib/fleet/table.mjs'
import { elapsed } from './lib/steps.mjs'

const INSIDE = 'TORTURE_FLEET_INSIDE'

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '20' },
    only: { type: 'string', default: '' },
    away: { type: 'string', default: '60' },
    records: { type: 'string', default: '20000' },
    processes: { type: 'string', default: '8' },
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
  const program = await buildProgram(['--release'])
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
  const inside = start('unshare', [...namespaces, process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: program },
  })
  // What is inside ends with it.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, killAll)
  await ended(inside)
  return inside.exitCode ?? 1
}

/** What this machine lacks, or nothing. */
function lacking() {
  if (process.platform !== 'linux' || process.getuid() !== 0) return 'network namespaces need root on Linux'
  const programs = {
    '/usr/lib/postgresql': 'postgresql',
    '/usr/sbin/pgbouncer': 'pgbouncer',
    '/usr/sbin/ip': 'iproute2',
    '/usr/bin/openssl': 'openssl',
    '/usr/bin/faketime': 'faketime',
    '/usr/bin/strace': 'strace',
  }
  const packages = Object.entries(programs).filter(([path]) => !existsSync(path))
  if (packages.length > 0) return `apt-get install ${packages.map(([, name]) => name).join(' ')}`
}

/** Everything there is, by name. What goes through the pooler comes first: it knows one server, and a failover ends that. */
function parts() {
  const isShort = runs < 20
  const ofWay = (way) => [
    ...rows
      .filter((row) => row.way === way)
      .map((row) => ({ name: `${row.name} (${way})`, run: (stage) => runRow(stage, row, runs) })),
    { name: `storm (${way})`, run: (stage) => storm(stage, way) },
  ]
  return [
    ...ofWay('pooled'),
    { name: 'seen', run: seen },
    ...ofWay('direct'),
    { name: 'kills', run: (stage) => killStorm(stage, isShort ? 60 : 300, 10_000) },
    { name: 'strict kills', run: (stage) => killStorm(stage, isShort ? 60 : 300, 0) },
    { name: 'outbox', run: (stage) => outbox(stage, isShort ? 4 : 1) },
    { name: 'moves', run: (stage) => moves(stage, isShort ? 6 : 1) },
    { name: 'away', run: (stage) => away(stage, Number(options.away) * 1000) },
    { name: 'clocks', run: clocks },
    { name: 'jumps', run: jumps },
    { name: 'main thread', run: mainThread },
    { name: 'eyes', run: eyes },
    { name: 'scale', run: (stage) => scale(stage, Number(options.records), Number(options.processes)) },
  ]
}

async function torture() {
  const startedAt = Date.now()
  const stage = await openStage(process.env[INSIDE], ['a', 'b', 'c'])
  const results = []
  try {
    for (const { name, run } of parts().filter((part) => isWanted(part.name))) {
      const begun = Date.now()
      const result = await run(stage).catch((error) => ({ name, wrong: [error.message] }))
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

function line({ name, way, wrong, ...facts }, begun) {
  const mark = wrong.length > 0 ? `✖ ${wrong.join('; ')}` : '✔'
  const title = `${name}${way === undefined ? '' : ` (${way})`}`.padEnd(50)
  const told = Object.entries(facts).map(([fact, value]) => `${fact} ${shown(fact, value)}`)
  return `${title} ${told.join('  ')}  ${mark}  [${elapsed(begun)}]`
}

function shown(fact, value) {
  if (fact.endsWith('Ms')) return `${(value / 1000).toFixed(1)} s`
  return typeof value === 'object' ? JSON.stringify(value) : value
}
