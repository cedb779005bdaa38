// Says what an addon that was built is, and whether it can be published.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { machinePaths } from '../release/artifacts.mjs'
import { root } from '../steps.mjs'
import { addonPath } from './build.mjs'
import { targets } from './targets.mjs'
import { must, tools } from './tools.mjs'

const MACHINES = { x64: ['X86_64', 'AMD64'], arm64: ['AARCH64', 'ARM64'] }
const FORMATS = { linux: 'ELF', darwin: 'MACHO', win32: 'PE' }

/** Returns the facts of an addon of a target, with `faults`: a few words for each reason why it cannot be published. */
export async function examine(target, family) {
  const python = await tools.python()
  const file = join(root, addonPath(target, family))
  const env = { ...process.env, PYTHONPATH: python }
  const script = join(root, 'scripts/lib/cross/facts.py')
  const { output } = await must('python3', [script, file], { env, show: 'nothing' })
  const [facts] = JSON.parse(output.split('\n').find((line) => line.startsWith('[{')) ?? '[]')
  const bytes = readFileSync(file)
  const glibc = newestGlibc(facts.versions ?? [])
  return {
    ...facts,
    glibc,
    bytes: bytes.length,
    gzip: gzipSync(bytes, { level: 9 }).length,
    faults: faults(target, { ...facts, glibc, paths: machinePaths(file) }),
  }
}

/** Returns what keeps an addon with these facts from being published: its platform cannot load it, or it holds too much. */
export function faults(target, { format, machine, registers, signed, needed, names, paths, glibc }) {
  const { file, glibc: oldest } = targets[target]
  const [platform, arch] = file.split('-')
  const found = []
  if (format !== FORMATS[platform]) found.push(`it is a file of ${format}`)
  if (!MACHINES[arch].includes(machine)) found.push(`it is for ${machine}`)
  if (!registers) found.push('it does not export napi_register_module_v1')
  if (oldest && compare(glibc, oldest) > 0) found.push(`it needs glibc ${glibc}, not ${oldest}`)
  if (file.endsWith('musl') && glibc) found.push(`it needs glibc ${glibc}`)
  if (file.endsWith('musl') && needed.some((name) => !/^libc\.(so|musl)/.test(name)))
    found.push('it needs more than libc')
  if (file === 'darwin-arm64' && !signed) found.push('it has no signature, without which no arm64 Mac loads it')
  if (names > 0) found.push(`it is not stripped: ${names} names`)
  if (paths.length > 0) found.push(`it holds paths of this machine: ${paths.join(', ')}`)
  return found
}

/** Returns the newest version among names such as `GLIBC_2.17`, without the word. */
export function newestGlibc(versions) {
  return versions
    .flatMap((name) => /^GLIBC_([\d.]+)$/.exec(name)?.[1] ?? [])
    .sort(compare)
    .at(-1)
}

function compare(one, other) {
  return (one ?? '0').localeCompare(other ?? '0', 'en', { numeric: true })
}
