/** The words of a line of bash, and how a value is written into one. */

interface Word {
  /** What the program gets. */
  value: string
  /** The quote that is open at its end. */
  quote: '' | '"' | "'"
  /** How much of `value` lies before the last character that ends a word for bash. */
  kept: number
}

/** The words of a line up to the cursor; the last is the one that is being typed, and may be empty. */
export function wordsOf(line: string, breaks: string): [before: string[], current: Word] {
  const before: string[] = []
  let current: Word | undefined
  const at = (): Word => {
    current ??= { value: '', quote: '', kept: 0 }
    return current
  }
  for (let index = 0; index < line.length; index++) {
    const char = line[index] as string
    const quote = current?.quote ?? ''
    if (quote === '' && /\s/.test(char)) {
      if (current !== undefined) before.push(current.value)
      current = undefined
    } else if (quote === '' && (char === '"' || char === "'")) {
      const word = at()
      word.quote = char
      word.kept = word.value.length
    } else if (char === quote) at().quote = ''
    else if (char === '\\' && quote !== "'" && index + 1 < line.length) {
      index++
      const next = line[index] as string
      at().value += quote === '"' && !'"\\$`'.includes(next) ? `\\${next}` : next
    } else {
      const word = at()
      word.value += char
      if (quote === '' && breaks.includes(char)) word.kept = word.value.length
    }
  }
  return [before, at()]
}

/** What bash is to insert for a value after what it keeps of the word. */
export function inserted(value: string, { quote, kept }: Word): string {
  const rest = value.slice(kept)
  if (quote === "'") return rest.replaceAll("'", "'\\''")
  if (quote === '"') return rest.replace(/["\\$`]/g, '\\$&')
  return rest.replace(/[^\w@%+=:,./\u0080-\uffff-]/g, '\\$&')
}
