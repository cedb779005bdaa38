/**
 * For each command, a call that does no harm, and the exit codes that it may have by the state of the vault. A command
 * without a row fails `cli-states.test.mjs`, as does a row without a command.
 */

/** It needs no vault. */
const FREE = { empty: 0, bare: 0, wrongKey: 0, noKey: 0, header: 0, record: 0, noKeychain: 0, full: 0 }
/** It reads the vault. */
const READS = { ...FREE, wrongKey: 4, noKey: 4, header: 1 }
/** It changes something in it, and makes it where there is none. */
const WRITES = { ...READS, noKeychain: 4, full: 1 }
/** It needs an account, and another one than the damaged one is there. */
const SERVES = { ...READS, empty: 3, bare: 3, noKeychain: 3 }

/** Ends with `code` where the vault opens, since what is asked for is not there. */
const fails = (code, states) => ({ ...states, empty: code, bare: code, record: code, full: code })

/** Ends with `code` whatever the vault is like. */
const always = (code) => Object.fromEntries(Object.keys(FREE).map((state) => [state, code]))

const NO_STORE = 'postgres://nobody@127.0.0.1:1/nothing?vault=team&sslmode=disable'

/** It is about an account by its name: there is none without a vault, nor in one without accounts. */
const onAccount = (states) => ({ ...states, empty: 1, bare: 1, noKeychain: 1 })

/**
 * The states are those of `cli-states.test.mjs`. `args`: of the places of a run. `input`: its standard input in a pipe.
 * `ends`: the exit code in each state. `unasked`: the exit code where no person can be asked. `asks`: a terminal is asked for
 * something; the answer is Ctrl-C. `tells`: the exit codes with which it has an answer although it fails. `env`: what it
 * needs. `isReport`: its answer says what to do next, and no error does. `makes`: it may make a vault. `schema`: `null` where
 * its answer is not JSON. `isLines`: its answer is lines of JSON, or none.
 */
export const ROWS = {
  accounts: { args: () => [], ends: READS },
  completion: { args: () => ['bash'], ends: FREE },
  'key status': { args: () => [], ends: READS, tells: [4] },
  'key init': {
    args: () => [],
    ends: { ...fails(1, WRITES), empty: 0, wrongKey: 1, noKey: 1 },
    makes: true,
  },
  'key export': { args: () => ['--show'], ends: { ...READS, empty: 4, noKeychain: 4 } },
  'key import': {
    args: () => [],
    input: ({ key }) => key,
    // It brings the key, and a header with it.
    ends: { ...WRITES, wrongKey: 0, header: 0 },
    asks: true,
    makes: true,
  },
  'key rotate': { args: () => [], ends: WRITES, makes: true },
  'key slot add': { args: () => ['keyfile'], ends: WRITES, makes: true },
  'key slot remove': { args: () => ['00000000', '--yes'], ends: fails(1, WRITES), makes: true },
  // No host was admitted, and there is no vault to join.
  'fleet join': { args: () => ['--source', 'keyfile'], ends: { ...FREE, empty: 2, header: 1, noKeychain: 2, full: 1 } },
  'fleet admit': { args: () => ['pa-host1', '--name', 'ci-7'], ends: fails(2, WRITES), makes: true },
  'fleet hosts': { args: () => [], ends: READS },
  'fleet revoke': { args: () => ['ci-7', '--yes'], ends: { ...fails(1, READS), noKeychain: 1 } },
  'vault status': { args: () => [], ends: READS, tells: [4] },
  'vault export': {
    args: ({ folder }) => [`${folder}/new.age`, '--passphrase-stdin'],
    input: ({ passphrase }) => passphrase,
    ends: WRITES,
    asks: true,
    makes: true,
  },
  'vault import': {
    args: ({ bundle }) => [bundle, '--passphrase-stdin'],
    input: ({ passphrase }) => passphrase,
    ends: WRITES,
    asks: true,
    makes: true,
  },
  'vault move': { args: ({ folder }) => [`${folder}/elsewhere`, '--yes'], ends: WRITES, makes: true },
  // Nothing listens there.
  'store status': { args: () => [], env: { PROVIDER_AUTH_STORE: NO_STORE }, ends: always(5) },
  'store init': { args: () => ['--print'], env: { PROVIDER_AUTH_STORE: NO_STORE }, ends: FREE },
  'store migrate': { args: () => [], env: { PROVIDER_AUTH_STORE: NO_STORE }, ends: always(5) },
  migrate: { args: () => [], ends: WRITES, asks: true, makes: true },
  login: {
    args: () => ['desk', '--with-token', '--label', 'new'],
    input: () => 'sk-new',
    ends: WRITES,
    asks: true,
    makes: true,
  },
  // To remove takes no room.
  logout: { args: () => ['ada', '--yes'], ends: onAccount({ ...WRITES, full: 0 }) },
  status: { args: () => [], ends: READS },
  report: { args: () => [], ends: READS },
  use: { args: () => ['ada'], ends: onAccount(WRITES) },
  rename: { args: () => ['ada', 'eva'], ends: onAccount(WRITES) },
  enable: { args: () => ['ada'], ends: onAccount(WRITES) },
  disable: { args: () => ['ada'], ends: onAccount(WRITES) },
  move: { args: () => ['ada', 'last'], ends: onAccount(WRITES) },
  // What it names has nothing to renew, or to clear.
  refresh: { args: () => ['ada'], ends: onAccount(READS) },
  unblock: { args: () => ['ada'], ends: onAccount(READS) },
  token: { args: () => ['desk', '--show'], ends: SERVES },
  headers: { args: () => ['desk', 'http://127.0.0.1:1/v1', '--show'], ends: SERVES },
  exec: { args: () => ['desk', '--env', 'DESK_KEY', '--', 'true'], ends: SERVES, schema: null },
  // Nothing answers at its address.
  models: { args: () => ['desk'], ends: { ...fails(1, SERVES), empty: 3, bare: 3 } },
  explain: { args: () => ['desk'], ends: SERVES, tells: [3], isReport: true },
  // No proxy runs.
  'proxy env': {
    args: () => ['desk', '--show'],
    ends: always(1),
  },
  trust: { args: () => [], ends: FREE },
  untrust: { args: () => [], ends: FREE },
  'config path': { args: () => [], ends: FREE },
  'config check': { args: () => [], ends: FREE },
  'config show': { args: () => [], ends: FREE },
  'config schema': { args: () => [], ends: FREE },
  'config edit': { args: () => [], env: { EDITOR: 'true', VISUAL: 'true' }, ends: FREE, unasked: 2 },
  doctor: {
    args: () => [],
    ends: { ...READS, noKeychain: 4, full: 1 },
    tells: [1, 4],
    isReport: true,
  },
  logs: { args: () => [], ends: FREE, isLines: true },
}
