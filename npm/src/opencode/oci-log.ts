/**
 * The log of those who have an `oci-auth.config.jsonc`: a file at a known place that begins when
 * the plugin is loaded, as that of `opencode-oci-oidc` does. The library writes into it, too, and
 * begins a new file when it is full.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { inHome } from '../home-folder.js'
import { read } from '../own.js'
import { usersOciFile } from './oci.js'

type Env = Readonly<Record<string, string | undefined>>

/** Each level holds those before it. */
const LEVELS = ['none', 'error', 'warn', 'info', 'debug', 'trace'] as const
type Level = (typeof LEVELS)[number]

/** What the file may name otherwise than the library does. */
const OTHER_NAMES: Readonly<Record<string, Level>> = { verbose: 'trace' }

const APPENDING =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK

export interface OciLog {
  /** What the library is to be told of it; nothing where it reads that itself. */
  options: { file: string } | undefined
  write(level: 'error' | 'warn' | 'info', text: string): void
}

/** Where the log is where neither `log_file` nor PROVIDER_AUTH_LOG_FILE says: among OpenCode's. */
export function ociLogFile(env: Env = process.env): string {
  return join(env.XDG_DATA_HOME || inHome('.local', 'share'), 'opencode', 'log', 'oci-oidc.log')
}

/**
 * Opens the log as the user's file says. Returns nothing where there is no such file, or where the
 * user wants no log.
 */
export async function openOciLog(
  parse: (text: string) => unknown,
  env: Env = process.env,
): Promise<OciLog | undefined> {
  const source = usersOciFile(env)
  let text: string
  try {
    text = await readFile(source, 'utf8')
  } catch {
    return undefined
  }
  const { log_level: named, log_file: chosen } = said(text, parse)
  const level = levelOf(env.PROVIDER_AUTH_LOG) ?? levelOf(named) ?? 'warn'
  if (level === 'none') return undefined
  const own = typeof chosen === 'string' && chosen.trim() !== '' ? expanded(chosen.trim(), dirname(source)) : undefined
  const file = env.PROVIDER_AUTH_LOG_FILE || own || ociLogFile(env)
  const write: OciLog['write'] = (severity, line) => {
    if (LEVELS.indexOf(severity) <= LEVELS.indexOf(level)) append(file, severity, line)
  }
  return {
    options: file === ociLogFile(env) ? { file } : undefined,
    write,
  }
}

function said(text: string, parse: (text: string) => unknown): { log_level?: unknown; log_file?: unknown } {
  try {
    const value = parse(text) as { log_level?: unknown; log_file?: unknown }
    return { log_level: read(value, 'log_level'), log_file: read(value, 'log_file') }
  } catch {
    // The library says what is wrong with the file. Where that is logged is as without it.
    return {}
  }
}

function levelOf(name: unknown): Level | undefined {
  if (typeof name !== 'string') return undefined
  const known = name.trim().toLowerCase()
  return LEVELS.find((level) => level === known) ?? (Object.hasOwn(OTHER_NAMES, known) ? OTHER_NAMES[known] : undefined)
}

function expanded(path: string, folder: string): string {
  return /^~(?=[/\\]|$)/.test(path) ? inHome(path.slice(1)) : resolve(folder, path)
}

/** Adds a line in the form of the library's. A log that cannot be written stops no work. */
function append(file: string, level: Level, message: string): void {
  const line = JSON.stringify({ time: new Date().toISOString(), level, message, pid: process.pid, from: 'opencode' })
  using(file, (fd) => writeSync(fd, `${line}\n`))
}

/** Opens a regular file, and no link: a log could be led anywhere by one. */
function using(file: string, use: (fd: number) => void): void {
  let fd: number | undefined
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    fd = openSync(file, APPENDING, 0o600)
    if (fstatSync(fd).isFile()) use(fd)
  } catch {
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}
