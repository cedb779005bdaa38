/** What went wrong when no response came. */
import { read } from './own.js'

/** The runtimes name their timeouts differently, and some only in a cause. */
const TIMEOUT = /time_?d?out/i

/** Calls of the system that come before a connection is open. */
const OPENING: ReadonlySet<unknown> = new Set(['connect', 'getaddrinfo'])

/** Timeouts of the runtimes that are of a connection under way. */
const NOT_OPENED: ReadonlySet<unknown> = new Set(['UND_ERR_CONNECT_TIMEOUT', 'ERR_SOCKET_CONNECTION_TIMEOUT'])

interface Fault {
  name?: unknown
  code?: unknown
  syscall?: unknown
  /** As node-fetch calls it. */
  erroredSysCall?: unknown
  cause?: unknown
  /** As an `AggregateError` has them. */
  errors?: unknown
}

/** Says whether an open connection brought no answer in time; all else is the network. */
export function failureOf(error: unknown): 'network' | 'timeout' {
  const faults = faultsIn(error)
  const isOpening = ({ code, syscall, erroredSysCall }: Fault): boolean =>
    NOT_OPENED.has(code) || OPENING.has(syscall) || OPENING.has(erroredSysCall)
  const isTimeout = ({ name, code }: Fault): boolean => TIMEOUT.test(`${String(name)} ${String(code)}`)
  return faults.some(isTimeout) && !faults.some(isOpening) ? 'timeout' : 'network'
}

/** Tells whether the system, or the runtime's network code, gave a code. */
export function hasCode(error: unknown): boolean {
  return faultsIn(error).some(({ code, name }) => typeof code === 'string' || TIMEOUT.test(String(name)))
}

/** An error with all that is in it, each read as far as it can be. */
function faultsIn(error: unknown): Fault[] {
  const found = new Set<object>()
  const open = [error]
  for (let next = open.pop(); next !== undefined || open.length > 0; next = open.pop()) {
    if (typeof next !== 'object' || next === null || found.has(next)) continue
    found.add(next)
    const { cause, errors } = own(next)
    open.push(cause, ...(Array.isArray(errors) ? errors : []))
  }
  return [...found].map(own)
}

function own(error: object): Fault {
  const fault: Fault = { __proto__: null } as Fault
  for (const name of ['name', 'code', 'syscall', 'erroredSysCall', 'cause', 'errors'] as const) {
    const value = read(error as Fault, name)
    if (value !== undefined) fault[name] = value
  }
  return fault
}
