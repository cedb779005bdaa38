/** The options of the plugin, and `options.auth` of a provider. */
import type { RotationConfig } from '../../../index.js'
import { read } from '../own.js'

type Plain = Readonly<Record<string, unknown>>

/** What the plugin was told, checked. */
export interface Settings {
  /** As in `config.jsonc`. */
  config: Plain | undefined
  /** What `opencode run` does while no account can serve. */
  exhausted: { run: 'wait' | 'fail' }
  toasts: 'all' | 'problems' | 'none'
  guard: boolean
  discoverModels: boolean
  maskIdentity: boolean
}

export const DEFAULTS: Settings = {
  config: undefined,
  exhausted: { run: 'wait' },
  toasts: 'problems',
  guard: true,
  discoverModels: false,
  maskIdentity: true,
}

/**
 * Those that only the user may set: a project's opencode.json comes with a repository, and may be
 * anybody's. `config` says where credentials are sent; the other two protect the user from it.
 */
const USERS_OWN: ReadonlySet<string> = new Set(['config', 'guard', 'maskIdentity'])

const BOOLEANS = ['guard', 'discoverModels', 'maskIdentity'] as const

/** Options that a file gave. */
export interface Given {
  options: Plain | undefined
  /** Whether it is the user's own file. */
  isUsersOwn: boolean
}

/**
 * Checks options and puts them together, later ones over earlier ones.
 *
 * @throws an error that names the option at fault
 */
export function settingsOf(given: readonly Given[]): Settings {
  let settings = DEFAULTS
  for (const { options, isUsersOwn } of given) {
    for (const [name, value] of Object.entries(options ?? {})) {
      if (value === undefined) continue
      if (!Object.hasOwn(DEFAULTS, name))
        throw fault(name, `is not an option; there are ${list(Object.keys(DEFAULTS))}`)
      if (!isUsersOwn && USERS_OWN.has(name))
        throw fault(name, 'counts only in your own opencode.json, not in a project')
      settings = { ...settings, [name]: checked(name, value) }
    }
  }
  return settings
}

function checked(name: string, value: unknown): unknown {
  if (name === 'config') return object(name, value)
  if (name === 'toasts') return oneOf(name, value, ['all', 'problems', 'none'])
  if (name === 'exhausted') {
    const { run = DEFAULTS.exhausted.run, ...rest } = object(name, value)
    const [other] = Object.keys(rest)
    if (other !== undefined) throw fault(`${name}.${other}`, 'is not an option; there is run')
    return { run: oneOf(`${name}.run`, run, ['wait', 'fail']) }
  }
  if (BOOLEANS.some((known) => known === name) && typeof value !== 'boolean') throw fault(name, 'must be true or false')
  return value
}

function object(name: string, value: unknown): Plain {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fault(name, 'must be an object')
  return value as Plain
}

function oneOf<T extends string>(name: string, value: unknown, known: readonly T[]): T {
  const found = known.find((one) => one === value)
  if (found === undefined) throw fault(name, `must be ${list(known.map((one) => `"${one}"`))}`)
  return found
}

function list(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

function fault(name: string, what: string): Error {
  return new Error(`the plugin's option "${name}" ${what}`)
}

/** Where the requests of a provider go, and how they rotate. */
export interface Pool {
  namespace?: string
  account?: string
  rotation: RotationConfig
}

/** How long one request waits for a cooldown, unless `maxWaitMs` says otherwise. Short, since OpenCode shows a countdown of its own while it waits, and nothing while a request does. */
const LONGEST_WAIT_MS = 5_000

/**
 * Reads `provider.<id>.options.auth`. What the settings of the rotation may be is the library's to
 * check.
 *
 * @param users whether the user's own opencode.json says so too; a project may have pools rotate
 *   less than the user said, and not more
 * @throws an error that names the key at fault
 */
export function poolOf(provider: string, auth: unknown, users: unknown): Pool {
  const rotation: RotationConfig = { maxWaitMs: LONGEST_WAIT_MS }
  if (auth === undefined) return { rotation }
  const where = `provider.${provider}.options.auth`
  if (typeof auth !== 'object' || auth === null || Array.isArray(auth)) throw new Error(`${where} must be an object`)
  const { namespace, account, ...rest } = { __proto__: null, ...auth } as Record<string, unknown>
  for (const [name, value] of Object.entries({ namespace, account })) {
    if (value !== undefined && typeof value !== 'string') throw new Error(`${where}.${name} must be a text`)
  }
  if (rest.rotate === true && read(users as { rotate?: unknown } | undefined, 'rotate') !== true) {
    throw new Error(`${where}.rotate: true counts only in your own opencode.json, not in a project`)
  }
  return {
    ...(namespace !== undefined && { namespace: namespace as string }),
    ...(account !== undefined && { account: account as string }),
    rotation: { ...rotation, ...(rest as RotationConfig) },
  }
}
