// Bodies of requests as agents send them: prose, code as files hold it, and results of tools that are full of quotes.

const WORDS =
  'the of a request that account which limit when server answer model token window before after each other session cache'.split(
    ' ',
  )
const LINES = [
  'export function retry(call: Call, { attempts = 3, signal }: Options): Promise<Response> {',
  "  if (signal?.aborted) throw new Error('aborted: ' + String(signal.reason))",
  '\tconst found = rows.filter((row) => row.id !== "none").map(({ id, name }) => id + ": " + name)',
  '  return { status: 200, headers: { "content-type": "application/json" }, body }',
  '}',
  '',
]

const kinds = {
  prose: (at) => `${WORDS.map((_, word) => WORDS[(at * 7 + word * (1 + (at % 5))) % WORDS.length]).join(' ')}.\n`,
  code: (at) => `${LINES[at % LINES.length]}\n`,
  quotes: (at) => `{"id":"${at}","name":"row ${at}","type":"text","tags":["a","b"],"model":"none"},`,
}

/** The kinds of text that a conversation may be made of. */
export const TEXTS = Object.keys(kinds)

/** A conversation of a kind of text as JSON of about so many bytes, in turns of 2 KB, with a system prompt and tools. */
export function conversation(kind, bytes) {
  const messages = []
  let made = 0
  let size = 0
  for (let turn = 0; size < bytes - 1_024; turn += 1) {
    let content = ''
    const long = Math.min(2_048, bytes - 1_024 - size)
    for (; content.length < long; made += 1) content += kinds[kind](made)
    const message = { role: turn % 2 === 0 ? 'user' : 'assistant', content: content.slice(0, long) }
    messages.push(message)
    size += JSON.stringify(message).length + 1
  }
  const parameters = { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] }
  const tools = [{ type: 'function', function: { name: 'read_file', description: 'Reads a file.', parameters } }]
  return JSON.stringify({ model: 'small-1', max_tokens: 1_024, messages, tools })
}
