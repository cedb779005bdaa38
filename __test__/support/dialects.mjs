/**
 * The answers of the APIs whose SDKs are tested, whole and streamed: OpenAI's chat and responses, Anthropic's messages,
 * Google's generateContent. Each says by whom it was served.
 */

/** Returns `{ json }` or `{ events }` for a path that is known, else `undefined`. */
export function answerTo(pathname, search, account, { model, stream: streamed = false } = {}) {
  const text = `served by ${account}`
  if (pathname === '/v1/chat/completions') return chatCompletion(text, model ?? 'small-1', streamed)
  if (pathname === '/v1/responses') return response(text, model, streamed)
  if (pathname === '/v1/messages') return message(text, model, streamed)
  const google = /^\/v1beta\/models\/([^/:]+):(generateContent|streamGenerateContent)$/.exec(pathname)
  if (google) return content(text, google[1], google[2].startsWith('stream') && search.includes('alt=sse'))
  return undefined
}

/** The body of an error as each API words it; OpenAI's is the default. */
export function errorOf(dialect, { type, code = type, message }) {
  if (dialect === 'anthropic') return { type: 'error', error: { type, message }, request_id: 'req_local' }
  if (dialect === 'google') return { error: { code: 429, status: 'RESOURCE_EXHAUSTED', message } }
  return { error: { type, code, message, param: null } }
}

function chatCompletion(text, model, streamed) {
  const base = { id: 'chatcmpl-local', created: Math.floor(Date.now() / 1000), model }
  const usage = { prompt_tokens: 1, completion_tokens: 3, total_tokens: 4 }
  if (!streamed) {
    const choice = { index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }
    return { json: { ...base, object: 'chat.completion', choices: [choice], usage } }
  }
  const chunk = (delta, finish = null, rest = {}) =>
    data({ ...base, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }], ...rest })
  return {
    events: [
      chunk({ role: 'assistant', content: '' }),
      ...words(text).map((content) => chunk({ content })),
      chunk({}, 'stop', { usage }),
      'data: [DONE]\n\n',
    ],
  }
}

function response(text, model, streamed) {
  const part = { type: 'output_text', text, annotations: [] }
  const item = { type: 'message', id: 'msg_local', role: 'assistant', status: 'completed', content: [part] }
  const usage = {
    input_tokens: 1,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 3,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 4,
  }
  const begun = { id: 'resp_local', object: 'response', created_at: 1, model, output: [], status: 'in_progress' }
  const done = { ...begun, status: 'completed', output: [item], usage }
  if (!streamed) return { json: done }
  let sequence = 0
  const event = (type, rest) => named(type, { type, sequence_number: sequence++, ...rest })
  const where = { item_id: item.id, output_index: 0, content_index: 0 }
  return {
    events: [
      event('response.created', { response: begun }),
      event('response.output_item.added', { output_index: 0, item: { ...item, content: [], status: 'in_progress' } }),
      event('response.content_part.added', { ...where, part: { ...part, text: '' } }),
      ...words(text).map((delta) => event('response.output_text.delta', { ...where, delta })),
      event('response.output_text.done', { ...where, text }),
      event('response.output_item.done', { output_index: 0, item }),
      event('response.completed', { response: done }),
    ],
  }
}

function message(text, model, streamed) {
  const usage = { input_tokens: 1, output_tokens: 3 }
  const base = { id: 'msg_local', type: 'message', role: 'assistant', model, stop_sequence: null }
  if (!streamed) return { json: { ...base, content: [{ type: 'text', text }], stop_reason: 'end_turn', usage } }
  const event = (type, rest = {}) => named(type, { type, ...rest })
  return {
    events: [
      event('ping'),
      event('message_start', { message: { ...base, content: [], stop_reason: null, usage } }),
      event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
      ...words(text).map((piece) =>
        event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: piece } }),
      ),
      event('content_block_stop', { index: 0 }),
      event('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage }),
      event('message_stop'),
    ],
  }
}

function content(text, model, streamed) {
  const candidate = (piece, rest = {}) => ({
    candidates: [{ index: 0, content: { role: 'model', parts: [{ text: piece }] }, ...rest }],
    modelVersion: model,
  })
  const end = { finishReason: 'STOP' }
  if (!streamed) return { json: candidate(text, end) }
  const pieces = words(text)
  return { events: pieces.map((piece, nth) => data(candidate(piece, nth === pieces.length - 1 ? end : {}))) }
}

function words(text) {
  return text.split(/(?= )/)
}

function data(value) {
  return `data: ${JSON.stringify(value)}\n\n`
}

function named(name, value) {
  return `event: ${name}\n${data(value)}`
}
