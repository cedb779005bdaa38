/** A registry of npm packages on this machine: Verdaccio, which knows no other registry, so that what it does not have is not found. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { run } from '../../scripts/lib/steps.mjs'
import { freePort } from './ports.mjs'
import { removeFolder } from './remove-folder.mjs'
import { until } from './until.mjs'

/** Starts the registry; nothing is in it. */
export async function startRegistry() {
  const folder = mkdtempSync(join(tmpdir(), 'provider-auth-registry-'))
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const log = join(folder, 'requests.log')
  const config = {
    storage: join(folder, 'storage'),
    auth: { htpasswd: { file: join(folder, 'htpasswd') } },
    uplinks: {},
    // The addon as built for tests is large.
    max_body_size: '500mb',
    packages: { '**': { access: '$all', publish: '$authenticated' } },
    log: { type: 'file', path: log, format: 'json', level: 'http' },
    // It would ask the registry of npm for advice on what is installed.
    middlewares: {},
  }
  // Every JSON is YAML.
  writeFileSync(join(folder, 'config.yaml'), JSON.stringify(config))
  const program = join(dirname(createRequire(import.meta.url).resolve('verdaccio/package.json')), 'bin', 'verdaccio')
  const child = spawn(process.execPath, [program, '--config', join(folder, 'config.yaml'), '--listen', origin], {
    stdio: 'ignore',
  })
  const ended = new Promise((resolve) => child.once('close', resolve))
  process.once('exit', () => child.kill('SIGKILL'))
  await until('the registry answers', () =>
    fetch(`${origin}/-/ping`).then(
      ({ ok }) => ok,
      () => false,
    ),
  )
  const token = await signUp(origin)
  const npmrc = `registry=${origin}/\n${origin.slice('http:'.length)}/:_authToken=${token}\n`
  writeFileSync(join(folder, '.npmrc'), npmrc)
  return {
    url: `${origin}/`,
    /** What it was asked for, each once: methods and paths. */
    requests() {
      const lines = readFileSync(log, 'utf8').trim().split('\n')
      const requests = lines.map((line) => JSON.parse(line).request).filter((request) => request?.url !== undefined)
      return [...new Set(requests.map(({ method, url }) => `${method} ${decodeURIComponent(url).slice(1)}`))]
    },
    /** The lines of an `.npmrc` that make npm use it; npm publishes only where it has a token. */
    npmrc,
    /**
     * Publishes a tarball as the release does, but for the statement of provenance, which a workflow of GitHub alone can
     * make. The cache is one of its own: whatever is installed later comes from the registry. Returns as `run` does.
     */
    publish(file, { show = 'nothing' } = {}) {
      const options = ['--registry', `${origin}/`, '--cache', join(folder, 'cache')]
      return run('npm', ['publish', file, '--access', 'public', '--tag', 'latest', '--provenance=false', ...options], {
        cwd: folder,
        name: 'npm publish',
        show,
        timeoutMs: 5 * 60_000,
      })
    },
    async close() {
      child.kill('SIGTERM')
      await ended
      removeFolder(folder)
    },
  }
}

/** Makes a user, as `npm adduser` does, and returns its token. */
async function signUp(origin) {
  const response = await fetch(`${origin}/-/user/org.couchdb.user:test`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'test', password: 'only-on-this-machine' }),
  })
  if (!response.ok) throw new Error(`the registry answered ${response.status}: ${await response.text()}`)
  return (await response.json()).token
}
