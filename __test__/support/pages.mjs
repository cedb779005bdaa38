/** Pages in Markdown as tests read them: headings with the anchors that GitHub gives them, links, and fenced blocks. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** The pages that the README leads to: itself and `docs/`. */
export const PAGES = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)].filter((path) =>
  path.endsWith('.md'),
)

/**
 * Reads a page, by its path from the root.
 *
 * `headings`: `{ level, text, anchor, line }`. `blocks`: `{ name, lang, code, heading, line }`, where `name` is
 * `<path>#<anchor>`, and from the second block under one heading on `<path>#<anchor>:2`. `links`: `{ target, line }`.
 */
export function readPage(path) {
  const headings = []
  const blocks = []
  const links = []
  const taken = new Map()
  let block
  for (const [index, text] of readFileSync(join(root, path), 'utf8').split('\n').entries()) {
    const line = index + 1
    const fence = /^ {0,3}```(\w*)/.exec(text)
    if (block !== undefined) {
      if (fence === null) block.lines.push(text)
      else {
        const { lines, ...rest } = block
        blocks.push({ ...rest, code: `${lines.join('\n')}\n` })
        block = undefined
      }
      continue
    }
    if (fence !== null) {
      const heading = headings.at(-1)?.anchor ?? ''
      const nth = blocks.filter((other) => other.heading === heading).length + 1
      block = { name: `${path}#${heading}${nth > 1 ? `:${nth}` : ''}`, lang: fence[1], heading, line, lines: [] }
      continue
    }
    const title = /^(#{1,6}) +(.+?) *#*$/.exec(text)
    if (title !== null)
      headings.push({ level: title[1].length, text: title[2], anchor: anchorOf(title[2], taken), line })
    for (const target of linksIn(text)) links.push({ target, line })
  }
  return { path, headings, blocks, links }
}

/** The code of the blocks under a heading, by its anchor; of one language where it is given. */
export function blocksUnder(path, anchor, lang) {
  return readPage(path)
    .blocks.filter((block) => block.heading === anchor && (lang === undefined || block.lang === lang))
    .map(({ code }) => code)
}

/** The rows below each head of a table under a heading, each as its cells. */
export function rowsUnder(path, anchor) {
  const { headings } = readPage(path)
  const index = headings.findIndex((heading) => heading.anchor === anchor)
  if (index < 0) throw new Error(`${path} has no heading #${anchor}`)
  const lines = readFileSync(join(root, path), 'utf8').split('\n')
  const part = lines.slice(headings[index].line, (headings[index + 1]?.line ?? lines.length + 1) - 1)
  const rows = part.filter((line) => line.startsWith('|'))
  return rows
    .filter((line, at) => !isRule(line) && !isRule(rows[at + 1] ?? ''))
    .map((line) =>
      line
        .slice(1, line.lastIndexOf('|'))
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    )
}

const isRule = (line) => /^\|[\s|:-]+\|$/.test(line)

/** What is wrong with the links of a page to files and headings of the repository. Addresses elsewhere are not asked. */
export function deadLinks(path) {
  return readPage(path).links.flatMap(({ target, line }) => {
    if (/^[a-z]+:/.test(target)) return []
    const [file, anchor] = target.split('#')
    const place = file === '' ? path : relative(root, join(root, dirname(path), decodeURIComponent(file)))
    if (place.startsWith('..') || !existsSync(join(root, place))) return [`${path}:${line}: ${target}: no such file`]
    if (anchor === undefined || !place.endsWith('.md')) return []
    const has = readPage(place).headings.some((heading) => heading.anchor === anchor)
    return has ? [] : [`${path}:${line}: ${target}: no such heading`]
  })
}

/** The targets of the links and pictures in a line, and of `<a href>` and `<img src>`. */
function linksIn(text) {
  const bare = text.replace(/`[^`]*`/g, (code) => '`'.padEnd(code.length, ' '))
  const inline = [...bare.matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)]
  const named = [...bare.matchAll(/^ {0,3}\[[^\]]+\]: +(\S+)/g)]
  const tags = [...bare.matchAll(/(?:href|src|srcset)="([^"]+)"/g)]
  return [...inline, ...named, ...tags].map(([, target]) => target)
}

/** The anchor of a heading as GitHub makes it: lower case, without punctuation, spaces as hyphens, and a number where it is taken. */
function anchorOf(text, taken) {
  const plain = text
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/[`*]/g, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, '')
    .replaceAll(' ', '-')
  const times = taken.get(plain) ?? 0
  taken.set(plain, times + 1)
  return times === 0 ? plain : `${plain}-${times}`
}
