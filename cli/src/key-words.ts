/** How a vault stands, in words: its state, and what opens one that does not open. */
import type { VaultStatus } from '../../index.js'
import { EXIT, fault } from './faults.js'
import type { Colours } from './output.js'
import { table } from './table.js'

type Source = VaultStatus['keySource']

const STATES: Record<VaultStatus['state'], string> = {
  open: 'opens',
  empty: 'not made yet',
  locked: 'the keychain is locked',
  timeout: 'the keychain does not answer',
  unavailable: 'there is no keychain',
  key_missing: 'its key is not there',
  key_mismatch: 'the key that was found is not its own',
}

const CODES: Partial<Record<VaultStatus['state'], string>> = {
  locked: 'VAULT_LOCKED',
  timeout: 'KEYCHAIN_TIMEOUT',
  unavailable: 'KEYCHAIN_UNAVAILABLE',
  key_missing: 'VAULT_KEY_MISSING',
  key_mismatch: 'VAULT_KEY_MISMATCH',
}

/** What gives the key of a slot, as a request. */
const GIVE: Record<Source, string> = {
  keychain: 'start and unlock the keychain',
  env: 'set PROVIDER_AUTH_KEY to the key that the vault was made with',
  passphrase: "set PROVIDER_AUTH_PASSPHRASE, or PROVIDER_AUTH_PASSPHRASE_FILE, to the vault's passphrase",
  keyfile: "put the key file back beside the vault's folder, of the same name with .key",
  host: 'provider-auth fleet join here, and provider-auth fleet admit on a host that opens the vault',
  memory: 'start again: a key in memory ends with its process',
}

/** The status in lines. */
export function statusText(status: VaultStatus, colours: Colours): string {
  const { keySource, keyId, slots } = status
  const [folder = [], state = [], ...rest] = vaultRows(status, colours)
  const rows = [
    folder,
    state,
    ['key', [keySource, ...(keyId === '' ? [] : [keyId])].join(' ')],
    ...slots.map((slot, index) => [index === 0 ? 'slots' : '', `${slot.id} ${slot.keySource ?? 'of a newer version'}`]),
    ...rest,
  ]
  return table(
    [],
    rows.map(([name = '', value = '']) => [colours.dim(name), value]),
  )
}

/** Where the vault is and what is in it; first its folder and its state. */
export function vaultRows(
  { dir, state, accounts, movedTo, quarantined }: VaultStatus,
  { green, red }: Colours,
): string[][] {
  const isFine = state === 'open' || state === 'empty'
  return [
    ['folder', dir],
    ['state', (isFine ? green : red)(STATES[state])],
    ['accounts', state === 'open' ? String(accounts) : state === 'empty' ? '0' : 'not known'],
    ...(movedTo === undefined
      ? []
      : [[movedTo.underWay ? 'moving to' : 'moved to', `${movedTo.where}${movedTo.underWay ? ': not finished' : ''}`]]),
    ...(quarantined > 0 ? [['damaged', `${quarantined} records, set aside in quarantine`]] : []),
  ]
}

const LINKS = { true: ', direct', false: ', through a pooler', undefined: '' }

/** How the store of a vault for many machines stands; nothing where there is none. */
export function storeRows({ store }: VaultStatus, { green, yellow, red }: Colours): string[][] {
  if (store === undefined) return []
  const { kind, where, state, direct, hosts, outbox, clockOffset } = store
  const seconds = (clockOffset / 1000).toFixed(1)
  return [
    ['store', `${kind} ${where}`, `${(state === 'offline' ? red : green)(state)}${LINKS[`${direct}`]}`],
    ['hosts', hosts === undefined ? 'not known' : String(hosts), `clock ${clockOffset < 0 ? '' : '+'}${seconds} s`],
    ['outbox', outbox === 0 ? '0' : yellow(String(outbox))],
  ]
}

/** The error of a vault that does not open, with every way to open it; `undefined` when it opens or is not made yet. */
export function closedFault({ state, dir, keySource, slots }: VaultStatus): Error | undefined {
  const code = CODES[state]
  if (code === undefined) return undefined
  const sources = [...new Set(slots.map((slot) => slot.keySource ?? keySource))]
  const ways = (sources.length > 0 ? sources : [keySource]).map((source) => GIVE[source])
  return fault({
    code,
    exit: EXIT.vaultClosed,
    message: `the vault does not open: ${STATES[state]}`,
    ...(state === 'key_mismatch' && { why: `it is the key of another vault than ${dir}, or no key` }),
    next: [
      ...ways,
      'bring the key that you have exported: provider-auth key import --source <where it is to live>',
    ].join('; or '),
  })
}
