// Runs commands for the scripts of this folder: with a header, live progress, a deadline and the time taken.
// It does not decide what to run.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

/** The repository's folder; commands run there unless told otherwise. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

const onTerminal = process.stdout.isTTY === true
const onWindows = process.platform === 'win32'
const colours = { CARGO_TERM_COLOR: 'always', FORCE_COLOR: '1' }
/** Lets cargo say how far it is, which it does on terminals alone unless told. */
const cargoProgress = { CARGO_TERM_PROGRESS_WHEN: 'always', CARGO_TERM_PROGRESS_WIDTH: '100' }

/**
 * Prints a header, runs `action`, prints how long it took, and returns what the action returned.
 * A result with `ok: false` is shown as failed, with its output; an error is shown so and thrown on.
 */
export async function step(title, action) {
  const startedAt = Date.now()
  console.log(`\n━━ ${title}`)
  let outcome = 'failed'
  try {
    const result = await action()
    if (result?.ok !== false) outcome = 'done'
    else if (result.output) process.stdout.write(result.output)
    return result
  } finally {
    console.log(`   ${outcome} after ${elapsed(startedAt)}`)
  }
}

/**
 * Runs a command to its end. Never throws: a command that cannot be started is a command that failed.
 *
 * `show` is `'progress'` (the last line and the time: redrawn in place on a terminal, printed every 15 s elsewhere),
 * `'output'` (every line as it comes) or `'nothing'`. `name` is what progress calls the command.
 * After `timeoutMs` the command is ended with everything that it started.
 *
 * Returns `{ ok, code, output }`, where `output` is stdout and stderr together, without colours and progress.
 */
export function run(command, args = [], options = {}) {
  const { cwd = root, env = process.env, timeoutMs = 15 * 60_000, show = 'progress', name = command } = options
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...(onTerminal && colours), ...(show === 'progress' && cargoProgress), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that a deadline ends what the command started, too.
      detached: !onWindows,
      shell: onWindows && command === 'npm',
    })
    if (running.size === 0) for (const signal of interruptions) process.on(signal, interrupt)
    running.add(child)
    const progress = show === 'progress' ? startProgress(name) : undefined
    let output = ''
    const take = (text) => {
      output += text
      if (show === 'output') process.stdout.write(text)
      progress?.take(text)
    }
    const deadline = setTimeout(() => {
      take(`\n${command} was ended: it ran for more than ${timeoutMs / 1000} s\n`)
      end(child)
    }, timeoutMs)
    const settle = (code) => {
      clearTimeout(deadline)
      running.delete(child)
      if (running.size === 0) for (const signal of interruptions) process.off(signal, interrupt)
      progress?.stop()
      // Progress is what a carriage return takes back.
      resolve({ ok: code === 0, code, output: stripVTControlCharacters(output).replace(/[^\n]*\r(?!\n)/g, '') })
    }
    child.stdout.setEncoding('utf8').on('data', take)
    child.stderr.setEncoding('utf8').on('data', take)
    child.on('error', (error) => take(`${command} could not be started: ${error.message}\n`))
    child.on('close', settle)
  })
}

/** Prints a line, in place of the progress that a terminal shows. */
export function print(line) {
  console.log(onTerminal ? `\r\x1b[K${line}` : line)
}

/** Says how long ago `startedAt` was, as a person would: `0.4 s`, `12 s`, `3 min 05 s`. */
export function elapsed(startedAt) {
  const seconds = (Date.now() - startedAt) / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.round(seconds)} s`
  return `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, '0')} s`
}

const running = new Set()
const interruptions = ['SIGINT', 'SIGTERM']

/** Ends what runs before this process ends: a group of its own does not hear the terminal's Ctrl-C. */
function interrupt(signal) {
  for (const child of running) end(child)
  process.exit(signal === 'SIGINT' ? 130 : 143)
}

/** Ends a child and, where process groups exist, all its descendants. */
function end(child) {
  try {
    if (onWindows) child.kill()
    else process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended by itself in the meantime.
  }
}

/** The commands whose progress is shown: what each is called, when it started, and its last line. */
const shown = new Set()
let ticking

/** Shows that a command is alive: how long it has run, and its last line. Commands that run side by side share a terminal's line. */
function startProgress(name) {
  const command = { name, startedAt: Date.now(), last: '' }
  if (shown.size === 0) ticking = setInterval(showProgress, onTerminal ? 250 : 15_000)
  shown.add(command)
  return {
    take(text) {
      // Of cargo's bar, what it counts.
      const lines = stripVTControlCharacters(text)
        .replace(/(Building )?\[[=> ]*\] /g, '')
        .split(/[\r\n]/)
      command.last = lines.findLast((line) => line.trim() !== '')?.trim() ?? command.last
    },
    stop() {
      shown.delete(command)
      if (shown.size === 0) clearInterval(ticking)
      if (onTerminal) process.stdout.write('\r\x1b[K')
    },
  }
}

function showProgress() {
  const lines = [...shown].map(
    ({ name, startedAt, last }) => `   ${elapsed(startedAt)}  ${name}${last === '' ? '' : `: ${last}`}`,
  )
  if (!onTerminal) return console.log(lines.join('\n'))
  const width = Math.floor((process.stdout.columns - 1) / lines.length)
  process.stdout.write(`\r\x1b[K${lines.map((line) => line.slice(0, width)).join('')}`)
}
