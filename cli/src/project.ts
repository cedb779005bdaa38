/** The folder of a project that a command is about. */
import { usage } from './faults.js'

/** Works from this folder on, since the library looks for a project's files from the working folder. */
export function enterProject(dir: string | undefined): void {
  if (dir === undefined) return
  try {
    process.chdir(dir)
  } catch {
    throw usage(`there is no folder ${dir}, or it may not be entered`)
  }
}
