/** Short messages in OpenCode's window. Only the server plugin shows them, so that each is shown once. */
import type { Host } from './host.js'
import { maskIdentity } from './mask.js'
import { clock, message, signIn } from './words.js'

type Library = typeof import('../index.js')
type AuthEvent = Parameters<Parameters<Library['subscribe']>[0]>[0]

export type Level = 'all' | 'problems' | 'none'
/** `problem`: a person should act. `change`: good to know. `note`: an answer to what a person did. */
export type Kind = 'problem' | 'change' | 'note'

export interface Toasts {
  show(kind: Kind, text: string): void
}

/** Long enough to read two lines. */
const SHOWN_MS = 8_000
/** A window is there by then; what is shown before is lost. */
const WINDOW_MS = 3_000
/** The shortest time between two messages about the same. */
const AGAIN_MS = 60_000

const VARIANTS = { problem: 'warning', change: 'info', note: 'success' } as const

/** Shows messages of that level. Those of the start wait until the window is there. */
export function createToasts(host: Host, level: Level): Toasts {
  const opened = Date.now() + WINDOW_MS
  const isShown = (kind: Kind) => level === 'all' || (level === 'problems' && kind !== 'change')
  const send = (kind: Kind, text: string) => {
    const body = { message: message(text), variant: VARIANTS[kind], duration: SHOWN_MS }
    // A host without a window takes none.
    host.client.tui?.showToast({ body }).catch(() => {})
  }
  return {
    show(kind, text) {
      if (!isShown(kind)) return
      setTimeout(send, Math.max(0, opened - Date.now()), kind, text).unref()
    },
  }
}

/** What is needed to tell of events. */
export interface Announced {
  library: Library
  toasts: Toasts
  /** Whether we serve the provider here: one process may serve several projects. */
  isOurs(provider: string): boolean
  /** Whether OpenCode offers our login of it. */
  isOffered(provider: string): boolean
}

/** Tells of switches, exhausted pools and logins that have ended. Returns the function that stops it. */
export function announce({ library, toasts, isOurs, isOffered }: Announced): () => void {
  const last = new Map<string, number>()
  const isDue = (about: string): boolean => {
    const now = Date.now()
    if (now - (last.get(about) ?? 0) < AGAIN_MS) return false
    last.set(about, now)
    return true
  }
  const tell = async (event: AuthEvent): Promise<void> => {
    const { type, provider, until } = event
    if (type === 'exhausted') {
      const when = until === undefined ? '' : `; the first is free at ${clock(until)}`
      toasts.show('problem', `all accounts of ${provider} are resting${when}`)
    } else if (type === 'needs_login') {
      const how = signIn({ provider, surface: 'ui', isOffered: isOffered(provider) })
      toasts.show('problem', `${await labelOf(library, event)} has to sign in again; ${how}`)
    } else {
      toasts.show('change', `${provider} goes on with ${await labelOf(library, event)}`)
    }
  }
  return library.subscribe((event) => {
    const { type, provider } = event
    if (type !== 'exhausted' && type !== 'needs_login' && type !== 'rotated') return
    const about = `${type} ${provider} ${type === 'needs_login' ? event.accountId : ''}`
    if (isOurs(provider) && isDue(about)) tell(event).catch(() => {})
  })
}

async function labelOf(library: Library, { provider, accountId }: AuthEvent): Promise<string> {
  const accounts = await library.listAccounts({ provider })
  const label = accounts.find(({ id }) => id === accountId)?.label
  return label === undefined ? `an account of ${provider}` : `the account ${maskIdentity(label)} of ${provider}`
}
