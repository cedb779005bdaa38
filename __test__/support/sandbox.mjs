/**
 * A home of its own for a test: a temporary folder, an environment that points every path of provider-auth there and
 * holds a random vault key, and child processes that see nothing else.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { removeFolder } from './remove-folder.mjs'
import { within } from './until.mjs'

/** Of a script that is run to its end; the longest waits for half a minute for a server that hangs. */
const LONGEST_RUN_MS = 180_000
/** Until a child prints a line, on a machine with much to do; what waits for longer is told to. */
const LONGEST_LINE_MS = 90_000

/** The library as built, for scripts that a sandbox runs. */
export const LIBRARY_URL = new URL('../../npm/dist/index.js', import.meta.url).href

/**
 * Makes a sandbox.
 *
 * @param {{ config?: object, name?: string }} [options] `config` becomes the user's `config.jsonc`
 */
export function createSandbox({ config, name = 'test' } = {}) {
  const dir = mkdtempSync(join(tmpdir(), `provider-auth-${name}-`))
  const place = (folder) => {
    mkdirSync(join(dir, folder), { recursive: true })
    return join(dir, folder)
  }
  const env = {
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    HOME: place('home'),
    TMPDIR: place('tmp'),
    XDG_CONFIG_HOME: place('config'),
    XDG_DATA_HOME: place('data'),
    XDG_STATE_HOME: place('state'),
    XDG_CACHE_HOME: place('cache'),
    APPDATA: join(dir, 'config'),
    NO_PROXY: '127.0.0.1,localhost,::1',
    PROVIDER_AUTH_DIR: join(dir, 'vault'),
    PROVIDER_AUTH_KEY: randomBytes(32).toString('base64'),
    PROVIDER_AUTH_KEY_SOURCE: 'env',
  }
  const work = place('work')
  const configFile = join(place('config/provider-auth'), 'config.jsonc')
  const children = new Set()

  const sandbox = {
    dir,
    env,
    /** The working folder of the children, empty but for what a test puts there. */
    work,
    configFile,
    vaultDir: env.PROVIDER_AUTH_DIR,
    writeConfig(value) {
      writeFileSync(configFile, JSON.stringify(value, undefined, 2))
    },
    /** Gives this very process the sandbox's environment and folder. Before the first call of the library. */
    enter() {
      for (const key of Object.keys(process.env))
        if (/^(PROVIDER_AUTH_|XDG_|OPENCODE_)/.test(key)) delete process.env[key]
      Object.assign(process.env, env)
      process.chdir(work)
    },
    /** Runs a script file in a child process with the sandbox's environment; see `watch`. `input: null` leaves its stdin open. */
    spawn(file, { args = [], nodeArgs = [], env: extra = {}, command = process.execPath, input, cwd = work } = {}) {
      const child = spawn(command, [...nodeArgs, file, ...args], {
        cwd,
        env: { ...env, ...extra },
        stdio: ['pipe', 'pipe', 'pipe'],
      })
      // A child that ends at once does not listen.
      child.stdin.on('error', () => {})
      if (input !== null) child.stdin.end(input ?? '')
      children.add(child)
      return watch(child, () => children.delete(child))
    },
    /** Runs module source in a child, with the library imported as `auth`; see `watch`. */
    start(source, options) {
      const file = join(work, `script-${randomBytes(4).toString('hex')}.mjs`)
      writeFileSync(file, `import * as auth from ${JSON.stringify(LIBRARY_URL)}\n${source}\n`)
      return sandbox.spawn(file, options)
    },
    /** The same to its end: resolves to `{ code, signal, stdout, stderr }`. */
    run(source, options) {
      const { child, ended } = sandbox.start(source, options)
      return within(`the end of process ${child.pid} with ${source}`, ended, LONGEST_RUN_MS)
    },
    /** The same of a script that must succeed: resolves to what it printed. */
    async output(source, options) {
      const { code, stdout, stderr } = await sandbox.run(source, options)
      if (code !== 0) throw new Error(`ended with ${code}: ${stderr}`)
      return stdout
    },
    /** The accounts of a provider in the vault, as another process reads them. */
    async accountsOf(provider) {
      const filter = JSON.stringify({ provider })
      return JSON.parse(await sandbox.output(`console.log(JSON.stringify(await auth.listAccounts(${filter})))`))
    },
    /** Ends the children and removes the folder. */
    cleanup() {
      process.off('exit', sandbox.cleanup)
      for (const child of children) child.kill('SIGKILL')
      if (process.cwd().startsWith(dir)) process.chdir(tmpdir())
      removeFolder(dir)
    },
  }
  process.once('exit', sandbox.cleanup)
  if (config !== undefined) sandbox.writeConfig(config)
  return sandbox
}

/**
 * Follows a child process.
 *
 * `ended` resolves to `{ code, signal, stdout, stderr }`; `line(pattern)` resolves to the first line of stdout that matches,
 * already printed or yet to come, and rejects when the child ends without it, or does not print it in time.
 */
export function watch(child, onEnd = () => {}) {
  const out = { stdout: '', stderr: '' }
  const lines = []
  const waiting = new Set()
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    for (const look of waiting) look(line)
  })
  child.stdout.on('data', (chunk) => (out.stdout += chunk))
  child.stderr.on('data', (chunk) => (out.stderr += chunk))
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      onEnd()
      resolve({ code, signal, ...out })
    })
  })
  const line = (pattern) => {
    const seen = lines.find((text) => pattern.test(text))
    if (seen !== undefined) return Promise.resolve(seen)
    const coming = new Promise((resolve, reject) => {
      const look = (text) => {
        if (!pattern.test(text)) return
        waiting.delete(look)
        resolve(text)
      }
      waiting.add(look)
      ended.then(
        ({ code, signal, stderr }) => reject(new Error(`ended (${code ?? signal}) without ${pattern}: ${stderr}`)),
        reject,
      )
    })
    return within(() => `a line ${pattern} after ${out.stdout}${out.stderr}`, coming, LONGEST_LINE_MS)
  }
  return { child, ended, line }
}

/** The file URL of a path, for an import in a generated script. */
export const importUrl = (path) => pathToFileURL(path).href
