// Makes a Windows of Wine in which a Node and the addon can run, or says what it lacks.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { must, tools, zigEnvironment } from './tools.mjs'

const MINUTES = 60_000

/**
 * The libraries of Windows that Wine 8 does not have, by their source, which is compiled for the run alone. Rust's standard
 * library draws its random numbers from the one.
 */
const STAND_INS = {
  'bcryptprimitives.dll': `__declspec(dllimport) unsigned char __stdcall SystemFunction036(void *buffer, unsigned long length);
__declspec(dllexport) int __stdcall ProcessPrng(unsigned char *buffer, unsigned long long length) {
  return SystemFunction036(buffer, (unsigned long)length);
}
`,
}

/** Loads each library as an addon: none is one, so what is told is whether Windows has it. */
const PROBE = `for (const name of process.argv.slice(1)) {
  try { process.dlopen({ exports: {} }, name) } catch ({ message }) { if (/could not be found|not found/i.test(message)) console.log('missing: ' + name) }
}
console.log('probed')`

export async function wineProgram() {
  return join(await tools.wine(), 'usr/lib/wine/wine64')
}

/**
 * Makes Wine's folder, with stand-ins for what it lacks, and adds to `env` what Wine needs. Returns why the addon cannot be run
 * there, and `undefined` where it can. `start` runs a Node with arguments.
 */
export async function prepareWine({ env, start, needed }) {
  Object.assign(env, {
    WINEPREFIX: join(env.HOME, 'wine'),
    WINEDEBUG: '-all',
    // Node refuses a Windows as old as the one that Wine passes for.
    NODE_SKIP_PLATFORM_CHECK: '1',
  })
  const made = await must(await wineProgram(), ['wineboot', '-i'], {
    env,
    name: 'wineboot',
    timeoutMs: 3 * MINUTES,
  }).catch((e) => e)
  if (made instanceof Error) return `Wine makes no system: ${made.message}`
  const before = await missing(start, needed)
  if (before.fault) return before.fault
  for (const name of before.names) await standIn(name, env)
  const { names } = await missing(start, before.names)
  return names.length === 0 ? undefined : `Wine has no ${names.join(', ')}`
}

/** The libraries that Wine does not find. */
async function missing(start, needed) {
  const { ok, output } = await start(['-e', PROBE, ...needed], { show: 'nothing' })
  if (!ok || !output.includes('probed')) return { names: needed, fault: `Wine runs no Node: ${output.trim()}` }
  return { names: [...output.matchAll(/^missing: (.*?)\r?$/gm)].map(([, name]) => name) }
}

async function standIn(name, env) {
  const source = STAND_INS[name.toLowerCase()]
  if (source === undefined) return
  const folder = join(env.HOME, 'stand-ins')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${name}.c`)
  writeFileSync(file, source)
  const output = join(env.WINEPREFIX, 'drive_c/windows/system32', name)
  const args = ['-m', 'ziglang', 'cc', '-target', 'x86_64-windows-gnu', '-shared', '-O2', '-s', file, '-ladvapi32']
  await must('python3', [...args, '-o', output], { env: { ...process.env, ...zigEnvironment(await tools.python()) } })
}
