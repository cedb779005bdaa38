/** What to type to have the package installed again, by whatever has installed it. */
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join, sep } from 'node:path'
import { STORE } from './platform.js'

/** What a fault needs: its packages installed too, or everything anew. */
export type Kind = 'optional' | 'anew'

const COMMANDS: Readonly<Record<string, Readonly<Record<Kind, string>>>> = {
  npm: {
    optional: 'npm install --include=optional provider-auth',
    anew: 'rm -rf node_modules package-lock.json && npm install --include=optional',
  },
  pnpm: { optional: 'pnpm install --force --config.optional=true', anew: 'rm -rf node_modules && pnpm install' },
  yarn: { optional: 'yarn install --check-files', anew: 'rm -rf node_modules && yarn install' },
  bun: { optional: 'bun install --force', anew: 'rm -rf node_modules && bun install' },
}

/** Yarn 2 and later know no --check-files, and leave out platforms by a setting alone. */
const YARN_2: Readonly<Record<Kind, string>> = {
  optional: 'yarn config unset supportedArchitectures && yarn install',
  anew: 'rm -rf node_modules && yarn install',
}
/** Its addons lie in a folder that it does not look into again. */
const YARN_PNP: Readonly<Record<Kind, string>> = { ...YARN_2, anew: 'rm -rf .yarn/unplugged && yarn install' }

/** How each adds a package. */
const ADDING: Readonly<Record<string, string>> = {
  npm: 'npm install',
  pnpm: 'pnpm add',
  yarn: 'yarn add',
  bun: 'bun add',
}
const GLOBAL = 'npm install --global --include=optional provider-auth'

const LOCKFILES: readonly (readonly [file: string, manager: string])[] = [
  ['pnpm-lock.yaml', 'pnpm'],
  ['bun.lock', 'bun'],
  ['bun.lockb', 'bun'],
  ['yarn.lock', 'yarn'],
  ['package-lock.json', 'npm'],
]

/** Returns one command for each package manager, the one that has installed this package first. */
export function installing(kind: Kind, folder: string | undefined): string[] {
  const commands = commandsOf(kind, folder)
  // Neither of its two shells knows `rm`, and each knows another word.
  return process.platform === 'win32' ? commands.map((one) => one.replace(DELETION, 'delete $1, then: ')) : commands
}

/** Returns one command for each package manager that installs the package with the store in this version; the likeliest first. */
export function installingStore(version: string, folder: string | undefined): string[] {
  const own = folder === undefined ? undefined : ownWay(folder)
  const wanted = `${STORE}@${version}`
  if (own?.command === GLOBAL) return [`npm install --global ${wanted}`]
  return managersFrom(own?.manager).map((manager) => `${ADDING[manager]} ${wanted}`)
}

const DELETION = /^rm -rf (.+?)(?: &&|, and) /

function commandsOf(kind: Kind, folder: string | undefined): string[] {
  const own = folder === undefined ? undefined : ownWay(folder)
  if (own?.command !== undefined) return [own.command]
  const commands = own?.yarn === undefined ? COMMANDS : { ...COMMANDS, yarn: own.yarn }
  return managersFrom(own?.manager).map((manager) => (commands[manager] as Record<Kind, string>)[kind])
}

/** All package managers, the given one first, or else the one that has started this process. */
function managersFrom(manager: string | undefined): string[] {
  const first = manager ?? process.env.npm_config_user_agent?.split('/')[0]
  return Object.keys(COMMANDS).sort((a, b) => Number(b === first) - Number(a === first))
}

/** Who has installed the package in a folder, by what lies around it; or what alone helps there. */
function ownWay(folder: string): { manager?: string; yarn?: typeof YARN_2; command?: string } | undefined {
  const parts = folder.split(sep)
  const at = parts.indexOf('node_modules')
  const project = at < 0 ? dirname(folder) : parts.slice(0, at).join(sep)
  // OpenCode installs by itself what it finds missing, and npx does.
  if (/[\\/]opencode[\\/]packages[\\/]/.test(folder)) return { command: `rm -rf ${project}, and start OpenCode again` }
  if (parts.includes('_npx')) return { command: `rm -rf ${project}, and call npx again` }
  if (process.versions.pnp !== undefined) return { manager: 'yarn', yarn: YARN_PNP }
  if (parts.includes('.pnpm')) return { manager: 'pnpm' }
  const manager = LOCKFILES.find(([file]) => existsSync(join(project, file)))?.[1]
  if (manager === 'yarn' && isYarn2(project)) return { manager, yarn: YARN_2 }
  if (manager !== undefined) return { manager }
  return at > 0 && isGlobal(project) ? { command: GLOBAL } : undefined
}

/** Whether npm keeps packages there that belong to no project. */
function isGlobal(project: string): boolean {
  return (
    basename(project) === (process.platform === 'win32' ? 'npm' : 'lib') && !existsSync(join(project, 'package.json'))
  )
}

function isYarn2(project: string): boolean {
  try {
    return readFileSync(join(project, 'yarn.lock'), 'utf8').includes('\n__metadata:\n')
  } catch {
    return false
  }
}
