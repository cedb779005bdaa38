// A process of a machine: `crates/broker/examples/fleet_process.rs`, driven by lines.

import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { ended, output, start } from './commands.mjs'

/** Every wait of the store, in ms: a tenth of the real ones, but for what a busy machine must not miss. */
export const TIMES = { hold: 12_000, suspect: 3000, settle: 1000, send_by: 500, call: 2000, poll: 500, ping: 100 }

/** The vault's key. */
export const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='

/** Builds the program and returns its path. */
export async function buildProgram(profile = []) {
  const args = [
    'build',
    '-p',
    'provider-auth-broker',
    '--features',
    'postgres',
    '--example',
    'fleet_process',
    ...profile,
  ]
  const built = await output('cargo', [...args, '--message-format', 'json'])
  const line = built.split('\n').findLast((text) => text.includes('"executable":"'))
  return JSON.parse(line).executable
}

/** Does something once, as `install` and `found` do. */
export function doOnce(program, machine, deed, settings) {
  const [command, ...args] = [...machine.exec, program, deed, JSON.stringify(settingsOf(machine, settings))]
  return output(command, args, { env: environment(settings) })
}

/** Starts a process on a machine, `under` another program if there is one, and waits until it takes commands. */
export async function startProcess(program, machine, settings) {
  const { under = [] } = settings
  const [command, ...args] = [
    ...machine.exec,
    ...under,
    program,
    'serve',
    JSON.stringify(settingsOf(machine, settings)),
  ]
  const child = start(command, args, { env: environment(settings), stdio: ['pipe', 'pipe', settings.log ?? 'inherit'] })
  const waiting = new Map()
  const listeners = []
  let next = 0
  const settle = (answer) => {
    waiting.get(answer.number)(answer)
    waiting.delete(answer.number)
  }
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = JSON.parse(line)
    if (said.event === undefined) return settle(said)
    for (const listener of listeners.splice(0))
      listener.event === said.event ? listener.heard(said) : listeners.push(listener)
    settings.onEvent?.(said)
  })
  child.stdin.on('error', () => {})
  child.once('exit', () => {
    for (const answer of waiting.values()) answer({ error: 'ENDED' })
  })
  const process = {
    child,
    machine,
    /** Sends a command; resolves to its answer, in which `error` is a code. */
    ask(...words) {
      if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve({ error: 'ENDED' })
      next += 1
      const number = String(next)
      return new Promise((resolve) => {
        waiting.set(number, resolve)
        child.stdin.write(`${[number, ...words].join(' ')}\n`)
      })
    },
    /** Asks until there is an answer that is no passing error. */
    async insist(words, limitMs) {
      const limit = Date.now() + limitMs
      for (;;) {
        const answer = await Promise.race([
          process.ask(...words),
          sleep(Math.max(limit - Date.now(), 1), { error: 'TIMEOUT' }),
        ])
        const isFinal = answer.error === undefined || ['NEEDS_LOGIN', 'ENDED', 'TIMEOUT'].includes(answer.error)
        if (isFinal || Date.now() >= limit) return answer
        await sleep(100)
      }
    },
    /** Resolves when the process says this next. */
    hears: (event) => new Promise((heard) => listeners.push({ event, heard })),
    signal: (signal) => child.kill(signal),
    kill() {
      child.kill('SIGKILL')
      return ended(child)
    },
    /** Ends it as its caller would. */
    close() {
      child.stdin.end()
      return ended(child)
    },
  }
  const isReady = process.hears('ready')
  await Promise.race([isReady, ended(child).then(() => Promise.reject(new Error('a process ended as it began')))])
  return process
}

function settingsOf(machine, { url, folder, dir, roots, config, member, times = TIMES, plain, workers }) {
  const { name, number } = machine
  return { url, dir: dir ?? `${folder}/${name}`, host: number, name, roots, member, times, config, plain, workers }
}

function environment({ roots }) {
  return { ...process.env, PROVIDER_AUTH_KEY: KEY, NODE_EXTRA_CA_CERTS: roots, SSL_CERT_FILE: '/dev/null' }
}
