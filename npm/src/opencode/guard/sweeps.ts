/** Commands that read, copy, move or remove all that is below a folder. */

/** Which of a command's words are such folders, and whether it starts in the working folder too. */
export interface Sweep {
  /** `search` prints lines with the name of their file, `print` without; `copy` prints nothing. */
  deed: 'search' | 'print' | 'copy'
  roots: number[]
  here: boolean
  /** Patterns of the names of the files; none where it takes all, or that cannot be told. */
  names: string[]
}

interface Call {
  options: readonly string[]
  words: readonly string[]
  /** What it lists is opened by the commands after it. */
  namesAreRead: boolean
  /** Another command's output is its input. */
  isFed: boolean
}

interface Program {
  deed: Sweep['deed']
  /** Searches that leave the names out. */
  isNameless?(call: Call): boolean
  isMet(call: Call): boolean
  /** Starts in the working folder where it is told no other. */
  startsHere?(call: Call): boolean
  /** The last word is where to. */
  hasTarget?: true
}

const always = (): boolean => true
const recurses = has('rR', 'recursive', 'dereference-recursive')
const copies = has('rRa', 'recursive', 'archive')
const isNameless = has('h', 'no-filename', 'nofilename')
const grep: Program = {
  deed: 'search',
  isNameless,
  isMet: (call) => recurses(call) || call.words.some((word) => word.endsWith('recurse')),
  startsHere: always,
}
const ripgrep: Program = {
  deed: 'search',
  isNameless: (call) => isNameless(call) || has('I')(call),
  isMet: always,
  startsHere: ({ isFed }) => !isFed,
}
const find: Program = {
  deed: 'print',
  isMet: ({ words, namesAreRead }) => namesAreRead || words.some((word) => FINDS_AND_OPENS.has(word)),
  startsHere: always,
}
const FINDS_AND_OPENS = new Set('-exec -execdir -ok -okdir -delete -x -X --exec --exec-batch'.split(' '))
const pack: Program = { deed: 'copy', isMet: always }
const tar: Program = {
  deed: 'copy',
  // `czf` and `-czf`: to create, to add, to update.
  isMet: ({ words, options }) =>
    has('cru', 'create', 'append', 'update')({ options }) || /^[a-zA-Z]*[cru]/.test(words[0] ?? ''),
}
const copy: Program = { deed: 'copy', isMet: copies, hasTarget: true }
const move: Program = { deed: 'copy', isMet: always, hasTarget: true }
const change: Program = { deed: 'copy', isMet: copies }

const PROGRAMS: ReadonlyMap<string, Program> = new Map([
  ...named('grep egrep fgrep zgrep', grep),
  ...named('rgrep', { ...grep, isMet: always }),
  ...named('rg ag ack', ripgrep),
  ...named('find fd fdfind', find),
  ...named('git', { deed: 'search', isMet: has('', 'no-index') }),
  ...named('diff', { deed: 'search', isMet: recurses }),
  ...named('tar bsdtar', tar),
  ...named('zip 7z 7za cpio pax restic borg rclone', pack),
  ...named('cp gcp scp', copy),
  ...named('mv rsync', move),
  ...named('rm chmod chown', change),
])

export function sweepOf(
  program: string,
  words: readonly string[],
  pipes: Pick<Call, 'namesAreRead' | 'isFed'>,
): Sweep | undefined {
  const kind = PROGRAMS.get(program)
  const call: Call = { words, options: words.filter((word) => word.startsWith('-')), ...pipes }
  if (kind?.isMet(call) !== true) return undefined
  const operands = words.flatMap((word, index) => (word.startsWith('-') ? [] : [index]))
  const isBare = pipes.namesAreRead || kind.isNameless?.(call) === true
  return {
    deed: kind.deed === 'search' && isBare ? 'print' : kind.deed,
    names: namesIn(words),
    roots: kind.hasTarget === true ? operands.slice(0, -1) : operands,
    here: operands.length <= 1 && kind.startsHere?.(call) === true,
  }
}

/** `-name PATTERN` of find, `--include=PATTERN` of grep, as long as they only narrow it down. */
function namesIn(words: readonly string[]): string[] {
  if (words.some((word) => ['!', '-not', '-o', '-or', ','].includes(word))) return []
  return words.flatMap((word, index) => {
    if (word === '-name' || word === '-iname') return words.slice(index + 1, index + 2)
    return word.startsWith('--include=') ? [word.slice('--include='.length)] : []
  })
}

/** Whether an option is given by its letter, alone or among others, or in full. */
function has(letters: string, ...names: string[]): (call: Pick<Call, 'options'>) => boolean {
  return ({ options }) =>
    options.some((option) => {
      // Long ones may be shortened.
      if (option.startsWith('--')) return option.length > 4 && names.some((name) => name.startsWith(option.slice(2)))
      return [...letters].some((letter) => option.includes(letter))
    })
}

function named(names: string, program: Program): [string, Program][] {
  return names.split(' ').map((name) => [name, program])
}
