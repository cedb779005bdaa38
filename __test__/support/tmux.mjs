/**
 * A terminal of a fixed size with a program in it: tmux, with a server of its own. What is on the screen is read as
 * text; keys are sent as a person types them.
 */
import { execFile, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { until } from './until.mjs'

const run = promisify(execFile)

/** How long the program may take to draw; OpenCode starts in 4 s on a quiet machine of two cores. */
const LONGEST_DRAW_MS = 90_000
/** Between two looks at the screen. */
const LOOK_MS = 100

export const hasTmux = spawnSync('tmux', ['-V']).status === 0

/**
 * Starts a program in a terminal.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string, env: Record<string, string>, width?: number, height?: number }} options
 */
export async function startTerminal(command, args, { cwd, env, width = 120, height = 40 }) {
  const socket = `provider-auth-${randomBytes(6).toString('hex')}`
  // Its socket goes with the sandbox.
  const options = { cwd, env: { ...env, TERM: 'xterm-256color', SHELL: '/bin/sh', TMUX_TMPDIR: env.TMPDIR } }
  const tmux = async (...words) => (await run('tmux', ['-L', socket, '-f', '/dev/null', ...words], options)).stdout
  await tmux('new-session', '-d', '-x', String(width), '-y', String(height), '-s', 'test', command, ...args)
  await tmux('set-option', '-g', 'remain-on-exit', 'on')
  const pids = await tmux('display-message', '-p', '-t', 'test', '#{pane_pid} #{pid}')
  const [pid, server] = pids.trim().split(' ').map(Number)
  const seen = []
  // By its number: where the sandbox is gone, so is the socket by which it would be told.
  const end = () => {
    if (isRunning(server)) process.kill(server, 'SIGTERM')
  }
  process.once('exit', end)
  let isOver = false

  /** Every screen that was looked at, for what must be on none. */
  const screen = async () => {
    const text = (await tmux('capture-pane', '-p', '-t', 'test')).replace(/[ \t]+$/gm, '')
    if (text !== seen.at(-1)) seen.push(text)
    return text
  }
  return {
    screen,
    seen,
    /** The screen with its colours, as escape sequences. */
    coloured: () => tmux('capture-pane', '-p', '-e', '-t', 'test'),
    /** Whether the other screen is shown, and a cursor. */
    async modes() {
      const [alternate, cursor] = (await tmux('display-message', '-p', '-t', 'test', '#{alternate_on} #{cursor_flag}'))
        .trim()
        .split(' ')
      return { alternate: alternate === '1', cursor: cursor === '1' }
    },
    /** Waits for the end of the program, and resolves to its exit code. */
    async ended() {
      const read = async () => {
        // tmux may miss that a program has ended; it looks after all of them when another one ends.
        await tmux('run-shell', 'true')
        return tmux('display-message', '-p', '-t', 'test', '#{pane_dead} #{pane_dead_status}')
      }
      await until('the program has ended', async () => /^1 \d/.test(await read()), LONGEST_DRAW_MS)
      return Number((await read()).trim().split(' ')[1])
    },
    resize: (columns, rows) => tmux('resize-window', '-t', 'test', '-x', String(columns), '-y', String(rows)),
    /** Presses keys by tmux's names: `Enter`, `Escape`, `Down`, `C-u`. */
    async press(...keys) {
      for (const key of keys) {
        await tmux('send-keys', '-t', 'test', key)
        // The program reads a quick Escape and what follows as one key.
        await sleep(LOOK_MS)
      }
    },
    /** Types a text as it is. */
    type: (text) => tmux('send-keys', '-t', 'test', '-l', text),
    /** Pastes a text, as a terminal with bracketed paste does. */
    async paste(text) {
      await tmux('set-buffer', '-b', 'pasted', text)
      await tmux('paste-buffer', '-d', '-p', '-b', 'pasted', '-t', 'test')
    },
    /** Waits until the screen fits a pattern, or a function of the screen; resolves to the screen. */
    async shows(wanted, limitMs = LONGEST_DRAW_MS) {
      const fits = typeof wanted === 'function' ? wanted : (text) => wanted.test(text)
      const endsAt = Date.now() + limitMs
      for (;;) {
        const text = await screen()
        if (fits(text)) return text
        if (Date.now() > endsAt) throw new Error(`waited ${limitMs / 1000} s for ${wanted} on the screen:\n${text}`)
        await sleep(LOOK_MS)
      }
    },
    /** Ends the program and the terminal. It may be called again. */
    async close() {
      if (isOver) return
      isOver = true
      process.off('exit', end)
      if (isRunning(pid)) process.kill(pid, 'SIGKILL')
      try {
        // While it lives, it writes into the folder that the test removes.
        await until('the program has ended', () => !isRunning(pid))
      } finally {
        end()
      }
    },
  }
}

/** Whether it runs; one that has ended and that tmux has not heard of yet does not. */
function isRunning(pid) {
  try {
    process.kill(pid, 0)
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch (fault) {
    // Without `/proc`, the signal tells all that can be told.
    return fault.code === 'ENOENT' && !existsSync('/proc/self/stat')
  }
}
