/** The conformance program as CommonJS: `node program.cjs`. See README.md here. */
const { conform } = require('./steps.cjs')

const auth = require(process.env.CONFORMANCE_LIBRARY || 'provider-auth')

process.on('exit', (code) => console.log(`exit: ${code}`))
conform(auth)
