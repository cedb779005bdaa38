// Runs the programs that a fleet is made of, and waits. It knows none of them.

import { execFile, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const executed = promisify(execFile)

/** PostgreSQL and PgBouncer refuse to run as root. */
export const nobody = { uid: 65_534, gid: 65_534 }

/** Everything that was started and may still run. */
const children = new Set()

/** What to put before a program whose clock is to be off by so much. The command `faketime` would leave things behind. */
export const clockOff = (by) => [...FAKED, `FAKETIME=${by}`]

/** The same of a clock that is off by what a file says, from a second after that is written. */
export const clockOf = (file) => [...FAKED, `FAKETIME_TIMESTAMP_FILE=${file}`, 'FAKETIME_CACHE_DURATION=1']

const FAKED = ['env', 'LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1', 'FAKETIME_DONT_FAKE_MONOTONIC=1']

/** Runs a program to its end and returns what it printed. */
export async function output(command, args, options = {}) {
  const { stdout } = await executed(command, args, { maxBuffer: 256 * 1024 * 1024, ...options })
  return stdout.trim()
}

/** Starts a program that goes on; it is killed, at the latest, when this process ends. */
export function start(command, args, options) {
  const child = spawn(command, args, options)
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

/** Resolves when a child has ended, however it did. */
export function ended(child) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => child.once('exit', resolve))
}

export function killAll() {
  for (const child of children) child.kill('SIGKILL')
}

/** Waits until `isSo` returns something truthy, and returns that. */
export async function until(what, isSo, { limitMs = 60_000, everyMs = 20 } = {}) {
  const limit = Date.now() + limitMs
  for (;;) {
    const found = await isSo()
    if (found) return found
    if (Date.now() > limit) throw new Error(`in vain: ${what}`)
    await sleep(everyMs)
  }
}
