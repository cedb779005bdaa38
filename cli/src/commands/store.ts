/** `store …`: how a store for many machines stands, and how it is made. */
import type { StoreSetup } from '../../../index.js'
import { EXIT, fault, faultOf } from '../faults.js'
import { initStore, migrateStore, storeSql, storeStatus } from '../library.js'
import type { Output } from '../output.js'
import type { Call } from '../run.js'
import { table } from '../table.js'

interface Options {
  role?: string[]
  print?: boolean
}

export async function status({ out }: Call): Promise<void> {
  const found = await storeStatus().catch(unconfigured)
  answer(found, out)
  if (found.schema === undefined) out.say('To make the tables: provider-auth store init')
  else if (!found.vault) out.say('To make the vault: provider-auth store init')
}

export async function init({ options: { role: roles = [], print = false }, out }: Call<Options>): Promise<void> {
  if (print) return answerSql(roles, out)
  const made = await initStore({ roles }).catch(unconfigured)
  answer(made, out)
  if (made.installed) out.say('The tables, roles and rights were made.')
  if (made.made) out.say('The vault was made.')
  for (const role of made.admitted) out.say(`The role ${role} may use the vault now.`)
  if (!made.installed && !made.made && made.admitted.length === 0) out.say('All of it was there: nothing was changed.')
}

export async function migrate({ options: { print = false }, out }: Call<Options>): Promise<void> {
  if (print) return answerSql([], out)
  const found = await migrateStore().catch(unconfigured)
  answer(found, out)
  out.say('The tables are up to date: nothing was to be done.')
}

async function answerSql(roles: string[], out: Output): Promise<void> {
  const sql = await storeSql({ roles }).catch(unconfigured)
  out.answer({ sql }, sql.trimEnd())
}

function answer(setup: StoreSetup, out: Output): void {
  const { where, schema, vault, admin } = setup
  const rows = [
    ['store', where],
    ['tables', schema === undefined ? 'none yet' : `version ${schema}`],
    ['vault', vault ? 'there' : 'not made yet, or not shown to this role'],
    ['role', admin ? 'an administrator' : "a host's, or none of ours"],
  ]
  out.answer(setup, () =>
    table(
      [],
      rows.map(([name = '', value = '']) => [out.colour.dim(name), value]),
    ),
  )
}

/** The command was called rightly where nothing is configured. */
function unconfigured(error: unknown): never {
  const what = faultOf(error)
  if (what.code !== 'INVALID_ARGUMENT') throw error
  throw fault({
    ...what,
    exit: EXIT.failed,
    next: "set PROVIDER_AUTH_STORE to postgres://role@host/database?vault=name, or store in the user's config.jsonc",
  })
}
