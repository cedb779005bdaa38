/**
 * The commands of a shell script and their words, as far as they are known before it runs: quotes,
 * variables that the script sets itself, substitutions, here-documents. It errs towards more words:
 * a guard that reads one too many refuses too much, one that reads too few opens a file.
 */
import { ansiText } from './ansi.js'
import { closingBrace, closingBracket, lineEnd } from './ends.js'
import { literal, plain, UNKNOWN } from './globs.js'

export interface Word {
  /** Patterns of `globs.ts`; several where a variable may have several values. */
  patterns: string[]
  /** A file that the shell itself opens, as in `< file`. */
  isRedirect: boolean
}

export interface Command {
  words: Word[]
  /** The texts of its here-documents. */
  documents: string[]
  /** Where its output goes that somebody may take for names of files. */
  feeds: 'nothing' | 'pipe' | 'words'
}

export type Variables = Map<string, string[]>

/** As many as fit into the longest command that Linux takes, of 128 KiB. */
const MOST_WORDS = 66_000
const MOST_VALUES = 8
const LONGEST_WORD = 100_000
const DEEPEST = 12

/** Commands whose arguments set variables as well. */
const DECLARING: ReadonlySet<string> = new Set(['export', 'declare', 'typeset', 'local', 'readonly', 'env', 'sudo'])

/** Commands that give variables a value that is not in their words. */
const READING: ReadonlySet<string> = new Set(['read', 'mapfile', 'readarray', 'printf', 'getopts'])

/** Variables that a shell makes up. */
const SHELLS_OWN: ReadonlySet<string> = new Set(['PPID', 'BASHPID', 'UID', 'EUID', 'RANDOM', 'REPLY', 'SECONDS'])

/** Ends a here-document. */
interface Mark {
  text: string
  isQuoted: boolean
  /** Tabs before it do not count. */
  strips: boolean
}

interface Reading {
  text: string
  at: number
  depth: number
  variables: Variables
  commands: Command[]
  words: { left: number }
  feeds: Command['feeds']
}

/** Reads a script. What it sets is added to `variables`. */
export function readShell(text: string, variables: Variables, depth = 0): Command[] {
  const commands: Command[] = []
  const words = { left: MOST_WORDS }
  readList({ text, at: 0, depth, variables, commands, words, feeds: 'nothing' }, undefined)
  return commands
}

/** Reads commands up to the bracket that ends them. */
function readList(reading: Reading, end: ')' | undefined): void {
  let command = emptyCommand(reading)
  let word: string[] | undefined
  let isRedirect = false
  let openCases = 0
  const documents: { mark: Mark; command: Command }[] = []
  const append = (...parts: string[]): void => {
    word = combine(word ?? [''], parts)
  }
  const endWord = (): void => {
    if (word === undefined) return
    if (word[0] === 'case') openCases += 1
    else if (word[0] === 'esac') openCases -= 1
    if (reading.words.left-- > 0) command.words.push({ patterns: word, isRedirect })
    setVariable(command, word, reading.variables)
    word = undefined
    isRedirect = false
  }
  const endCommand = (): void => {
    endWord()
    setByCommand(command, reading.variables)
    if (command.words.length > 0 || documents.some((document) => document.command === command)) {
      reading.commands.push(command)
    }
    command = emptyCommand(reading)
  }
  const redirect = (length: number): void => {
    // `2>file`: the number is no word.
    if (word !== undefined && !/^\d+$/.test(word[0] ?? '')) endWord()
    word = undefined
    reading.at += length
    isRedirect = true
  }

  while (reading.at < reading.text.length) {
    const { text, at } = reading
    const character = text[at] ?? ''
    const next = text[at + 1]
    if (character === ' ' || character === '\t' || character === '\r') {
      endWord()
      reading.at += 1
    } else if (character === '\n') {
      endCommand()
      reading.at += 1
      for (const { mark, command: owner } of documents.splice(0)) {
        const document = readDocument(reading, mark)
        owner.documents.push(document)
        // Substitutions in it run.
        if (!mark.isQuoted) innerValues(document, reading)
      }
    } else if (character === ';') {
      endCommand()
      reading.at += 1
    } else if (character === '&' && next === '>') {
      redirect(text[at + 2] === '>' ? 3 : 2)
    } else if (character === '&') {
      endCommand()
      reading.at += next === '&' ? 2 : 1
    } else if (character === '|') {
      if (next !== '|' && command.feeds === 'nothing') command.feeds = 'pipe'
      endCommand()
      reading.at += next === '|' || next === '&' ? 2 : 1
    } else if (character === '(') {
      if (word !== undefined && /[@?+!*]$/.test(word[0] ?? '')) {
        // `@(a|b)`: whatever it stands for.
        reading.at = closingBracket(text, at) + 1
        append('*')
        continue
      }
      endCommand()
      readNested(reading, 1, 'pipe')
    } else if (character === ')') {
      // In `case x in x) …`, it ends a pattern.
      if (end === ')' && openCases <= 0) break
      endCommand()
      reading.at += 1
    } else if ((character === '<' || character === '>') && next === '(') {
      readNested(reading, 2, 'words')
      append(UNKNOWN)
    } else if (text.startsWith('<<<', at)) {
      redirect(3)
      // It is a text, not a file.
      isRedirect = false
    } else if (text.startsWith('<<', at)) {
      redirect(2)
      isRedirect = false
      documents.push({ mark: readMark(reading), command })
    } else if (character === '<' || character === '>') {
      redirect(next === '>' || next === '|' || next === '&' ? 2 : 1)
    } else if (character === '#' && word === undefined) {
      reading.at = lineEnd(text, at)
    } else if (character === "'") {
      const close = text.indexOf("'", at + 1)
      const stop = close < 0 ? text.length : close
      append(literal(text.slice(at + 1, stop)))
      reading.at = stop + 1
    } else if (character === '"') {
      reading.at += 1
      append('')
      while (reading.at < reading.text.length && reading.text[reading.at] !== '"') append(...readQuoted(reading))
      reading.at += 1
    } else if (character === '\\') {
      // A backslash and the end of the line: the line goes on.
      if (next !== '\n') append(literal(next ?? ''))
      reading.at += 2
    } else if (character === '$' || character === '`') {
      append(...readExpansion(reading).map((value) => value.replaceAll('\\', '\\\\')))
    } else {
      append(character)
      reading.at += 1
    }
  }
  endCommand()
}

function emptyCommand(reading: Reading): Command {
  return { words: [], documents: [], feeds: reading.feeds }
}

/** Reads what stands in round brackets, as commands whose output goes somewhere. */
function readNested(reading: Reading, skip: number, feeds: Command['feeds']): Command[] {
  reading.at += skip
  const start = reading.commands.length
  // Deeper ones are read as part of the commands around them.
  if (reading.depth >= DEEPEST) return []
  const inner: Reading = { ...reading, depth: reading.depth + 1, feeds }
  readList(inner, ')')
  reading.at = inner.at + 1
  return reading.commands.slice(start)
}

/** Reads one part of a text in double quotes. */
function readQuoted(reading: Reading): string[] {
  const { text, at } = reading
  const character = text[at] ?? ''
  if (character === '$' || character === '`') return readExpansion(reading).map(literal)
  if (character === '\\') {
    reading.at += 2
    const next = text[at + 1] ?? ''
    if (next === '\n') return ['']
    return [literal('$`"\\'.includes(next) ? next : `\\${next}`)]
  }
  // As far as nothing is special.
  let stop = at + 1
  while (stop < text.length && !'$`"\\'.includes(text[stop] ?? '')) stop += 1
  reading.at = stop
  return [literal(text.slice(at, stop))]
}

/** Reads what begins with `$` or a backquote; returns its possible values. */
function readExpansion(reading: Reading): string[] {
  const { text, at, variables } = reading
  if (text[at] === '`') {
    let stop = at + 1
    while (stop < text.length && text[stop] !== '`') stop += text[stop] === '\\' ? 2 : 1
    const inner = text.slice(at + 1, stop).replace(/\\([`\\$])/g, '$1')
    reading.at = stop + 1
    if (reading.depth >= DEEPEST) return [UNKNOWN]
    return outputOf(readInner(reading, inner))
  }
  const next = text[at + 1] ?? ''
  if (next === '(') return outputOf(readNested(reading, 2, 'words'))
  if (next === "'") {
    const { value, end } = ansiText(text, at + 2)
    reading.at = end
    return [value]
  }
  if (next === '"') {
    reading.at += 1
    return ['']
  }
  if (next === '{') {
    const close = closingBrace(text, at + 1)
    reading.at = close + 1
    return parameterValues(text.slice(at + 2, close), reading)
  }
  const [name] = /^[A-Za-z_]\w{0,200}/.exec(text.slice(at + 1, at + 202)) ?? []
  if (name !== undefined) {
    reading.at += 1 + name.length
    return valuesOf(name, variables)
  }
  if (/[@*0-9]/.test(next)) {
    reading.at += 2
    return ['', UNKNOWN]
  }
  if (next !== '' && '?$!#-'.includes(next)) {
    reading.at += 2
    return [UNKNOWN]
  }
  reading.at += 1
  return ['$']
}

/** Reads a script within the script, whose output is made into words. */
function readInner(reading: Reading, text: string): Command[] {
  const start = reading.commands.length
  readList({ ...reading, text, at: 0, depth: reading.depth + 1, feeds: 'words' }, undefined)
  return reading.commands.slice(start)
}

/** `${NAME}`, `${NAME:-word}` and the like; what cuts or replaces is not worked out. */
function parameterValues(inner: string, reading: Reading): string[] {
  const [, name, operator, rest = inner] = /^([A-Za-z_]\w{0,200}|[@*0-9])(:?[-=+?])?([\s\S]*)$/.exec(inner) ?? []
  // Also for what runs in it.
  const [value = ''] = /[$`]/.test(rest) ? innerValues(rest, reading) : [rest.replaceAll('"', '')]
  if (name === undefined) return [UNKNOWN]
  const values = /^[@*0-9]/.test(name) ? ['', UNKNOWN] : valuesOf(name, reading.variables)
  if (operator !== undefined) return limited([...values, value])
  if (rest === '') return values
  // Others may well leave it as it is.
  const cut = rest === '%/*' ? values.map((text) => text.replace(/\/[^/]*$/, '')) : [UNKNOWN]
  return limited([...values, ...cut])
}

/** The values of a text with expansions in it. */
function innerValues(text: string, reading: Reading): string[] {
  const inner = { ...reading, text: text.replaceAll('"', ''), at: 0, depth: reading.depth + 1 }
  if (inner.depth > DEEPEST) return [UNKNOWN]
  let values = ['']
  while (inner.at < inner.text.length) values = combine(values, readQuoted(inner).map(plain))
  return values
}

/** What a substitution prints, where that can be told. */
function outputOf(commands: Command[]): string[] {
  const [command] = commands
  if (command === undefined || commands.length > 1) return [UNKNOWN]
  const texts = command.words.map(({ patterns }) => patterns.map(plain))
  const at = texts.findIndex(([text = '']) => !['eval', 'command', 'builtin'].includes(text))
  const [program] = texts[at] ?? []
  const shown = texts.slice(at + 1).filter(([text = '']) => !/^-\w{0,10}$|^--$|^%s(\\n)?$/.test(text))
  if (program === 'pwd') return ['.']
  if (program === 'realpath' || program === 'readlink') return shown.at(-1) ?? [UNKNOWN]
  if (program === 'dirname') return (shown[0] ?? []).map((path) => path.replace(/[^/]*\/*$/, '') || '.')
  if (program !== 'echo' && program !== 'printf') return [UNKNOWN]
  const words = shown.map((word) => limited([...word, ...word.map((text) => ansiText(`${text}'`, 0).value)]))
  const spaced = words.map((word, index) => (index === 0 ? word : word.map((text) => ` ${text}`)))
  return spaced.reduce((values, word) => combine(values, word), [''])
}

function readMark(reading: Reading): Mark {
  const [all = '', dash, mark = ''] =
    /^(-?)[ \t]{0,20}([^\s;&|<>()]{0,200})/.exec(reading.text.slice(reading.at, reading.at + 300)) ?? []
  reading.at += all.length
  const text = mark.replace(/['"\\]/g, '')
  return { text, isQuoted: text !== mark, strips: dash === '-' }
}

function readDocument(reading: Reading, mark: Mark): string {
  const lines: string[] = []
  while (reading.at < reading.text.length) {
    const stop = lineEnd(reading.text, reading.at)
    const line = reading.text.slice(reading.at, stop)
    reading.at = stop + 1
    if ((mark.strips ? line.replace(/^\t+/, '') : line) === mark.text) break
    lines.push(line)
  }
  return lines.join('\n')
}

function setVariable(command: Command, patterns: string[], variables: Variables): void {
  // No command sets more.
  const words = command.words.slice(0, 50).map(({ patterns: [text = ''] }) => text)
  const isFirst = command.words.length <= 50 && words.every((text) => /^[A-Za-z_]\w{0,200}\+?=/.test(text))
  if (!isFirst && !words.some((text) => DECLARING.has(text))) return
  for (const pattern of patterns) {
    const [, name, added, value] = /^([A-Za-z_]\w{0,200})(\+?)=([\s\S]*)$/.exec(pattern) ?? []
    if (name === undefined || value === undefined) continue
    const starts = added === '+' ? (variables.get(name) ?? ['']) : ['']
    addValues(variables, name, combine(starts, [plain(value)]))
  }
}

/** `for NAME in …`, `read NAME`. */
function setByCommand({ words }: Command, variables: Variables): void {
  const texts = words.map(({ patterns }) => patterns)
  const reader = texts.findIndex(([text = '']) => READING.has(text))
  for (const [name = ''] of reader < 0 ? [] : texts.slice(reader + 1)) {
    if (/^[A-Za-z_]\w{0,200}$/.test(name)) addValues(variables, name, [UNKNOWN])
  }
  const start = texts.findIndex(([text]) => text === 'for' || text === 'select')
  const [name] = texts[start + 1] ?? []
  if (start < 0 || name === undefined || texts[start + 2]?.[0] !== 'in') return
  addValues(
    variables,
    name,
    texts
      .slice(start + 3)
      .flat()
      .map(plain),
  )
}

/** A value that was set before may still hold: which branches run is not known. */
function addValues(variables: Variables, name: string, values: string[]): void {
  variables.set(name, limited([...values, ...(variables.get(name) ?? [])]))
}

function valuesOf(name: string, variables: Variables): string[] {
  // Who reads the words knows every folder that the script may have been in.
  if (name === 'PWD' || name === 'OLDPWD') return ['.']
  return SHELLS_OWN.has(name) ? [UNKNOWN] : (variables.get(name) ?? [''])
}

function combine(starts: string[], ends: string[]): string[] {
  const join = (start: string, end: string) => (start.length > LONGEST_WORD ? start : start + end)
  if (ends.length === 1) return starts.map((start) => join(start, ends[0] ?? ''))
  return limited(starts.flatMap((start) => ends.map((end) => join(start, end))))
}

/** Of more values than that, the others are not known. */
function limited(values: string[]): string[] {
  const found = [...new Set(values)]
  return found.length <= MOST_VALUES ? found : [...found.slice(0, MOST_VALUES - 1), UNKNOWN]
}
