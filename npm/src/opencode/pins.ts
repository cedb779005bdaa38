/**
 * Which account a person chose for a session or a project, in a small file that the screens write
 * and the requests read: they may be in two processes. It holds ids only, and no secret.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inHome } from '../home-folder.js'
import { read } from '../own.js'

/** The most sessions and projects that are kept, each; the oldest choice goes first. */
const MOST = 500

/** Where OpenCode says which session a request is of, and last which one that session belongs to. */
const SESSION_HEADERS = ['x-session-id', 'x-session-affinity', 'x-opencode-session', 'x-parent-session-id']

/** Ids of accounts by provider. */
type Choice = Readonly<Record<string, string>>

export interface Pins {
  sessions: Readonly<Record<string, Choice>>
  projects: Readonly<Record<string, Choice>>
}

/** What a choice holds for: a session, or a project by `projectOf`. */
export type PinScope = { session: string } | { project: string }

/** Where a request comes from. */
export interface PinPlace {
  sessions: readonly (string | undefined)[]
  project?: string | undefined
}

export interface Pin {
  account: string
  by: 'session' | 'project'
}

/** Where it lies: beside the state of other programs, by XDG. */
export function pinsFile(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return join(env.XDG_STATE_HOME || inHome('.local', 'state'), 'provider-auth', 'opencode-pins.json')
}

/** The folder that stands for a project: the repository's, or without one the working folder. */
export function projectOf(path: { directory: string; worktree?: string }): string {
  const worktree = read(path, 'worktree')
  // OpenCode's word for "no repository".
  return worktree === undefined || worktree === '' || worktree === '/' ? path.directory : worktree
}

/** Reads it; a file that is missing or damaged has no choice. */
export function readPins(file: string): Pins {
  try {
    const all = JSON.parse(readFileSync(file, 'utf8')) as Pins
    return { sessions: choices(read(all, 'sessions')), projects: choices(read(all, 'projects')) }
  } catch {
    return { sessions: {}, projects: {} }
  }
}

/**
 * Chooses an account of a provider, or with `undefined` none any more. It is in place in one step,
 * so that a reader never meets half a file.
 *
 * @throws the error of the disk: a person is told that their choice did not come about
 */
export function pin(scope: PinScope, provider: string, account: string | undefined, file: string): void {
  write(change(readPins(file), scope, provider, account), file)
}

/** Forgets every choice of an account that was removed. */
export function forgetAccount(account: string, file: string): void {
  const pins = readPins(file)
  const without = (all: Pins['sessions']) =>
    from(
      Object.entries(all)
        .map(([name, choice]) => [name, from(Object.entries(choice).filter(([, id]) => id !== account))] as const)
        .filter(([, choice]) => Object.keys(choice).length > 0),
    )
  const rest = { sessions: without(pins.sessions), projects: without(pins.projects) }
  if (JSON.stringify(rest) !== JSON.stringify(pins)) write(rest, file)
}

/** The choice that holds for a request: of its session, else of the sessions above it, else of its project. */
export function findPin(pins: Pins, provider: string, place: PinPlace): Pin | undefined {
  for (const session of place.sessions) {
    const account = session === undefined ? undefined : own(own(pins.sessions, session), provider)
    if (account !== undefined) return { account, by: 'session' }
  }
  const account = place.project === undefined ? undefined : own(own(pins.projects, place.project), provider)
  return account === undefined ? undefined : { account, by: 'project' }
}

/**
 * Returns what finds the choice that holds for a request of a provider, by the headers in which
 * OpenCode names its session and the one above it.
 */
export function createPinFinder(
  { provider, project }: { provider: string; project: string },
  pins = createPinReader(),
): (init: RequestInit | undefined) => Pin | undefined {
  return (init) => {
    const headers = new Headers(read(init, 'headers'))
    const sessions = SESSION_HEADERS.map((name) => headers.get(name) ?? undefined)
    return findPin(pins(), provider, { sessions, project })
  }
}

/** Returns what reads the file again only when it has changed; it costs one `stat`. */
export function createPinReader(file = pinsFile()): () => Pins {
  let seen: string | undefined
  let pins: Pins = { sessions: {}, projects: {} }
  return () => {
    const stamp = stampOf(file)
    if (stamp !== seen) {
      pins = readPins(file)
      seen = stamp
    }
    return pins
  }
}

function change(pins: Pins, scope: PinScope, provider: string, account: string | undefined): Pins {
  const [kind, name] =
    'session' in scope ? (['sessions', scope.session] as const) : (['projects', scope.project] as const)
  const { [name]: before, ...others } = pins[kind]
  const { [provider]: _, ...rest } = before ?? {}
  const choice = account === undefined ? rest : { ...rest, [provider]: account }
  const entries = Object.entries(others)
  // The newest comes last, so that the oldest are at the front.
  if (Object.keys(choice).length > 0) entries.push([name, choice])
  return { ...pins, [kind]: from(entries.slice(-MOST)) }
}

function write(pins: Pins, file: string): void {
  const unfinished = `${file}.${randomBytes(4).toString('hex')}`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    writeFileSync(unfinished, JSON.stringify(pins), { mode: 0o600 })
    renameSync(unfinished, file)
  } catch (fault) {
    rmSync(unfinished, { force: true })
    throw fault
  }
}

/** Only what has the right form: another program may have written the file. */
function choices(all: unknown): Pins['sessions'] {
  return from(
    entriesOf(all).map(([name, choice]) => [
      name,
      from(entriesOf(choice).filter((entry): entry is [string, string] => typeof entry[1] === 'string')),
    ]),
  )
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : []
}

/** An object that inherits nothing: its names come from outside. */
function from<T>(entries: readonly (readonly [string, T])[]): Record<string, T> {
  return Object.assign(Object.create(null), Object.fromEntries(entries))
}

function own<T>(object: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined
}

function stampOf(file: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(file)
    return `${mtimeMs} ${size} ${ino}`
  } catch {
    return 'none'
  }
}
