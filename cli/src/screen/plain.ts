/** The accounts screen in lines, for screen readers and simple terminals: nothing is redrawn, and commands are typed. */
import { createInterface } from 'node:readline'
import type { Account } from '../../../index.js'
import { nearestLimit } from '../../../npm/src/opencode/status.js'
import { visible } from '../../../npm/src/trust.js'
import { shortState } from '../commands/accounts.js'
import { faultOf } from '../faults.js'
import { nextWords } from '../next.js'
import { readStanding } from '../pools.js'
import { PLACE_FIRST, poolOf } from '../sentences.js'
import { groupsOf } from './groups.js'
import { type Deed, runLogin, whyNoLogin, workOf } from './work.js'

const HELP = `Commands, with the number of an account before or after them:
  2 use            it serves first in its pool
  2 up, 2 down     move it in its pool
  2 enable, 2 disable
  2 rename work    give it another label
  2 refresh        renew its token now
  2 clear          clear its cooldowns
  2 login          log in again
  2 remove         remove it; asks first
  add              add an account
  list             list the accounts again
  q                quit`

const DEEDS: readonly Deed[] = ['use', 'up', 'down', 'enable', 'disable', 'rename', 'refresh', 'clear', 'remove']

export async function showPlain(): Promise<void> {
  const print = (text: string): void => {
    process.stdout.write(`${visibleLines(text)}\n`)
  }
  let numbered = await list(print)
  let reader = openReader()
  for (;;) {
    const line = await reader.ask('command (h for help): ')
    if (line === undefined) {
      // Ctrl-D leaves the prompt without a line end.
      print('')
      break
    }
    const { word, account, rest, isUnknown } = parsed(line, numbered)
    try {
      if (word === 'q' || word === 'quit' || word === 'exit') break
      else if (word === '' && !isUnknown) continue
      else if (isUnknown) print('There is no account with that number; list shows them.')
      else if (word === 'h' || word === 'help' || word === '?') print(HELP)
      else if (word === 'list' || word === 'ls') numbered = await list(print)
      else if (word === 'add' || word === 'login') {
        const why = word === 'login' && account !== undefined ? whyNoLogin(account) : undefined
        if (why !== undefined) print(why)
        else if (word === 'login' && account === undefined) print('Of which account? For example: 2 login')
        else {
          reader.close()
          const succeeded = await runLogin(word === 'add' ? undefined : account)
          reader = openReader()
          print(succeeded ? 'Signed in.' : 'Not signed in.')
          numbered = await list(print)
        }
      } else {
        const deed = DEEDS.find((known) => known === word)
        if (deed === undefined) print(`${word} is no command; h shows them all.`)
        else if (account === undefined) print(`Of which account? For example: 2 ${deed}`)
        else if (deed === 'rename' && rest === '') print('To what? For example: 2 rename work')
        else if (deed === 'remove' && !/^y(es)?$/i.test((await reader.ask(question(account))) ?? ''))
          print('Nothing was removed.')
        else {
          const work = workOf(deed, account, [...numbered.values()], { label: rest })
          print(typeof work === 'string' ? work : await work.run())
          numbered = await list(() => {}, numbered)
        }
      }
    } catch (error) {
      const { message, next } = faultOf(error)
      print(`Error: ${message}${next === undefined ? '' : `\nNext: ${next}`}`)
    }
  }
  reader.close()
}

function question({ label, provider }: Account): string {
  return visible(`Remove ${label} of ${provider} for good? y or n: `)
}

/**
 * Prints the accounts with their numbers. A number stays with its account for as long as the list is not printed again.
 */
async function list(
  print: (text: string) => void,
  before?: ReadonlyMap<number, Account>,
): Promise<Map<number, Account>> {
  const standing = await readStanding()
  if (before !== undefined) {
    const now = [...before].flatMap(([number, { id }]): [number, Account][] => {
      const account = standing.accounts.find((other) => other.id === id)
      return account === undefined ? [] : [[number, account]]
    })
    return new Map(now)
  }
  const numbered = new Map<number, Account>()
  const { at } = standing
  const groups = groupsOf(standing)
  if (groups.length === 0) {
    const { why, next } = standing.first ?? {}
    const add = 'The command add signs in to a provider.'
    print(`There is no account yet. ${why === undefined ? add : `${PLACE_FIRST}: ${next}`}`)
  }
  for (const group of groups) {
    print(`${poolOf(group)}:`)
    if (group.next !== undefined) print(`  ${nextWords(group.next, ({ label }) => label, at)}.`)
    group.accounts.forEach((account, index) => {
      const status = group.statuses[index]
      if (status === undefined) return
      const number = numbered.size + 1
      numbered.set(number, account)
      const limit = nearestLimit(status, at)
      const quota = limit === undefined ? '' : `, ${limit.window} ${limit.usedPercent} percent used`
      print(`  ${number}. ${account.label}: ${shortState(status, at)}${quota}`)
    })
  }
  return numbered
}

/** `3 disable`, `disable 3`, `2 rename work`. */
function parsed(
  line: string,
  numbered: ReadonlyMap<number, Account>,
): { word: string; account?: Account; rest: string; isUnknown: boolean } {
  const words = line.trim().split(/\s+/)
  const at = words.slice(0, 2).findIndex((word) => /^\d+$/.test(word))
  const account = at < 0 ? undefined : numbered.get(Number(words[at]))
  const [word = '', ...rest] = words.filter((_, index) => index !== at)
  return {
    word: word.toLowerCase(),
    ...(account !== undefined && { account }),
    rest: rest.join(' '),
    isUnknown: at >= 0 && account === undefined,
  }
}

/** Lines of standard input, each asked for; `undefined` at its end. */
function openReader(): { ask(question: string): Promise<string | undefined>; close(): void } {
  // The terminal itself edits the line: without `terminal`, no cursor is moved.
  const terminal = createInterface({ input: process.stdin, output: process.stdout, terminal: false })
  const lines: string[] = []
  let waiting: ((line: string | undefined) => void) | undefined
  let isOver = false
  const give = (line: string | undefined): void => {
    const wanted = waiting
    waiting = undefined
    if (wanted !== undefined) wanted(line)
    else if (line !== undefined) lines.push(line)
  }
  terminal.on('line', give)
  terminal.on('close', () => {
    isOver = true
    give(undefined)
  })
  return {
    ask(question) {
      terminal.setPrompt(question)
      terminal.prompt()
      if (lines.length > 0) return Promise.resolve(lines.shift())
      if (isOver) return Promise.resolve(undefined)
      return new Promise((resolve) => {
        waiting = resolve
      })
    },
    close: () => terminal.close(),
  }
}

/** Each line of a text of our own, with what stands in it from outside made harmless. */
function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n')
}
