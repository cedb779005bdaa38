/** What a report must not tell, gathered from where it stands, so that it is found wherever else it turns up. */
import { readFileSync, realpathSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import type { Account, Diagnosis } from '../../../index.js'
import { homeFolder } from '../../../npm/src/home-folder.js'
import { authFile } from '../../../npm/src/opencode/host-credentials.js'
import { hostsIn, type Known } from './redact.js'

type Env = Readonly<Record<string, string | undefined>>

/** Variables that name a secret, and those among them whose value is none. */
const SECRET_NAME = /KEY|TOKEN|SECRET|PASS|AUTH|CREDENTIAL|COOKIE|SESSION_ID/i
const HARMLESS_NAME =
  /^(?:PROVIDER_AUTH_(?:ADDON|KEY_SOURCE|DIR|CONFIG|LOG|LOG_FILE|ALLOW_NETWORK_FS|REGISTER)|.*(?:_SOCK|_FILE|_DIR|_PATH|_DIRECTORY))$/
const PROXY_NAME = /^(?:https?|all|no)_proxy$/i
/** Keys of the configuration whose texts are no secrets: words of ours, addresses, names that findings need. */
const HARMLESS_KEY =
  /^(?:\$schema|extends|issuer|resource|jwksUri|redirectUri|fallbackRedirectUris|origins|extraOrigins|modelsUrl|.*Endpoint|clientAuth|grants|scopes|header|scheme|strip|namespace|mode|strategy|idToken|renewal|encoding|discovery|errors|fields|means|scope|level|file)$/

export function knownSecrets(
  diagnosis: Diagnosis,
  accounts: Account[],
  configs: unknown[],
  env: Env = process.env,
): Known {
  const proxies = Object.entries(env).filter(([name]) => PROXY_NAME.test(name))
  const stored = [authFile(env), join(dirname(authFile(env)), 'mcp-auth.json')].map(parsed)
  const home = homeFolder()
  const texts = diagnosis.findings.flatMap(({ title, why = '', remedy = '', details = {} }) => [
    title,
    why,
    remedy,
    ...Object.values(details),
  ])
  return {
    secrets: [
      ...Object.entries(env).flatMap(([name, value = '']) =>
        SECRET_NAME.test(name) && !HARMLESS_NAME.test(name) ? [value, ...textsIn(json(value))] : [],
      ),
      ...proxies.flatMap(([, value = '']) => credentialsOf(value)),
      ...stored.flatMap((file) => textsIn(file)),
      ...configs.flatMap(secretsIn),
    ],
    accounts: accounts.map(namesOf),
    hosts: [
      ...texts.flatMap(hostsIn),
      ...proxies.flatMap(([, value = '']) => [...hostsIn(value), ...value.split(',').map(bareHost)]),
      ...configs.flatMap((config) => textsIn(config).flatMap(hostsIn)),
    ].filter((host) => host.length > 2 && host !== 'local'),
    homes: home === undefined ? [] : [home, realPath(home)],
    user: userName(),
    machine: hostname(),
  }
}

/** Every name of an account, and of who it is; a label that is the provider's name tells nothing. */
function namesOf({ label, identity, provider, namespace }: Account): string[] {
  const { email, subject, organization } = identity ?? {}
  return [label, email, subject, organization].filter(
    (name) => name !== undefined && name.length > 1 && name !== provider && name !== namespace,
  ) as string[]
}

/** `name:password@host` of a proxy, with and without its percent signs. */
function credentialsOf(proxy: string): string[] {
  const written = /^(?:[a-z][a-z0-9+.-]*:\/\/)?([^\s/]*)@/i.exec(proxy)?.[1]
  if (written === undefined) return []
  const [name = '', password = ''] = [written.split(':')[0], written.slice(written.indexOf(':') + 1)]
  return [written, name, password].flatMap((text) => [text, decoded(text)])
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** `.acme.example:443` of NO_PROXY. */
function bareHost(entry: string): string {
  return entry
    .trim()
    .replace(/^\*?\./, '')
    .replace(/:\d+$/, '')
}

function realPath(folder: string): string {
  try {
    return realpathSync(folder)
  } catch {
    return folder
  }
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    return ''
  }
}

function parsed(file: string): unknown {
  try {
    return json(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}

/** Texts at any depth that do not stand under a harmless key. */
function secretsIn(value: unknown): string[] {
  if (typeof value === 'string') return /^\{(?:env|file):/.test(value) ? [] : [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, part]) =>
    HARMLESS_KEY.test(key) && !Array.isArray(value) ? [] : secretsIn(part),
  )
}
