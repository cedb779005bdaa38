/** `key …`: the vault's key, and the ways to it. */
import { randomBytes } from 'node:crypto'
import type { KeySlot, VaultStatus } from '../../../index.js'
import { EXIT, fault, faultOf, interrupted, usage } from '../faults.js'
import { writePrivateFile } from '../files.js'
import { closedFault, statusText } from '../key-words.js'
import {
  addVaultSlot,
  exportVaultKey,
  importVaultKey,
  initVaultKey,
  removeVaultSlot,
  rotateVaultKey,
  vaultStatus,
} from '../library.js'
import type { Output } from '../output.js'
import { askSecret, askYes, canAsk, mustAsk } from '../prompts.js'
import type { Call } from '../run.js'
import { lineOfInput, passphrase } from '../secrets.js'
import { firstStep, hasVault } from '../stored.js'
import { isTerminal } from '../terminal.js'

type Source = 'keychain' | 'env' | 'passphrase' | 'keyfile'
type WithPassphrase = { passphraseStdin?: boolean }
/** 32 bytes, as the vault's other keys. */
const KEY_BYTES = 32

export async function status({ out }: Call): Promise<void> {
  const found = await vaultStatus()
  answerStatus(found, out)
  if (found.state === 'empty') {
    const { why, next } = await firstStep()
    if (why === undefined)
      out.say(`There is no vault yet. The first login makes one, by the key source ${found.keySource}.`)
    else out.say(`There is no vault yet, and a login cannot make one: ${why}`)
    out.say(why === undefined ? 'To choose another: provider-auth key init --source <source>' : `First: ${next}`)
  }
  if (found.quarantined > 0)
    out.say('Log in again for the accounts of damaged records; provider-auth doctor lists them.')
  const closed = closedFault(found)
  if (closed !== undefined) throw closed
}

export async function init({
  options,
  out,
}: Call<WithPassphrase & { source?: Source; force?: boolean; show?: boolean; yes?: boolean }>): Promise<void> {
  const { source, force = false, show = false } = options
  if (show && source !== 'env') throw usage('--show prints a key that was made for --source env')
  // First, since the library reads the environment with its first call.
  const made = source === 'env' ? await keyOfEnvironment(show) : undefined
  if (source === 'passphrase') await givePassphrase(options)
  if (force) await agreeToReplace(source, options.yes ?? false)
  const found = await initVaultKey({ ...(source !== undefined && { keySource: source }), force })
  out.answer({ ...found, ...(made !== undefined && { key: made }) }, () => made ?? statusText(found, out.colour))
  if (made !== undefined) out.say('Keep this key: without it the vault does not open, and no other copy exists.')
  if (found.keySource === 'passphrase') out.say(NEEDS_PASSPHRASE)
  else if (found.slots.length === 1 && made === undefined)
    out.say('A lost key is a lost vault. A second way to it: provider-auth key slot add passphrase')
}

const NEEDS_PASSPHRASE =
  'Every program that opens this vault needs the passphrase: set PROVIDER_AUTH_PASSPHRASE_FILE, or PROVIDER_AUTH_PASSPHRASE.'

async function agreeToReplace(source: Source | undefined, yes: boolean): Promise<void> {
  const { state, slots } = await vaultStatus()
  if (state === 'empty') return
  if (source === 'passphrase' && slots.some(({ keySource }) => keySource === 'passphrase'))
    throw usage(
      'this vault has a passphrase already',
      'change it with: provider-auth key slot add passphrase, then provider-auth key slot remove <slot>',
    )
  if (yes) return
  mustAsk('--yes: the vault gets a new key, and all other ways to it end')
  if (!(await askYes('Give the vault a new key? All other ways to it end.'))) throw interrupted()
}

/** The key that was made for the environment, where that has none. */
async function keyOfEnvironment(show: boolean): Promise<string | undefined> {
  if ((process.env.PROVIDER_AUTH_KEY ?? '') !== '') {
    if (show) throw usage('PROVIDER_AUTH_KEY is set already, so no key is made', 'leave out --show')
    return undefined
  }
  if (!show)
    throw fault({
      code: 'VAULT_KEY_MISSING',
      exit: 4,
      message: 'PROVIDER_AUTH_KEY is not set, and that is where the key is to live',
      next: 'export PROVIDER_AUTH_KEY="$(provider-auth key init --source env --show)", and keep that key',
    })
  const key = randomBytes(KEY_BYTES).toString('base64')
  process.env.PROVIDER_AUTH_KEY = key
  if ((await vaultStatus()).state !== 'empty')
    throw fault({
      code: 'KEY_EXISTS',
      message: 'the vault has a key already, so none was made',
      next: 'provider-auth key slot add env, with PROVIDER_AUTH_KEY set',
    })
  return key
}

/** Has the library find a passphrase that it would else look for in the environment. */
async function givePassphrase({ passphraseStdin }: WithPassphrase): Promise<void> {
  const { PROVIDER_AUTH_PASSPHRASE: given = '', PROVIDER_AUTH_PASSPHRASE_FILE: file = '' } = process.env
  if (passphraseStdin !== true && (given !== '' || file !== '')) return
  process.env.PROVIDER_AUTH_PASSPHRASE = await passphrase({
    what: 'Passphrase of the vault',
    stdin: passphraseStdin,
    twice: true,
  })
  delete process.env.PROVIDER_AUTH_PASSPHRASE_FILE
}

export async function exportKey({
  options: { show = false, out: file, force = false },
  out,
}: Call<{ show?: boolean; out?: string; force?: boolean }>): Promise<void> {
  if (file === undefined && !show && isTerminal(process.stdout))
    throw usage('the key is not shown on a terminal', '--show prints it, --out <file> writes it to a file')
  if (!(await hasVault()))
    throw fault({
      code: 'VAULT_KEY_MISSING',
      exit: EXIT.vaultClosed,
      message: 'there is no vault yet, and so no key',
      next: 'provider-auth key init',
    })
  const key = await exportVaultKey()
  if (file === undefined) {
    out.answer({ key }, key)
    return
  }
  const path = await writePrivateFile(file, `${key}\n`, { force })
  out.answer({ file: path }, path)
  out.say("Keep it away from the vault's folder: the two together are every login.")
}

export async function importKey({ options: { source }, out }: Call<{ source?: Source }>): Promise<void> {
  const typed = isTerminal(process.stdin)
  if (typed) mustAsk('the key on standard input')
  const key = typed ? await askSecret('The exported key') : await lineOfInput('key')
  if (source === 'passphrase') {
    const { PROVIDER_AUTH_PASSPHRASE: given = '', PROVIDER_AUTH_PASSPHRASE_FILE: file = '' } = process.env
    if (!typed && given === '' && file === '')
      throw usage('the passphrase is not there', 'set PROVIDER_AUTH_PASSPHRASE_FILE, or PROVIDER_AUTH_PASSPHRASE')
    await givePassphrase({})
  }
  const before = await vaultStatus().catch(() => undefined)
  // A host's own key is a slot of its own.
  const keySource = source ?? before?.slots.map((slot) => slot.keySource).find((one) => one !== 'host')
  const opened = await importVaultKey(key.trim(), keySource === undefined ? {} : { keySource })
  // There is one key file, which now has the new slot's key; what it had before opens nothing any more.
  const isDead = (slot: KeySlot) => slot.keySource === 'keyfile' && before?.slots.some(({ id }) => id === slot.id)
  const dead = keySource === 'keyfile' ? opened.slots.filter(isDead) : []
  const isRenewed = opened.slots.some((slot) => slot.keySource === 'keyfile' && !isDead(slot))
  for (const { id } of isRenewed ? dead : []) await removeVaultSlot(id)
  answerStatus(isRenewed && dead.length > 0 ? await vaultStatus() : opened, out)
}

export async function rotate({ options: { passphraseStdin }, out }: Call<WithPassphrase>): Promise<void> {
  const rotated = await rotateVaultKey(
    passphraseStdin === true ? { passphrase: await passphrase({ what: 'Passphrase of the slot', stdin: true }) } : {},
  ).catch(async (error) => {
    if (passphraseStdin === true || !(await lacksPassphrase(error))) throw error
    if (!canAsk()) throw fault({ ...faultOf(error), next: 'give its passphrase on standard input: --passphrase-stdin' })
    return rotateVaultKey({ passphrase: await passphrase({ what: 'Passphrase of the slot' }) })
  })
  answerStatus(rotated, out)
}

/** Whether the vault is open and a rotation lacks the passphrase of one of its slots. */
async function lacksPassphrase({ code, message }: NodeJS.ErrnoException): Promise<boolean> {
  if (code !== 'VAULT_KEY_MISSING') return false
  const { state, slots } = await vaultStatus()
  return state === 'open' && slots.some(({ id, keySource }) => keySource === 'passphrase' && message.includes(id))
}

export async function addSlot({
  args: [source],
  options: { passphraseStdin },
  out,
}: Call<WithPassphrase>): Promise<void> {
  const keySource = source as Source
  const slot = await addVaultSlot({
    keySource,
    ...(keySource === 'passphrase' && {
      passphrase: await passphrase({ what: 'Passphrase that opens the vault', stdin: passphraseStdin, twice: true }),
    }),
  })
  out.answer({ slot }, slot.id)
  out.say(`The slot ${slot.id} (${slot.keySource}) opens the vault by itself.`)
}

export async function removeSlot({ args: [id = ''], options: { yes }, out }: Call<{ yes?: boolean }>): Promise<void> {
  const slot = (await vaultStatus()).slots.find((one) => one.id === id)
  if (slot !== undefined && yes !== true) {
    mustAsk(`--yes: the slot ${id} (${slot.keySource}) opens the vault no more`)
    if (!(await askYes(`Remove the slot ${id} (${slot.keySource})? It opens the vault no more.`))) throw interrupted()
  }
  if (!(await removeVaultSlot(id)))
    throw fault({
      message: `there is no slot ${id}; a slot is named by its id`,
      next: 'provider-auth key status, for the list of slots',
    })
  out.answer({ removed: id }, '')
  out.say(`The slot ${id} opens the vault no more.`)
}

function answerStatus(found: VaultStatus, out: Output): void {
  out.answer(found, () => statusText(found, out.colour))
}
