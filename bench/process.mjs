// Runs the measurements in a process of their own: in Node or Bun, with an empty vault and nothing of the developer's.

import { createSandbox } from '../__test__/support/sandbox.mjs'

/** Returns what `run.mjs` prints, run by the given command. */
export async function measureWith(command, { addon, baseline }) {
  const sandbox = createSandbox({ name: 'bench' })
  try {
    const file = new URL('run.mjs', import.meta.url).pathname
    const env = { NAPI_RS_NATIVE_LIBRARY_PATH: addon, BENCH_BASELINE: baseline, BENCH_NODE: process.execPath }
    const { code, stdout, stderr } = await sandbox.spawn(file, { command, env }).ended
    if (code !== 0) throw new Error(`${command} ended with ${code}: ${stderr}`)
    return JSON.parse(stdout.trim().split('\n').at(-1))
  } finally {
    sandbox.cleanup()
  }
}
