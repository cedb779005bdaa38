/** The deeds of the screen, by the letters that ask for them: what is being done, and what came of it. */
import { spawn } from 'node:child_process'
import type { Account } from '../../../index.js'
import { isFirst } from '../../../npm/src/order.js'
import { clear, move, refresh, remove, rename, setEnabled, useFirst, whyNotRefreshed } from '../deeds.js'
import { counted, poolOf, useWords } from '../sentences.js'

export interface Work {
  /** Goes on with `…` while it runs. */
  doing: string
  /** Resolves to what came of it. */
  run(): Promise<string>
}

/** What a deed needs beside its account. */
export interface Wish {
  label?: string
  revoke?: boolean
}

export type Deed = 'use' | 'up' | 'down' | 'enable' | 'disable' | 'rename' | 'refresh' | 'clear' | 'remove'

/** A deed on an account; a text says why there is nothing to do. */
export function workOf(deed: Deed, account: Account, all: readonly Account[], wish: Wish = {}): Work | string {
  const { label, enabled } = account
  switch (deed) {
    case 'use':
      if (isFirst(account, all) && enabled) return `${label} comes first already`
      return { doing: `putting ${label} first`, run: async () => useWords(await useFirst(account)) }
    case 'up':
    case 'down':
      return {
        doing: `moving ${label}`,
        async run() {
          const { changed } = await move(account, deed)
          return changed > 0 ? `${label} is moved ${deed}` : `${label} is ${deed === 'up' ? 'first' : 'last'} already`
        },
      }
    case 'enable':
    case 'disable':
      if (enabled === (deed === 'enable')) return `${label} is ${deed}d already`
      return {
        doing: `${deed.slice(0, -1)}ing ${label}`,
        async run() {
          const [pool] = await setEnabled([account], deed === 'enable')
          return `${label} is ${deed}d${pool === undefined ? '' : `; no account of ${poolOf(pool)} can serve any more`}`
        },
      }
    case 'rename':
      return {
        doing: `renaming ${label}`,
        run: async () => `${label} is called ${(await rename(account, wish.label ?? label)).label} now`,
      }
    case 'refresh': {
      const why = whyNotRefreshed(account)
      if (why !== undefined) return `${label}: nothing to refresh, ${why}`
      return {
        doing: `renewing the token of ${label}`,
        async run() {
          const [failed] = (await refresh([account], true)).failed
          if (failed !== undefined) throw failed.error
          return `the token of ${label} is new`
        },
      }
    }
    case 'clear':
      return {
        doing: `clearing the cooldowns of ${label}`,
        async run() {
          const cleared = await clear({ account: account.id })
          return cleared === 0
            ? `${label} has no cooldown`
            : `${counted(cleared, 'cooldown')} of ${label} cleared; the next request tries it`
        },
      }
    case 'remove':
      return {
        doing: `removing ${label}`,
        async run() {
          await remove(account, wish.revoke === true)
          return `${label} is removed${wish.revoke === true ? ', and its login ended at the provider' : ''}`
        },
      }
  }
}

/** Why one cannot log in to it again; `undefined` where one can. */
export function whyNoLogin({ kind, label }: Account): string | undefined {
  return kind === 'api' ? `${label} is an API key: add the new key with a, then remove this one with x` : undefined
}

/** Runs the `login` command on this terminal; of an account, to log in to it again. Resolves to whether it succeeded. */
export async function runLogin(account?: Account): Promise<boolean> {
  const again =
    account === undefined ? [] : [account.provider, `--label=${account.label}`, `--namespace=${account.namespace}`]
  // Ctrl-C on the terminal is for the login alone.
  const before = process.listeners('SIGINT')
  process.removeAllListeners('SIGINT')
  const ignore = () => {}
  process.on('SIGINT', ignore)
  try {
    const child = spawn(process.execPath, [process.argv[1] ?? '', 'login', ...again], { stdio: 'inherit' })
    return await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve(code === 0))
    })
  } finally {
    process.off('SIGINT', ignore)
    for (const listener of before) process.on('SIGINT', listener)
  }
}
