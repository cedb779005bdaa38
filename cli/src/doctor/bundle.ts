/** The archive of a report, which a stranger may read: everything in it went through the redactor. */
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { strToU8, zipSync } from 'fflate'
import type { Account, ConfigReport, Diagnosis } from '../../../index.js'
import { addon } from '../../../npm/src/addon.js'
import { knownSecrets } from './known.js'
import { createRedactor, type Redact, redactAll } from './redact.js'
import { redactConfig } from './redact-config.js'
import { report } from './report.js'
import { versions } from './runtime.js'
import { redactedSources } from './sources.js'

type Env = Readonly<Record<string, string | undefined>>

/** Bytes of the end of a log that are told. */
const LOG_BYTES = 512 * 1024
/** Files of a folder that are listed. */
const LISTED_FILES = 2000
const RELEVANT =
  /^(?:PROVIDER_AUTH_|OPENCODE|XDG_|NODE_|BUN_|SSL_|LC_|SSH_|WSL|DBUS_|npm_config_)|^(?:LANG|TERM|COLORTERM|NO_COLOR|FORCE_COLOR|CI|DISPLAY|WAYLAND_DISPLAY|CODESPACES|CREDENTIALS_DIRECTORY|SHELL|BROWSER)$|^(?:https?|all|no)_proxy$/i
/** Their values are words of ours or of the system. */
const HARMLESS =
  /^(?:PROVIDER_AUTH_(?:KEY_SOURCE|ALLOW_NETWORK_FS|LOG|DIR|CONFIG|LOG_FILE)|XDG_(?:CONFIG|DATA|STATE|CACHE)_HOME|XDG_SESSION_TYPE|LANG|LC_[A-Z]+|TERM|COLORTERM|NO_COLOR|FORCE_COLOR|CI|CODESPACES|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE)$/

const README = `A report of "provider-auth doctor --bundle", for those who help to find a fault.

report.txt        what was found, by topic
report.json       the same as data
versions.json     versions of program, addon, runtime and system
config.json       the configuration: keys, choices and public addresses
sources.json      which files count, and where each value comes from
environment.json  names of variables that matter, and harmless values
folder.txt        files of the vault's folder: mode, size, time
log.txt           the end of the log, if there is one

Secrets, names of accounts, e-mail addresses, private hosts, names of user and
machine were taken out. "account 1", "host-1.private" stand for the same one
throughout. Ids of accounts are random and stay.
`

export interface Sources {
  diagnosis: Diagnosis
  config: ConfigReport
  accounts: Account[]
  logFiles: string[]
  /** Variables that hold keys of providers. */
  keyVariables: string[]
  env: Env
}

/** The files of the archive, by name. */
export function bundleFiles(sources: Sources): Record<string, string> {
  const { diagnosis, config, accounts, logFiles, keyVariables, env } = sources
  const dir = config.settings.find(({ name }) => name === 'dir')?.value
  const configs = config.files.map(({ file }) => [file, read(file)] as const).filter(([, text]) => text !== undefined)
  const parsed = configs.map(([file, text]) => [file, parse(text as string)] as const)
  const redact = createRedactor(
    knownSecrets(
      diagnosis,
      accounts,
      parsed.map(([, parts]) => parts),
      env,
    ),
  )
  const findings = diagnosis.findings.map(({ id, state, ...rest }) => ({
    id,
    state,
    ...(redactAll(rest, redact) as Omit<typeof rest, 'never'>),
  }))
  const colour = new Proxy({}, { get: () => String }) as Parameters<typeof report>[1]['colour']
  const files: Record<string, string> = {
    'README.txt': README,
    'report.txt': `${report(findings as Diagnosis['findings'], { width: 80, colour, labels: new Map() })}\n`,
    'report.json': pretty({ at: diagnosis.at, findings }),
    'versions.json': pretty(redactAll(versions(), redact)),
    'config.json': pretty(
      Object.fromEntries(
        parsed.map(([file, parts]) => [
          redact(file),
          parts === undefined ? '<not valid>' : redactConfig(parts, redact),
        ]),
      ),
    ),
    'sources.json': pretty(redactedSources(config, redact)),
    'environment.json': pretty(environment(env, keyVariables, redact)),
  }
  if (dir !== undefined) files['folder.txt'] = listing(dir, redact)
  const logs = logFiles.map((file) => [file, tail(file)] as const).filter(([, text]) => text !== '')
  if (logs.length > 0)
    files['log.txt'] = logs
      .map(([file, text]) => `== ${redact(file)}\n${text.split('\n').map(redact).join('\n')}`)
      .join('\n')
  return files
}

export function zipped(files: Record<string, string>): Uint8Array {
  return zipSync(Object.fromEntries(Object.entries(files).map(([name, text]) => [name, strToU8(text)])))
}

function pretty(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

function parse(text: string): unknown {
  try {
    return addon.parseJsonc(text)
  } catch {
    return undefined
  }
}

function environment(env: Env, keyVariables: string[], redact: Redact): Record<string, string> {
  const relevant = Object.entries(env).filter(
    ([name, value]) => value !== undefined && (RELEVANT.test(name) || keyVariables.includes(name)),
  )
  const told = relevant.map(([name, value = '']) => [
    name,
    HARMLESS.test(name) ? redact(value) : value === '' ? '<empty>' : '<set>',
  ])
  return { ...Object.fromEntries(told.sort()), '<others>': String(Object.keys(env).length - relevant.length) }
}

/** `-rw------- 1234 2026-01-01T00:00:00Z rec/….rec` of each file. */
function listing(dir: string, redact: Redact): string {
  const lines: string[] = [redact(dir)]
  const walk = (folder: string, depth: number): void => {
    let names: string[] = []
    try {
      names = readdirSync(join(dir, folder)).sort()
    } catch (error) {
      lines.push(`${folder}: ${(error as NodeJS.ErrnoException).code}`)
    }
    for (const name of names) {
      if (lines.length > LISTED_FILES) return
      const path = join(folder, name)
      try {
        const { mode, size, mtime } = lstatSync(join(dir, path))
        const isFolder = (mode & 0o170000) === 0o040000
        lines.push(
          `${(mode & 0o7777).toString(8).padStart(4, '0')} ${String(size).padStart(9)} ${mtime.toISOString()} ${redact(path)}${isFolder ? '/' : ''}`,
        )
        if (isFolder && depth < 3) walk(path, depth + 1)
      } catch (error) {
        lines.push(`${redact(path)}: ${(error as NodeJS.ErrnoException).code}`)
      }
    }
  }
  walk('', 0)
  return `${lines.join('\n')}\n`
}

/** The whole lines at the end of a file. */
function tail(file: string): string {
  try {
    const { size } = statSync(file)
    const start = Math.max(0, size - LOG_BYTES)
    const handle = openSync(file, 'r')
    const bytes = Buffer.alloc(size - start)
    const length = readSync(handle, bytes, 0, bytes.length, start)
    closeSync(handle)
    const text = bytes.toString('utf8', 0, length)
    return start === 0 ? text : text.slice(text.indexOf('\n') + 1)
  } catch {
    return ''
  }
}
