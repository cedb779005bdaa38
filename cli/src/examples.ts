/** The end of a help page: calls to copy, each with what it is for. */
export function examples(...calls: [call: string, what?: string][]): string {
  const lines = calls.map(([call, what]) => (what === undefined ? `  ${call}` : `  ${call.padEnd(44)}  # ${what}`))
  return `\nExamples:\n${lines.join('\n')}\n`
}
