const WIDTH = 80

/** The end of a help page: calls to copy, each with what it is for. */
export function examples(...calls: [call: string, what?: string][]): string {
  const lines = calls.map(([call, what]) => {
    if (what === undefined) return `  ${call}`
    const line = `  ${call.padEnd(44)}  # ${what}`
    return line.length > WIDTH ? `  # ${what}\n  ${call}` : line
  })
  return `\nExamples:\n${lines.join('\n')}\n`
}
