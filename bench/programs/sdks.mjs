// Times requests through SDKs, in Node or in Bun: over the runtime's `fetch`, and over ours.

import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText } from 'ai'
import OpenAI from 'openai'
import { addApiKey, configure, createAuthFetch } from '../../npm/dist/index.js'
import { oneByOne } from '../lib/measure.mjs'
import { options, tell } from '../lib/process.mjs'
import { TOKEN } from '../peers.mjs'

const { url, rounds } = options()
configure({ config: { providers: { bench: { origins: [new URL(url).origin] } } } })
await addApiKey({ provider: 'bench', apiKey: TOKEN })

const prompt = 'x'.repeat(8 * 1024 - 70)
const fetches = { plain: globalThis.fetch, again: globalThis.fetch, wrapped: createAuthFetch({ provider: 'bench' }) }
const sdks = {
  openai(fetch) {
    const { chat } = new OpenAI({ apiKey: TOKEN, baseURL: url, fetch, maxRetries: 0 })
    return () => chat.completions.create({ model: 'small-1', messages: [{ role: 'user', content: prompt }] })
  },
  ai(fetch) {
    const model = createOpenAICompatible({ name: 'bench', baseURL: url, apiKey: TOKEN, fetch }).chatModel('small-1')
    return () => generateText({ model, prompt, maxRetries: 0 })
  },
}
const figures = {}
for (const [name, open] of Object.entries(sdks)) {
  const contenders = Object.entries(fetches).map(([name, fetch]) => ({ name, call: open(fetch) }))
  figures[name] = Object.fromEntries(await oneByOne(contenders, rounds))
}
tell(figures)
