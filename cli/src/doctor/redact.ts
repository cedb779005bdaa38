/**
 * Takes out of a text what a stranger is not to read: secrets, names of accounts and people, hosts that are not everybody's,
 * places in the home folder.
 */

export interface Known {
  /** Values of variables, keys, passwords. */
  secrets: Iterable<string>
  /** Names of accounts and who they are, in the order of the accounts. */
  accounts: Iterable<readonly string[]>
  /** Hosts that were found in the configuration and in findings. */
  hosts: Iterable<string>
  homes: string[]
  user: string
  machine: string
}

export type Redact = (text: string) => string

/** Hosts that everybody knows to be the providers'. */
const PUBLIC = [
  'accounts.google.com',
  'api.anthropic.com',
  'api.business.githubcopilot.com',
  'api.cursor.com',
  'api.enterprise.githubcopilot.com',
  'api.github.com',
  'api.githubcopilot.com',
  'api.individual.githubcopilot.com',
  'api.openai.com',
  'api2.cursor.sh',
  'auth.openai.com',
  'chat.qwen.ai',
  'chatgpt.com',
  'claude.ai',
  'coding-intl.dashscope.aliyuncs.com',
  'coding.dashscope.aliyuncs.com',
  'console.anthropic.com',
  'cursor.com',
  'dashscope-intl.aliyuncs.com',
  'dashscope-us.aliyuncs.com',
  'dashscope.aliyuncs.com',
  'generativelanguage.googleapis.com',
  'github.com',
  'identity.oraclecloud.com',
  'login.microsoftonline.com',
  'oauth2.googleapis.com',
  'opencode.ai',
  'platform.claude.com',
  'portal.qwen.ai',
  'www.googleapis.com',
  'localhost',
  '127.0.0.1',
  '[::1]',
  '::1',
]

/** Endings of names that are files and no hosts, and first parts of keys of the configuration. */
const FILES = /\.(?:json|jsonc|rec|hdr|lock|pending|tmp|bak|age|log|key|node|js|mjs|ts|md|txt|pem|crt|zip|gz|toml)$/
const KEYS = /^(?:providers|rotation|params|dialect|auth|keys|vault|records|marks|state|config|log|moved|mcp-auth)\./

/** Makes the function that redacts; the same host and account have the same stand-in throughout. */
export function createRedactor(known: Known): Redact {
  const hosts = new Map<string, string>()
  const standIn = (host: string): string => {
    const name = host.toLowerCase()
    if (PUBLIC.includes(name) || /^host-\d+\.private$/.test(name) || name.startsWith('<')) return host
    const already = hosts.get(name)
    if (already !== undefined) return already
    const made = `host-${hosts.size + 1}.private`
    hosts.set(name, made)
    return made
  }
  const steps: [pattern: RegExp, by: string | ((...parts: string[]) => string)][] = []
  const literal = (text: string, by: string | (() => string), isWord = false): void => {
    const [before, after] = isWord ? ['(?<![\\p{L}\\p{N}_])', '(?![\\p{L}\\p{N}_])'] : ['', '']
    steps.push([new RegExp(before + escaped(text) + after, 'giu'), by])
  }
  // Long ones first, of which another one may be a part.
  for (const secret of byLength([...known.secrets].filter((text) => text.length >= 6))) literal(secret, '<secret>')
  // User name and password, and what may hold a token.
  steps.push([/([a-z][a-z0-9+.-]*:\/\/)[^\s/"'<>@]*@/gi, (_, scheme = '') => scheme])
  steps.push([/([a-z][a-z0-9+.-]*:\/\/[^\s"'<>?#]*)[?#][^\s"'<>]*/gi, (_, url = '') => url])
  const names = [...known.accounts].flatMap((its, index) => its.map((name) => [name, `account ${index + 1}`] as const))
  for (const [name, by] of [...names].sort(([a], [b]) => b.length - a.length))
    if (name.length > 1) literal(name, by, true)
  // `name@1.2.3` is a package.
  steps.push([/[^\s<>"'`()[\]{},;:|/\\=]+@(?!v?\d+(?:\.\d+){0,2}(?![\d.]))[^\s<>"'`()[\]{},;:|/\\=]+/g, '<e-mail>'])
  for (const home of byLength(known.homes)) if (home.length > 1) literal(home, '~')
  steps.push([/([/\\](?:home|Users)[/\\]+)[^/\\\s"']+/g, (_, folder = '') => `${folder}<user>`])
  for (const host of byLength([...known.hosts])) literal(host, () => standIn(host), true)
  // An IPv6 address, or a name or IPv4 address.
  steps.push([/(:\/\/)(\[[0-9a-f:.]+\]|[^\s/:"'<>]+)/gi, (_, slashes = '', host = '') => slashes + standIn(host)])
  steps.push([
    /(?<![\w:])(?:[0-9a-f]{1,4}:){1,7}(?::[0-9a-f]{1,4}){1,7}(?![\w:])|(?<![\w:])(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?![\w:])/gi,
    standIn,
  ])
  steps.push([/\b(?:\d{1,3}\.){3}\d{1,3}\b/g, (address) => standIn(address as string)])
  steps.push([
    /(?<![\w./~-])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(?![\w/])/g,
    (name) =>
      /\.private$/.test(name as string) || FILES.test(name as string) || KEYS.test(name as string)
        ? (name as string)
        : standIn(name as string),
  ])
  if (known.machine.length > 1 && !PUBLIC.includes(known.machine)) literal(known.machine, '<machine>', true)
  if (known.user.length > 2 && known.user !== 'root') literal(known.user, '<user>', true)
  // What is said to be one.
  steps.push([/\b(bearer|basic)\s+[^\s"',;<]{4,}/gi, (_, scheme = '') => `${scheme} <secret>`])
  steps.push([
    /\b(authorization|token|secret|password|passwd|api[-_]?key|cookie)(["']?\s*[:=]\s*["']?)(?!bearer |basic )[^\s"',;&<]{4,}/gi,
    (_, name = '', sign = '') => `${name}${sign}<secret>`,
  ])
  // What looks like a token, wherever it comes from; ids of accounts are none.
  steps.push([/\b(?:sk|pk|rk|gh[pousr]|xox[a-z]|ya29|glpat|hf|AIza|eyJ)[-_.A-Za-z0-9]{8,}/g, '<secret>'])
  steps.push([/[A-Za-z0-9+_=-]{24,}/g, (word) => (isHarmless(word as string) ? (word as string) : '<secret>')])
  return (text) => steps.reduce((left, [pattern, by]) => left.replace(pattern, by as string), text)
}

/** Ids of accounts, names in words. */
function isHarmless(word: string): boolean {
  return /^[0-9A-HJKMNP-TV-Z]{26}$/.test(word) || !/\d/.test(word)
}

function byLength(texts: string[]): string[] {
  return [...new Set(texts)].sort((a, b) => b.length - a.length)
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
}

/** Every text in a value, redacted; keys too. */
export function redactAll(value: unknown, redact: Redact, keep: readonly string[] = []): unknown {
  if (typeof value === 'string') return redact(value)
  if (Array.isArray(value)) return value.map((part) => redactAll(part, redact, keep))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      redact(key),
      keep.includes(key) ? part : redactAll(part, redact, keep),
    ]),
  )
}

/** Hosts of the URLs in a text. */
export function hostsIn(text: string): string[] {
  const found = text.matchAll(/[a-z][a-z0-9+.-]*:\/\/(?:[^\s/"'<>@]*@)?(\[[0-9a-f:.]+\]|[^\s/:"'<>?#]+)/gi)
  return [...found].flatMap(([, host]) => (host === undefined || PUBLIC.includes(host.toLowerCase()) ? [] : [host]))
}
