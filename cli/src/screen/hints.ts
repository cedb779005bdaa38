/** The keys of the screen: those that count now in a line, and all of them with what they do. */
import { isFirst, peersOf } from '../../../npm/src/order.js'
import { whyNotRefreshed } from '../deeds.js'
import type { Colours } from '../output.js'
import { widthOf } from '../text.js'
import { selectedOf, type View } from './view.js'

export const HELP = [
  'Accounts serve in the order in which they stand: the number says when, and the',
  'dot which one serves next. Those that rest or need a login are passed over.',
  '',
  '  up, down     select an account (also k and j, Home, End, Page Up, Page Down)',
  '  u            use it: it serves first in its pool',
  '  K, J         move it up or down (also Shift with the arrow keys)',
  '  e, d         enable it, disable it',
  '  r            rename it',
  '  f            refresh its token now',
  '  c            clear its cooldowns: the next request tries it again',
  '  l            log in again',
  '  x            remove it (asks first)',
  '  a            add an account',
  '  m            mask e-mail addresses, for a screen that others see',
  '  Ctrl-L       draw the screen anew',
  '  q, Esc       quit',
]

/** The keys that count now, as many as fit; those of help and of the end always do. */
export function hints(view: View, width: number, { bold, dim }: Colours): string {
  const keys = keysOf(view)
  const last = keys.slice(-2)
  const shown: [string, string][] = []
  const cells = (list: [string, string][]) => widthOf(list.map(([key, word]) => `${key} ${word}`).join('  '))
  for (const key of keys.slice(0, -2)) if (cells([...shown, key, ...last]) <= width) shown.push(key)
  return [...shown, ...last].map(([key, word]) => `${bold(key)} ${dim(word)}`).join('  ')
}

function keysOf(view: View): [key: string, word: string][] {
  const { mode, groups, fault } = view
  const end: [string, string][] = [
    ['?', 'help'],
    ['q', 'quit'],
  ]
  if (mode.kind === 'help') return [['any key', 'goes back']]
  if (mode.kind === 'rename')
    return [
      ['Enter', 'rename'],
      ['Esc', 'leave'],
    ]
  if (mode.kind === 'remove')
    return [
      ['y', 'remove'],
      ['n', 'keep'],
    ]
  if (fault !== undefined) return [['t', 'try again'], ...end]
  const account = selectedOf(view)
  if (account === undefined) return [['a', 'add'], ...end]
  const all = groups.flatMap(({ accounts }) => accounts)
  const { cooldowns, kind, state, enabled } = account
  const keys: [boolean, string, string][] = [
    [cooldowns.length > 0 || (kind === 'api' && state === 'needs_login'), 'c', 'clear'],
    [kind !== 'api' && state !== 'ready', 'l', 'log in'],
    [whyNotRefreshed(account) === undefined, 'f', 'refresh'],
    [!isFirst(account, all), 'u', 'use'],
    [peersOf(account, all).length > 1, 'J/K', 'move'],
    [true, 'r', 'rename'],
    [true, enabled ? 'd' : 'e', enabled ? 'disable' : 'enable'],
    [true, 'x', 'remove'],
    [true, 'a', 'add'],
    [kind !== 'api' && state === 'ready', 'l', 'log in'],
  ]
  return [...keys.filter(([counts]) => counts).map(([, key, word]): [string, string] => [key, word]), ...end]
}
