/** What was probably meant by a word that is none of those that are known. */

/** The text that is at most two changes away, if there is one: what was probably meant. */
export function nearest(text: string, known: readonly string[]): string | undefined {
  const ranked = known.map((name) => ({ name, far: distance(text.toLowerCase(), name.toLowerCase()) }))
  ranked.sort((a, b) => a.far - b.far)
  const [best] = ranked
  const isPart = known.find((name) => text.length > 2 && name.startsWith(text.toLowerCase()))
  return best !== undefined && best.far <= Math.min(2, text.length / 2) ? best.name : isPart
}

/** Levenshtein's. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (const [index, letter] of [...one].entries()) {
    const next = [index + 1]
    for (const [at, its] of [...other].entries())
      next.push(Math.min((row[at] ?? 0) + (letter === its ? 0 : 1), (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1))
    row = next
  }
  return row.at(-1) ?? 0
}
