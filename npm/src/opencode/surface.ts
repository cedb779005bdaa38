/** Where a login of OpenCode takes place: its command on a terminal or in a script, or a screen of its own. */

/** `cli`: `opencode auth login`. `ui`: the TUI, the desktop and web apps, and every other client of its HTTP API. */
export type Surface = 'cli' | 'ui'

/** The surface of this process: `opencode auth login` is its only command that signs in by itself. */
export function surfaceOf(argv: readonly string[] = process.argv): Surface {
  const group = argv.findIndex((word) => word === 'auth' || word === 'providers')
  return group >= 0 && argv.indexOf('login', group) > group ? 'cli' : 'ui'
}

/** Tells whether a question finds a person: `opencode auth login` would wait for ever at an input that isn't a terminal. */
export function canAsk(surface = surfaceOf()): boolean {
  return surface === 'ui' || process.stdin.isTTY === true
}

/** Whether this is `opencode run`, which sends one message, and prints nothing while it waits. */
export function isRun(argv: readonly string[] = process.argv): boolean {
  return argv.slice(1, 4).includes('run')
}
