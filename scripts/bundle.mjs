// `npm run build:ts`, last step: the command.

import { bundleCommand } from './lib/bundle.mjs'

await bundleCommand()
