// Times what `createAuthFetch` adds to a call with a long body, in Node or in Bun: over a `fetch` that answers at once.

import { addApiKey, configure, createAuthFetch } from '../../npm/dist/index.js'
import { conversation, TEXTS } from '../lib/bodies.mjs'
import { oneByOne } from '../lib/measure.mjs'
import { options, tell } from '../lib/process.mjs'

const { url, sizes, rounds } = options()
configure({ config: { providers: { bench: { origins: [new URL(url).origin] } } } })
await addApiKey({ provider: 'bench', apiKey: 'sk-bench' })
const answer = new Response(null)
const authFetch = createAuthFetch({ provider: 'bench', fetch: async () => answer })

const figures = {}
for (const size of sizes) {
  const contenders = TEXTS.map((name) => {
    const call = { method: 'POST', headers: { 'content-type': 'application/json' }, body: conversation(name, size) }
    return { name, call: () => authFetch(url, call) }
  })
  figures[size] = Object.fromEntries(await oneByOne(contenders, rounds))
}
tell(figures)
