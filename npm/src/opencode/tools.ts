/**
 * What an agent may ask of provider-auth: how the accounts stand, and a new token. Its answers hold
 * no secret, and e-mail addresses only where it asks for them. For the web and desktop apps, which
 * have no `/accounts`, `/auth-status` shows the same to a person.
 */
import type { Account } from '../../../index.js'
import { read } from '../own.js'
import { visible } from '../trust.js'
import type { HostConfig, Tool } from './host.js'
import { maskIdentity } from './mask.js'
import { type Served, statusOf, statusText } from './status.js'
import { clock, codeOf, message, reason } from './words.js'

type Library = Pick<
  typeof import('../index.js'),
  'configuredProviders' | 'listAccounts' | 'poolStatus' | 'refreshAccount'
>

/** What the tools stand on. */
export interface Toolbox {
  /** Rejects where the library does not load. */
  library(): Promise<Library>
  /** Who serves what in this instance. */
  decisions(): Iterable<Served>
  /** How a person signs in to a provider again. */
  signIn(provider: string): string
  /** Whether e-mail addresses are masked unless they are asked for. */
  masks(): boolean
}

export const COMMAND = 'auth-status'

/** OpenCode has every argument of a plugin's tool as required; an empty text stands for none. */
const PROVIDER = { type: 'string', description: 'Id of the provider, such as "anthropic"; empty for all of them' }
const EMAILS = { type: 'boolean', description: 'Show e-mail addresses in full. Only if the user asks for them' }
const ACCOUNT = { type: 'string', description: 'Id or label of the account as auth_status shows it; empty for all' }
const FORCE = { type: 'boolean', description: 'Renew a token that is still good as well' }

/** The tools, by the names under which an agent calls them. */
export function createTools(box: Toolbox): Record<string, Tool> {
  const status = (provider?: string): Tool => ({
    description:
      'Says how the accounts of provider-auth stand: who serves each provider and why, and for each account its ' +
      'state, token expiry, cooldown, used quota and endpoint. Shows no secret.',
    args: provider === undefined ? { provider: PROVIDER, emails: EMAILS } : { emails: EMAILS },
    execute: (args) =>
      answered('Accounts', () => statusFor(box, provider ?? text(args, 'provider'), flag(args, 'emails'))),
  })
  const refresh = (provider?: string): Tool => ({
    description:
      'Renews access tokens of accounts of provider-auth, and says how each one ended. Tokens are renewed by ' +
      'themselves when they are due; call this only if the user asks, or after a login was refused.',
    args: { ...(provider === undefined && { provider: PROVIDER }), account: ACCOUNT, force: FORCE },
    execute: (args) =>
      answered('Token refresh', () =>
        refreshFor(box, provider ?? text(args, 'provider'), text(args, 'account'), flag(args, 'force')),
      ),
  })
  return {
    auth_status: status(),
    auth_refresh: refresh(),
    // As the plugin opencode-oci-oidc calls them.
    oci_oidc_status: status('oci-oidc'),
    oci_oidc_refresh: refresh('oci-oidc'),
  }
}

/** Adds the slash command, unless the user has one of that name. */
export function addCommand(config: HostConfig): void {
  const commands = read(config, 'command') ?? {}
  if (Object.hasOwn(commands, COMMAND)) return
  const template = 'Show me how my accounts stand.'
  config.command = {
    ...commands,
    [COMMAND]: { template, description: 'provider-auth: who serves, and how the accounts stand' },
  }
}

/**
 * Puts the status into the message that the slash command sends. So it stands on the screen also
 * while no account can serve, and no model answers.
 */
export async function fillCommand(box: Toolbox, command: string, parts: unknown): Promise<void> {
  if (command !== COMMAND || !Array.isArray(parts)) return
  const part = parts.find((part) => read(part, 'type') === 'text')
  if (part === undefined) return
  const { output } = await answered('', () => statusFor(box, undefined, false, { ids: false }))
  part.text = `How my accounts stand, as provider-auth says:\n\n${output}\n\nNo need to repeat it or to call a tool; say in one sentence whether I have to do anything.`
}

/** A tool that fails says why, as any answer. */
async function answered(title: string, answer: () => Promise<string>): Promise<{ title: string; output: string }> {
  try {
    return { title, output: await answer() }
  } catch (fault) {
    return { title, output: message(maskIdentity(reason(fault))) }
  }
}

async function statusFor(
  box: Toolbox,
  provider: string | undefined,
  emails: boolean,
  { ids } = { ids: true },
): Promise<string> {
  const library = await box.library()
  const filter = provider === undefined ? {} : { provider }
  const isAsked = (id: string) => provider === undefined || id === provider
  const decisions = [...box.decisions()].filter((decision) => isAsked(decision.provider))
  const providers = await library.configuredProviders().catch(() => [])
  let problem = ''
  const [accounts, pools] = await Promise.all([library.listAccounts(filter), library.poolStatus(filter)]).catch(
    (fault: unknown): [Account[], []] => {
      problem = `${message(`the accounts cannot be read: ${maskIdentity(reason(fault))}`)}\n\n`
      return [[], []]
    },
  )
  const statuses = statusOf({ providers, accounts, pools, decisions }, { mask: box.masks() && !emails })
  if (statuses.length === 0 && provider !== undefined && problem === '') {
    return `provider-auth has no account of ${visible(provider)}, and OpenCode does not use it here`
  }
  return problem + statusText(statuses, { now: Date.now(), ids })
}

async function refreshFor(
  box: Toolbox,
  provider: string | undefined,
  named: string | undefined,
  force: boolean,
): Promise<string> {
  const library = await box.library()
  const accounts = await library.listAccounts(provider === undefined ? {} : { provider })
  const isNamed = ({ id, label }: Account) => named === undefined || [id, label, maskIdentity(label)].includes(named)
  const chosen = accounts.filter(isNamed)
  if (chosen.length === 0) return nothingToRefresh(provider, named)
  const renewable = chosen.filter(
    ({ refreshable, kind, enabled }) => refreshable && kind !== 'api' && (enabled || named !== undefined),
  )
  if (renewable.length === 0) {
    return 'nothing to renew: API keys have no token that ends, and a login without a refresh token needs a new sign-in'
  }
  const lines = await Promise.all(renewable.map((account) => refreshed(box, library, account, force)))
  return lines.join('\n')
}

function nothingToRefresh(provider: string | undefined, named: string | undefined): string {
  const of = provider === undefined ? '' : ` of ${visible(provider)}`
  const what = named === undefined ? 'account' : `account "${visible(maskIdentity(named))}"`
  return `provider-auth has no ${what}${of}; auth_status lists those that there are`
}

/** Renews one token and says how it ended. */
async function refreshed(box: Toolbox, library: Library, account: Account, force: boolean): Promise<string> {
  const label = visible(box.masks() ? maskIdentity(account.label) : account.label)
  const name = `${label} of ${account.provider} [${account.id}]`
  try {
    const { expiresAt, updatedAt } = await library.refreshAccount(account.id, { force })
    const until = expiresAt === undefined ? 'it does not end' : `good until ${clock(expiresAt)}`
    const isNew = updatedAt !== account.updatedAt || expiresAt !== account.expiresAt
    return `${name}: ${isNew ? 'the token was renewed' : 'the token is still good, and was not renewed'}; ${until}`
  } catch (fault) {
    if (codeOf(fault) === 'NEEDS_LOGIN') return `${name}: its login has ended; ${box.signIn(account.provider)}`
    return `${name}: the token was not renewed: ${maskIdentity(reason(fault))}`
  }
}

/** An argument as the model gave it, whatever the tool has asked for. */
function text(args: unknown, name: string): string | undefined {
  const value = typeof args === 'object' ? read(args as Record<string, unknown> | null, name) : undefined
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined
}

function flag(args: unknown, name: string): boolean {
  const value = typeof args === 'object' ? read(args as Record<string, unknown> | null, name) : undefined
  return value === true || value === 'true'
}
