// What the database's owner can see: dump, write-ahead log, server log, activity and statements hold no token, name or
// address. A marker that is planted there is found, so that the search works.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const PLANTED = 'planted-marker-5c1e'
/** Tokens that are sought, of all that were issued: parts that kill thousands of times leave thousands. */
const TOKENS = 300

export async function eyes(stage) {
  const { provider, database } = stage
  provider.forgive(0)
  provider.answerAfter(0)
  const process = await stage.process('a')
  const apiKey = 'sk-marker-of-a-key-77'
  const pool = 'marker-of-a-pool'
  await process.ask('key', pool, apiKey)
  const { user, account } = await stage.logIn(process, 3600)
  await process.insist(['refresh', account], 30_000)
  await database.sql(`create table if not exists planted (name text); insert into planted values ('${PLANTED}')`)
  await database.sql('select pg_switch_wal()')

  const issued = provider.issuedTokens()
  const tokens = issued.filter((_, number) => number % Math.ceil(issued.length / TOKENS) === 0)
  const secrets = [...tokens, apiKey, pool, user, `${user}@local.test`, 'api.local.test']
  const places = {
    dump: [await database.dump()],
    wal: readdirSync(join(database.data, 'pg_wal'), { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => readFileSync(join(database.data, 'pg_wal', name), 'latin1')),
    log: [readFileSync(join(database.data, '..', 'log'), 'latin1')],
    activity: [await database.sql(`select '${PLANTED}', * from pg_stat_activity`)],
    statements: [
      await database.sql(
        `select count(*) as "${PLANTED}" from pg_stat_statements; select query from pg_stat_statements`,
      ),
    ],
  }
  await process.close()
  const wrong = []
  for (const [place, texts] of Object.entries(places)) {
    const has = (text) => texts.some((one) => one.includes(text))
    if (!has(PLANTED)) wrong.push(`the planted marker is not found in ${place}`)
    const found = secrets.filter(has)
    if (found.length > 0)
      wrong.push(`${place} shows ${found.length} secrets or names, such as ${found[0].slice(0, 12)}`)
  }
  return {
    name: 'what the database can see',
    way: 'direct',
    sought: secrets.length,
    twice: 0,
    refused: 0,
    lost: 0,
    wrong,
  }
}
