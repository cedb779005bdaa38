/** Takes what comes from guarded files out of what a search has found. */
import type { Place } from './protected.js'

type IsGuarded = (path: string) => Promise<Place | undefined>

/** Longer ones are no names of files. */
const LONGEST_NAME = 4_096

/** The output of OpenCode's `grep`: a line `path:` before the matches of a file. */
export async function cleanGrep(output: string, isGuarded: IsGuarded): Promise<string | undefined> {
  const kept: string[] = []
  let isLeftOut = false
  let leftOut = 0
  for (const line of output.split('\n')) {
    const isMatch = line.startsWith('  ')
    if (!isMatch && line.endsWith(':')) isLeftOut = (await isGuarded(line.slice(0, -1))) !== undefined
    else if (!isMatch && line !== '') isLeftOut = false
    if (!isLeftOut) kept.push(line)
    else if (isMatch) leftOut += 1
  }
  // How many there were would tell whether a guess fits a secret.
  return leftOut === 0 ? undefined : noted(kept.filter((line) => !/^Found \d+ matches/.test(line)))
}

/** A list of paths, one in each line, as of OpenCode's `glob`. */
export async function cleanList(output: string, isGuarded: IsGuarded): Promise<string | undefined> {
  return cleanLines(output, (line) => [line], isGuarded)
}

/** What a command in a shell prints, where lines begin with the name of the file they are from. */
export async function cleanPrinted(output: string, isGuarded: IsGuarded): Promise<string | undefined> {
  return cleanLines(output, prefixesOf, isGuarded)
}

async function cleanLines(
  output: string,
  namesOf: (line: string) => string[],
  isGuarded: IsGuarded,
): Promise<string | undefined> {
  const known = new Map<string, boolean>()
  const kept: string[] = []
  const lines = output.split('\n')
  for (const line of lines) {
    let isLeftOut = false
    for (const name of namesOf(line)) {
      const guarded = known.get(name) ?? (await isGuarded(name)) !== undefined
      known.set(name, guarded)
      isLeftOut ||= guarded
    }
    if (!isLeftOut) kept.push(line)
  }
  return kept.length === lines.length ? undefined : noted(kept)
}

/**
 * `file:12:text`, `file:text`, `file-12-text` (a line beside it). A line that is only a name stays.
 */
function prefixesOf(line: string): string[] {
  const start = line.slice(0, LONGEST_NAME)
  const colon = start.indexOf(':')
  const [dashed] = /-\d{1,9}-/.exec(start) ?? []
  const names = colon > 0 ? [start.slice(0, colon)] : []
  if (dashed !== undefined) names.push(start.slice(0, start.indexOf(dashed)))
  return names.filter((name) => name !== '' && name.length < LONGEST_NAME)
}

function noted(lines: string[]): string {
  return [...lines, '', '(provider-auth left out what is in files that it guards)'].join('\n')
}
