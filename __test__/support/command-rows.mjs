/**
 * For each command, a call that does no harm, and the exit codes that it may have by the state of the vault. A command
 * without a row fails `cli-states.test.mjs`.
 */

/** It needs no vault. */
const FREE = { empty: 0, wrongKey: 0, noKey: 0, header: 0, record: 0, noKeychain: 0, full: 0 }
/** It reads the vault, and makes it where there is none. */
const READS = { empty: 0, wrongKey: 4, noKey: 4, header: 1, record: 0, noKeychain: 4, full: 0 }
/** It changes something in it. */
const WRITES = { ...READS, full: 1 }

/** Ends with `code` where the vault opens, since what is asked for is not there. */
const fails = (code, states = READS) => ({ ...states, empty: code, record: code, full: code })

/** It is about an account: none is there in an empty vault, and a damaged record may be the one. */
function onAccount(states) {
  return { ...states, empty: 1, record: [0, 1] }
}
/** What it finds out decides. */
const EITHER = Object.fromEntries(Object.keys(FREE).map((state) => [state, [0, 1, 4]]))

/**
 * The states are those of `cli-states.test.mjs`. `args`: of the places of a run. `input`: its standard input in a pipe.
 * `ends`: the exit code in each state, or several that are right. `asks`: a terminal is asked for something; the answer is
 * Ctrl-C. `tells`: the exit codes with which it has an answer although it fails. `env`: what it needs.
 * `isReport`: its answer says what to do next, and no error does. `schema`: `null` where its answer is not JSON.
 */
export const ROWS = {
  accounts: { args: () => [], ends: READS },
  completion: { args: () => ['bash'], ends: FREE },
  'key status': {
    args: () => [],
    // Without a vault there is nothing yet that a key could open.
    ends: { ...READS, noKeychain: 0 },
    tells: [4],
  },
  'key init': { args: () => [], ends: { ...fails(1), empty: 0, wrongKey: 1, noKey: 1 } },
  'key export': { args: () => ['--show'], ends: READS },
  'key import': {
    args: () => [],
    input: ({ key }) => key,
    // It brings the key, and a header with it.
    ends: { ...WRITES, wrongKey: 0, header: 0 },
    asks: true,
  },
  'key rotate': { args: () => [], ends: WRITES },
  'key slot add': { args: () => ['keyfile'], ends: WRITES },
  'key slot remove': { args: () => ['00000000', '--yes'], ends: fails(1) },
  'vault export': {
    args: ({ folder }) => [`${folder}/new.age`, '--passphrase-stdin'],
    input: ({ passphrase }) => passphrase,
    ends: WRITES,
    asks: true,
  },
  'vault import': {
    args: ({ bundle }) => [bundle, '--passphrase-stdin'],
    input: ({ passphrase }) => passphrase,
    ends: WRITES,
    asks: true,
  },
  migrate: { args: () => [], ends: WRITES, asks: true },

  login: { args: () => ['desk', '--with-token', '--label', 'new'], input: () => 'sk-new', ends: WRITES, asks: true },
  logout: { args: () => ['nobody', '--yes'], ends: fails(1) },
  status: { args: () => [], ends: { ...READS, noKeychain: 0 } },
  use: { args: () => ['ada'], ends: onAccount(WRITES) },
  rename: { args: () => ['ada', 'eva'], ends: onAccount(WRITES) },
  enable: { args: () => ['ada'], ends: onAccount({ ...WRITES, full: [0, 1] }) },
  disable: { args: () => ['ada'], ends: onAccount(WRITES) },
  move: { args: () => ['ada', 'last'], ends: onAccount({ ...WRITES, full: [0, 1] }) },
  refresh: { args: () => ['ada'], ends: onAccount({ ...READS, full: [0, 1] }) },
  unblock: { args: () => ['ada'], ends: onAccount({ ...READS, full: [0, 1] }) },
  token: { args: () => ['desk', '--show'], ends: { ...READS, empty: 3 } },
  headers: { args: () => ['desk', 'http://127.0.0.1:1/v1', '--show'], ends: { ...READS, empty: 3 } },
  exec: { args: () => ['desk', '--env', 'DESK_KEY', '--', 'true'], ends: { ...READS, empty: 3 }, schema: null },
  models: { args: () => ['desk'], ends: { ...fails(1), empty: 3 } },
  explain: { args: () => ['desk'], ends: { ...READS, empty: [0, 3] } },
  trust: { args: () => [], ends: FREE },
  untrust: { args: () => [], ends: FREE },
  'config path': { args: () => [], ends: FREE },
  'config check': { args: () => [], ends: FREE },
  'config show': { args: () => [], ends: FREE },
  'config schema': { args: () => [], ends: FREE },
  'config edit': { args: () => [], env: { EDITOR: 'true', VISUAL: 'true' }, ends: FREE },
  doctor: { args: () => [], ends: EITHER, tells: [1, 4], isReport: true },
  logs: { args: () => [], ends: FREE },
}
