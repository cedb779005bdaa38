/** The accounts screen: reads, draws, and does what keys ask for. */
import { createInterface } from 'node:readline/promises'
import type { Account } from '../../../index.js'
import { type Fault, faultOf } from '../faults.js'
import type { Output } from '../output.js'
import { readStanding } from '../pools.js'
import { groupsOf } from './groups.js'
import { edited, keyName } from './keys.js'
import { openTerminal, type Press } from './terminal.js'
import { type Mode, render, selectedOf, type View } from './view.js'
import { type Deed, runLogin, type Wish, whyNoLogin, workOf } from './work.js'

/** Between two looks at the vault: one that is unchanged costs a few milliseconds. */
const LOOK_MS = 500
/** Lines of the screen that are not the list. */
const AROUND_LIST = 7

const LIST: Mode = { kind: 'list' }

/** Shows the screen until the person leaves it. */
export async function showScreen(out: Output): Promise<void> {
  const terminal = openTerminal()
  const isUnicode = showsUnicode()
  let view: View = { groups: [], isNew: true, top: 0, mode: LIST, mask: false }
  /** What is being done; one thing at a time. */
  let busy: string | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let leave: () => void = () => {}
  const left = new Promise<void>((resolve) => {
    leave = resolve
  })

  const draw = (): void => {
    const { lines, top, cursor } = render(view, { ...terminal.size(), colour: out.colour, isUnicode, now: Date.now() })
    view = { ...view, top }
    terminal.draw(lines, cursor)
  }
  const change = (changes: Partial<View>): void => {
    view = { ...view, ...changes }
    draw()
  }
  const note = (text: string, kind: 'done' | 'failed' | 'busy' = 'done'): void => change({ note: { text, kind } })
  const accounts = (): Account[] => view.groups.flatMap((group) => group.accounts)

  const look = async (): Promise<void> => {
    let groups: View['groups'] = []
    let fault: Fault | undefined
    let place: string | undefined
    try {
      const standing = await readStanding()
      groups = groupsOf(standing)
      if (standing.first?.why !== undefined) place = standing.first.next
    } catch (error) {
      fault = faultOf(error)
    }
    const stood = accounts().findIndex(({ id }) => id === view.selected)
    const { fault: _, place: __, selected, ...rest } = view
    view = {
      ...rest,
      groups,
      isNew: false,
      ...(fault !== undefined && { fault }),
      ...(place !== undefined && { place }),
    }
    const all = accounts()
    const isThere = all.some(({ id }) => id === selected)
    // Of one that is gone, the one that stands there now; and what was asked about it is over.
    const now = isThere ? selected : all[Math.max(0, Math.min(stood, all.length - 1))]?.id
    if (now !== undefined) view = { ...view, selected: now }
    if (!isThere && view.mode.kind !== 'help') view = { ...view, mode: LIST }
    draw()
  }
  const lookOn = async (): Promise<void> => {
    // A vault that does not open is tried again by a key: it may ask the person for something.
    if (view.fault === undefined) await look()
    else draw()
    timer = setTimeout(lookOn, LOOK_MS)
  }

  /** Does one thing, unless another one is being done. */
  const attempt = async (doing: string, work: () => Promise<string>): Promise<void> => {
    if (busy !== undefined) return note(`one moment, first: ${busy} …`, 'busy')
    busy = doing
    note(`${doing} …`, 'busy')
    try {
      const done = await work()
      await look()
      note(done)
    } catch (error) {
      const { code, message, next } = faultOf(error)
      await look()
      const step = code === 'NEEDS_LOGIN' ? 'l, log in again' : next
      note(`${message}${step === undefined ? '' : `. Next: ${step}`}`, 'failed')
    } finally {
      busy = undefined
    }
  }
  const doIt = (deed: Deed, wish?: Wish): void => {
    const account = selectedOf(view)
    if (account === undefined) return
    const work = workOf(deed, account, accounts(), wish)
    if (typeof work === 'string') note(work)
    else void attempt(work.doing, work.run)
  }
  const logIn = (account?: Account): void => {
    const why = account === undefined ? undefined : whyNoLogin(account)
    const work = (): Promise<string> =>
      terminal.lend(async () => {
        if (await runLogin(account)) return 'signed in'
        // What went wrong stands on the terminal, and must be read before the screen covers it.
        await pause()
        return 'not signed in'
      })
    if (why === undefined) void attempt('signing in', work)
    else note(why)
  }

  const select = (index: number): void => {
    const account = accounts().at(Math.max(0, Math.min(accounts().length - 1, index)))
    if (account !== undefined) change({ selected: account.id })
  }
  const step = (by: number): void => select(accounts().findIndex(({ id }) => id === view.selected) + by)
  const page = (): number => Math.max(1, terminal.size().height - AROUND_LIST - 2)
  /** Of the selected account; without one nothing happens. */
  const withAccount = (work: (account: Account) => void) => (): void => {
    const account = selectedOf(view)
    if (account !== undefined) work(account)
  }

  const KEYS: Record<string, () => void> = {
    q: () => leave(),
    escape: () => leave(),
    up: () => step(-1),
    k: () => step(-1),
    down: () => step(1),
    j: () => step(1),
    pageup: () => step(-page()),
    pagedown: () => step(page()),
    home: () => select(0),
    end: () => select(Number.POSITIVE_INFINITY),
    u: () => doIt('use'),
    K: () => doIt('up'),
    'shift+up': () => doIt('up'),
    J: () => doIt('down'),
    'shift+down': () => doIt('down'),
    e: () => doIt('enable'),
    d: () => doIt('disable'),
    f: () => doIt('refresh'),
    c: () => doIt('clear'),
    l: withAccount((account) => logIn(account)),
    a: () => logIn(),
    x: withAccount(({ id }) => change({ mode: { kind: 'remove', id } })),
    delete: withAccount(({ id }) => change({ mode: { kind: 'remove', id } })),
    r: withAccount(({ id, label }) => {
      // A label that is masked is not shown here either.
      const typed = view.mask ? '' : label
      change({ mode: { kind: 'rename', id, typed, at: [...typed].length } })
    }),
    m: () => change({ mask: !view.mask }),
    '?': () => change({ mode: { kind: 'help' } }),
    'ctrl+l': () => terminal.redraw(),
  }
  const FAULT_KEYS: Record<string, () => void> = {
    q: () => leave(),
    escape: () => leave(),
    t: () => void look(),
    return: () => void look(),
    '?': () => change({ mode: { kind: 'help' } }),
    'ctrl+l': () => terminal.redraw(),
  }

  const inRename = (press: Press, mode: Extract<Mode, { kind: 'rename' }>): void => {
    const key = keyName(press)
    const label = mode.typed.trim()
    change({ mode: key === 'return' || key === 'escape' ? LIST : { ...mode, ...edited(press, mode) } })
    if (key === 'return' && label !== '' && label !== selectedOf(view)?.label) doIt('rename', { label })
  }
  const inRemove = (press: Press): void => {
    const key = keyName(press)
    const revoke = key === 'r' && selectedOf(view)?.kind !== 'api'
    change({ mode: LIST })
    if (key === 'y' || key === 'Y' || revoke) doIt('remove', { revoke })
    else note('nothing was removed')
  }

  terminal.onKey((press) => {
    const { mode, fault } = view
    if (mode.kind === 'rename') return inRename(press, mode)
    if (mode.kind === 'remove') return inRemove(press)
    if (mode.kind === 'help') return change({ mode: LIST })
    // What came of the last deed has been read.
    if (busy === undefined) {
      const { note: _, ...rest } = view
      view = rest
    }
    const key = keyName(press)
    const keys = fault === undefined ? KEYS : FAULT_KEYS
    if (Object.hasOwn(keys, key)) keys[key]?.()
    draw()
  })
  terminal.onResize(draw)
  draw()
  void lookOn()
  await left
  clearTimeout(timer)
  terminal.close()
}

async function pause(): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const ended = new Promise<void>((resolve) => terminal.once('SIGINT', resolve).once('close', resolve))
  await Promise.race([terminal.question('\nPress Enter to go back to the accounts. '), ended])
  terminal.close()
}

/** Whether the terminal is told to show more than ASCII. */
function showsUnicode(env: NodeJS.ProcessEnv = process.env): boolean {
  return process.platform === 'win32' || /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || '')
}
