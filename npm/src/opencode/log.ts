/** Log lines: OpenCode's log has them all, and a log of our own where one is kept. */
import type { Host, LogEntry } from './host.js'
import type { Decision } from './who-serves.js'
import { message } from './words.js'

type Write = (level: LogEntry['level'], text: string) => void

const others = new WeakMap<Host, Write>()

/** Has the lines of an instance written elsewhere, too. */
export function alsoTo(host: Host, write: Write): void {
  others.set(host, write)
}

/** Writes to OpenCode's log. Not awaited: OpenCode answers only once its plugins are in place. */
export function log(host: Host, level: LogEntry['level'], text: string): void {
  host.client.app.log({ body: { service: 'provider-auth', level, message: message(text) } }).catch(() => {})
  others.get(host)?.(level, text)
}

/** One line per provider says who serves it, and why. */
export function logDecision(host: Host, { provider, who, why, row }: Decision): void {
  const server = who === 'us' ? 'provider-auth serves it' : 'OpenCode serves it'
  log(host, row === 'other-plugin' ? 'warn' : 'info', `${provider}: ${server}: ${why}`)
}
