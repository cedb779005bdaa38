/** `fleet …`: the hosts that share the vault. */
import type { ExposedAccount, FleetHost, HostRevocation } from '../../../index.js'
import { visible } from '../../../npm/src/trust.js'
import { EXIT, fault, faultOf, interrupted } from '../faults.js'
import { admitHost, fleetHosts, joinFleet, revokeHost, vaultStatus } from '../library.js'
import { askYes, mustAsk } from '../prompts.js'
import type { Call } from '../run.js'
import { passphrase } from '../secrets.js'
import { nameOf } from '../sentences.js'
import { hasVault } from '../stored.js'
import { table } from '../table.js'
import { ago } from '../words.js'

export async function join({ options: { source }, out }: Call<{ source?: 'keychain' | 'keyfile' }>): Promise<void> {
  const key = await joinFleet(source === undefined ? {} : { keySource: source }).catch(
    elseNext(
      'make the vault first, where its accounts are: provider-auth login; or name its folder: PROVIDER_AUTH_DIR',
    ),
  )
  out.answer({ key }, key)
  out.say('On a host that opens the vault: provider-auth fleet admit <this line> --name <name>')
}

export async function admit({ args: [line = ''], options: { name }, out }: Call<{ name: string }>): Promise<void> {
  const host = await admitHost(line, name).catch(
    elseNext('provider-auth fleet join on the new host, for its line; provider-auth fleet hosts, for the names taken'),
  )
  out.answer({ host }, host.name)
  out.say(`The host ${host.name} opens the vault with its own key.`)
}

export async function hosts({ out }: Call): Promise<void> {
  const found = await admitted()
  const rows = found.map(({ name, id, addedAt, revoked }) => [
    name,
    id,
    ago(addedAt, Date.now()),
    ...(revoked === undefined ? [] : ['revoked, but not all logins are renewed']),
  ])
  out.answer({ hosts: found }, () => (rows.length === 0 ? '' : table(['host', 'slot', 'admitted'], rows)))
  if (found.length === 0) out.say('No host was admitted yet. On the new host: provider-auth fleet join')
  for (const { name } of found.filter(({ revoked }) => revoked)) out.say(`To go on: ${again(name)}`)
}

export async function revoke({
  args: [name = ''],
  options: { yes = false, passphraseStdin = false },
  out,
}: Call<{ yes?: boolean; passphraseStdin?: boolean }>): Promise<number> {
  if (!(await admitted()).some((host) => host.name === name))
    throw fault({
      message: `there is no host ${visible(name)}; a host is named as it was admitted`,
      next: 'provider-auth fleet hosts, for the list of hosts',
    })
  if (!yes) {
    mustAsk(`--yes: ${name} opens the vault no more, the vault gets a new key, and every login is renewed`)
    if (!(await askYes(`Revoke ${name}? The vault gets a new key, and every login is renewed.`))) throw interrupted()
  }
  const given = passphraseStdin ? { passphrase: await passphrase({ what: 'Passphrase of the slot', stdin: true }) } : {}
  const revoked = await revokeHost(name, given).catch(elseNext('provider-auth fleet revoke, on another host'))
  out.answer(revoked, () => revocationText(revoked))
  if (revoked.host.revoked) out.say(`Not all logins could be renewed now. Once they can: ${again(name)}`)
  const others = (await vaultStatus()).slots.filter(({ keySource }) => keySource !== 'host' && keySource !== 'keychain')
  if (others.length > 0)
    out.say(
      `If ${name} knows the key of ${others.map(({ id, keySource }) => `${id} (${keySource})`).join(' or ')}, it opens the vault by that: provider-auth key slot remove <slot>, then provider-auth key rotate`,
    )
  return revoked.accounts.some(({ code }) => code !== undefined) ? EXIT.failed : EXIT.done
}

/** The command that goes on with a revocation. */
function again(name: string): string {
  return `provider-auth fleet revoke ${name}`
}

/** Fails with a next step where the error has none of its own. */
function elseNext(next: string): (error: unknown) => never {
  return (error) => {
    throw fault({ next, ...faultOf(error) })
  }
}

async function admitted(): Promise<FleetHost[]> {
  return (await hasVault()) ? fleetHosts() : []
}

/** What is left to do about a thing that the host could read. */
const TO_DO: Record<ExposedAccount['replace'][number], string> = {
  api_key: 'make a new API key at the provider, and delete this one',
  client_secret: 'make a new secret for its OAuth client, and delete this one',
  token: 'a token that nothing renews: revoke it at the provider',
  login: 'could not be renewed: sign in again, and revoke the old login at the provider',
}

function revocationText({ host, accounts, sql }: HostRevocation): string {
  const renewed = accounts.filter(({ refreshed }) => refreshed).length
  const left = accounts.flatMap((account) =>
    account.replace.map((what) => [account.provider, nameOf(account), TO_DO[what]].map(visible)),
  )
  return [
    `${host.name} opens nothing new. Logins renewed: ${renewed}`,
    ...(left.length > 0 ? ['It could read these, and only you can replace them:', table([], left)] : []),
    ...(sql !== undefined ? ['If it has a role of its own in the database, its administrator runs:', sql] : []),
  ].join('\n')
}
