/** `explain`: who would serve a request and why, and why each other would not. */
import type { Account, ChoiceRule, Trace, TracedAccount, VerdictReason } from '../../../index.js'
import { clock } from '../../../npm/src/opencode/words.js'
import { visible } from '../../../npm/src/trust.js'
import { type Choice, requested } from '../asked.js'
import { inCommands } from '../calls.js'
import { EXIT } from '../faults.js'
import { explain, listAccounts } from '../library.js'
import type { Call } from '../run.js'
import { table } from '../table.js'
import { ago } from '../words.js'

export async function run({ args: [provider = '', url], options, out }: Call<Choice>): Promise<number> {
  const trace = await explain(await requested(provider, { ...options, ...(url !== undefined && { url }) }))
  const accounts = await listAccounts({ provider })
  const labels = new Map(accounts.map(({ id, label }) => [id, visible(label)]))
  const named = trace.accounts.map((account) => ({
    ...account,
    label: labels.get(account.accountId) ?? account.accountId,
  }))
  out.answer({ provider, ...trace, accounts: named }, () => sentences({ provider, trace, named, labels }).join('\n'))
  return EXITS[trace.outcome]
}

const EXITS: Record<Trace['outcome'], number> = {
  serve: EXIT.done,
  wait: EXIT.nothingServes,
  exhausted: EXIT.nothingServes,
  needs_login: EXIT.needsLogin,
  no_account: EXIT.needsLogin,
  origin_refused: EXIT.failed,
  unknown_account: EXIT.failed,
}

type Named = TracedAccount & Pick<Account, 'label'>

interface Explained {
  provider: string
  trace: Trace
  named: Named[]
  labels: Map<string, string>
}

function sentences({ provider, trace, named, labels }: Explained): string[] {
  const now = trace.at
  const who = labels.get(trace.accountId ?? '') ?? trace.accountId ?? ''
  const lines = [outcome(provider, who, trace)]
  if (trace.boundTo !== undefined && trace.rule !== 'bound')
    lines.push(`The conversation belongs to ${labels.get(trace.boundTo) ?? trace.boundTo}.`)
  const others = named.filter(({ accountId }) => trace.outcome !== 'serve' || accountId !== trace.accountId)
  if (others.length > 0) {
    const rows = others.map((account) => [`  ${account.label}`, chance(account, provider, now)])
    lines.push('', trace.outcome === 'serve' ? 'The others:' : 'The accounts:', table([], rows))
  }
  return lines
}

function outcome(provider: string, who: string, trace: Trace): string {
  const reason = trace.reason === undefined ? '' : `: ${REASONS[trace.reason]}`
  const when = trace.until === undefined ? '' : ` at ${clock(trace.until, trace.at)}, ${ago(trace.until, trace.at)}`
  switch (trace.outcome) {
    case 'serve':
      return `${who} serves ${provider}: ${rule(trace)}.`
    case 'wait':
      return `No account of ${provider} serves now. A request waits for ${who}${when}.`
    case 'exhausted':
      return `No account of ${provider} serves now${reason}. ${when === '' ? 'Waiting does not help.' : `The first one can${when}.`}`
    case 'needs_login':
      return `No account of ${provider} serves: ${who} needs a new sign-in (provider-auth login ${provider}).`
    case 'no_account':
      return `${provider} has no account that may serve. Sign in with: provider-auth login ${provider}`
    case 'unknown_account':
      return `${provider} has no such account in this pool. See: provider-auth accounts ${provider}`
    case 'origin_refused':
      return `Nothing is sent there: ${visible(inCommands(trace.refusal ?? ''))}.`
  }
}

function rule({ rule, strategy, boundUntil, at }: Trace): string {
  if (rule === 'strategy') return STRATEGIES[strategy]
  const words = RULES[rule ?? 'strategy']
  return rule === 'bound' && boundUntil !== undefined ? `${words} until ${clock(boundUntil, at)}` : words
}

const STRATEGIES: Record<Trace['strategy'], string> = {
  sticky: 'its pool stays with it while it serves (strategy sticky)',
  'earliest-reset': 'its limit is the first to reset (strategy earliest-reset)',
  balanced: 'it has the most left (strategy balanced)',
  'round-robin': 'it is its turn (strategy round-robin)',
  'fill-first': 'it is the first of its pool (strategy fill-first)',
}

const RULES: Record<ChoiceRule, string> = {
  bound: 'the conversation belongs to it',
  pinned: 'the request names it, or the configuration does',
  resend: 'it is tried again',
  strategy: 'it is its turn',
  switched: 'the one before it cannot',
  probe: 'its rest is over or old, so one request tests it',
}

function chance(account: Named, provider: string, now: number): string {
  const { chance, until, reason, scope, status, usedPercent } = account
  const words = CHANCES[chance].replace('<provider>', provider)
  const used = usedPercent === undefined ? '' : ` (${usedPercent} % of its quota is used)`
  if (chance !== 'resting') return `${words}${used}`
  const what = scope === undefined || scope === 'account' ? '' : ` for ${visible(scope)}`
  const cause = reason === undefined ? '' : `: ${REASONS[reason]}`
  const when = until === undefined ? '' : ` until ${clock(until, now)}, ${ago(until, now)}`
  return `${words}${what}${when}${cause}${status === undefined ? '' : ` (status ${status})`}`
}

const CHANCES: Record<TracedAccount['chance'], string> = {
  eligible: 'could serve; another one comes first',
  low_quota: 'serves after the others: little of its quota is left',
  resting: 'rests',
  needs_login: 'needs a new sign-in: provider-auth login <provider>',
  needs_verification: 'the provider wants it verified on its page',
  blocked_by_provider: 'is blocked by the provider',
  rollback_suspected: 'its record may be an old copy: provider-auth login <provider>',
  disabled: 'is disabled (provider-auth enable)',
  unreadable: 'its record cannot be read (provider-auth doctor)',
  other_kind: 'is not of the kind that rotation.mode asks for',
  origin_refused: 'its credential may not go there',
  not_pinned: 'the request, or the configuration, names another account',
  bound_elsewhere: 'the conversation belongs to another account',
  not_first: 'its pool does not rotate, and another one is the first',
  tried: 'was tried already',
  no_changes_left: 'the request has changed accounts as often as it may',
}

const REASONS: Record<VerdictReason, string> = {
  ok: 'all is well',
  throttled: 'too many requests at once',
  quota_exhausted: 'the quota is used up',
  rate_limited: 'the rate limit is reached',
  overloaded: 'the provider is overloaded',
  token_expired: 'the token has ended',
  needs_login: 'a new sign-in is needed',
  forbidden: 'the provider refuses',
  needs_verification: 'the provider wants a verification',
  blocked_by_provider: 'the provider has blocked the account',
  not_entitled: 'the plan does not include this',
  out_of_credit: 'there is no credit left',
  server_error: 'the provider has a fault',
  network: 'the network does not get there',
  client_error: 'the request is at fault',
  exhausted: 'every account is used up',
  account_bound: 'the request can be served by one account only',
}
