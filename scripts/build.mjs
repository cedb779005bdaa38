// `npm run build:debug`: the addon and npm/dist as the tests and `npm start` use them.

import { buildAddon, buildTypeScript } from './lib/build.mjs'
import { step } from './lib/steps.mjs'

for (const [title, build] of Object.entries({ 'The native addon': buildAddon, 'The TypeScript': buildTypeScript })) {
  const { ok } = await step(title, build)
  if (!ok) process.exit(1)
}
