/**
 * Somebody who follows a page literally: an empty folder with the packages that the page installs, the command on PATH, and
 * the providers' addresses as they are written. Only the last step of a request differs: what goes to such an address
 * reaches an endpoint on this machine.
 */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { COMMAND } from './cli.mjs'
import { root } from './pages.mjs'
import { createSandbox } from './sandbox.mjs'

const PACKAGES = [
  '@ai-sdk/anthropic',
  '@ai-sdk/openai-compatible',
  '@anthropic-ai/sdk',
  '@google/genai',
  'ai',
  'openai',
]

/** Sends what goes to an address of the list to the endpoint, whatever called `fetch`. */
const ROUTES = `
const { addresses, endpoint } = JSON.parse(process.env.READER_ROUTES)
const send = globalThis.fetch
globalThis.fetch = (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input)
  if (!addresses.includes(url.origin)) return send(input, init)
  const target = endpoint + url.pathname + url.search
  return input instanceof Request ? send(new Request(target, input), init) : send(target, init)
}
`

/**
 * Makes the folder.
 *
 * @param {object} options
 * @param {string} options.endpoint origin of the endpoint on this machine
 * @param {string[]} options.addresses origins that stand for it
 * @param {object} [options.config] the user's configuration
 * @param {boolean} [options.hasKey] whether the environment has the vault's key. Default true
 */
export function openReader({ endpoint, addresses, config, hasKey = true }) {
  const sandbox = createSandbox({ name: 'reader', config })
  const { work, env } = sandbox
  if (!hasKey) {
    delete env.PROVIDER_AUTH_KEY
    delete env.PROVIDER_AUTH_KEY_SOURCE
  }
  const folder = join(work, 'node_modules')
  const link = (target, path) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    symlinkSync(target, join(folder, path))
  }
  writeFileSync(join(work, 'package.json'), '{ "private": true }')
  link(root, 'provider-auth')
  link(COMMAND, '.bin/provider-auth')
  for (const name of PACKAGES) link(join(root, 'node_modules', name), name)

  const bin = join(sandbox.dir, 'bin')
  mkdirSync(bin)
  /** Puts a program on PATH. */
  const program = (name, script) => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  program('provider-auth', `exec ${JSON.stringify(process.execPath)} ${JSON.stringify(COMMAND)} "$@"`)
  const routes = join(sandbox.dir, 'routes.mjs')
  writeFileSync(routes, ROUTES)
  Object.assign(env, {
    PATH: [bin, dirname(process.execPath), env.PATH].join(delimiter),
    NODE_OPTIONS: `--import=${pathToFileURL(routes)}`,
    READER_ROUTES: JSON.stringify({ addresses, endpoint }),
    npm_config_offline: 'true',
    npm_config_update_notifier: 'false',
  })

  let scripts = 0
  const place = (code, name = `example-${++scripts}.mjs`) => {
    writeFileSync(join(work, name), code)
    return name
  }
  return {
    sandbox,
    program,
    /** Writes a file of the working folder; returns its name. */
    place,
    /** Starts a module; see `watch`. */
    start: (code, options) => sandbox.spawn(place(code), options),
    /** Runs a module that must succeed: what it printed. */
    module: async (code, options) => printed(await sandbox.spawn(place(code), options).ended),
    /** Starts a shell with these lines; it ends at the first that fails. */
    startShell: (code, options) => sandbox.spawn('-ec', { command: 'sh', args: [code], ...options }),
    /** Runs lines of a shell that must succeed: what they printed. */
    shell: async (code, options) =>
      printed(await sandbox.spawn('-ec', { command: 'sh', args: [code], ...options }).ended),
  }
}

function printed({ code, signal, stdout, stderr }) {
  if (code !== 0) throw new Error(`ended with ${code ?? signal}: ${stderr}${stdout}`)
  return stdout
}
