/** What the library tells programs to call, in commands. */

const COMMANDS: readonly (readonly [call: RegExp, command: string])[] = [
  // The next step of the error says these with all that belongs to them.
  [/; where it is to be your name of an MCP server, sign in to it first: login\(.*\)/gs, ''],
  [/; switch (?:it|one) on with updateAccount\(.*\)/gs, ''],
  [/ If you know this file, trust it: trustProject\(\)/g, ''],
  [/, with a larger timeoutMs if that was too short/g, ''],
  [/; listAccounts shows both/g, ''],
  [/\ballowWeakPassphrase\b/g, '--allow-weak-passphrase'],
  [/\bcall clearCooldowns\b/g, 'run provider-auth unblock'],
  [/\bclearCooldowns\b/g, 'provider-auth unblock'],
  [/addApiKey\(\{ provider: "([^"]*)", apiKey \}\)/g, 'provider-auth login $1 --with-token'],
  [/login\(\{ provider: "([^"]*)" \}\)/g, 'provider-auth login $1'],
  [/(?:projectTrust|trustProject)\(\)/g, 'provider-auth trust'],
]

export function inCommands(text: string): string {
  return COMMANDS.reduce((left, [call, command]) => left.replace(call, command), text)
}
