/** The program itself: runtime, addon, and other copies of the package on this machine. */
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { release } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import type { Finding } from '../../../index.js'
import { addon } from '../../../npm/src/addon.js'
import { inHome } from '../../../npm/src/home-folder.js'
import { packageFolder } from '../../../npm/src/loader/home.js'
import { VERSION } from '../version.js'
import { finding } from './finding.js'

type Env = Readonly<Record<string, string | undefined>>

/** What runs, for a report. */
export function versions(): Record<string, string> {
  const { bun, node } = process.versions
  return {
    'provider-auth': VERSION,
    addon: addon.addonVersion(),
    ...(bun !== undefined ? { bun } : {}),
    node,
    platform: `${process.platform} ${process.arch}`,
    system: release(),
  }
}

export function checkRuntime(env: Env = process.env): Finding[] {
  const { bun, node } = process.versions
  const place = `${process.platform} ${process.arch}`
  const name = bun === undefined ? `Node.js ${node}` : `Bun ${bun}`
  const findings = [
    isSupported(node) || bun !== undefined
      ? finding('ok', 'runtime.version', `provider-auth ${VERSION} in ${name} on ${place}`)
      : finding('problem', 'runtime.version', `Node.js ${node} is too old`, {
          why: 'the package is tested with Node.js 20 and later',
          remedy: 'install a newer Node.js',
        }),
  ]
  const native = addon.addonVersion()
  if (native !== VERSION)
    findings.push(
      finding('problem', 'runtime.addon', `the addon is ${native}, and the package ${VERSION}`, {
        why: 'one of them may lack what the other one asks for',
        remedy: 'install the package anew, with optional dependencies: npm install provider-auth',
      }),
    )
  return [...findings, ...checkCopies(env), ...checkPath(env)]
}

/** Node.js 20 and later, as `engines` says. */
function isSupported(version: string): boolean {
  return Number.parseInt(version, 10) >= 20
}

/** Copies of other versions share the vault with this one. */
function checkCopies(env: Env): Finding[] {
  const copies = new Map<string, string>()
  for (const folder of placesOfCopies(env)) {
    const version = versionIn(folder)
    if (version !== undefined) copies.set(realpathSync(folder), version)
  }
  const others = [...copies].filter(([, version]) => version !== VERSION)
  return others.map(([folder, version]) =>
    finding('warning', 'runtime.copies', `another copy of provider-auth is ${version}: ${folder}`, {
      why: `it shares the vault with this one (${VERSION}), and may not understand what this one writes`,
      remedy: 'update it; OpenCode keeps its copies in ~/.cache/opencode, which may be removed',
      details: { file: folder },
    }),
  )
}

/** None where it was removed meanwhile. */
function workingFolder(): string[] {
  try {
    return [process.cwd()]
  } catch {
    return []
  }
}

function placesOfCopies(env: Env): string[] {
  const cache = join(env.XDG_CACHE_HOME || inHome('.cache'), 'opencode')
  const config = join(env.XDG_CONFIG_HOME || inHome('.config'), 'opencode')
  const own = packageFolder()
  const roots = [...workingFolder(), cache, config, ...namesIn(join(cache, 'packages'))]
  const bins = onPath('provider-auth', env).map((bin) => dirname(dirname(dirname(dirname(bin)))))
  return [own, ...roots.map((root) => join(root, 'node_modules', 'provider-auth')), ...bins]
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name))
  } catch {
    return []
  }
}

function versionIn(folder: string): string | undefined {
  try {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    return name === 'provider-auth' && typeof version === 'string' ? version : undefined
  } catch {
    return undefined
  }
}

function checkPath(env: Env): Finding[] {
  const bins = onPath('provider-auth', env)
  if (bins.length === 0)
    return [
      finding('note', 'runtime.path', 'provider-auth is not on PATH', {
        why: 'scripts and tools that call it by name do not find it',
        remedy: 'npm install -g provider-auth, or call it as npx provider-auth',
      }),
    ]
  if (bins.length === 1) return []
  return [
    finding('warning', 'runtime.path', `there are ${bins.length} commands called provider-auth on PATH`, {
      why: `the first one serves: ${bins[0]}`,
      remedy: `remove the others: ${bins.slice(1).join(', ')}`,
    }),
  ]
}

/** The different programs of this name that PATH leads to. */
function onPath(name: string, env: Env): string[] {
  const names = process.platform === 'win32' ? [`${name}.cmd`, `${name}.exe`] : [name]
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const files = folders.flatMap((folder) => names.map((file) => join(folder, file))).filter((file) => existsSync(file))
  return [...new Set(files.map((file) => realpathSync(file)))]
}
