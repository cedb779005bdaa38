// `npm run pack -- <folder>`: makes the tarballs of the package and of the platforms whose addon has been built.

import { pack } from './lib/pack.mjs'

const [folder = 'packed'] = process.argv.slice(2)
const { main, platforms } = await pack(folder)
for (const file of [...platforms, main]) console.log(file)
