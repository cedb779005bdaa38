/**
 * Patterns of file names as a shell expands them. In a pattern, `\` takes the meaning from the
 * character after it.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Stands for a text that is not known before the command runs. */
export const UNKNOWN = '\uE000'

/** A longer one names no file. */
export const LONGEST_PATH = 4_096

/** So many names a pattern's braces may come to; a shell takes more, and no person writes them. */
const MOST_ALTERNATIVES = 256

/** So many entries of folders one pattern may look at. */
const MOST_ENTRIES = 20_000

const SPECIAL = new Set(['*', '?', '[', UNKNOWN])

type Token = { is: 'text'; text: string } | { is: 'one' } | { is: 'many'; dots: boolean } | OneOf
interface OneOf {
  is: 'of'
  not: boolean
  ranges: [string, string][]
}

/** The text as a pattern that fits itself alone. */
export function literal(text: string): string {
  return text.replace(/[\\*?[\]{},~]/g, '\\$&')
}

/** The text of a pattern without special characters. */
export function plain(pattern: string): string {
  return pattern.replace(/\\([\s\S])/g, '$1')
}

/** Whether a pattern may fit more than one text. */
export function isPattern(pattern: string): boolean {
  for (let at = 0; at < pattern.length; at++) {
    if (pattern[at] === '\\') at += 1
    else if (SPECIAL.has(pattern[at] ?? '')) return true
  }
  return false
}

/** Whether a pattern fits a name. A leading dot is fitted by itself only, unless `dots`. */
export function fits(pattern: string, name: string, dots = false): boolean {
  const tokens = tokensOf(pattern)
  const [first] = tokens
  const isHidden = name.startsWith('.')
  if (isHidden && !dots && first?.is !== 'text' && !(first?.is === 'many' && first.dots)) return false
  // Where it fails, the last `*` takes one character more: at most |pattern| × |name| steps.
  let [token, at, star, starAt] = [0, 0, -1, 0]
  const characters = [...name]
  while (at < characters.length) {
    const current = tokens[token]
    if (current?.is === 'many') {
      ;[star, starAt] = [token, at]
      token += 1
    } else if (current !== undefined && fitsOne(current, characters[at] ?? '')) {
      token += 1
      at += 1
    } else if (star >= 0) {
      starAt += 1
      ;[token, at] = [star + 1, starAt]
    } else {
      return false
    }
  }
  return tokens.slice(token).every(({ is }) => is === 'many')
}

function fitsOne(token: Token, character: string): boolean {
  if (token.is === 'text') return token.text === character
  if (token.is === 'one') return true
  return token.is === 'of' && token.ranges.some(([from, to]) => from <= character && character <= to) !== token.not
}

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = []
  const characters = [...pattern]
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? ''
    if (character === '\\') {
      at += 1
      tokens.push({ is: 'text', text: characters[at] ?? '\\' })
    } else if (character === '*') tokens.push({ is: 'many', dots: false })
    else if (character === UNKNOWN) tokens.push({ is: 'many', dots: true })
    else if (character === '?') tokens.push({ is: 'one' })
    else if (character === '[') {
      const end = endOfClass(characters, at)
      if (end === undefined) tokens.push({ is: 'text', text: '[' })
      else {
        tokens.push(classOf(characters.slice(at + 1, end)))
        at = end
      }
    } else tokens.push({ is: 'text', text: character })
  }
  return tokens
}

function endOfClass(characters: string[], start: number): number | undefined {
  let at = start + 1
  if (characters[at] === '!' || characters[at] === '^') at += 1
  // A `]` that comes first is one of the class.
  for (at += 1; at < characters.length && at < start + 100; at++) {
    if (characters[at] !== ']') continue
    // That of `[:alpha:]`.
    const isNamed = characters[at - 1] === ':' && characters.slice(start + 1, at - 1).includes(':')
    if (!isNamed) return at
  }
  return undefined
}

function classOf(inner: string[]): OneOf {
  const not = inner[0] === '!' || inner[0] === '^'
  const ranges: [string, string][] = []
  // `[[:alpha:]]` and its kind: any character may be meant.
  if (inner.includes(':')) return { is: 'of', not: false, ranges: [['\u0000', '\u{10FFFF}']] }
  for (let at = not ? 1 : 0; at < inner.length; at++) {
    const from = inner[at] ?? ''
    if (inner[at + 1] === '-' && at + 2 < inner.length) {
      ranges.push([from, inner[at + 2] ?? ''])
      at += 2
    } else ranges.push([from, from])
  }
  return { is: 'of', not, ranges }
}

/**
 * The patterns that a pattern's braces come to: `a{b,c}` is `ab` and `ac`. A long one is returned
 * as it is.
 */
export function expandBraces(pattern: string): string[] {
  if (pattern.length > LONGEST_PATH) return [pattern]
  const done: string[] = []
  const open = [pattern]
  while (open.length > 0 && done.length + open.length < MOST_ALTERNATIVES) {
    const text = open.pop() ?? ''
    const brace = firstBrace(text)
    if (brace === undefined) done.push(text)
    else for (const part of brace.parts) open.push(text.slice(0, brace.start) + part + text.slice(brace.end))
  }
  // Of more than that, the rest may be anything.
  return [
    ...done,
    ...open.map((text) => (firstBrace(text) === undefined ? text : text.replace(/\{[\s\S]*\}/, UNKNOWN))),
  ]
}

function firstBrace(text: string): { start: number; end: number; parts: string[] } | undefined {
  const starts: { at: number; commas: number[] }[] = []
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '\\') at += 1
    else if (character === '{') starts.push({ at, commas: [] })
    else if (character === ',') starts.at(-1)?.commas.push(at)
    else if (character === '}') {
      const start = starts.pop()
      if (start === undefined) continue
      const inner = text.slice(start.at + 1, at)
      const place = { start: start.at, end: at + 1 }
      if (start.commas.length > 0) {
        const bounds = [start.at, ...start.commas, at]
        return { ...place, parts: bounds.slice(1).map((end, index) => text.slice((bounds[index] ?? 0) + 1, end)) }
      }
      // A sequence: which characters it has does not matter.
      if (/^[^./]{1,20}\.\.[^./]{1,20}(\.\.-?\d{1,5})?$/.test(inner)) return { ...place, parts: ['*'] }
    }
  }
  return undefined
}

/**
 * The paths on the disk that a pattern fits, or `undefined` where there are too many to look at.
 */
export async function expandOnDisk(root: string, names: string[], dots = false): Promise<string[] | undefined> {
  let budget = MOST_ENTRIES
  let found = [root]
  for (const name of names) {
    if (!isPattern(name)) {
      found = found.map((folder) => step(folder, plain(name)))
      continue
    }
    const next: string[] = []
    for (const folder of found) {
      const entries = await readdir(folder).catch(() => [])
      budget -= entries.length + 1
      if (budget < 0) return undefined
      for (const entry of entries) if (fits(name, entry, dots)) next.push(step(folder, entry))
      // `**` may be no folder at all, or many; the next ones are looked at by the pattern alone.
      if (name === '**') next.push(folder)
    }
    found = next
  }
  return found
}

/**
 * Not `join`, which takes `..` for the folder that was written before it: that one may be a link.
 */
function step(folder: string, name: string): string {
  return name === '..' || name === '.' ? `${folder.replace(/\/$/, '')}/${name}` : join(folder, name)
}

/**
 * Whether a pattern may fit a path, or with `below` something under it. `**` stands for any number
 * of folders.
 */
export function mayFit(pattern: readonly string[], path: readonly string[], below: boolean, dots = false): boolean {
  // The places in the pattern that have been reached; each name of the path moves them on.
  let reached = skipStars(pattern, new Set([0]))
  for (const name of path) {
    const next = new Set<number>()
    for (const at of reached) {
      const current = pattern[at]
      if (current === undefined) continue
      if (current === '**') next.add(at)
      if (current === '**' || fits(current, name, dots)) next.add(at + 1)
    }
    reached = skipStars(pattern, next)
    if (reached.size === 0) return false
  }
  return below || reached.has(pattern.length)
}

function skipStars(pattern: readonly string[], reached: Set<number>): Set<number> {
  for (const at of reached) if (pattern[at] === '**') reached.add(at + 1)
  return reached
}
