/** Our own command, where it hands out a secret or decides who may have one. */
import type { Place } from './protected.js'

/** Commands that print a credential or the key, hand them to a program, or trust a project's file. */
const HANDING_OUT: ReadonlySet<string> = new Set(['token', 'headers', 'exec', 'trust', 'vault', 'fleet', 'migrate'])

/** Of `key`, that alone hands out nothing. */
const HARMLESS_OF_KEY = 'status'

/** Programs that run the one that they are given. */
const RUNNERS = /^(npx|npm|pnpm|pnpx|yarn|bunx?|node|deno|corepack|xargs|timeout|script|watch|strace|ltrace|sh|bash)$/

/**
 * What such a call of `provider-auth` hands out. `program` is the first word that runs something, at the place `at`.
 */
export function handedOut(words: readonly string[], program: string, at: number): Place | undefined {
  const isRun = isOurs(words[at] ?? '') || RUNNERS.test(program)
  const ours = words.findIndex((word, index) => index >= at && isOurs(word))
  if (!isRun || ours < 0) return undefined
  const rest = words.slice(ours + 1).filter((word) => !word.startsWith('-'))
  if (rest[0] === 'help') return undefined
  const command = rest.find((word) => HANDING_OUT.has(word) || word === 'key')
  if (command === undefined || (command === 'key' && rest.includes(HARMLESS_OF_KEY))) return undefined
  return { kind: 'file', path: `provider-auth ${command}`, what: 'what a command for people hands out' }
}

/** `provider-auth`, `provider-auth@latest`, `…/provider-auth.cmd`, `…/npm/dist/cli/main.js`. */
function isOurs(word: string): boolean {
  return (
    /(^|[\\/])provider-auth(@[^\\/]*|\.cmd|\.ps1|\.exe)?$/.test(word) || /[\\/]dist[\\/]cli[\\/]main\.js$/.test(word)
  )
}
