/** Other programs that sign in to the same providers: OpenCode, its plugins, and tools that read keys from variables. */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Finding, ProviderSummary } from '../../../index.js'
import { addon } from '../../../npm/src/addon.js'
import { readAuthFile } from '../../../npm/src/opencode/auth-file.js'
import { authFile } from '../../../npm/src/opencode/host-credentials.js'
import { type NamedPlugin, userPlugins } from '../../../npm/src/opencode/user-config.js'
import { VERSION } from '../version.js'
import { finding } from './finding.js'

type Env = Readonly<Record<string, string | undefined>>

/** Plugins of OpenCode that sign in by themselves, and to which provider. */
const SIGN_IN: readonly (readonly [name: RegExp, provider: string])[] = [
  [/^opencode-oci-oidc$/, 'oci-oidc'],
  [/anthropic|claude/, 'anthropic'],
  [/openai|codex|chatgpt/, 'openai'],
  [/gemini|google|antigravity/, 'google'],
  [/copilot/, 'github-copilot'],
  [/qwen/, 'qwen'],
  [/cursor/, 'cursor'],
]

export async function checkHosts(
  providers: ProviderSummary[],
  withAccounts: ReadonlySet<string>,
  env: Env = process.env,
): Promise<Finding[]> {
  const plugins = await userPlugins(addon.parseJsonc, env)
  return [
    ...ourPlugin(plugins),
    ...otherPlugins(plugins),
    ...(await clearCredentials(env)),
    ...keysInVariables(providers, withAccounts, env),
  ]
}

function ourPlugin(plugins: NamedPlugin[]): Finding[] {
  const ours = plugins.filter(({ isOurs }) => isOurs)
  if (ours.length === 0) return []
  const findings = ours.flatMap(({ file, spec }) => {
    const pinned = /^(?:npm:)?provider-auth@v?(\d[^\s]*)$/.exec(spec)?.[1]
    if (pinned === undefined || pinned === VERSION) return []
    return [
      finding('warning', 'opencode.version', `OpenCode loads provider-auth ${pinned}, and this is ${VERSION}`, {
        why: 'both use one vault, and the older one may not understand what the newer one writes',
        remedy: `name provider-auth@${VERSION}, or no version, in ${file}`,
        details: { file },
      }),
    ]
  })
  if (ours.length > 1)
    findings.push(
      finding('warning', 'opencode.twice', `OpenCode's configuration names provider-auth ${ours.length} times`, {
        why: 'it is loaded more than once; the options of the last entry count',
        remedy: `leave one entry in ${[...new Set(ours.map(({ file }) => file))].join(', ')}`,
      }),
    )
  return findings.length > 0 ? findings : [finding('ok', 'opencode.plugin', 'OpenCode loads provider-auth once')]
}

function otherPlugins(plugins: NamedPlugin[]): Finding[] {
  return plugins.flatMap(({ file, spec, isOurs }) => {
    const provider = isOurs ? undefined : signsInTo(spec)
    if (provider === undefined) return []
    return [
      finding('warning', 'opencode.conflict', `OpenCode also loads ${spec}, which signs in to ${provider}`, {
        why: 'the plugin that is named last serves, and two programs that renew one login end it for both',
        remedy: `remove ${spec} from ${file}, and sign in with provider-auth login`,
        details: { file },
      }),
    ]
  })
}

/** The provider that a plugin signs in to, by its name. */
function signsInTo(spec: string): string | undefined {
  const name = spec
    .replace(/^(npm:|file:\/\/)/, '')
    .replace(/(?<=.)@[^@/]*$/, '')
    .split('/')
    .at(-1)
    ?.toLowerCase()
  if (name === undefined || !/auth|oidc|oauth|login|account|subscription/.test(name)) return undefined
  return SIGN_IN.find(([pattern]) => pattern.test(name))?.[1] ?? 'providers of its own'
}

async function clearCredentials(env: Env): Promise<Finding[]> {
  const file = authFile(env)
  const entries = await readAuthFile(env)
  const remedy = 'provider-auth migrate brings them into the vault'
  const why = 'a program or a person that reads that file, or a backup of it, has them'
  const clear = [...(entries ?? [])].filter(([, { isPlaceholder }]) => !isPlaceholder).map(([id]) => id)
  const findings: Finding[] = []
  if (entries === undefined)
    findings.push(
      (env.OPENCODE_AUTH_CONTENT ?? '') !== ''
        ? finding('note', 'opencode.content', 'OPENCODE_AUTH_CONTENT gives OpenCode credentials', {
            why: 'OpenCode uses them and not those of its file, for each provider that they name',
            remedy: 'provider-auth migrate takes them over; then unset it',
          })
        : finding('note', 'opencode.unreadable', `${file} cannot be read`, {
            why: 'what OpenCode keeps there is not known',
            details: { file },
          }),
    )
  if (clear.length > 0)
    findings.push(
      finding('warning', 'opencode.clear', `OpenCode keeps credentials in clear, of ${clear.join(', ')}`, {
        why,
        remedy,
        details: { file },
      }),
    )
  const servers = Object.keys(await objectIn(join(dirname(file), 'mcp-auth.json')))
  if (servers.length > 0)
    findings.push(
      finding(
        'warning',
        'opencode.clear_mcp',
        `OpenCode keeps logins of MCP servers in clear, of ${servers.join(', ')}`,
        {
          why,
          remedy,
        },
      ),
    )
  return findings
}

async function objectIn(file: string): Promise<object> {
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'))
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

function keysInVariables(providers: ProviderSummary[], withAccounts: ReadonlySet<string>, env: Env): Finding[] {
  return providers.flatMap(({ id, keyVariables }) => {
    const set = keyVariables.filter((name) => (env[name] ?? '') !== '')
    if (set.length === 0) return []
    return [
      finding(withAccounts.has(id) ? 'warning' : 'note', 'env.keys', `${set.join(', ')} holds a key of ${id}`, {
        why: 'tools that read the variable use that key, without rotation, and not the accounts in the vault',
        remedy: 'provider-auth migrate --env takes it over; then unset it',
        details: { provider: id },
      }),
    ]
  })
}
