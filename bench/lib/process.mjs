// What the programs and the parts of the bench tell each other: options in a variable, figures as a line of JSON.

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The options that a part gave to this program. */
export const options = () => JSON.parse(process.env.BENCH_OPTIONS)

/** Hands the figures of this program to its part, and ends it. */
export function tell(figures) {
  process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0))
}

/** Runs a program to its end in a sandbox; returns its figures. `env` is over the sandbox's. */
export async function measureIn(sandbox, program, { options = {}, env = {}, ...how } = {}) {
  return figuresOf(await startIn(sandbox, program, { options, env, ...how }).ended, program)
}

/** Starts a program in a sandbox. */
export function startIn(sandbox, program, { options = {}, env = {}, ...how } = {}) {
  const file = fileURLToPath(new URL(`../programs/${program}.mjs`, import.meta.url))
  return sandbox.spawn(file, { ...how, env: { ...env, BENCH_OPTIONS: JSON.stringify(options) } })
}

/** What a program that has ended told. */
export function figuresOf({ code, signal, stdout, stderr }, program) {
  if (code !== 0) throw new Error(`${program} ended with ${code ?? signal}: ${stderr}`)
  return JSON.parse(stdout.trim().split('\n').at(-1))
}

/** Starts a server of the bench in a process of its own, in Node. */
export async function startServer(name, env = {}) {
  const child = fork(fileURLToPath(new URL(`../servers/${name}.mjs`, import.meta.url)), {
    execArgv: [],
    env: { ...process.env, ...env },
  })
  const port = await new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('exit', () => reject(new Error(`the server ${name} of the bench ended`)))
  })
  return { origin: `http://127.0.0.1:${port}`, pid: child.pid, stop: () => child.kill() }
}
