/** The quotes of a shell in which a backslash stands for more than the character after it. */

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', e: '\u001b', a: '\u0007' }

/** Reads a text from behind `$'` to its end, with the escapes of C. */
export function ansiText(text: string, start: number): { value: string; end: number } {
  let at = start
  let value = ''
  while (at < text.length && text[at] !== "'") {
    if (text[at] !== '\\') {
      value += text[at]
      at += 1
      continue
    }
    const rest = text.slice(at + 1, at + 10)
    const [code, hex, short, long, octal] =
      /^(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3}))/.exec(rest) ?? []
    const number = octal === undefined ? Number.parseInt(hex ?? short ?? long ?? '', 16) : Number.parseInt(octal, 8)
    if (code !== undefined && number <= 0x10ffff) {
      value += String.fromCodePoint(number)
      at += 1 + code.length
    } else {
      value += ESCAPES[rest[0] ?? ''] ?? rest[0] ?? ''
      at += 2
    }
  }
  return { value, end: at + 1 }
}
