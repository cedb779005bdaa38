/** Each wrong turn names the next command, and every command that is named is there as it is spelled. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { everyCommand } from './support/program.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PLACES = ['cli/src', 'crates/broker/src/diagnose', 'crates/broker/src/error', 'crates/broker/src/error.rs']
/** Words after the name of the package, where no command is meant. */
const PROSE = /^(?:is|in|on|once|run|has|needs|shows|serves|with|and|or|from|keeps|no|also|always|cannot)$/
const ANYWHERE = ['--json', '-q', '--quiet', '-h', '--help']

const commands = new Map()
for (const { name, command } of everyCommand()) {
  const above = name.split(' ').slice(0, -1)
  for (const word of [command.name(), ...command.aliases()]) commands.set([...above, word].join(' '), command)
}

/** What is wrong with the words that follow `provider-auth`. */
function wrongIn(words) {
  let [name, ...rest] = words
  if (name === 'help')
    return commands.has(rest.join(' ')) || rest.length === 0 ? undefined : `no help of ${rest.join(' ')}`
  if (!commands.has(name)) return `no command ${name}`
  while (commands.get(name).commands.length > 0) {
    const below = `${name} ${rest[0]}`
    if (rest.length === 0) return undefined
    // It may do something itself, too.
    if (rest[0].startsWith('-')) break
    if (!commands.has(below)) return `no command ${below}`
    name = below
    rest = rest.slice(1)
  }
  const command = commands.get(name)
  const end = rest.indexOf('--')
  const own = end < 0 ? rest : rest.slice(0, end)
  const known = command.options.flatMap(({ short, long }) => [short, long])
  for (const [index, word] of own.entries()) {
    if (!word.startsWith('-')) continue
    if (![...known, ...ANYWHERE].includes(word)) return `${name} has no option ${word}`
    const { argChoices } = command.options.find(({ short, long }) => [short, long].includes(word)) ?? {}
    const value = own[index + 1]
    if (argChoices !== undefined && value !== undefined && !/[<{$]/.test(value) && !argChoices.includes(value))
      return `${name} ${word} takes no ${value}`
  }
  const [first] = command.registeredArguments
  const given = own[0]
  if (
    first?.argChoices !== undefined &&
    given !== undefined &&
    !/^[-<{$]/.test(given) &&
    !first.argChoices.includes(given)
  )
    return `${name} takes no ${given}`
  return undefined
}

/** The words of each command that a text names, up to the end of its part of the sentence. */
function namedIn(text) {
  const found = text.matchAll(/(?<![\w/@.-])provider-auth +((?:[a-z<-]|\$?\{)[^'"`\n;,:()|\\…]*)/g)
  return [...found]
    .map(([, rest]) => rest.trim().split(/\s+/))
    .filter(([word]) => !PROSE.test(word) && !word.startsWith('-') && !/[{<]/.test(word))
}

/** Without comments; what a template puts in is one word. */
function stringsOf(source) {
  const lines = source.split('\n').filter((line) => !/^\s*(?:\/\/|\/?\*)/.test(line))
  return lines.join('\n').replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '<value>')
}

test('every command that a message, a finding or a help names is there, with its options', () => {
  const files = PLACES.flatMap((place) =>
    /\.rs$/.test(place)
      ? [place]
      : readdirSync(join(ROOT, place), { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile() && /\.(?:ts|rs)$/.test(entry.name))
          .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length)),
  )
  let count = 0
  const faults = []
  for (const file of files)
    for (const words of namedIn(stringsOf(readFileSync(join(ROOT, file), 'utf8')))) {
      count += 1
      const wrong = wrongIn(words)
      if (wrong !== undefined) faults.push(`${file}: provider-auth ${words.join(' ')}: ${wrong}`)
    }
  assert.deepEqual(faults, [])
  assert.ok(count > 100, `only ${count} were found`)
})

test('a command that is not there is found, and so is an option', () => {
  const wrong = (text) => namedIn(text).map(wrongIn)
  assert.deepEqual(wrong('do: provider-auth unlock, or provider-auth trust'), ['no command unlock', undefined])
  assert.deepEqual(wrong('provider-auth key slot make'), ['no command key slot make'])
  assert.deepEqual(wrong('provider-auth doctor --repair mends it'), ['doctor has no option --repair'])
  assert.deepEqual(wrong('provider-auth key init --source vault'), ['key init --source takes no vault'])
})

/** An error of the library: what it names beside its code, and how it is put. */
const at = { provider: 'acme' }
const ID = '01K8ZQ3V5N0000000000000000'
const TABLE = [
  [
    'UNKNOWN_PROVIDER',
    {
      message:
        'x; where it is to be your name of an MCP server, sign in to it first: login({ provider: "acme", resource: "https://…" })',
      ...at,
    },
    1,
    /config edit.*provider-auth login acme --resource <url>/,
  ],
  ['UNKNOWN_PROVIDER', {}, 1, /provider-auth login <name> --resource <url>/],
  [
    'UNKNOWN_ACCOUNT',
    { message: 'there is no account of what was given (6 characters); listAccounts shows both' },
    1,
    /provider-auth accounts/,
  ],
  ['NO_ACCOUNT', at, 3, /^provider-auth login acme$/],
  [
    'NO_ACCOUNT',
    {
      message: `the account ${ID} of acme is switched off; switch it on with updateAccount("${ID}", { enabled: true })`,
      accountId: ID,
      ...at,
    },
    3,
    /^provider-auth enable 01K8/,
  ],
  ['NEEDS_LOGIN', at, 3, /^provider-auth login acme$/],
  [
    'EXHAUSTED',
    { message: 'ask the provider, or call clearCooldowns to try again', ...at },
    5,
    /^provider-auth explain acme/,
  ],
  ['STORE_UNAVAILABLE', {}, 5, /try again/],
  ['STORE_REFUSED', {}, 4, /provider-auth config show/],
  ['STORE_SCHEMA', {}, 4, /owner of the database/],
  ['REFRESH_FAILED', at, 5, /provider-auth doctor --online/],
  [
    'ORIGIN_NOT_ALLOWED',
    { message: 'x: add the key again, which keeps the account: addApiKey({ provider: "acme", apiKey })' },
    1,
    /^provider-auth login acme --with-token$/,
  ],
  ['ORIGIN_NOT_ALLOWED', {}, 1, /provider-auth config show.*provider-auth config edit/],
  [
    'ORIGIN_NOT_ALLOWED',
    { message: 'made under another file; sign in here too', ...at },
    1,
    /^provider-auth login acme$/,
  ],
  [
    'PROJECT_NOT_TRUSTED',
    { message: 'It wants: x. If you know this file, trust it: trustProject()', ...at },
    1,
    /^provider-auth trust/,
  ],
  ['CLIENT_ID_REQUIRED', at, 1, /provider-auth config edit.*provider-auth login acme --with-token/],
  ['CALLBACK_PORT_BUSY', at, 1, /provider-auth login acme --method paste/],
  [
    'LOGIN_TIMEOUT',
    { message: 'not finished within 5 s; start it again, with a larger timeoutMs if that was too short', ...at },
    1,
    /provider-auth login acme.*--timeout/,
  ],
  ['LOGIN_DENIED', at, 1, /provider-auth login acme/],
  ['LOGIN_FAILED', at, 1, /provider-auth login acme.*provider-auth doctor --online/],
  ['INVALID_CONFIG', {}, 1, /provider-auth config check.*provider-auth config edit/],
  ['ABORTED', {}, 130, /again/],
  ['NETWORK', {}, 1, /provider-auth doctor --online/],
  ['ADDON_NOT_LOADED', { summary: 'it does not load', remedies: ['npm install', 'bun install'] }, 1, /npm.*; or: bun/],
  ['VAULT_LOCKED', {}, 4, /unlock.*provider-auth key status/],
  ['KEYCHAIN_TIMEOUT', {}, 4, /provider-auth doctor/],
  ['KEYCHAIN_UNAVAILABLE', {}, 4, /provider-auth key status/],
  ['VAULT_KEY_MISSING', {}, 4, /provider-auth key status/],
  ['VAULT_KEY_MISMATCH', {}, 4, /provider-auth key status/],
  ['VAULT_CORRUPT', {}, 1, /provider-auth doctor/],
  ['VAULT_IO', { message: 'could not write /v/x: No space left on device (os error 28)' }, 1, /make room/],
  [
    'VAULT_IO',
    { message: 'could not open /v/x: Permission denied (os error 13)' },
    1,
    /DIR.*provider-auth doctor --fix/,
  ],
  [
    'VAULT_IO',
    { message: 'could not write /v/x: Read-only file system (os error 30)' },
    1,
    /written with PROVIDER_AUTH_DIR/,
  ],
  [
    'VAULT_IO',
    { message: '/v is not safe for a vault: others can write to it; run `chmod go-w` on it' },
    1,
    /^provider-auth doctor --fix, which/,
  ],
  [
    'VAULT_IO',
    { message: '/v is not safe for a vault: it belongs to another user; give a `dir` of your own, or chown it' },
    1,
    /^name a folder of your own with PROVIDER_AUTH_DIR/,
  ],
  [
    'INVALID_CONFIG',
    { file: '/c/config.jsonc', message: '/c/config.jsonc: the file cannot be read: Permission denied (os error 13)' },
    1,
    /^make \/c\/config\.jsonc readable/,
  ],
  ['VAULT_IO', { message: 'could not read /v/x: Input/output error (os error 5)' }, 1, /^provider-auth doctor$/],
]

test('each code of the library has an exit code and a next step, in commands', async () => {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, 'cli/src/faults.ts')],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
  })
  const { faultOf } = await import(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`
  )
  for (const [code, parts, exit, next] of TABLE) {
    const fault = faultOf({ code, message: 'said', ...parts })
    assert.equal(fault.exit, exit, code)
    assert.match(fault.next, next, code)
    assert.deepEqual(namedIn(fault.next).map(wrongIn).filter(Boolean), [], code)
    assert.doesNotMatch(fault.message, /\w\(|timeoutMs|listAccounts|clearCooldowns/, `${code} names a call`)
  }
})
