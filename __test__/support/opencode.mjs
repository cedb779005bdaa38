/**
 * The real OpenCode, inside a sandbox and offline: the binary of the npm package, with a configuration, data folder
 * and project of its own, and with this repository as its plugin.
 */
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from './ports.mjs'
import { watch } from './sandbox.mjs'

/** This repository as OpenCode names a plugin: a folder whose package.json says where `./server` is. */
export const PLUGIN = new URL('../..', import.meta.url).href.replace(/\/$/, '')

/** The longest that one command of OpenCode may take; it boots in 2 to 8 seconds on a quiet machine of two cores. */
const PATIENCE_MS = 90_000

// Its own plugins stay on: they have logins that ours must not hide.
const OFFLINE = ['MODELS_FETCH', 'AUTOUPDATE', 'LSP_DOWNLOAD', 'CLAUDE_CODE', 'EXTERNAL_SKILLS']

/**
 * Sets OpenCode up in a sandbox of `sandbox.mjs`.
 *
 * @param {ReturnType<import('./sandbox.mjs').createSandbox>} sandbox
 * @param {object} options
 * @param {Record<string, string | object>} options.providers id to the base URL of a chat endpoint with a model
 *   `small-1`, or to the whole entry of opencode.json; the first one is the default
 * @param {unknown} [options.plugin] the plugin's entry in the user's opencode.json; `null` for none
 * @param {object} [options.config] further keys of the user's opencode.json; an `undefined` one is left out
 * @param {Record<string, string>} [options.env] further variables of its processes
 */
export function createOpenCode(sandbox, { providers, plugin = PLUGIN, config = {}, env: extra = {} }) {
  const { XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME, XDG_CACHE_HOME } = sandbox.env
  const binary = findBinary()
  const project = join(sandbox.dir, 'project')
  const env = {
    ...sandbox.env,
    ...Object.fromEntries(OFFLINE.map((name) => [`OPENCODE_DISABLE_${name}`, '1'])),
    OPENCODE_SERVER_PASSWORD: randomBytes(16).toString('hex'),
    TERM: 'dumb',
    NO_COLOR: '1',
    ...extra,
  }
  const authFile = join(XDG_DATA_HOME, 'opencode', 'auth.json')
  const children = new Set()
  const configFolder = join(XDG_CONFIG_HOME, 'opencode')
  writeConfig(configFolder, { ...userConfig(providers, plugin), ...config })
  // Without a repository of its own, OpenCode looks for configuration in the parent folders.
  execFileSync('git', ['init', '--quiet', project])

  const launch = (args, { input } = {}) => {
    const child = spawn(binary, args, {
      cwd: project,
      env,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
    child.stdin?.on('error', () => {}).end(input)
    children.add(child)
    child.once('close', () => children.delete(child))
    return child
  }

  /** Starts a command; `ended` is bounded by `PATIENCE_MS`. */
  const startWith = (options, ...args) => {
    const child = launch(args, options)
    const limit = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
    return watch(child, () => clearTimeout(limit))
  }
  const start = (...args) => startWith({}, ...args)

  return {
    start,
    /** The same with `input` on its standard input. */
    startWith,
    binary,
    env,
    project,
    configFolder,
    /** Replaces the user's opencode.json. */
    writeConfig: (value) => writeConfig(configFolder, { ...userConfig(providers, plugin), ...value }),
    /** Writes the project's opencode.json. */
    writeProjectConfig: (value) => writeFileSync(join(project, 'opencode.json'), JSON.stringify(value)),
    /** Writes the credentials that OpenCode keeps itself. */
    writeAuthJson(value) {
      mkdirSync(join(XDG_DATA_HOME, 'opencode'), { recursive: true })
      writeFileSync(authFile, JSON.stringify(value), { mode: 0o600 })
    },
    /** What its log files say. */
    log() {
      const folder = join(XDG_DATA_HOME, 'opencode', 'log')
      return listFiles(folder)
        .map((file) => readFileSync(file, 'utf8'))
        .join('')
    },
    /** Sends one message and resolves to what `opencode run` printed. The title saves a request for one. */
    run: (model, text = 'hello') => start('run', '--title', 'test', '--model', model, text).ended,
    /** The credentials that OpenCode keeps itself. */
    authJson() {
      return existsSync(authFile) ? JSON.parse(readFileSync(authFile, 'utf8')) : {}
    },
    /** Which of OpenCode's files hold any of these texts. */
    filesWith(...texts) {
      const needles = texts.map((text) => Buffer.from(text))
      const folders = [XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME, XDG_CACHE_HOME].map((home) =>
        join(home, 'opencode'),
      )
      const files = [...folders, sandbox.env.TMPDIR, project].flatMap(listFiles)
      return files.filter((file) => needles.some((needle) => readFileSync(file).includes(needle)))
    },
    /** Starts its HTTP server and resolves to `{ call, events }`. */
    async serve() {
      const port = await freePort()
      const child = launch(['serve', '--port', String(port), '--hostname', '127.0.0.1'])
      const limit = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
      await watch(child).line(/listening on/)
      clearTimeout(limit)
      const headers = {
        authorization: `Basic ${Buffer.from(`opencode:${env.OPENCODE_SERVER_PASSWORD}`).toString('base64')}`,
        'content-type': 'application/json',
      }
      const request = async (method, path, body, directory = project) => {
        const signal = AbortSignal.timeout(PATIENCE_MS)
        const url = `http://127.0.0.1:${port}${path}`
        const response = await fetch(url, {
          method,
          headers: { ...headers, 'x-opencode-directory': directory },
          signal,
          body: body === undefined ? undefined : JSON.stringify(body),
        })
        if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`)
        return response
      }
      const callIn = async (directory, method, path, body) => {
        const text = await (await request(method, path, body, directory)).text()
        return text === '' ? undefined : JSON.parse(text)
      }
      const eventsIn = async (directory) => {
        const seen = []
        const waiting = new Set()
        let cursor = 0
        const stream = readEvents(await request('GET', '/event', undefined, directory))
        const reading = (async () => {
          for await (const event of stream) {
            seen.push(event)
            for (const look of waiting) look()
          }
        })()
        // Two may look at once: each takes what comes after what was taken when it began.
        return (fits) =>
          new Promise((resolve, reject) => {
            let index = cursor
            const look = () => {
              for (; index < seen.length; index++) {
                if (!fits(seen[index])) continue
                waiting.delete(look)
                cursor = Math.max(cursor, index + 1)
                return resolve(seen[index])
              }
            }
            waiting.add(look)
            look()
            reading.then(() => reject(new Error('the event stream ended')), reject)
          })
      }
      return {
        url: `http://127.0.0.1:${port}`,
        child,
        /** Calls the API; resolves to the JSON of the answer, if there is any. */
        call: (...args) => callIn(project, ...args),
        /** The same in another folder. */
        callIn,
        /** Opens the event stream; the function it resolves to reads on until an event fits. */
        events: () => eventsIn(project),
        eventsIn,
      }
    },
    /** Ends what still runs. The sandbox removes the files. */
    async close() {
      const ends = [...children].map((child) => new Promise((resolve) => child.once('close', resolve)))
      for (const child of children) child.kill('SIGKILL')
      await Promise.all(ends)
    },
  }
}

function userConfig(providers, plugin) {
  const ids = Object.keys(providers)
  const entry = (id, baseURL) => ({
    name: id,
    npm: '@ai-sdk/openai-compatible',
    options: { baseURL },
    models: { 'small-1': { name: 'small' } },
  })
  const entries = Object.entries(providers).map(([id, value]) => [
    id,
    typeof value === 'string' ? entry(id, value) : value,
  ])
  return {
    autoupdate: false,
    share: 'disabled',
    model: `${ids[0]}/small-1`,
    small_model: `${ids[0]}/small-1`,
    enabled_providers: ids,
    provider: Object.fromEntries(entries),
    ...(plugin !== null && { plugin: [plugin] }),
  }
}

function writeConfig(folder, config) {
  // OpenCode installs its plugin API into every configuration folder that lacks it, and waits for the network.
  const dependencies = { '@opencode-ai/plugin': readVersion() }
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ dependencies }))
  writeFileSync(
    join(folder, 'package-lock.json'),
    JSON.stringify({ lockfileVersion: 3, packages: { '': { dependencies } } }),
  )
  writeFileSync(join(folder, 'opencode.json'), JSON.stringify(config, undefined, 2))
}

/** The program itself: the launcher of `opencode-ai` would need a postinstall script to find it. */
function findBinary() {
  const require = createRequire(import.meta.url)
  const system = process.platform === 'win32' ? 'windows' : process.platform
  const program = system === 'windows' ? 'opencode.exe' : 'opencode'
  const variants = ['', '-baseline', '-musl', '-baseline-musl'].map(
    (suffix) => `opencode-${system}-${process.arch}${suffix}`,
  )
  for (const name of variants) {
    try {
      return join(dirname(require.resolve(`${name}/package.json`)), 'bin', program)
    } catch {}
  }
  throw new Error(`no OpenCode for this machine: none of ${variants.join(', ')} is installed`)
}

function readVersion() {
  const launcher = fileURLToPath(import.meta.resolve('opencode-ai/package.json'))
  return JSON.parse(readFileSync(launcher, 'utf8')).version
}

function listFiles(folder) {
  if (!existsSync(folder)) return []
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name))
}

async function* readEvents(response) {
  let text = ''
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (text + chunk).split('\n\n')
    text = events.pop()
    for (const event of events) yield JSON.parse(event.replace(/^data: /, ''))
  }
}
