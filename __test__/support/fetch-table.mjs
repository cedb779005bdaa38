/**
 * What a program may ask of `fetch`, as a table. `observe` plays an entry with a given `fetch` and tells all that the
 * program could see, so that two implementations can be compared. Runs on Node, Bun and Deno.
 */

const bytes = new TextEncoder().encode('a body, ünïcode')
const post = (body, rest = {}) => ({ method: 'POST', body, ...rest })
const stream = () =>
  new ReadableStream({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte))
      controller.close()
    },
  })
async function* pieces() {
  yield bytes.subarray(0, 4)
  yield bytes.subarray(4)
}
const formData = () => {
  const form = new FormData()
  form.set('field', 'value')
  form.set('file', new Blob([bytes], { type: 'text/plain' }), 'name.txt')
  return form
}
const abortedAfter = (ms, reason) => {
  const controller = new AbortController()
  setTimeout(() => controller.abort(reason), ms)
  return controller.signal
}
const usedRequest = async (url) => {
  const request = new Request(url, post('once'))
  await request.text()
  return request
}

const readInPart = async (body) => {
  const reader = body.getReader()
  await reader.read()
  reader.releaseLock()
  return body
}
const undefinedFields = {
  method: undefined,
  headers: undefined,
  body: undefined,
  signal: undefined,
  redirect: undefined,
}

/** Name → the arguments of `fetch`, for an origin. `only` names the runtimes that know such a thing at all. */
const inputs = {
  'a string': (o) => [`${o}/echo`],
  'a URL': (o) => [new URL(`${o}/echo?a=1`)],
  'a Request': (o) => [new Request(`${o}/echo`, { headers: { 'x-a': '1' } })],
  'a Request with a body': (o) => [new Request(`${o}/echo`, post('text'))],
  'a Request with bytes': (o) => [new Request(`${o}/echo`, post(bytes))],
  'a Request and an init': (o) => [new Request(`${o}/echo`, { headers: { 'x-a': '1' } }), { headers: { 'x-b': '2' } }],
  'a Request whose method is changed': (o) => [new Request(`${o}/echo`), post('new')],
  'a Request whose body is changed': (o) => [new Request(`${o}/echo`, post('old')), { body: 'new' }],
  'a Request with redirect manual': (o) => [new Request(`${o}/redirect/302`, { redirect: 'manual' })],
  'a Request that was read': async (o) => [await usedRequest(`${o}/echo`)],
  'an object with toString': (o) => [{ toString: () => `${o}/echo` }],
  'an address with a fragment': (o) => [`${o}/echo?a=1#part`],
  'an address with dots': (o) => [`${o}/x/../echo/./a`],
  'an address with spaces and letters': (o) => [`${o}/echo/a b/ü?q=ä b`],
  'an address in capitals': (o) => [o.replace('http', 'HTTP').concat('/echo')],
  'an address with a password': (o) => [o.replace('://', '://user:pass@').concat('/echo')],
  'no address': () => ['not a url'],
  'a relative address': () => ['/echo'],
  'an init of undefined': (o) => [`${o}/echo`, undefined],
  'an empty init': (o) => [`${o}/echo`, {}],
  'an init of undefined fields': (o) => [`${o}/echo`, undefinedFields],
  'a Request and an init of undefined fields': (o) => [
    new Request(`${o}/redirect/302`, post('text', { headers: { 'x-a': '1' }, redirect: 'manual' })),
    undefinedFields,
  ],
  'a Request that was aborted and an init of undefined fields': (o) => [
    new Request(`${o}/echo`, { signal: AbortSignal.abort() }),
    undefinedFields,
  ],
  'a Request that was aborted and a signal of null': (o) => [
    new Request(`${o}/echo`, { signal: AbortSignal.abort() }),
    { signal: null },
  ],
  // Bun takes it for a Request.
  'an object with a url': {
    only: ['node', 'deno'],
    ask: (o) => [{ url: `${o}/echo`, method: 'POST', headers: {}, body: 'x' }],
  },
  'the url of an object, and the object': (o) => {
    const config = { url: `${o}/echo`, method: 'POST', headers: { 'x-a': '1' }, body: 'x' }
    return [config.url, config]
  },
  'the url of an object of a class, and the object': (o) => {
    const config = Object.assign(Object.create({ send() {} }), { url: `${o}/echo`, ...post('x', { headers: {} }) })
    return [config.url, config]
  },
  'an init that is unknown to fetch': (o) => [`${o}/echo`, { dispatchers: 1, colour: 'blue' }],
}

const methods = {
  'method get': (o) => [`${o}/echo`, { method: 'get' }],
  'method post in small letters': (o) => [`${o}/echo`, { method: 'post', body: 'x' }],
  'method PUT': (o) => [`${o}/echo`, { method: 'PUT', body: 'x' }],
  'method PATCH': (o) => [`${o}/echo`, { method: 'PATCH', body: 'x' }],
  'method DELETE without a body': (o) => [`${o}/echo`, { method: 'DELETE' }],
  'method DELETE with a body': (o) => [`${o}/echo`, { method: 'DELETE', body: 'x' }],
  'method OPTIONS': (o) => [`${o}/echo`, { method: 'OPTIONS' }],
  'method HEAD': (o) => [`${o}/echo`, { method: 'HEAD' }],
  'POST without a body': (o) => [`${o}/echo`, { method: 'POST' }],
  'a forbidden method': (o) => [`${o}/echo`, { method: 'TRACE' }],
  'a method with a space': (o) => [`${o}/echo`, { method: 'GE T' }],
  'GET with a body': (o) => [`${o}/echo`, { method: 'GET', body: 'x' }],
  'HEAD with a body': (o) => [`${o}/echo`, { method: 'HEAD', body: 'x' }],
}

const bodies = {
  'a text': (o) => [`${o}/echo`, post('text ü')],
  'an empty text': (o) => [`${o}/echo`, post('')],
  'JSON with its type': (o) => [`${o}/echo`, post('{"a":1}', { headers: { 'content-type': 'application/json' } })],
  'a body of null': (o) => [`${o}/echo`, post(null)],
  bytes: (o) => [`${o}/echo`, post(bytes)],
  'a part of bytes': (o) => [`${o}/echo`, post(bytes.subarray(2, 5))],
  'an ArrayBuffer': (o) => [`${o}/echo`, post(bytes.slice().buffer)],
  'a DataView': (o) => [`${o}/echo`, post(new DataView(bytes.slice().buffer, 1, 3))],
  'a Blob with a type': (o) => [`${o}/echo`, post(new Blob([bytes], { type: 'text/x-own' }))],
  'a Blob without a type': (o) => [`${o}/echo`, post(new Blob([bytes]))],
  URLSearchParams: (o) => [`${o}/echo`, post(new URLSearchParams({ a: '1', b: 'ü &' }))],
  FormData: (o) => [`${o}/echo`, post(formData())],
  'a stream': (o) => [`${o}/echo`, post(stream(), { duplex: 'half' })],
  'an async iterable': { only: ['node'], ask: (o) => [`${o}/echo`, post(pieces(), { duplex: 'half' })] },
  'a stream that was read in part': async (o) => [`${o}/echo`, post(await readInPart(stream()), { duplex: 'half' })],
  'a stream that is being read': (o) => {
    const body = stream()
    body.getReader()
    return [`${o}/echo`, post(body, { duplex: 'half' })]
  },
  'a Request that was read in part': async (o) => {
    const request = new Request(`${o}/echo`, post(stream(), { duplex: 'half' }))
    await readInPart(request.body)
    return [request]
  },
  'a number': (o) => [`${o}/echo`, post(42)],
  'a type of its own': (o) => [
    `${o}/echo`,
    post(new Blob(['x'], { type: 'a/b' }), { headers: { 'Content-Type': 'c/d' } }),
  ],
}

const headers = {
  'headers of an object': (o) => [`${o}/echo`, { headers: { 'X-One': '1', 'x-two': '2' } }],
  'headers of a list': (o) => [
    `${o}/echo`,
    {
      headers: [
        ['X-One', '1'],
        ['x-two', '2'],
      ],
    },
  ],
  'headers of Headers': (o) => [`${o}/echo`, { headers: new Headers({ 'X-One': '1' }) }],
  'headers that come twice': (o) => [
    `${o}/echo`,
    {
      headers: [
        ['x-one', '1'],
        ['X-One', '2'],
      ],
    },
  ],
  'headers with space around them': (o) => [`${o}/echo`, { headers: { 'x-one': '  1  ' } }],
  'an empty header': (o) => [`${o}/echo`, { headers: { 'x-one': '' } }],
  'a header of a number': (o) => [`${o}/echo`, { headers: { 'x-one': 1 } }],
  'a header in Latin-1': (o) => [`${o}/echo`, { headers: { 'x-one': 'ü' } }],
  'a user agent of its own': (o) => [`${o}/echo`, { headers: { 'user-agent': 'mine/1' } }],
  'accept of its own': (o) => [`${o}/echo`, { headers: { accept: 'text/plain' } }],
  'a header name with a space': (o) => [`${o}/echo`, { headers: { 'x one': '1' } }],
  'a header with a line break': (o) => [`${o}/echo`, { headers: { 'x-one': 'a\nb' } }],
  'a header beyond Latin-1': (o) => [`${o}/echo`, { headers: { 'x-one': '€' } }],
  'a list of lists that are too long': {
    only: ['node', 'deno'],
    ask: (o) => [`${o}/echo`, { headers: [['a', 'b', 'c']] }],
  },
}

const redirects = Object.fromEntries([
  ...[301, 302, 303, 307, 308].map((status) => [
    `a ${status} after POST`,
    (o) => [`${o}/redirect/${status}`, post('x')],
  ]),
  ['a 302 after GET', (o) => [`${o}/redirect/302`]],
  ['a 303 after HEAD', (o) => [`${o}/redirect/303`, { method: 'HEAD' }]],
  ['redirect manual', (o) => [`${o}/redirect/302`, { redirect: 'manual' }]],
  ['redirect error', (o) => [`${o}/redirect/302`, { redirect: 'error' }]],
  ['redirect error without a redirect', (o) => [`${o}/echo`, { redirect: 'error' }]],
  // Deno drops the body of such an answer, even an empty one.
  ['a redirect to nowhere', { only: ['node', 'bun'], ask: (o) => [`${o}/redirect/none`] }],
  ['a redirect to another scheme', (o) => [`${o}/redirect/302?to=ftp://x.invalid/`]],
  ['a redirect in a circle', { only: ['node', 'deno'], ask: (o) => [`${o}/circle`] }],
])

const options = {
  'cache no-store': (o) => [`${o}/echo`, { cache: 'no-store' }],
  'cache reload': (o) => [`${o}/echo`, { cache: 'reload' }],
  'credentials include': (o) => [`${o}/echo`, { credentials: 'include' }],
  'credentials omit': (o) => [`${o}/echo`, { credentials: 'omit' }],
  'mode cors': (o) => [`${o}/echo`, { mode: 'cors' }],
  keepalive: (o) => [`${o}/echo`, post('x', { keepalive: true })],
  'a referrer policy': (o) => [`${o}/echo`, { referrerPolicy: 'no-referrer' }],
  'a signal of null': (o) => [`${o}/echo`, { signal: null }],
  'a signal that never fires': (o) => [`${o}/echo`, { signal: new AbortController().signal }],
  'a signal that has fired': (o) => [`${o}/echo`, { signal: AbortSignal.abort() }],
  'a signal that has fired with a reason': (o) => [`${o}/echo`, { signal: AbortSignal.abort(new RangeError('mine')) }],
  'a signal that fires': (o) => [`${o}/hang`, { signal: abortedAfter(40, new RangeError('mine')) }],
  'a signal of a Request that fires': (o) => [new Request(`${o}/hang`, { signal: abortedAfter(40) })],
  'a timeout': (o) => [`${o}/hang`, { signal: AbortSignal.timeout(40) }],
  'duplex half with a text': (o) => [`${o}/echo`, post('x', { duplex: 'half' })],
}

const answers = {
  ...Object.fromEntries(
    [200, 201, 202, 204, 205, 206, 304, 400, 401, 402, 403, 404, 409, 418, 422, 500, 503].map((status) => [
      `status ${status}`,
      (o) => [`${o}/status/${status}`],
    ]),
  ),
  'a status text of its own': (o) => [`${o}/text`],
  ...Object.fromEntries(
    ['200', '200/events', '200/json', '402', '429', '503', '529'].flatMap((how) =>
      ['letters', 'bytes'].map((phrase) => [
        `a reason phrase of ${phrase}, ${how}`,
        // Bun and Deno read such a phrase in ways of their own.
        { only: ['node'], ask: (o) => [`${o}/phrase/${phrase}/${how}`] },
      ]),
    ),
  ),
  'a status that no program may say': { only: ['node'], ask: (o) => [`${o}/phrase/letters/999`] },
  'JSON of a known length': (o) => [`${o}/json`],
  'JSON in pieces': (o) => [`${o}/json/pieces`],
  'JSON that is compressed': (o) => [`${o}/json/gzip`],
  'JSON that is large': (o) => [`${o}/json/large`],
  'JSON that is only an error': (o) => [`${o}/json/error`],
  'JSON that breaks off': (o) => [`${o}/json/breaks`],
  'JSON that is none': (o) => [`${o}/json/none`],
  'JSON after a redirect': (o) => [`${o}/redirect/302?to=/json`],
  'headers that come twice in the answer': (o) => [`${o}/twice`],
  'a compressed answer': (o) => [`${o}/gzip`],
  'an event stream': (o) => [`${o}/events`],
  'an event stream of nothing': (o) => [`${o}/no-events`],
  'a large answer': (o) => [`${o}/large`],
  'an answer that breaks off': (o) => [`${o}/breaks`],
  'a connection that is dropped': (o) => [`${o}/drop`],
}

/** Every entry, by name. */
export const table = Object.fromEntries(
  Object.entries({ ...inputs, ...methods, ...bodies, ...headers, ...redirects, ...options, ...answers }).map(
    ([name, entry]) => [name, typeof entry === 'function' ? { ask: entry } : entry],
  ),
)

/** Tells all that a program sees of one call: the answer in every respect, or the error. */
export async function observe({ ask }, fetch, origin) {
  try {
    const [input, init] = await ask(origin)
    const response = await fetch(input, init)
    const { status, statusText, ok, url, redirected, type, bodyUsed } = response
    const clone = response.clone()
    const seen = { status, statusText, ok, url, redirected, type, bodyUsed, hasBody: response.body !== null }
    const isResponse = response instanceof Response && clone instanceof Response
    const clonedAs = [clone.status, clone.statusText, clone.url, clone.redirected, clone.type]
    return {
      ...seen,
      isResponse,
      clonedAs,
      headers: [...response.headers].filter(([name]) => !VOLATILE.has(name)),
      cookies: response.headers.getSetCookie(),
      text: normal(await attempt(() => clone.text())),
      body: normal(await attempt(async () => new TextDecoder().decode(await response.arrayBuffer()))),
      bodyUsedAfter: response.bodyUsed,
      again: await attempt(() => response.text()),
    }
  } catch (error) {
    return { error: nameOf(error) }
  }
}

/** What differs from call to call, and the headers that a limit's answer is promised to carry. */
const VOLATILE = new Set(['date', 'connection', 'keep-alive', 'retry-after', 'retry-after-ms', 'x-should-retry'])

async function attempt(read) {
  try {
    return await read()
  } catch (error) {
    return { error: nameOf(error) }
  }
}

function nameOf(error) {
  return `${error?.constructor?.name} ${error?.name}${error?.name === 'RangeError' ? `: ${error.message}` : ''}`
}

/** A form's boundary is drawn for each call. */
function normal(text) {
  return typeof text === 'string'
    ? text.replace(/-*(WebKit|NodeJS|formdata-undici|form-data|-{4,})[\w-]*\d[\w-]*/gi, 'boundary')
    : text
}
