// `npm run build:ts`, last step: what is packed.

import { bundleCommand } from './lib/bundle.mjs'
import { bundleLibrary } from './lib/bundle-library.mjs'

await bundleLibrary()
await bundleCommand()
