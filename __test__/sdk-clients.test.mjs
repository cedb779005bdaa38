/** Unmodified SDKs over `createAuthFetch`: one call rotates, streams stay whole, nothing of a placeholder leaves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import Anthropic from '@anthropic-ai/sdk'
import { ApiError as GoogleError, GoogleGenAI } from '@google/genai'
import { APICallError, generateText, streamText } from 'ai'
import OpenAI from 'openai'
import { openDesk, rejection } from './support/desk.mjs'
import { errorOf } from './support/dialects.mjs'
import { until } from './support/until.mjs'

const { upstream, openPool } = await openDesk({ rotation: { maxWaitMs: 0 } })

const PLACEHOLDER = 'placeholder-key'
const prompt = 'hello'
const messages = [{ role: 'user', content: prompt }]
const { origin, baseURL } = upstream

/**
 * The SDKs. Each entry makes a client of `fetch` and of how often the SDK itself may try again, and says how to ask it for
 * a text, whole or streamed, and what it throws for a limit and for an abort.
 */
const clients = {
  'openai chat': {
    heeds: true,
    make(fetch, maxRetries) {
      const { chat } = new OpenAI({ apiKey: PLACEHOLDER, baseURL, fetch, maxRetries })
      const ask = (rest, signal) => chat.completions.create({ model: 'small-1', messages, ...rest }, { signal })
      return {
        whole: async (signal) => (await ask({}, signal)).choices[0].message.content,
        pieces: async (signal) =>
          mapped(await ask({ stream: true }, signal), (chunk) => chunk.choices[0].delta.content),
      }
    },
    isLimit: (error) => error instanceof OpenAI.RateLimitError && error.code !== undefined,
    isAbort: (error) => error instanceof OpenAI.APIUserAbortError,
  },
  'openai responses': {
    heeds: true,
    make(fetch, maxRetries) {
      const { responses } = new OpenAI({ apiKey: PLACEHOLDER, baseURL, fetch, maxRetries })
      const ask = (rest, signal) => responses.create({ model: 'small-1', input: prompt, ...rest }, { signal })
      return {
        whole: async (signal) => (await ask({}, signal)).output_text,
        pieces: async (signal) => mapped(await ask({ stream: true }, signal), (event) => event.delta),
      }
    },
    isLimit: (error) => error instanceof OpenAI.RateLimitError,
    isAbort: (error) => error instanceof OpenAI.APIUserAbortError,
  },
  anthropic: {
    dialect: 'anthropic',
    heeds: true,
    make(fetch, maxRetries) {
      const client = new Anthropic({ apiKey: PLACEHOLDER, baseURL: origin, fetch, maxRetries })
      const ask = (rest, signal) =>
        client.messages.create({ model: 'small-1', max_tokens: 9, messages, ...rest }, { signal })
      return {
        whole: async (signal) => (await ask({}, signal)).content[0].text,
        pieces: async (signal) => mapped(await ask({ stream: true }, signal), (event) => event.delta?.text),
      }
    },
    isLimit: (error) => error instanceof Anthropic.RateLimitError && error.status === 429,
    isAbort: (error) => error instanceof Anthropic.APIUserAbortError,
  },
  'google genai': {
    dialect: 'google',
    make(fetch, maxRetries) {
      const { models } = new GoogleGenAI({
        apiKey: PLACEHOLDER,
        httpOptions: { baseUrl: origin, fetch, ...(maxRetries > 0 && { retryOptions: { attempts: maxRetries + 1 } }) },
      })
      const call = (signal) => ({ model: 'small-1', contents: prompt, config: signal && { abortSignal: signal } })
      return {
        whole: async (signal) => (await models.generateContent(call(signal))).text,
        pieces: async (signal) => mapped(await models.generateContentStream(call(signal)), (chunk) => chunk.text),
      }
    },
    isLimit: (error) => error instanceof GoogleError && error.status === 429,
    isAbort: (error) => /abort/i.test(`${error.name} ${error.message}`),
  },
  'ai sdk, openai-compatible': aiSdk((fetch) =>
    createOpenAICompatible({ name: 'local', baseURL, apiKey: PLACEHOLDER, fetch }).chatModel('small-1'),
  ),
  'ai sdk, anthropic': {
    dialect: 'anthropic',
    ...aiSdk((fetch) => createAnthropic({ baseURL, apiKey: PLACEHOLDER, fetch })('small-1')),
  },
}

function aiSdk(modelOf) {
  return {
    make(fetch, maxRetries) {
      const model = modelOf(fetch)
      const options = (abortSignal) => ({ model, prompt, maxRetries, abortSignal })
      return {
        whole: async (signal) => (await generateText(options(signal))).text,
        async pieces(signal) {
          let failure
          const onError = ({ error }) => {
            failure = error
          }
          const result = streamText({ ...options(signal), onError })
          const pieces = await mapped(result.textStream, (text) => text)
          if (failure !== undefined) throw failure
          signal?.throwIfAborted()
          return pieces
        },
      }
    },
    isLimit(error) {
      const cause = error.lastError ?? error
      return APICallError.isInstance(cause) && cause.statusCode === 429
    },
    isAbort: (error) => error.name === 'AbortError',
  }
}

for (const [name, { dialect = 'openai', heeds = false, make, isLimit, isAbort }] of Object.entries(clients)) {
  const limit = (seconds) => ({
    status: 429,
    headers: { 'retry-after': String(seconds), 'request-id': 'req_local' },
    body: errorOf(dialect, { type: 'rate_limit_error', code: 'rate_limit_exceeded', message: 'slow down' }),
    times: Infinity,
  })

  for (const maxRetries of [0, 2]) {
    const how = maxRetries === 0 ? 'without_its_own_retries' : 'with_its_own_retries'
    const open = async (names) => {
      const pool = await openPool(names)
      return { ...pool, ...make(pool.fetch, maxRetries) }
    }

    test(`${name} rotates inside one call ${how}`, async () => {
      const { accounts, whole, pieces, seen, served } = await open(['ada', 'bob', 'cyd'])
      upstream.plan(accounts[0], limit(600))
      assert.equal(await whole(), `served by ${accounts[1]}`)
      assert.deepEqual(served(), accounts.slice(0, 2))
      upstream.plan(accounts[1], limit(600))
      assert.equal((await pieces()).join(''), `served by ${accounts[2]}`)
      assert.deepEqual(served(), [accounts[0], accounts[1], accounts[1], accounts[2]])
      for (const { headers, path, body } of seen()) {
        assert.ok(!JSON.stringify([headers, path, body]).includes(PLACEHOLDER), 'a placeholder left the process')
      }
    })

    test(`${name} throws its own error when every account is limited ${how}`, async () => {
      const { accounts, whole, pieces, seen } = await open(['ada'])
      // The SDKs wait for what `retry-after-ms` says; so little that a test can sit it out, and more than `maxWaitMs`.
      upstream.plan(accounts[0], limit(maxRetries === 0 ? 600 : 1))
      const error = await rejection(whole())
      assert.ok(isLimit(error), `${error?.constructor?.name}: ${error?.message}`)
      assert.ok(seen().length >= 1 && seen().length <= maxRetries + 1, `${seen().length} requests`)
      if (maxRetries === 0) assert.ok(isLimit(await rejection(pieces())))
    })
  }

  if (heeds) {
    test(`${name} does not try again what was tried`, async () => {
      const body = errorOf(dialect, { type: 'overloaded_error', message: 'overloaded' })
      const counts = []
      for (const maxRetries of [0, 2]) {
        const pool = await openPool(['ada', 'bob'])
        for (const account of pool.accounts) upstream.plan(account, { status: 529, body, times: Infinity })
        const error = await rejection(make(pool.fetch, maxRetries).whole())
        assert.equal(error.status, 529)
        counts.push(pool.seen().length)
      }
      assert.equal(counts[1], counts[0])
    })
  }

  test(`${name} can be aborted`, async () => {
    const pool = await openPool(['ada'])
    upstream.plan(pool.accounts[0], { hang: true, times: Infinity })
    const { whole } = make(pool.fetch, 2)
    const controller = new AbortController()
    const outcome = rejection(whole(controller.signal))
    await until('the request is at the server', () => pool.seen().length > 0)
    controller.abort()
    const error = await outcome
    assert.ok(isAbort(error), `${error?.constructor?.name}: ${error?.message}`)
    assert.equal(pool.seen().length, 1)
  })

  test(`${name} gets a stream whose first event was an error from the next account`, async () => {
    const pool = await openPool(['ada', 'bob'])
    const body = errorOf(dialect, { type: 'rate_limit_error', code: 'rate_limit_exceeded', message: 'slow down' })
    upstream.plan(pool.accounts[0], { sse: [`event: error\ndata: ${JSON.stringify(body)}\n\n`] })
    const { pieces } = make(pool.fetch, 0)
    assert.equal((await pieces()).join(''), `served by ${pool.accounts[1]}`)
    assert.deepEqual(pool.served(), pool.accounts)
  })
}

/** Collects what `pick` takes from each item of a stream. */
async function mapped(stream, pick) {
  const texts = []
  for await (const item of stream) {
    const text = pick(item)
    if (typeof text === 'string') texts.push(text)
  }
  return texts
}
