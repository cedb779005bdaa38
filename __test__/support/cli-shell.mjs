/** The command in a terminal of a shell, which says how it ended, and whether the terminal echoes again. */
import { COMMAND } from './cli.mjs'
import { startTerminal } from './tmux.mjs'

/** Runs the command; its end shows as `ended with 0, echo on`. */
export function openShell(sandbox, args, { env = {}, width = 80, height = 40, cwd = sandbox.work } = {}) {
  // Ctrl-C is for the command, and not for this shell.
  const script = `trap : INT; "$@"; code=$?; stty -a | grep -q -- '-echo ' && echo=off || echo=on; echo "ended with $code, echo $echo"; sleep 600`
  return startTerminal('/bin/sh', ['-c', script, 'sh', process.execPath, COMMAND, ...args], {
    cwd,
    env: { ...sandbox.env, ...env },
    width,
    height,
  })
}

/** The text of a screen in which long lines go on over the edge, without the breaks. */
export const joined = (screen) => screen.replaceAll('\n', '')
