/** Waits for a login to end: by the callback, the server's word or a paste, whichever comes first. */
import type { Account, AuthError, LoginSession } from '../../../index.js'
import { readHidden } from '../../../npm/src/opencode/read-key.js'
import { visible } from '../../../npm/src/trust.js'
import { interrupted } from '../faults.js'
import { span } from '../words.js'
import { showStatus } from './status-line.js'

const DOING = {
  exchanging: 'The answer has come; the server is asked for the tokens',
  storing: 'The account is being stored',
}

const WAITING: Record<string, string> = {
  browser: 'Waiting for the browser',
  device: 'Waiting for the sign-in on the page',
  paste: 'Waiting for what you paste',
}

/**
 * Waits, and says meanwhile for what, how long still and how to cancel.
 *
 * @param isPasted whether a line of the terminal may end it as well
 */
export async function finished(
  session: LoginSession,
  { isPasted, quiet }: { isPasted: boolean; quiet: boolean },
): Promise<Account> {
  const over = new AbortController()
  const status = quiet ? undefined : showStatus(() => lineOf(session), createLook(session))
  // That a paste is not the right one is told with `--quiet` too.
  const say = status?.say ?? ((text: string) => void process.stderr.write(`${text}\n`))
  const reading = isPasted ? createReader(over.signal, () => status?.rejoin()) : undefined
  try {
    const ends = [session.finish()]
    if (reading !== undefined) ends.push(byPaste(session, reading.line, say, over.signal))
    return await Promise.race(ends)
  } finally {
    over.abort()
    await reading?.closed()
    status?.end()
    session.cancel()
  }
}

function lineOf(session: LoginSession): string {
  const { step } = session.progress()
  if (step !== 'waiting') return `${DOING[step]} …`
  const left = session.expiresAt === undefined ? '' : ` · ${span(session.expiresAt - Date.now())} left`
  return `${WAITING[session.method] ?? 'Waiting for the server'}${left} · Ctrl-C cancels`
}

/** Tells of what came and did not count, once each. */
function createLook(session: LoginSession): (say: (text: string) => void) => void {
  let told: string | undefined
  return (say) => {
    const { note } = session.progress()
    // What was pasted is answered for where it is read.
    if (note === undefined || note === told || /pasted/.test(note)) return
    told = note
    say(`${visible(note)}.`)
  }
}

interface Reader {
  line(): ReturnType<typeof readHidden>
  /** Resolves once the terminal is as it was. */
  closed(): Promise<unknown>
}

/** The reading of a line ends with a line break; `rejoin` is told of it. */
function createReader(signal: AbortSignal, rejoin: () => void): Reader {
  let last: Promise<unknown> = Promise.resolve()
  return {
    line() {
      const read = readHidden('', signal).finally(rejoin)
      last = read.catch(() => {})
      return read
    },
    closed: () => last,
  }
}

/** Takes pasted lines until one is the right one. */
async function byPaste(
  session: LoginSession,
  line: Reader['line'],
  say: (text: string) => void,
  over: AbortSignal,
): Promise<Account> {
  for (;;) {
    const read = await line()
    if (read.end === 'cancelled') {
      // The login has ended by itself; who waits for this one has its outcome.
      if (over.aborted) return new Promise(() => {})
      throw interrupted()
    }
    const code = read.end === 'entered' ? read.text.trim() : ''
    if (read.end === 'entered' && code === '') continue
    try {
      if (code !== '') return await session.finish(code)
      say('That is too long for an address. Paste it once more.')
    } catch (error) {
      // Where the login itself has ended, the race is over in this turn.
      await new Promise(setImmediate)
      if ((error as AuthError).code !== 'LOGIN_FAILED' || over.aborted) throw error
      say(`${visible((error as Error).message)}. Paste it once more.`)
    }
  }
}
