/**
 * `worker.mjs <url> <namespace> <id>...`: the `work` of `crates/broker/examples/broker_process.rs`, done through the addon.
 * It goes on until it is killed, and says what it is about to do (`try …`) and what is done (`did …`).
 */
import { randomInt, randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import * as auth from '../../npm/dist/index.js'

const MOST_ACCOUNTS = 4
const LABELS = 2 ** 40
const provider = 'local'
const [url, namespace, ...logins] = process.argv.slice(2)
/** Written before the next step begins, so that a kill cannot take it back. */
const say = (line) => writeSync(1, `${line}\n`)

const accounts = []
for (const { id, label } of await auth.listAccounts({ namespace })) {
  say(`has ${id} ${label}`)
  accounts.push({ id, label: Number(label) })
}
say('ready')
for (;;) {
  const deed = accounts.length === 0 ? 0 : randomInt(8)
  if (deed === 0 && accounts.length < MOST_ACCOUNTS) await add()
  else if (deed === 1) await remove()
  else if (deed === 2 && logins.length > 0) await refresh(logins[randomInt(logins.length)])
  else await rename(accounts[randomInt(accounts.length)])
}

async function add() {
  const apiKey = `key-${randomUUID()}`
  // No other account of the pool has it, so that it stays as it is.
  const label = randomInt(LABELS)
  say(`try add ${apiKey} ${label}`)
  const { id } = await auth.addApiKey({ provider, namespace, apiKey, label: String(label) })
  say(`did add ${id} ${label}`)
  accounts.push({ id, label })
}

async function remove() {
  const [{ id }] = accounts.splice(randomInt(accounts.length), 1)
  say(`try remove ${id}`)
  await auth.removeAccount(id)
  say(`did remove ${id}`)
}

async function refresh(id) {
  say(`try refresh ${id}`)
  const account = await auth.refreshAccount(id, { force: true })
  const asked = { provider, namespace: account.namespace, url, account: id }
  const { headers } = await auth.getAuthHeaders(asked)
  say(`did refresh ${id} ${headers.authorization.replace('Bearer ', '')}`)
}

async function rename(account) {
  account.label += 1
  say(`try label ${account.id} ${account.label}`)
  await auth.updateAccount(account.id, { label: String(account.label) })
  say(`did label ${account.id} ${account.label}`)
}
