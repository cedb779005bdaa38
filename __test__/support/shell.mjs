/** A shell with the command in its search path, by a link as npm makes one. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { COMMAND } from './cli.mjs'
import { startTerminal } from './tmux.mjs'

/** The environment of a shell in the sandbox. */
export function shellEnv(sandbox, env = {}) {
  const bin = join(sandbox.dir, 'bin')
  if (mkdirSync(bin, { recursive: true }) !== undefined) symlinkSync(COMMAND, join(bin, 'provider-auth'))
  return { ...sandbox.env, PATH: `${bin}:${process.env.PATH}`, ...env }
}

/** Runs a script of a shell to its end: its standard output. */
export function inShell(sandbox, shell, args, { input = '', env } = {}) {
  const options = { cwd: sandbox.work, env: shellEnv(sandbox, env), input, encoding: 'utf8', timeout: 90_000 }
  const { status, stdout, stderr, error } = spawnSync(shell, args, options)
  if (error !== undefined || status !== 0) throw new Error(`${shell} ended with ${status ?? error}: ${stderr}`)
  return stdout
}

/** Starts a shell in a terminal. `enter` types a line; the prompt of bash has the exit code: `code 2>`. */
export async function startShell(sandbox, [shell, ...args] = ['bash', '--norc', '--noprofile', '-i']) {
  const env = shellEnv(sandbox, { PS1: 'code $?> ' })
  const terminal = await startTerminal(shell, args, { cwd: sandbox.work, env, width: 100, height: 30 })
  return {
    ...terminal,
    async enter(line) {
      await terminal.type(line)
      await terminal.press('Enter')
    },
  }
}
