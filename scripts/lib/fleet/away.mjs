// The database is gone for a while: what is fresh serves, nothing is renewed, and all is well soon after its return.

import { setTimeout as sleep } from 'node:timers/promises'

const SHORT_LIFE = 5
/** All is well so soon after the database is back, beside the time in which hosts put back what was lost. */
const WELL_MS = 2000 + 1000
const EXIT_MS = 5200

export async function away(stage, awayMs) {
  const { provider, database } = stage
  provider.forgive(0)
  provider.answerAfter(0)
  const [one, other] = await Promise.all([stage.process('a'), stage.process('b')])
  const key = await one.ask('key', 'keys', 'an-api-key-of-the-fleet')
  const fresh = await stage.logIn(one, 36_000)
  const ending = await stage.logIn(one, SHORT_LIFE)
  for (const login of [fresh, ending, { account: key.account }]) await stage.sees(other, login)
  const served = await Promise.all([fresh, ending].map(({ account }) => other.ask('headers', account)))
  const before = provider.count()
  await database.stop('fast')
  await sleep(SHORT_LIFE * 1000)

  const wrong = []
  const expect = (holds, what) => holds || wrong.push(what)
  const until = Date.now() + awayMs
  let longestMs = 0
  let refusalMs = 0
  let calls = 0
  while (Date.now() < until) {
    for (const process of [one, other]) {
      const good = await Promise.all([fresh.account, key.account].map((account) => process.ask('headers', account)))
      for (const { error, took_ms } of good) {
        expect(error === undefined, `what is fresh does not serve: ${error}`)
        longestMs = Math.max(longestMs, took_ms)
        calls += 1
      }
      const ended = await process.ask('headers', ending.account)
      refusalMs = Math.max(refusalMs, ended.took_ms)
      expect(ended.error === 'STORE_UNAVAILABLE', `what has ended: ${ended.error ?? 'serves'}, ${ended.why}`)
      expect(ended.retry_at > 0, 'nothing says when to try again')
    }
    await sleep(1000)
  }
  expect(provider.count().sent === before.sent, 'an exchange was begun')
  const exiting = Date.now()
  await other.close()
  const exitMs = Date.now() - exiting
  expect(exitMs <= EXIT_MS, `the exit took ${exitMs / 1000} s`)
  provider.setLife(3600)
  await database.start()
  const back = Date.now()
  const renewed = await one.insist(['headers', ending.account], 20_000)
  const wellMs = Date.now() - back
  expect(renewed.error === undefined && renewed.token !== served[1].token, `it stays away: ${renewed.error}`)
  expect(wellMs <= WELL_MS, `all is well after ${wellMs / 1000} s`)
  await one.close()
  const { twice, refused } = provider.count()
  const name = `database away for ${awayMs / 1000} s`
  const lost = renewed.error === undefined ? 0 : 1
  const more = { twice: twice - before.twice, refused: refused - before.refused, lost }
  return { name, way: 'direct', calls, longestMs, refusalMs, exitMs, wellMs, ...more, wrong: [...new Set(wrong)] }
}
