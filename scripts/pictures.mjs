// `npm run pictures`: draws the pictures of the README and of docs/ anew, from real runs of what is built. The screen takes tmux.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { drawArchitecture } from './lib/pictures/architecture.mjs'
import { drawRotation, runRotation } from './lib/pictures/rotation.mjs'
import { drawScreen, runScreen } from './lib/pictures/screen.mjs'
import { root } from './lib/steps.mjs'

const folder = join(root, 'docs/pictures')
mkdirSync(folder, { recursive: true })
for (const [name, draw] of [
  ['architecture', drawArchitecture],
  ['rotation', async () => drawRotation(await runRotation())],
  ['accounts', async () => drawScreen(await runScreen())],
]) {
  const file = join(folder, `${name}.svg`)
  writeFileSync(file, await draw())
  process.stdout.write(`${file}\n`)
}
