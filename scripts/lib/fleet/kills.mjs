// Processes on three machines renew tokens and are killed without warning, several a second.

import { setTimeout as sleep } from 'node:timers/promises'
import { until } from './commands.mjs'

const ACCOUNTS = 3
const TOKEN_SECONDS = 4
const EXCHANGE_MS = 200
const LASTS_MS = 45_000
const PAUSE_MS = 300
const MACHINES = ['a', 'b', 'c']
const PROCESSES = 3
/** From an answer to the moment when it is stored, on a busy machine. */
const STORED_MS = 500
/** Until everybody knows that a token was refused. */
const SEEN_MS = 1000

/**
 * Kills `kills` processes. A login whose process dies between an answer and the outbox needs the provider's grace; of a
 * provider that gives none it is lost, and nothing else may be.
 */
export async function killStorm(stage, kills, graceMs) {
  const { provider } = stage
  provider.forgive(graceMs)
  provider.answerAfter(0)
  const desk = await stage.process('a')
  const lives = createLives(stage)
  // Each place has a login; where one is lost, somebody logs in anew.
  const all = []
  const places = await Promise.all(
    Array.from({ length: ACCOUNTS }, async () => {
      const place = { login: await stage.logIn(desk, TOKEN_SECONDS) }
      all.push(place.login)
      return place
    }),
  )
  const replace = async (place, lost) => {
    if (place.login !== lost || lost.isLost) return
    lost.isLost = true
    provider.answerAfter(0)
    place.login = await stage.logIn(desk, TOKEN_SECONDS)
    all.push(place.login)
    provider.answerAfter(EXCHANGE_MS)
  }
  provider.answerAfter(EXCHANGE_MS)

  const startedAt = Date.now()
  let killed = 0
  let cutShort = 0
  const isOver = () => killed >= kills || Date.now() - startedAt > 4 * LASTS_MS
  const slots = MACHINES.flatMap((machine) => Array.from({ length: PROCESSES }, () => machine))
  const life = (LASTS_MS * slots.length) / kills
  const live = async (machine) => {
    while (!isOver()) {
      const { process, own } = await lives.begin(machine)
      const asking = places.map(async (place) => {
        for (;;) {
          const { login } = place
          const { error, token } = await process.ask('headers', login.account)
          if (error === 'ENDED') return
          if (token !== undefined) lives.served.add(token)
          if (error === 'NEEDS_LOGIN') await replace(place, login)
          await sleep(PAUSE_MS)
        }
      })
      await sleep(life * 2 * Math.random())
      await lives.end(process, own)
      killed += 1
      if (own.exchanging.size > 0) cutShort += 1
      await Promise.all(asking)
    }
  }
  await Promise.all(slots.map(live))
  const tookMs = Date.now() - startedAt

  provider.answerAfter(0)
  for (const login of all.filter((one) => !one.isLost)) {
    const { error, state } = await desk.insist(['refresh', login.account], 40_000)
    login.isLost = error !== undefined || state !== 'ready'
  }
  await desk.close()
  const counts = all.map(({ user }) => provider.count(user))
  const of = (name) => counts.reduce((total, count) => total + count[name], 0)
  const lost = all.filter(({ isLost }) => isLost)
  const causes = lost.map(({ user }) => lives.causeOf(provider.requests(user)))
  const unexplained = causes.filter((cause) => cause !== undefined)
  const again = all.map(({ user }) => lives.again(provider.requests(user)))
  const grace = graceMs > 0 ? `${graceMs / 1000} s of grace` : 'no grace'
  const result = {
    name: `${killed} kills of ${slots.length} processes in ${Math.round(tookMs / 1000)} s, ${grace}`,
    way: 'direct',
    exchanging: cutShort,
    logins: all.length,
    sent: of('sent'),
    twice: of('twice'),
    refused: of('refused'),
    lost: lost.length,
    unexplained: unexplained.length,
    again: again.reduce((total, { known }) => total + known, 0),
    refusedAgain: again.reduce((total, { unheard }) => total + unheard, 0),
  }
  const wrong = unexplained.map((cause) => `a login is lost: ${cause}`)
  if (graceMs > 0 && lost.length > 0) wrong.push('lost: none')
  if (graceMs > 0 && result.refused > 0) wrong.push('refused: none')
  if (result.again > 0) wrong.push(`${result.again} tokens were sent again while their sender lived`)
  return { ...result, wrong }
}

/** The processes that lived, who of them sent which token, and which tokens were ever served. */
function createLives(stage) {
  const senders = new Map()
  const served = new Set()
  /** An earlier one may have died before its request left. */
  const senderOf = ({ spent, at }) => senders.get(spent)?.findLast((said) => said.at <= at)?.own
  return {
    served,
    async begin(machine) {
      const own = { machine, exchanging: new Set(), answered: new Set(), killedAt: undefined }
      const onEvent = ({ event, spent, at }) => {
        if (event === 'sending' && spent !== null) {
          own.exchanging.add(spent)
          senders.set(spent, [...(senders.get(spent) ?? []), { own, at }])
        }
        if (event === 'answered') {
          own.answered.add(spent)
          own.exchanging.delete(spent)
        }
      }
      return { own, process: await stage.process(machine, 'direct', { onEvent }) }
    },
    async end(process, own) {
      own.killedAt = Date.now()
      await process.kill()
      // What it said before is read by now, or soon.
      await until('its output is read', () => process.child.stdout.readableEnded)
    },
    /**
     * The requests that sent a token again while the process that had sent it lived: `known` of tokens that had been refused
     * so long ago that everybody knew, or that had not been refused, and `unheard` of those whose refusal was news.
     */
    again(requests) {
      const counted = { known: 0, unheard: 0 }
      for (const [index, request] of requests.entries()) {
        const before = requests.slice(0, index).findLast(({ spent }) => spent === request.spent)
        if (before === undefined || senderOf(before)?.killedAt <= request.at) continue
        const isNews = before.error === 'invalid_grant' && request.at <= before.leftAt + SEEN_MS
        counted[isNews ? 'unheard' : 'known'] += 1
      }
      return counted
    },
    /** Why a login is not explained by a kill between an answer and the outbox, or nothing if it is. */
    causeOf(requests) {
      const refused = requests.find(({ error }) => error === 'invalid_grant')
      if (refused === undefined) return 'no request was refused'
      const first = requests.find(({ spent, status }) => spent === refused.spent && status === 200)
      if (first === undefined) return 'what was refused was never spent'
      const own = senderOf(first)
      if (own === undefined) return 'its sender did not say that it sends'
      if (!(own.killedAt <= refused.at)) return 'it was sent again while who spent it lived'
      if (own.killedAt > first.leftAt + STORED_MS)
        return `who spent it lived ${own.killedAt - first.leftAt} ms with the answer`
      if (served.has(first.issued)) return 'its answer was stored: it served'
    },
  }
}
