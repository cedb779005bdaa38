#!/usr/bin/env node
/** The `provider-auth` command. What needs no command line is answered before one is read. */
import { VERSION } from './version.js'

if (process.argv.length === 3 && process.argv[2] === '--version') process.stdout.write(`${VERSION}\n`)
else void import('./program.js').then(({ main }) => main(process.argv.slice(2)))
