/** Where this package lies, from wherever in it this code was bundled to. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Returns the package's folder; where a bundle of somebody else's has this code, that bundle's. */
export function packageFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url))
  for (let folder = here; folder !== dirname(folder); folder = dirname(folder)) {
    // The command's own folder has a package.json, too: it says how Node is to read the files there.
    if (existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'npm'))) return folder
  }
  return here
}
