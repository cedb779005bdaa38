/** `complete`: what may come next on a line of a shell. It asks no question, ends fast, and fails silently. */
import { setTimeout as sleep } from 'node:timers/promises'
import { visible } from '../../../npm/src/trust.js'
import { type Candidate, type Next, nextOf } from '../completion.js'
import type { Call } from '../run.js'
import { inserted, wordsOf } from '../shell-words.js'

/** A person waits for the answer. */
const LONGEST_MS = 1000
const FILES = ['file', 'dir', 'command']

type Shell = 'bash' | 'zsh' | 'fish' | 'powershell'

export async function run({ args, options, command }: Call<{ shell: Shell; breaks?: string }>): Promise<void> {
  const { shell, breaks = '' } = options
  const program = command.parent ?? command
  const [words, typed] = shell === 'bash' ? bashWords(args[0] ?? '', breaks) : plainWords(args, shell)
  const next = nextOf(program, words, typed.value)
  const [, option = ''] = /^(--[^=]+=)/.exec(typed.value) ?? []
  const candidates = [...next.fixed, ...(await Promise.race([live(next).catch(() => []), late()]))]
  const lines = candidates
    .map(({ value, what }) => ({ value: value.startsWith('-') ? value : option + value, what: visible(what) }))
    .filter(({ value }) => visible(value) === value)
    .flatMap(({ value, what }) => line(shell, value, what, typed, option))
  process.stdout.write(`${[FILES.includes(next.kind ?? '') ? ':files' : ':none', ...lines].join('\n')}\n`)
}

type Typed = ReturnType<typeof wordsOf>[1]

function bashWords(line: string, breaks: string): [string[], Typed] {
  const [before, current] = wordsOf(line, breaks)
  return [before.slice(1), current]
}

function plainWords(args: string[], shell: Shell): [string[], Typed] {
  const last = args.at(-1) ?? ''
  const value = shell === 'powershell' ? last.replace(/^=/, '').replace(/^['"]/, '') : last.replace(/^['"]/, '')
  return [args.slice(0, -1), { value, quote: '', kept: 0 }]
}

/** A line of the answer; bash alone does not choose by what is typed. */
function line(shell: Shell, value: string, what: string, typed: Typed, option: string): string[] {
  if (shell === 'bash') return value.startsWith(typed.value) ? [inserted(value, typed)] : []
  if (shell !== 'zsh') return [`${value}\t${what}`]
  // zsh has taken `--option=` off already, and separates by a colon.
  const rest = value.slice(option.length).replace(/[\\:]/g, '\\$&')
  return [what === '' ? rest : `${rest}:${what}`]
}

/** What only the configuration and the vault know. */
async function live({ kind, provider }: Next): Promise<Candidate[]> {
  const named = kind === 'id|label' || kind === 'other' ? 'account' : kind
  return (await LIVE[named as string]?.(provider)) ?? []
}

const LIVE: Record<string, (provider?: string) => Promise<Candidate[]>> = {
  provider: async () => {
    const { configuredProviders } = await import('../library.js')
    return (await configuredProviders()).map(({ id, origins }) => ({ value: id, what: origins[0] ?? '' }))
  },
  account: async (provider) => {
    const accounts = await openAccounts(provider)
    const labels = accounts.map(({ label }) => label)
    return accounts.map(({ id, label, provider: of, state }) => {
      const isPlain = label !== '' && visible(label) === label && labels.indexOf(label) === labels.lastIndexOf(label)
      return { value: isPlain ? label : id, what: isPlain ? `${of}, ${state}` : `${label} (${of}, ${state})` }
    })
  },
  pool: async () => {
    const pools = new Set((await openAccounts()).map(({ namespace }) => namespace))
    return [...pools].map((value) => ({ value, what: '' }))
  },
  host: async () => {
    const { fleetHosts, vaultStatus } = await import('../library.js')
    if ((await vaultStatus()).state !== 'open') return []
    return (await fleetHosts()).map(({ name, id }) => ({ value: name, what: id }))
  },
  slot: async () => {
    const { vaultStatus } = await import('../library.js')
    return (await vaultStatus()).slots.map(({ id, keySource = '' }) => ({ value: id, what: keySource }))
  },
}

/** The accounts of a vault that opens without a question. */
async function openAccounts(provider?: string) {
  const { listAccounts, vaultStatus } = await import('../library.js')
  if ((await vaultStatus()).state !== 'open') return []
  return listAccounts(provider === undefined ? {} : { provider })
}

async function late(): Promise<Candidate[]> {
  await sleep(LONGEST_MS)
  return []
}
