// Publishes the tarballs of a release: to a registry of this machine to try it, or to npm.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { startRegistry } from '../../../__test__/support/registry.mjs'
import { removeFolder } from '../../../__test__/support/remove-folder.mjs'
import { FAMILIES, PLAIN, STORE } from '../families.mjs'
import { run } from '../steps.mjs'

/** Says which addon has been loaded. */
const LOADED = `import('provider-auth').then(() => {
  const files = process.report.getReport().sharedObjects
  console.log(/(provider-auth[a-z-]*)\\.[a-z0-9-]+\\.node$/m.exec(files.join('\\n'))?.[1])
})`

/**
 * Returns the tarballs of a folder in the order in which they are published: what a package names is there before it. Those
 * with all in them, for people without a registry, are not.
 */
export function tarballs(folder) {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.tgz') && !/^provider-auth(-postgres)?-for-/.test(name))
    .sort()
  const mainOf = (family) =>
    names.filter((name) => name.startsWith(`${family}-`) && /^-\d/.test(name.slice(family.length)))
  const [main, store] = [PLAIN, STORE].map(mainOf)
  if (main.length !== 1) throw new Error(`${folder} has ${main.length} tarballs of the package, not one`)
  const last = [...store, ...main]
  return [...names.filter((name) => !last.includes(name)), ...last].map((name) => resolve(folder, name))
}

/**
 * Publishes all of them to a registry of this machine, installs the package from there, and then the one with the store; each time
 * a program has to load its addon. Returns as `run` does.
 */
export async function dryRun(folder) {
  const registry = await startRegistry()
  const project = mkdtempSync(join(tmpdir(), 'provider-auth-dry-run-'))
  try {
    writeFileSync(join(project, '.npmrc'), registry.npmrc)
    writeFileSync(join(project, 'package.json'), '{ "name": "empty", "private": true }\n')
    const npm = (...args) => run('npm', args, { cwd: project, name: `npm ${args[0]}`, timeoutMs: 5 * 60_000 })
    const files = tarballs(folder)
    for (const file of files) {
      const published = await registry.publish(file, { show: 'progress' })
      if (!published.ok) return published
    }
    for (const family of FAMILIES.filter((name) => files.some((file) => basename(file).startsWith(`${name}-`)))) {
      const installed = await npm('install', family, '--no-audit', '--no-fund')
      if (!installed.ok) return installed
      const called = await run(process.execPath, ['--eval', LOADED], { cwd: project, show: 'nothing' })
      if (!called.ok || called.output.trim() !== family) return { ...called, ok: false }
    }
    return { ok: true }
  } finally {
    await registry.close()
    removeFolder(project)
  }
}

/**
 * Publishes to npm, with provenance; returns as `run` does. Only a workflow of GitHub can, for a tag: npm has no token here,
 * and the statement of provenance is made of the workflow's identity. A version that is there already is left alone, so that
 * a run that broke off is run again.
 */
export async function publish(folder, { env = process.env } = {}) {
  if (env.GITHUB_ACTIONS !== 'true' || env.GITHUB_REF_TYPE !== 'tag')
    return { ok: false, output: 'only the release workflow publishes, for a tag; `dry-run` tries it here\n' }
  for (const file of tarballs(folder)) {
    const manifest = execFileSync('tar', ['-xzOf', file, 'package/package.json'], { encoding: 'utf8' })
    const { name, version, repository } = JSON.parse(manifest)
    // npm compares it with the statement of provenance, and refuses a package without.
    if (repository === undefined)
      return { ok: false, output: `${file} does not say where its sources are: pack it in the workflow\n` }
    const there = await run('npm', ['view', `${name}@${version}`, 'version'], { show: 'nothing' })
    if (there.ok && there.output.includes(version)) continue
    const published = await run('npm', ['publish', file, '--provenance', '--access', 'public'], { name: 'npm publish' })
    if (!published.ok) return published
  }
  return { ok: true }
}
