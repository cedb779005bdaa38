/** Whether a shell script would touch a guarded place. */
import { basename, isAbsolute, join } from 'node:path'
import { expandBraces, isPattern, LONGEST_PATH, plain, UNKNOWN } from './globs.js'
import { handedOut } from './own-command.js'
import type { Place } from './protected.js'
import { type Command, readShell, type Variables, type Word } from './shell.js'
import { sweepOf } from './sweeps.js'
import type { Watch } from './watch.js'

/** Scripts within scripts, as in `bash -c "sh -c …"`. */
const DEEPEST = 8

/** Folders that a script may be in by then. */
const MOST_FOLDERS = 12

/** A script longer than this is no command; the rest is not read. */
const LONGEST_SCRIPT = 200_000

/** Commands that open no file that they are given, unless somebody reads names from them. */
const TALKING: ReadonlySet<string> = new Set(['echo', 'printf'])

/** Commands to which a here-document is a text. */
const WRITING: ReadonlySet<string> = new Set(['cat', 'tee', 'echo', 'printf', 'git', 'gh'])

/** Words before the command itself. */
const BEFORE: ReadonlySet<string> = new Set(
  'if then else elif do while until ! { } time case in sudo command nohup exec env nice builtin stdbuf setsid doas'.split(
    ' ',
  ),
)

/** Options whose next word is a text for people. */
const MESSAGES: Record<string, RegExp> = {
  git: /^(-[a-z]{0,5}m|--message)$/,
  gh: /^(-[bt]|--body|--title|--notes)$/,
}

/** Programs whose first word is what they look for. */
const SEARCHES = /^([efz]?grep|rgrep|rg|ag|ack)$/

/** Programs that run code of their own languages. */
const INTERPRETERS = /^(python|node|bun|deno|ruby|perl|[gmn]?awk|php|lua|osascript|tclsh|pwsh|powershell)[\d.]*$/

interface State {
  watch: Watch
  variables: Variables
  /** Where the script may be by now. */
  folders: string[]
  /** Every folder that it may be in at some time; functions and pipes run in another order. */
  everywhere: string[]
  depth: number
  /** Whether a `*` fits hidden files as well. */
  dots: boolean
  /**
   * Whether code of another language runs; there, a path is often put together from the home
   * folder.
   */
  runsCode: boolean
}

/** The guarded place that a script would touch, and every folder that it may be in by then. */
export async function inspectScript(
  script: string,
  folder: string,
  watch: Watch,
): Promise<{ place: Place | undefined; folders: string[] }> {
  const { env, home } = watch.where
  const set = Object.entries(env).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  const variables: Variables = new Map(set.map(([name, value]) => [name, [value]]))
  variables.set('HOME', [home])
  variables.set('IFS', [' '])
  const text = script.slice(0, LONGEST_SCRIPT)
  const dots = /dotglob|glob_?dots/i.test(text)
  const state: State = { watch, variables, folders: [folder], everywhere: [folder], depth: 0, dots, runsCode: false }
  let place = await inScript(text, state)
  if (watch.where.platform === 'win32') place ??= await inScript(asPosix(text, env), state)
  return { place, folders: state.everywhere }
}

/** A script of `cmd` or PowerShell in the words of a POSIX shell, as far as paths go. */
function asPosix(script: string, env: Watch['where']['env']): string {
  const value = (whole: string, name: string) => env[name] ?? env[name.toUpperCase()] ?? whole
  return script
    .replace(/%(\w{1,100})%/g, value)
    .replace(/\$env:(\w{1,100})/gi, value)
    .replaceAll('\\', '/')
}

async function inScript(script: string, state: State): Promise<Place | undefined> {
  const commands = readShell(script, state.variables)
  const programs = new Set(commands.flatMap(({ words }) => words.slice(0, 50).map(({ patterns: [text = ''] }) => text)))
  const readsNames = ['xargs', 'parallel', 'read'].some((name) => programs.has(name))
  const runsCode = state.runsCode || [...programs].some((name) => INTERPRETERS.test(basename(name)))
  const here = { ...state, runsCode }
  for (const command of commands) here.everywhere = foldersAfter(command, here.everywhere, here)
  for (const [index, command] of commands.entries()) {
    const place = (await inCommand(command, here)) ?? (await inDocuments(command, here))
    if (place !== undefined) return place
    const isFed = commands[index - 1]?.feeds === 'pipe'
    const swept = await inSweep(command, { readsNames, isFed }, here)
    if (swept !== undefined) return swept
    here.folders = foldersAfter(command, here.folders, here)
  }
  state.everywhere = here.everywhere
  return undefined
}

async function inCommand(command: Command, state: State): Promise<Place | undefined> {
  const { program, at } = programOf(command)
  const words = command.words.map(({ patterns: [text = ''] }) => plain(text))
  const secret = handedOut(words, program, at)
  if (secret !== undefined) return secret
  const isQuiet = command.feeds === 'nothing'
  const skipped = texts(command, program, at)
  for (const [index, word] of command.words.entries()) {
    const isText = !word.isRedirect && (skipped.has(index) || (isQuiet && TALKING.has(program)))
    const place = isText ? undefined : await inWord(word, state)
    // `ls *` shows a name.
    const isName = program === 'ls' && isQuiet && place?.kind !== 'folder' && word.patterns.every(isPattern)
    if (place !== undefined && !isName) return place
  }
  return undefined
}

/** Which words of a command are texts and no files: what is searched for, messages. */
function texts(command: Command, program: string, at: number): Set<number> {
  const words = command.words.map(({ patterns: [text = ''] }) => plain(text))
  const found = new Set<number>()
  const message = Object.hasOwn(MESSAGES, program) ? MESSAGES[program] : undefined
  for (const [index, text] of words.entries()) if (message?.test(text) === true) found.add(index + 1)
  // With `-e` or `-f`, the first word that is no option is a file.
  if (SEARCHES.test(program) && !words.some(givesPattern)) {
    const first = words.findIndex((text, index) => index > at && !text.startsWith('-'))
    if (first >= 0) found.add(first)
  }
  return found
}

/** Whether an option brings what is looked for; long ones may be shortened. */
function givesPattern(option: string): boolean {
  if (/^-[A-Za-z]{0,20}[ef]/.test(option)) return true
  const [name = ''] = option.slice(2).split('=', 1)
  return /^--\w/.test(option) && ['regexp', 'file', 'files'].some((long) => long.startsWith(name))
}

async function inWord(word: Word, state: State): Promise<Place | undefined> {
  for (const pattern of word.patterns) {
    for (const form of expandBraces(pattern)) {
      for (const candidate of candidatesOf(form)) {
        const place = await state.watch.ofPattern(candidate, state.everywhere, state.dots)
        if (place !== undefined) return place
      }
    }
    const text = plain(pattern)
    if (/[\s'"`;|&()<>$]/.test(text)) {
      const place = await inCode(text, state)
      if (place !== undefined) return place
    }
  }
  return undefined
}

/** A word that is a script itself, or code of another language: its texts may name files. */
async function inCode(text: string, state: State): Promise<Place | undefined> {
  if (state.depth >= DEEPEST) return undefined
  const { watch, runsCode, variables } = state
  const everywhere = runsCode ? [...state.everywhere, watch.where.home] : state.everywhere
  const place = await inScript(text, { ...state, everywhere, variables: new Map(variables), depth: state.depth + 1 })
  if (place !== undefined || !runsCode) return place
  // `process.env.HOME + '/.secrets/key'`
  for (const [, path = ''] of text.matchAll(/['"`})](\/[^'"`\s]{1,500})/g)) {
    const joined = await watch.ofPath(join(watch.where.home, path))
    if (joined !== undefined) return joined
  }
  return undefined
}

async function inDocuments(command: Command, state: State): Promise<Place | undefined> {
  const { program } = programOf(command)
  if (WRITING.has(program) && command.feeds === 'nothing') return undefined
  for (const text of command.documents) {
    const place = await inCode(text, state)
    if (place !== undefined) return place
  }
  return undefined
}

/** A command that reads or moves all that is below a folder. */
async function inSweep(
  command: Command,
  { readsNames, isFed }: { readsNames: boolean; isFed: boolean },
  state: State,
): Promise<Place | undefined> {
  const { program, at } = programOf(command)
  const words = command.words.slice(at + 1).filter(({ isRedirect }) => !isRedirect)
  const names = words.map(({ patterns: [text = ''] }) => plain(text))
  const namesAreRead = command.feeds === 'words' || (command.feeds === 'pipe' && readsNames)
  const sweep = sweepOf(program, names, { namesAreRead, isFed })
  if (sweep === undefined) return undefined
  for (const index of sweep.roots) {
    for (const form of words[index]?.patterns.flatMap(expandBraces) ?? []) {
      // What a pattern fits was looked at by itself.
      const place = isPattern(form) ? undefined : await state.watch.below(plain(form), state.folders, sweep)
      if (place !== undefined) return place
    }
  }
  return sweep.here ? state.watch.below('.', state.folders.slice(-1), sweep) : undefined
}

/** Where `cd` leads. */
function entersTo(command: Command, { watch }: State): string[] {
  const { program, at } = programOf(command)
  if (!['cd', 'pushd', 'chdir'].includes(program)) return []
  const targets = command.words.slice(at + 1).filter(({ patterns: [text = ''] }) => !/^-./.test(text))
  return targets[0]?.patterns ?? [watch.where.home]
}

/** Where a program goes first that is told so by an option. */
function goesTo({ words }: Command): string[] {
  return words.flatMap(({ patterns: [text = ''] }, index) => {
    if (/^(-C|--directory|--cwd|--prefix|--chdir)$/.test(text)) return words[index + 1]?.patterns ?? []
    return /^(-C.|--(directory|cwd|prefix|chdir)=)/.test(text) ? [text.replace(/^(-C|--\w+=)/, '')] : []
  })
}

/** A script may be there from then on, or still where it was. */
function foldersAfter(command: Command, folders: string[], state: State): string[] {
  const { home, worktree } = state.watch.where
  const entered = [...goesTo(command), ...entersTo(command, state)].flatMap(expandBraces)
  const added = entered.flatMap((pattern) => {
    // It may be anywhere; most often it is one of these.
    if (pattern.includes(UNKNOWN)) return folders === state.everywhere ? [home, worktree] : []
    const path = plain(pattern)
      .replace(/^~(?=\/|$)/, home)
      .replace(/^~\+(?=\/|$)/, '.')
    return isAbsolute(path) ? [path] : folders.map((folder) => join(folder, path))
  })
  return [...new Set([...folders.filter((folder) => !added.includes(folder)), ...added])].slice(-MOST_FOLDERS)
}

/** The name of the program that a command runs, and where it stands. */
function programOf({ words }: Command): { program: string; at: number } {
  const at = words.findIndex(({ patterns: [text = ''] }) => {
    const isBefore = BEFORE.has(text) || text.startsWith('-') || /^[A-Za-z_]\w{0,200}\+?=/.test(text)
    return !isBefore
  })
  return { program: basename(plain(words[at]?.patterns[0] ?? '')), at: at < 0 ? words.length : at }
}

/**
 * What a word may name: itself, and what follows a sign that programs put before a path, as in
 * `--file=…`, `@…`, `host:…`, `-I…`.
 */
function candidatesOf(pattern: string): string[] {
  if (pattern.length > LONGEST_PATH) return []
  const parts = pattern.split(/[=:@,]/)
  // A path may have such a sign in it, too.
  const rests = parts.slice(1, 40).map((_, index) => pattern.slice(parts.slice(0, index + 1).join(' ').length + 1))
  const found = new Set([pattern, ...parts, ...rests].filter((text) => text !== '' && !text.startsWith('-')))
  const start = pattern.startsWith('-') ? pattern.search(/[/~]/) : -1
  if (start > 0) found.add(pattern.slice(start))
  return [...found]
}
