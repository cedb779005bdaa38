/**
 * What the tests that torture have in common: their sizes, and the broker as a program that starts in milliseconds.
 * `npm test` runs the sizes below; `npm run torture` sets larger ones in the environment.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** How much of it: `TORTURE_KILLS=10000` in the environment changes the first, and so on. */
export const sizes = {
  /** Writers that are killed in `torture-kills.test.mjs`. */
  kills: size('TORTURE_KILLS', 1000),
  /** Of the system calls of a deed, each how many-th fails in `torture-calls.test.mjs`; each hour it is the turn of others. */
  every: size('TORTURE_EVERY', 3),
  /** The same of a deed that takes seconds. */
  everyOfSlow: size('TORTURE_EVERY_OF_SLOW', 8),
  /** How long each herd runs in `torture-herd.test.mjs`. */
  herdSeconds: size('TORTURE_HERD_SECONDS', 15),
  /** Places of a file that are damaged in `torture-flips.test.mjs`; in Rust it is every bit. */
  samples: size('TORTURE_SAMPLES', 6),
}

/** Spares a process the reading of all certificates that this machine trusts, which takes longer than all else it does. */
export const WITHOUT_AUTHORITIES = { SSL_CERT_FILE: '/dev/null' }

function size(name, usual) {
  const given = Number(process.env[name] ?? usual)
  if (!(given > 0)) throw new Error(`${name} is not a number above 0`)
  return given
}

/** Builds `crates/broker/examples/broker_process.rs`, which says there what it does, and returns the program's path. */
export async function buildProgram() {
  // The whole workspace: with fewer crates cargo would build what they depend on anew, with fewer features.
  const args = ['build', '--workspace', '--all-features', '--example', 'broker_process', '--message-format', 'json']
  const { stdout } = await promisify(execFile)('cargo', args, { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 })
  const built = stdout.split('\n').filter((line) => line.includes('"executable":"'))
  return JSON.parse(built.at(-1)).executable
}

/** Resolves to the results of `work` for each item, of which `width` are under way at a time. */
export async function inParallel(width, items, work) {
  const results = []
  const left = items.entries()
  const lane = async () => {
    for (const [index, item] of left) results[index] = await work(item)
  }
  await Promise.all(Array.from({ length: width }, lane))
  return results
}
