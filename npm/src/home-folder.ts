/** The home folder of the user, which not every process has. */
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

/** Returns it as the addon has it: not where HOME is a relative path, or the system knows no user of this number. */
export function homeFolder(): string | undefined {
  try {
    const home = homedir()
    return isAbsolute(home) ? home : undefined
  } catch {
    return undefined
  }
}

/** Returns a path in it. Without one it is the path of nothing, as the users of services have it on Debian. */
export function inHome(...names: string[]): string {
  return join(homeFolder() ?? '/nonexistent', ...names)
}
