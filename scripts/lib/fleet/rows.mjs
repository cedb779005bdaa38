// The table of faults: one machine is exchanging a token when a fault strikes, another one wants the token.

/** Times in ms; `hold` as the processes have it. */
const HOLD = 12_000
/** A stopped or silent process is away for twice the hold; a cut is shorter or longer than it. */
const STOPPED = 2 * HOLD
const SHORT_CUT = HOLD / 2
const LONG_CUT = 2 * HOLD + 1000
/** How soon others go on: a closed session is suspected for 3 s; of a silent machine nobody knows before its hold is over. */
const CLOSED = 4000
const SILENT = HOLD + 3000
/** Until a machine that was cut off, or a database that was away, is spoken to again: TCP doubles its pauses. */
const BACK = 4000
/** PgBouncer tries a server that it did not reach again after so long: its `server_login_retry`. */
const POOLER_WAITS = 1000

const NOTHING = { twice: 0, refused: 0, lost: 0 }
/** A second try within the grace; without one it ends the login, whatever the protocol. */
const FORGIVEN = { twice: 1, refused: 0, lost: 0 }
const ENDED = { twice: 1, refused: 2, lost: 1 }

/**
 * The rows. `when` says what the first machine is doing: about to send (`sending`), waiting for the answer (`answering`), or
 * done (`done`); then comes `fault`, after `lastMs` `mend`. `expect` is what may come of one run at most, `withinMs` how
 * long after the fault another process has a new token, beside its exchange; without it nobody need get one.
 * `heir` is where that process runs: on another machine (`b`), on the same (`a`), or on one that is new (`c`).
 */
export const rows = [...both('direct'), ...both('pooled'), ...ofOneWay()].map((row) => ({
  expect: NOTHING,
  graceMs: 0,
  exchangeMs: 2500,
  hold: HOLD,
  heir: 'b',
  ...row,
}))

/** What is asked of both ways to the database. Through a pooler no closed session shows: all goes by the hold. */
function both(way) {
  const isDirect = way === 'direct'
  const goesByHold = (row) => ({ way, ...row, ...(isDirect ? {} : { withinMs: SILENT }) })
  const isLostByHold = (row) => ({ way, ...row, ...(isDirect ? {} : { expect: ENDED, withinMs: undefined }) })
  const same = (row) => ({ way, ...row })
  const again = isDirect ? BACK : POOLER_WAITS + BACK
  return [
    goesByHold({ name: 'killed before sending', when: 'sending', fault: 'kill', withinMs: CLOSED }),
    same({ name: 'killed after the answer', when: 'answering', fault: 'kill', expect: ENDED }),
    isLostByHold({
      name: 'the same, 10 s of grace',
      when: 'answering',
      fault: 'kill',
      graceMs: 10_000,
      expect: FORGIVEN,
      withinMs: CLOSED,
    }),
    same({
      name: 'the same, and the machine goes on',
      when: 'answering',
      fault: 'kill',
      graceMs: 10_000,
      heir: 'a',
      expect: FORGIVEN,
      withinMs: 100,
    }),
    goesByHold({
      name: 'stopped 24 s before sending',
      when: 'sending',
      fault: 'stop',
      lastMs: STOPPED,
      mend: 'goOn',
      withinMs: STOPPED + 1000,
    }),
    isLostByHold({
      name: 'stopped 24 s after sending',
      when: 'answering',
      fault: 'stop',
      lastMs: STOPPED,
      mend: 'goOn',
      withinMs: STOPPED + 1000,
    }),
    same({
      name: 'cut off 6 s',
      when: 'answering',
      fault: 'cut',
      lastMs: SHORT_CUT,
      mend: 'mend',
      withinMs: SHORT_CUT + BACK,
    }),
    same({ name: 'cut off 25 s', when: 'answering', fault: 'cut', lastMs: LONG_CUT, mend: 'mend', expect: ENDED }),
    same({
      name: 'the same, hold of 40 s',
      when: 'answering',
      fault: 'cut',
      lastMs: LONG_CUT,
      mend: 'mend',
      hold: 40_000,
      withinMs: LONG_CUT + 2 * BACK,
    }),
    same({ name: 'gone dark before sending', when: 'sending', fault: 'goDark', withinMs: SILENT }),
    same({ name: 'database restarted', when: 'answering', fault: 'restart', withinMs: again }),
    same({ name: 'database crashed', when: 'answering', fault: 'crash', withinMs: again }),
    same({ name: 'line dropped', when: 'answering', fault: 'dropLines', withinMs: BACK }),
    same({
      name: 'the same, exchange of 8 s',
      when: 'answering',
      fault: 'dropLines',
      exchangeMs: 8000,
      withinMs: BACK,
    }),
  ]
}

function ofOneWay() {
  const failOver = { way: 'direct', prepare: 'deafenStandby', fault: 'failOver', withinMs: BACK }
  return [
    {
      name: 'database away for 2 s',
      way: 'pooled',
      when: 'answering',
      fault: 'restartSlowly',
      withinMs: POOLER_WAITS + BACK,
    },
    { name: 'failover in the exchange', when: 'answering', ...failOver },
    { name: 'failover, a write is lost', when: 'done', ...failOver },
    { name: 'the same, a new machine asks first', when: 'done', ...failOver, heir: 'c' },
  ]
}
