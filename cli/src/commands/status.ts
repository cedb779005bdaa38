/** `status`: the vault, and who serves next in each pool and why. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Account, VaultStatus } from '../../../index.js'
import { visible } from '../../../npm/src/trust.js'
import { vaultStatus } from '../library.js'
import { nextWords } from '../next.js'
import { readStanding, type Standing, vaultWords } from '../pools.js'
import type { Call } from '../run.js'
import { counted, poolOf } from '../sentences.js'
import { loginTo, stepWords } from '../stored.js'
import { isTerminal } from '../terminal.js'

/** How often it looks for changes; a look at an unchanged vault costs next to nothing. */
const LOOK_MS = 1_000

type Status = { vault: VaultStatus; standing: Standing; provider?: string }
type Options = { watch?: boolean }

export async function run({ args: [provider], options, out }: Call<Options>): Promise<void> {
  const filter = provider === undefined ? {} : { provider }
  const look = async (): Promise<Status> => {
    const standing = await readStanding(filter)
    return { vault: await vaultStatus(), standing, ...filter }
  }
  const first = await look()
  if (options.watch !== true) return show(first, out)
  if (!out.json && isTerminal(process.stdout) && process.env.TERM !== 'dumb') return redraw(first, look, out)
  let last = ''
  for (let status = first; ; status = await look()) {
    // Of a time that runs, only its end counts as a change.
    const now = JSON.stringify(answerOf(status))
    if (now !== last) show(status, out)
    last = now
    await sleep(LOOK_MS)
  }
}

function show(status: Status, out: Call['out']): void {
  out.answer(answerOf(status), () => linesOf(status, out).join('\n'))
}

async function redraw(first: Status, look: () => Promise<Status>, out: Call['out']): Promise<void> {
  const { openTerminal } = await import('../screen/terminal.js')
  const terminal = openTerminal()
  terminal.onKey(({ name }) => {
    if (name === 'q' || name === 'escape') process.exit(0)
  })
  let status = first
  const draw = (): void => terminal.draw([...linesOf(status, out), '', out.colour.dim('q or Ctrl-C ends')])
  terminal.onResize(draw)
  for (; ; status = await look()) {
    draw()
    await sleep(LOOK_MS)
  }
}

function answerOf({ vault, standing }: Status): object {
  const { state, keySource, dir, accounts, quarantined } = vault
  return {
    vault: { state, keySource, dir, accounts, quarantined },
    pools: standing.pools.map(({ provider, namespace, accounts, next, retryAt }) => ({
      provider,
      namespace,
      accounts: accounts.length,
      states: counts(accounts),
      next: {
        outcome: next.outcome,
        ...(next.account !== undefined && { id: next.account.id, label: next.account.label }),
        ...(next.until !== undefined && { until: next.until }),
        why: next.why,
      },
      ...(retryAt !== undefined && { retryAt }),
    })),
  }
}

function linesOf({ vault, standing, provider }: Status, { colour }: Call['out']): string[] {
  const { bold, dim, green, yellow } = colour
  const lines = [`${bold('vault')}  ${visible(vaultWords(vault))}`]
  if (vault.quarantined > 0)
    lines.push(yellow(`  ${counted(vault.quarantined, 'record')} could not be read: provider-auth doctor`))
  if (standing.accounts.length === 0) {
    const { first = { next: loginTo(provider) } } = standing
    lines.push(visible(`  no account ${provider === undefined ? '' : `of ${provider} `}yet; ${stepWords(first)}`))
  }
  for (const pool of standing.pools) {
    const words = visible(nextWords(pool.next, ({ label }) => label, Date.now()))
    lines.push(
      '',
      bold(visible(poolOf(pool))),
      `  ${pool.next.outcome === 'serve' ? green('●') : yellow('○')} ${words}`,
    )
    lines.push(dim(`  ${countWords(pool.accounts)}`))
  }
  const pooled = new Set(standing.pools.flatMap(({ accounts }) => accounts.map(({ id }) => id)))
  const others = new Set(standing.accounts.filter(({ id }) => !pooled.has(id)).map(({ provider }) => provider))
  for (const provider of others)
    lines.push('', bold(visible(provider)), '  not configured any more: its accounts serve no request')
  return lines
}

/** How many accounts are in each state. */
function counts(accounts: readonly Account[]): Record<string, number> {
  const found: Record<string, number> = {}
  for (const { enabled, state } of accounts) {
    const name = enabled ? state : 'disabled'
    found[name] = (found[name] ?? 0) + 1
  }
  return found
}

const WORDS: Record<string, string> = {
  ready: 'ready',
  cooling: 'resting',
  exhausted: 'at their limit',
  needs_login: 'to sign in again',
}

/** `3 accounts: 1 ready, 2 resting`. */
export function countWords(accounts: readonly Account[]): string {
  const parts = Object.entries(counts(accounts)).map(
    ([state, count]) => `${count} ${WORDS[state] ?? state.replaceAll('_', ' ')}`,
  )
  return `${counted(accounts.length, 'account')}: ${parts.join(', ')}`
}
