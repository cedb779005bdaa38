/** The examples of a page of `docs/`, run as they stand there: only addresses are replaced. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { within } from './until.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Of one example, which at most waits for a server that a test lets go on. */
const LONGEST_RUN_MS = 120_000

/**
 * Reads the examples of a page.
 *
 * @param {string} page as `docs/recipes.md`
 * @returns a function that takes a heading and a language, and returns the examples of that section in order
 */
export function examplesOf(page) {
  const text = readFileSync(join(root, page), 'utf8')
  const sections = new Map(text.split(/^#+ /m).map((part) => [part.slice(0, part.indexOf('\n')), part]))
  return (heading, language) => {
    const blocks = [...(sections.get(heading) ?? '').matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    const found = blocks.filter(([, name]) => name === language).map(([, , code]) => code)
    if (found.length === 0) throw new Error(`${page} has no example in ${language} under "${heading}"`)
    return found
  }
}

/**
 * Makes a sandbox's working folder a project with the packages of the examples, and returns what runs one there.
 *
 * @param {object} sandbox
 * @param {{ addresses: Record<string, string>, env?: Record<string, string> }} options `addresses`: those of the page, each
 *   with the one that takes its place; `env`: what every example finds in its environment
 */
export function openProject(sandbox, { addresses, env: common = {} }) {
  const modules = join(sandbox.work, 'node_modules')
  mkdirSync(modules)
  // Deno finds a preloaded package only where it is a dependency.
  writeFileSync(join(sandbox.work, 'package.json'), '{"type":"module","dependencies":{"provider-auth":"*"}}')
  for (const name of readdirSync(join(root, 'node_modules')))
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  symlinkSync(root, join(modules, 'provider-auth'))

  const local = (text) => Object.entries(addresses).reduce((all, [there, here]) => all.replaceAll(there, here), text)
  let scripts = 0
  /** Starts an example, with what a test adds below it; see `watch`. */
  const start = (example, { more = '', env = {}, ...options } = {}) => {
    const file = join(sandbox.work, `example-${++scripts}.js`)
    writeFileSync(file, `${local(example)}\n${more}`)
    return sandbox.spawn(file, { env: { ...common, ...env }, ...options })
  }
  return {
    local,
    start,
    /** Runs it to its end, which must be a good one; resolves to what it printed. */
    async printed(example, options) {
      const { code, stdout, stderr } = await within(
        'the end of an example',
        start(example, options).ended,
        LONGEST_RUN_MS,
      )
      assert.equal(code, 0, stderr)
      return stdout
    },
  }
}
