import { reproduce } from './lib/release/reproduce.mjs'
const r = await reproduce({}); console.log(r); process.exit(r.ok ? 0 : 1)
