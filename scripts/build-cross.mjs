// `npm run build:cross [target…]`: builds both release addons for every platform on this Linux machine, examines each file, and
// runs those for which there is a Node. A target may be named in part (`musl`, `linux-arm64`). What is current is not built
// again. `--check` examines and runs what was built, and builds nothing; `--build` builds and examines, and runs nothing.
// Fails where something fails that should work here; the table at the end says what cannot be run on this machine, and why.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { addonPath, buildTarget } from './lib/cross/build.mjs'
import { examine } from './lib/cross/examine.mjs'
import { execute } from './lib/cross/execute.mjs'
import { chooseTargets, targets } from './lib/cross/targets.mjs'
import { toolsFolder } from './lib/cross/tools.mjs'
import { FAMILIES } from './lib/families.mjs'
import { root, step } from './lib/steps.mjs'

const options = { check: { type: 'boolean' }, build: { type: 'boolean' } }
const { values, positionals } = parseArgs({ options, allowPositionals: true })
if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.error('build:cross needs a Linux machine with an x64 processor, and the packages of Debian')
  process.exit(2)
}

console.log(`Tools: ${toolsFolder}`)
const rows = []
for (const target of chooseTargets(positionals)) for (const family of FAMILIES) rows.push(await perform(target, family))
conclude()

/** Takes an addon of a target as far as it goes; returns what is to be said of it. */
async function perform(target, family) {
  const row = { target, family, failed: [] }
  const attempt = async (title, action) => {
    try {
      return await step(`${target}, ${family}: ${title}`, action)
    } catch (error) {
      console.log(error.message)
      row.failed.push(`${title}: ${error.message.split('\n').at(-1)}`)
      return undefined
    }
  }
  const built = values.check || (await attempt('build', () => buildTarget(target, family)))
  if (!built) return row
  if (built.built === false) console.log('   what is there is current')
  if (!existsSync(join(root, addonPath(target, family)))) return { ...row, failed: ['it was not built'] }
  row.facts = await attempt('examine', () => examine(target, family))
  row.failed.push(...(row.facts?.faults ?? []))
  if (values.build || row.facts === undefined) return row
  if (targets[target].notRun) return { ...row, notRun: targets[target].notRun }
  return { ...row, ...(await attempt('run', () => execute(target, family, row.facts.needed))) }
}

function conclude() {
  console.log('\n━━ What was built')
  const size = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`
  console.table(
    rows.map(({ target, family, facts, ran, notRun, failed }) => ({
      target,
      family,
      format: facts && `${facts.format} ${facts.machine}`,
      size: facts && size(facts.bytes),
      gzip: facts && size(facts.gzip),
      glibc: facts?.glibc ?? '',
      napi_register_module_v1: facts?.registers,
      run: ran ? 'yes' : notRun ? 'cannot' : 'no',
      failed: failed.length > 0,
    })),
  )
  for (const { target, family, facts, ran, notRun, failed } of rows) {
    console.log(`\n${target}, ${family}`)
    if (facts) console.log(`needs: ${facts.needed.join(', ')}${facts.signed ? '; signed (ad hoc)' : ''}`)
    if (ran) console.log(`✔ ${ran}`)
    if (notRun) console.log(`not run: ${notRun}`)
    for (const fault of failed) console.log(`✖ ${fault}`)
  }
  process.exitCode = rows.some(({ failed }) => failed.length > 0) ? 1 : 0
}
