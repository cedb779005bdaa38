// The arrows between the source files of a crate: who uses whom, read from `use` lines and paths.
// Tests inside the sources are left out. A name is followed through re-exports to the file that defines it.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** The files of a crate's `src`, as `{ file, module, arrows }`: `arrows` maps a used file to a path that names it. */
export function arrowsOf(src) {
  const modules = new Map()
  load(modules, src, existsSync(join(src, 'lib.rs')) ? 'lib.rs' : 'main.rs', [])
  return [...modules.values()].map(({ file, path, code }) => {
    const arrows = new Map()
    const isChild = (name) => modules.has([...path, name].join('::'))
    for (const used of pathsIn(code, path, isChild)) {
      const target = definition(modules, used)
      if (target !== undefined && target !== file) arrows.set(target, used.join('::'))
    }
    return { file, module: path.join('::'), arrows }
  })
}

/** The sets of files that all reach each other, each in the order of names; empty when all arrows run one way. */
export function circlesOf(files) {
  const byFile = new Map(files.map((entry) => [entry.file, entry]))
  const [indexes, lows, stack, circles] = [new Map(), new Map(), [], []]
  const visit = (file) => {
    indexes.set(file, indexes.size)
    lows.set(file, indexes.get(file))
    stack.push(file)
    for (const target of byFile.get(file).arrows.keys()) {
      if (!indexes.has(target)) visit(target)
      if (stack.includes(target)) lows.set(file, Math.min(lows.get(file), lows.get(target)))
    }
    if (lows.get(file) !== indexes.get(file)) return
    const circle = stack.splice(stack.indexOf(file))
    if (circle.length > 1) circles.push(circle.sort())
  }
  for (const { file } of files) if (!indexes.has(file)) visit(file)
  return circles
}

/** The shortest way from the first file of a circle back to itself, as text. */
export function pathAround(files, circle) {
  const arrows = (file) => [...files.find((entry) => entry.file === file).arrows.keys()]
  const [first] = circle
  const ways = [[first]]
  const seen = new Set()
  for (const way of ways) {
    for (const target of arrows(way.at(-1)).filter((file) => circle.includes(file) && !seen.has(file))) {
      if (target === first) return [...way, first].join(' → ')
      seen.add(target)
      ways.push([...way, target])
    }
  }
  throw new Error(`${circle.join(', ')}: no circle`)
}

/** Reads the module `path` from `file`, and its child modules. */
function load(modules, src, file, path) {
  const code = withoutTests(readFileSync(join(src, file), 'utf8'))
  modules.set(path.join('::'), { file, path, code })
  const isRoot = /^(lib|main|mod)\.rs$/.test(basename(file))
  const folder = isRoot ? dirname(file) : file.replace(/\.rs$/, '')
  const isFile = (name) => existsSync(join(src, name)) && readdirSync(dirname(join(src, name))).includes(basename(name))
  for (const [, name] of code.matchAll(/^(?:pub(?:\([^)]*\))? )?mod (\w+);$/gm)) {
    const child = [join(folder, `${name}.rs`), join(folder, name, 'mod.rs')].find(isFile)
    if (child !== undefined) load(modules, src, child, [...path, name])
  }
}

/** The code without comments, text literals and the modules that only tests compile. */
function withoutTests(code) {
  return code
    .replace(/\/\/.*$/gm, '')
    .replace(/"(?:\\[\s\S]|[^"\\])*"/g, '""')
    .replace(/#\[cfg\((?:all\()?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))? )?mod \w+;/g, '')
    .replace(/#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*mod \w+ \{[\s\S]*?^\}/gm, '')
}

/**
 * Every path in the code that starts at the crate, the parent, the module itself or a child of it, as segments from the
 * crate on. What a module only hands on from a child (`pub use`) does not count as its own use.
 */
function pathsIn(code, module, isChild) {
  const paths = []
  for (const [, isPublic, tree] of code.matchAll(/(\bpub(?:\([^)]*\))? )?\buse ([^;]+);/g)) {
    const used = flattened(tree.replace(/\s+/g, ' '))
    paths.push(...used)
    if (isPublic === undefined) paths.push(...used.filter(([first]) => isChild(first)).map((path) => ['self', ...path]))
  }
  for (const [path] of code.matchAll(/\b(?:crate|super|self)(?:::\w+)+/g)) paths.push(path.split('::'))
  const body = code.replace(/\buse [^;]+;/g, '')
  for (const [path, first] of body.matchAll(/(?<![\w:])(\w+)(?:::\w+)+/g))
    if (isChild(first)) paths.push(['self', ...path.split('::')])
  return paths.map((path) => fromCrate(path, module)).filter((path) => path !== undefined)
}

/** `a::{b, c::d}` as its single paths. */
function flattened(tree) {
  const open = tree.indexOf('{')
  if (open === -1)
    return [
      tree
        .replace(/ as \w+$/, '')
        .trim()
        .split('::'),
    ]
  const head = tree.slice(0, open).trim().replace(/::$/, '').split('::').filter(Boolean)
  const parts = ['']
  let depth = 0
  for (const char of tree.slice(open + 1, tree.lastIndexOf('}'))) {
    if (char === '{') depth += 1
    if (char === '}') depth -= 1
    if (char === ',' && depth === 0) parts.push('')
    else parts[parts.length - 1] += char
  }
  const named = parts.map((part) => part.trim()).filter((part) => part !== '')
  return named.flatMap((part) => flattened(part).map((rest) => [...head, ...rest]))
}

function fromCrate([first, ...rest], module) {
  if (first === 'crate') return rest
  if (first === 'self') return [...module, ...rest]
  if (first !== 'super') return undefined
  const ups = rest.findIndex((segment) => segment !== 'super')
  return ups === -1 ? undefined : [...module.slice(0, module.length - 1 - ups), ...rest.slice(ups)]
}

/** The file that defines what a path names. */
function definition(modules, path, depth = 0) {
  let at = []
  while (at.length < path.length && modules.has([...at, path[at.length]].join('::'))) at = [...at, path[at.length]]
  const module = modules.get(at.join('::'))
  const name = path[at.length]
  // A path that ends at a module names the module's own file.
  if (name === undefined || depth > 8) return module?.file
  for (const [, tree] of module.code.matchAll(/\bpub(?:\([^)]*\))? use ([^;]+);/g)) {
    const found = flattened(tree.replace(/\s+/g, ' ')).find((used) => used.at(-1) === name)
    if (found === undefined) continue
    const target = fromCrate(found, at) ?? (modules.has([...at, found[0]].join('::')) ? [...at, ...found] : undefined)
    if (target !== undefined) return definition(modules, target, depth + 1)
  }
  return module.file
}
