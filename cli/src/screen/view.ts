/** The accounts screen as lines, from what was read and what the person is doing. */
import type { Account } from '../../../index.js'
import { maskIdentity } from '../../../npm/src/opencode/mask.js'
import { type AccountStatus, restOf, stateWords } from '../../../npm/src/opencode/status.js'
import { accountDetails, countsLine, span, when } from '../../../npm/src/opencode/tui/lines.js'
import { visible } from '../../../npm/src/trust.js'
import { painted } from '../commands/accounts.js'
import type { Fault } from '../faults.js'
import { nextWords } from '../next.js'
import type { Colours } from '../output.js'
import { PLACE_FIRST, poolOf } from '../sentences.js'
import { cut, fitted, widthOf, wrapped } from '../text.js'
import type { Group } from './groups.js'
import { HELP, hints } from './hints.js'

/** What the person is doing. */
export type Mode =
  | { kind: 'list' }
  | { kind: 'help' }
  | { kind: 'rename'; id: string; typed: string; at: number }
  | { kind: 'remove'; id: string }

export interface View {
  groups: readonly Group[]
  /** Nothing was read yet. */
  isNew: boolean
  fault?: Fault
  /** How to make a place for the key of a new vault, where there is none. */
  place?: string
  /** The id of the account that keys are about. */
  selected?: string
  /** The first line of the list that is shown. */
  top: number
  mode: Mode
  mask: boolean
  /** What came of the last deed, or is being done. */
  note?: { text: string; kind: 'done' | 'failed' | 'busy' }
}

export interface Frame {
  lines: string[]
  top: number
  cursor?: { row: number; column: number }
}

export interface Look {
  width: number
  height: number
  colour: Colours
  /** Whether the terminal shows more than ASCII. */
  isUnicode: boolean
  now: number
}

/** Cells of a label within a sentence. */
const LONGEST_NAMED = 30

type Line = { text: string; id?: string; column?: number }

/** Title and blank above the list. */
const ABOVE = 2
/** From this height on, the details of an account have two lines. */
const TALL = 16

export function render(view: View, look: Look): Frame {
  const { width, height, colour } = look
  const details = detailsOf(view, look)
  const notes = noteOf(view, look)
  // Below the list: the line that tells of more, the details, the note and the keys.
  const room = Math.max(1, height - ABOVE - details.length - 3)
  const body = bodyOf(view, look)
  const top = view.mode.kind === 'help' ? 0 : scrolled(body, view, room)
  const shown = body.slice(top, top + room)
  const more = [
    top > 0 ? `${look.isUnicode ? '↑' : '^'} ${top} above` : '',
    body.length > top + room ? `${look.isUnicode ? '↓' : 'v'} ${body.length - top - room} below` : '',
  ]
  const lines = [
    titleOf(view, look),
    '',
    ...shown.map(({ text }) => text),
    ...Array.from({ length: room - shown.length }, () => ''),
    colour.dim(more.filter(Boolean).join('   ')),
    ...details.slice(0, details.length - notes.length + 1),
    ...notes,
    hints(view, width, colour),
  ].map((line) => cut(line, width))
  const row = shown.findIndex(({ column }) => column !== undefined)
  const column = shown[row]?.column
  return { lines, top, ...(column !== undefined && { cursor: { row: row + ABOVE, column } }) }
}

/** Text from outside, as this screen shows it. */
export function shownText(text: string, mask: boolean): string {
  return visible(mask ? maskIdentity(text) : text)
}

function titleOf({ groups, mask }: View, { colour, now }: Look): string {
  const counts = countsLine(
    groups.flatMap(({ accounts }) => accounts),
    now,
  )
  return `${colour.bold('provider-auth')}  ${counts}${mask ? colour.dim('  (e-mails masked)') : ''}`
}

function bodyOf(view: View, look: Look): Line[] {
  const { groups, fault, place, mode, isNew } = view
  const { colour } = look
  const plain = (...texts: string[]): Line[] => texts.map((text) => ({ text }))
  if (mode.kind === 'help') return plain(...HELP)
  if (fault !== undefined)
    return plain(
      colour.red('The accounts cannot be shown.'),
      '',
      ...wrapped(visible(fault.message), look.width),
      ...(fault.why === undefined ? [] : wrapped(visible(fault.why), look.width)),
      ...(fault.next === undefined ? [] : ['', ...wrapped(`Next: ${visible(fault.next)}`, look.width)]),
    )
  if (isNew) return plain('One moment …')
  if (groups.length === 0 && place !== undefined)
    return plain('There is no account yet.', '', ...wrapped(visible(`${PLACE_FIRST}: ${place}`), look.width))
  if (groups.length === 0)
    return plain(
      'There is no account yet.',
      '',
      'Press a to sign in to a provider or to add an API key.',
      'The same in a shell: provider-auth login',
    )
  return groups.flatMap((group, index) => [...plain(...(index > 0 ? [''] : [])), ...groupLines(group, view, look)])
}

function groupLines(group: Group, view: View, look: Look): Line[] {
  const { colour, now, isUnicode } = look
  const text = (words: string) => shownText(words, view.mask)
  const { next, accounts, statuses } = group
  const words =
    next === undefined
      ? 'not configured any more: no request gets these'
      : nextWords(next, ({ label }) => cut(label, LONGEST_NAMED), now)
  const paint = next?.outcome === 'serve' ? colour.green : colour.yellow
  const lines: Line[] = [{ text: colour.bold(text(poolOf(group))) }, { text: `  ${paint(text(words))}` }]
  const serving = next?.outcome === 'serve' ? next.account?.id : undefined
  accounts.forEach((account, index) => {
    const status = statuses[index]
    if (status === undefined) return
    const mark = serving === account.id ? (isUnicode ? '●' : '*') : ' '
    lines.push(accountLine(account, status, { mark, labels: view, look }))
  })
  return lines
}

function accountLine(
  account: Account,
  status: AccountStatus,
  { mark, labels: view, look }: { mark: string; labels: View; look: Look },
): Line {
  const { colour, width, isUnicode, now } = look
  const isSelected = account.id === view.selected
  const pointer = isSelected ? colour.cyan(isUnicode ? '❯' : '>') : ' '
  const place = status.serves === undefined ? '  -' : String(status.serves).padStart(3)
  const start = `${pointer}${place} ${colour.green(mark)} `
  if (view.mode.kind === 'rename' && view.mode.id === account.id) {
    const edited = editLine(view.mode, width - widthOf(start) - 1)
    return { text: start + colour.underline(edited.text), id: account.id, column: widthOf(start) + edited.column }
  }
  const label = shownText(account.label, view.mask)
  const cells = columnsOf(view, look)
  const name = fitted(label, cells.label, isUnicode ? '…' : '~')
  const state = fitted(stateText(status, now), cells.state, isUnicode ? '…' : '~')
  const bars = barsOf(status, cells.bars, look)
  return {
    text: `${start}${isSelected ? colour.bold(name) : name} ${painted(status, colour)(state)} ${bars}`.trimEnd(),
    id: account.id,
  }
}

/** Cells of the label, of the state and of the bars: each what its longest one needs, as far as there is room. */
function columnsOf({ groups, mask }: View, look: Look): { label: number; state: number; bars: number } {
  const room = Math.max(0, look.width - 9)
  const longest = (texts: string[]) => Math.max(0, ...texts.map(widthOf))
  const statuses = groups.flatMap((group) => group.statuses)
  const most = Math.floor(room / 3)
  const bars = Math.min(most, longest(statuses.map((status) => barsOf(status, most, look))))
  const state = Math.min(most, longest(statuses.map((status) => stateText(status, look.now))))
  const labels = groups.flatMap(({ accounts }) => accounts.map(({ label }) => shownText(label, mask)))
  return { state, bars, label: Math.max(8, Math.min(longest(labels), room - state - bars)) }
}

function stateText(status: AccountStatus, now: number): string {
  const words = stateWords({ ...status, cooldowns: [] }, now)
  const rest = status.enabled ? restOf(status, now) : undefined
  if (rest !== undefined) return `${words} ${span(rest.until - now)}`
  const [part, ...more] = status.cooldowns.filter(({ until }) => until > now)
  if (part === undefined || !status.enabled) return words
  return `${words}, but ${more.length > 0 ? `${more.length + 1} parts` : part.scope}`
}

/** The quota windows that count, each as `5h ███░░ 42%`, as many as fit. */
function barsOf({ quota }: AccountStatus, cells: number, { now, isUnicode, colour }: Look): string {
  const windows = quota.filter(({ resetAt }) => resetAt > now).sort((a, b) => b.usedPercent - a.usedPercent)
  const [full, empty] = isUnicode ? ['█', '░'] : ['#', '.']
  const bars: string[] = []
  let used = 0
  for (const { window, usedPercent } of windows) {
    const name = cut(window, 9)
    const length = windows.length > 1 ? 5 : 8
    const filled = Math.min(length, Math.round((usedPercent / 100) * length))
    const number = `${usedPercent}%`
    used += widthOf(name) + length + number.length + 3
    if (used > cells + 1) break
    const paint = usedPercent >= 95 ? colour.red : usedPercent >= 85 ? colour.yellow : colour.green
    bars.push(`${name} ${paint(full.repeat(filled))}${colour.dim(empty.repeat(length - filled))} ${number}`)
  }
  return bars.join(' ')
}

/** The typed label with its cursor in sight. */
function editLine({ typed, at }: { typed: string; at: number }, cells: number): { text: string; column: number } {
  const characters = [...typed]
  let from = 0
  while (widthOf(characters.slice(from, at).join('')) >= cells) from += 1
  const before = visible(characters.slice(from, at).join(''))
  return { text: fitted(before + visible(characters.slice(at).join('')), cells), column: widthOf(before) }
}

/** More about the selected account, always in as many lines. */
function detailsOf(view: View, { colour, now, width, height }: Look): string[] {
  const lines = height < TALL ? 1 : 2
  const account = view.mode.kind === 'help' ? undefined : selectedOf(view)
  if (account === undefined) return Array.from({ length: lines }, () => '')
  const quota = account.quota
    .filter(({ resetAt }) => resetAt > now)
    .map(({ window, resetAt }) => `${visible(window)} resets ${when(resetAt, now)}`)
  const label = shownText(account.label, view.mask)
  const words = wrapped(`${label}: ${[...quota, accountDetails(account, now)].join(' · ')}`, width)
  // What does not fit into the last one is cut there.
  const shown = [...words.slice(0, lines - 1), words.slice(lines - 1).join(' ')]
  return Array.from({ length: lines }, (_, index) => colour.dim(shown[index] ?? ''))
}

/** What came of the last deed, or what is asked: a long text takes a line of the details. */
function noteOf(view: View, { colour, width }: Look): string[] {
  const { mode, note, mask } = view
  const account = selectedOf(view)
  const lines = (text: string, paint: (text: string) => string) => {
    const [first = '', ...more] = wrapped(shownText(text, mask), width)
    return (more.length > 0 ? [first, more.join(' ')] : [first]).map(paint)
  }
  if (mode.kind === 'remove' && account !== undefined) {
    const revoke = account.kind === 'api' ? '' : ', r ends the login at the provider too'
    return lines(`Remove ${account.label} of ${account.provider} for good? y removes${revoke} [y/N]`, colour.yellow)
  }
  if (mode.kind === 'rename') return lines('New label: Enter takes it, Esc leaves it as it was', colour.yellow)
  if (note === undefined) return ['']
  return lines(note.text, { failed: colour.red, busy: colour.yellow, done: colour.green }[note.kind])
}

export function selectedOf({ groups, selected }: Pick<View, 'groups' | 'selected'>): Account | undefined {
  return groups.flatMap(({ accounts }) => accounts).find(({ id }) => id === selected)
}

/** The first line to show, so that the selected account stays in sight, with the title of its pool where it comes first. */
function scrolled(body: readonly Line[], { selected, top }: View, room: number): number {
  const most = Math.max(0, body.length - room)
  const at = body.findIndex(({ id }) => id !== undefined && id === selected)
  if (at < 0) return Math.min(top, most)
  const first = body[at - 1]?.id === undefined ? Math.max(0, at - 2) : at
  const low = Math.max(0, at - room + 1)
  return Math.min(most, Math.max(low, Math.min(top, first)))
}
