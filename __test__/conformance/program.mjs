/** The conformance program as an ES module: `node program.mjs`. See README.md here. */
import { isAbsolute } from 'node:path'
import { pathToFileURL } from 'node:url'
import { conform } from './steps.cjs'

const library = process.env.CONFORMANCE_LIBRARY || 'provider-auth'
const auth = await import(isAbsolute(library) ? pathToFileURL(library).href : library)

process.on('exit', (code) => console.log(`exit: ${code}`))
await conform(auth)
