/**
 * What the vault says at the start, and after it: a vault that opens late may have accounts of
 * which nothing was known.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Host, HostConfig } from './host.js'
import { log } from './log.js'
import { remember } from './remembered.js'
import { decisionsOf, type HostCredentials, type Known, type Vault } from './start.js'
import type { Toasts } from './toasts.js'
import type { Decision } from './who-serves.js'
import { reason } from './words.js'

/** An instance at its start. */
export interface Place {
  host: Host
  config: HostConfig
  credentials: HostCredentials
}

/** What it takes to say what the vault adds, and to put right what a late one changes. */
export interface Start {
  place: Place
  known: Known
  decisions: ReadonlyMap<string, Decision>
  toasts: Toasts
  /** Reads the accounts once more. */
  readAgain(): Promise<Vault>
}

/** The pause between two looks at a vault that a person may yet unlock. */
const AGAIN_MS = 5_000
/** So many looks: a quarter of an hour. Then a start of OpenCode finds it out. */
const MOST_LOOKS = 180

/** With these, a person may be at the keychain's prompt, or the store may come back. */
const MAY_OPEN: ReadonlySet<string> = new Set([
  'VAULT_LOCKED',
  'KEYCHAIN_TIMEOUT',
  'KEYCHAIN_UNAVAILABLE',
  'STORE_UNAVAILABLE',
])

/** Says what the vault adds, or why it adds nothing. Returns the function that stops watching a late one. */
export function followVault(start: Start, vault: Vault): () => void {
  const { place, decisions, toasts } = start
  const stop = new AbortController()
  if (vault.state === 'read') {
    for (const { provider, row } of decisions.values()) {
      if (row !== 'host-credential' || !vault.withAccounts.has(provider)) continue
      const how = `to have its accounts serve, set provider.${provider}.options.auth to {} in opencode.json`
      toasts.show(
        'problem',
        `OpenCode serves ${provider} with a credential of its own, though the vault has accounts of it; ${how}`,
      )
    }
    return () => {}
  }
  if (vault.state === 'late') {
    log(place.host, 'warn', 'the vault does not open yet; what was known at the last start counts until it does')
  }
  watch(start, vault, stop.signal).catch(() => {})
  return () => stop.abort()
}

/** Waits until the vault opens, and says once why it does not. */
async function watch(start: Start, first: Exclude<Vault, { state: 'read' }>, signal: AbortSignal): Promise<void> {
  const { place, toasts, readAgain } = start
  let vault: Vault = first.state === 'late' ? await first.ready : first
  if (vault.state === 'failed') {
    const why = `the accounts could not be read: ${reason(vault.fault)}`
    log(place.host, 'error', why)
    toasts.show('problem', why)
  }
  for (let looks = 0; vault.state === 'failed' && MAY_OPEN.has(vault.fault.code) && looks < MOST_LOOKS; looks++) {
    await sleep(AGAIN_MS, undefined, { ref: false, signal })
    vault = await readAgain()
  }
  signal.throwIfAborted()
  if (vault.state === 'read') await putRight(start, vault)
}

/**
 * The vault has opened after the start. Where it has accounts of which nothing was known, the
 * instance begins anew, unless somebody works in it.
 */
async function putRight({ place, known, decisions: before, toasts }: Start, vault: Vault): Promise<void> {
  const { host, credentials } = place
  const now = decisionsOf(known, credentials, vault)
  keep(now, vault)
  const gained = [...now.values()].filter(({ provider, who }) => who === 'us' && before.get(provider)?.who !== 'us')
  if (gained.length === 0) return
  const names = gained.map(({ provider }) => provider).join(', ')
  const status = await host.client.session?.status()
  const isBusy = Object.values(status?.data ?? {}).some(({ type }) => type !== 'idle')
  if (isBusy) return toasts.show('problem', `the vault is open; ${names} can be used when OpenCode starts anew`)
  log(host, 'info', `the vault is open and has accounts of ${names}; the instance starts anew`)
  await host.client.instance?.dispose()
}

/** Remembers for the next start what is known now. */
export function keep(decisions: ReadonlyMap<string, Decision>, vault: Vault): void {
  // What was decided without it is a guess.
  if (vault.state !== 'read') return
  remember((memory) => {
    for (const provider of new Set([...Object.keys(memory), ...decisions.keys()])) {
      const { ours, hasAccounts: _, ...rest } = memory[provider] ?? {}
      const decision = decisions.get(provider)
      // Another project may name it: what this one does not say leaves what that one said.
      const isOurs = decision === undefined || decision.row === 'other' ? ours === true : decision.who === 'us'
      const entry = {
        ...rest,
        ...(isOurs && { ours: true }),
        ...(vault.withAccounts.has(provider) && { hasAccounts: true }),
      }
      if (Object.keys(entry).length === 0) delete memory[provider]
      else memory[provider] = entry
    }
  })
}
